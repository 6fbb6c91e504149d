"""Distances between two histograms and what they are by chance, as PromQL: the same formulas as exporter/stats/*.py.

It knows comparisons, no thresholds. Each statistic is a value of the label `statistic`, so that one expression reads
them all. The value is absent below five effective rows per bin; floor, critical value and excess besides. Total
variation and L-infinity, judged as normal deviations, are in deviations.py, Kolmogorov-Smirnov in ordered.py.
"""

from alert_rules.comparison import COLUMN, CRITICAL, EXCESS, FLOOR, VALUE, Comparison
from alert_rules.deviations import l_infinity, total_variation
from alert_rules.ordered import kolmogorov_smirnov
from alert_rules.rules import Record, total

# Quantiles of the standard normal distribution: one of 1,000 windows, and one of 1,000 windows of 1,000 columns.
NORMAL_999 = 3.0902
NORMAL_CERTAIN = 4.7534
JENSEN_SHANNON = 5.545177444479562  # 8 ln 2; PSI over this is the divergence in bits, for small drift


def judged(it: Comparison) -> tuple[Record, ...]:
    """The four that are looked at most, with their yardsticks: for comparisons of live rows with others."""
    chosen = *_psi(it), *_jensen_shannon(it), *total_variation(it), *kolmogorov_smirnov(it)
    return (_inverse(it), *chosen, _excess(it))


def everything(it: Comparison) -> tuple[Record, ...]:
    smooth = *_psi(it), *_jensen_shannon(it), *_hellinger(it)
    raw = *total_variation(it), *l_infinity(it), *_chi_square(it)
    return (_inverse(it), *smooth, *raw, *kolmogorov_smirnov(it), _excess(it))


def certain(it: Comparison) -> Record:
    """PSI that chance does not explain in any of a thousand columns."""
    return it.told("drift_certain", "psi", f"{_critical(it, NORMAL_CERTAIN)}")


def _inverse(it: Comparison) -> Record:
    """Sum of 1/s over bins, s the pooled share: how thin bins are."""
    return Record(it.part("pooled_inverse"), total(f"1 / {it.pooled}", *COLUMN))


def _floor(it: Comparison) -> str:
    return f"({it.bins} - 1) * {it.noise}"


def _critical(it: Comparison, z: float = NORMAL_999) -> str:
    """Wilson and Hilferty (1931) for chi-square with B - 1 degrees, in units of the noise."""
    ninth = f"2 / (9 * clamp_min({it.bins} - 1, 1))"
    return f"{_floor(it)} * (1 - {ninth} + {z} * sqrt({ninth})) ^ 3"


def _psi(it: Comparison) -> tuple[Record, ...]:
    p, q = it.shares
    thin = f"clamp_max(0.4 * {it.part('pooled_inverse')} / {it.bins} / {it.live.effective}, 0.1)"
    return (
        it.told(VALUE, "psi", total(f"({q} - {p}) * ln({q} / {p})", *COLUMN)),
        it.told(FLOOR, "psi", _floor(it)),
        it.told(CRITICAL, "psi", f"{_critical(it)} * (1 + {thin})"),
    )


def _jensen_shannon(it: Comparison) -> tuple[Record, ...]:
    """In bits."""
    p, q = it.shares
    divergence = f"{q} * log2(2 * {q} / ({q} + {p})) + {p} * log2(2 * {p} / ({q} + {p}))"
    return (
        it.told(VALUE, "jensen_shannon", f"{total(divergence, *COLUMN)} / 2"),
        it.told(FLOOR, "jensen_shannon", f"{_floor(it)} / {JENSEN_SHANNON}"),
        it.told(CRITICAL, "jensen_shannon", f"{_critical(it)} / {JENSEN_SHANNON}"),
    )


def _hellinger(it: Comparison) -> tuple[Record, ...]:
    p, q = it.shares
    k = f"clamp_min({it.bins} - 1, 1)"
    mean = f"({it.bins} > bool 1) * sqrt({k} - 0.5 + 1 / (8 * {k}))"
    return (
        it.told(VALUE, "hellinger", f"sqrt({total(f'(sqrt({q}) - sqrt({p})) ^ 2', *COLUMN)} / 2)"),
        it.told(FLOOR, "hellinger", f"{mean} * sqrt({it.noise} / 8)"),
        it.told(CRITICAL, "hellinger", f"sqrt({_critical(it)} / 8)"),
    )


def _chi_square(it: Comparison) -> tuple[Record, ...]:
    """Of homogeneity, over N + M."""
    k, effective = f"clamp_min({it.bins} - 1, 1)", it.live.effective
    sparse = f"clamp_min({it.part('pooled_inverse')} - {it.bins} ^ 2 - 2 * {it.bins} + 2, 0) / {effective}"
    ninth = f"2 / (9 * {k}) * (1 + {sparse} / {k})"
    stretch = f"(1 - {ninth} + {NORMAL_999} * sqrt({ninth})) ^ 3 * (1 + 0.2 * {it.bins} / {effective})"
    value = total(f"{it.difference} ^ 2 / {it.pooled}", *COLUMN)
    return (
        it.told(VALUE, "chi_square", f"{value} and {it.bins}"),
        it.told(FLOOR, "chi_square", _floor(it)),
        it.told(CRITICAL, "chi_square", f"{_floor(it)} * {stretch}"),
    )


def _excess(it: Comparison) -> Record:
    """What is left beyond the expectation without drift: nearly unbiased. Carries the statistic of what it reads."""
    return Record(it.part(EXCESS), f"clamp_min({it.part(VALUE)} - {it.part(FLOOR)}, 0)")
