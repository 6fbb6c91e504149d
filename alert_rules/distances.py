"""Distances between two histograms and what they are by chance, as PromQL: the same formulas as exporter/stats/*.py.

It knows comparisons, no thresholds. Each statistic is a value of the label `statistic`, so that one expression reads
them all. The value is absent below five effective rows per bin; floor, critical value and excess besides. Total
variation has no critical value here and L-infinity no yardstick at all: those are sums over pairs of bins and
quantiles of a table, which a replica forms for its own windows (exporter/stats/).

Kolmogorov-Smirnov needs the bins in order, and PromQL cannot read a number from a label; but `histogram_quantile` can:
the quantile 1 of a histogram with one bound is that bound. So no replica exports an order, and profiles that were made
long ago have one. The sum up to each edge is that over the lowest one, two, three … edges.
"""

from alert_rules.comparison import COLUMN, MANY, NUMBERS, ON, ROWS_PER_BIN, Comparison, reference
from alert_rules.rules import Record, total

# Quantiles of the standard normal distribution: one of 1,000 windows, and one of 1,000 windows of 1,000 columns.
NORMAL_999 = 3.0902
NORMAL_CERTAIN = 4.7534
KOLMOGOROV_999 = 1.9495
ROBUST = 1.8  # Deequ's: about 0.3 %
JENSEN_SHANNON = 5.545177444479562  # 8 ln 2; PSI over this is the divergence in bits, for small drift
HALF_NORMAL = 0.7978845608028654  # sqrt(2 / pi), the mean of |Z|
# Edges of the widest numeric column: 20 distinct values, and one below the least (exporter/stats/profiles/build.py).
MOST_EDGES = 21
EDGE = "column_bin:model_reference_edge:value"

VALUE, FLOOR, CRITICAL, EXCESS = "drift", "drift_floor", "drift_critical", "drift_excess"
BY = ", ".join(COLUMN)


def edges() -> Record:
    """Upper bounds of numeric bins; categorical columns have no `<nan>`, and no order."""
    bins, ordered = reference('bin!~"<.*>|[+]Inf"'), reference('bin="<nan>"')
    numeric = f"(0 * {bins} + 1 and {ON} {ordered})"
    last = f'label_replace({numeric}, "le", "+Inf", "", "")'
    return Record(
        EDGE, f'histogram_quantile(1, label_replace({numeric}, "le", "$1", "bin", "(.*)") or {last})'
    )


def judged(it: Comparison) -> tuple[Record, ...]:
    """PSI alone, with its yardsticks: for comparisons of live rows with others."""
    return (_inverse(it), *_psi(it), _excess(it))


def everything(it: Comparison) -> tuple[Record, ...]:
    return (_inverse(it), *_psi(it), *_smooth(it), *_raw(it), *_ordered(it), _excess(it), _robust(it))


def certain(it: Comparison) -> Record:
    """PSI that chance does not explain in any of a thousand columns."""
    return Record(it.part("drift_certain"), f"{_critical(it, NORMAL_CERTAIN)}", {"statistic": "psi"})


def _record(it: Comparison, what: str, statistic: str, expr: str) -> Record:
    return Record(it.part(what), expr, {"statistic": statistic})


def _inverse(it: Comparison) -> Record:
    """Sum of 1/s over bins, s the pooled share: how thin bins are."""
    return Record(it.part("pooled_inverse"), f"{total(f'1 / {it.pooled}', *COLUMN)} and {it.bins}")


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
        _record(it, VALUE, "psi", total(f"({q} - {p}) * ln({q} / {p})", *COLUMN)),
        _record(it, FLOOR, "psi", _floor(it)),
        _record(it, CRITICAL, "psi", f"{_critical(it)} * (1 + {thin})"),
    )


def _smooth(it: Comparison) -> tuple[Record, ...]:
    """Jensen-Shannon in bits, and Hellinger."""
    p, q = it.shares
    k = f"clamp_min({it.bins} - 1, 1)"
    divergence = f"{q} * log2(2 * {q} / ({q} + {p})) + {p} * log2(2 * {p} / ({q} + {p}))"
    mean = f"({it.bins} > bool 1) * sqrt({k} - 0.5 + 1 / (8 * {k}))"
    return (
        _record(it, VALUE, "jensen_shannon", f"{total(divergence, *COLUMN)} / 2"),
        _record(it, FLOOR, "jensen_shannon", f"{_floor(it)} / {JENSEN_SHANNON}"),
        _record(it, CRITICAL, "jensen_shannon", f"{_critical(it)} / {JENSEN_SHANNON}"),
        _record(it, VALUE, "hellinger", f"sqrt({total(f'(sqrt({q}) - sqrt({p})) ^ 2', *COLUMN)} / 2)"),
        _record(it, FLOOR, "hellinger", f"{mean} * sqrt({it.noise} / 8)"),
        _record(it, CRITICAL, "hellinger", f"sqrt({_critical(it)} / 8)"),
    )


def _raw(it: Comparison) -> tuple[Record, ...]:
    """Of shares as they are: total variation, L-infinity, chi-square (homogeneity, over N + M)."""
    deviation = total(f"sqrt({it.pooled} * (1 - {it.pooled}))", *COLUMN)
    k, effective = f"clamp_min({it.bins} - 1, 1)", it.live.effective
    sparse = f"clamp_min({it.part('pooled_inverse')} - {it.bins} ^ 2 - 2 * {it.bins} + 2, 0) / {effective}"
    ninth = f"2 / (9 * {k}) * (1 + {sparse} / {k})"
    stretch = f"(1 - {ninth} + {NORMAL_999} * sqrt({ninth})) ^ 3 * (1 + 0.2 * {it.bins} / {effective})"
    largest = f"max by ({BY}) (abs({it.difference}))"
    return (
        _record(it, VALUE, "total_variation", f"{total(f'abs({it.difference})', *COLUMN)} / 2 and {it.bins}"),
        _record(
            it,
            FLOOR,
            "total_variation",
            f"{HALF_NORMAL} * ({deviation} and {it.bins}) * sqrt({it.noise}) / 2",
        ),
        _record(it, VALUE, "l_infinity", f"{largest} and {it.bins}"),
        _record(
            it,
            VALUE,
            "chi_square",
            f"{total(f'{it.difference} ^ 2 / {it.pooled}', *COLUMN)} and {it.bins}",
        ),
        _record(it, FLOOR, "chi_square", _floor(it)),
        _record(it, CRITICAL, "chi_square", f"{_floor(it)} * {stretch}"),
    )


def _ordered(it: Comparison) -> tuple[Record, ...]:
    """Kolmogorov-Smirnov over finite numbers; as large a share of them is independent as of all rows."""
    live, base = (f"({name}{NUMBERS} and {ON} {EDGE})" for name in (it.live.bins, it.base))
    rows, base_rows = it.part("numbers"), it.part("base_numbers")
    difference, noise = it.part("numbers_difference", "column_bin"), it.part("numbers_noise")
    effective = f"{it.live.effective} * {rows} / {it.live.rows}"
    least = f"{ROWS_PER_BIN} * count by ({BY}) ({difference})"
    lowest = (
        f'label_replace(abs(sum by ({BY}) ({difference} and bottomk by ({BY}) ({n}, {EDGE}))), "edge", "{n}", "", "")'
        for n in range(1, MOST_EDGES + 1)
    )
    # A profile with more edges than that would get a distance that stops too early.
    known = f"{noise} unless count by ({BY}) ({EDGE}) > {MOST_EDGES}"
    return (
        Record(rows, f"{total(live, *COLUMN)} > 0"),
        Record(base_rows, f"{total(base, *COLUMN)} > 0"),
        Record(
            difference,
            f"{live} / {MANY} ({rows} and {it.bins}) - {base} / {MANY} ({base_rows} and {it.bins})",
        ),
        Record(noise, f"1 / ({effective} >= {least}) + 1 / ({base_rows} >= {least})"),
        _record(it, VALUE, "kolmogorov_smirnov", f"max by ({BY}) ({' or '.join(lowest)}) and ({known})"),
        _record(it, CRITICAL, "kolmogorov_smirnov", f"{KOLMOGOROV_999} * sqrt({noise})"),
    )


def _excess(it: Comparison) -> Record:
    """What is left beyond the expectation without drift: nearly unbiased. Carries the statistic of what it reads."""
    return Record(it.part(EXCESS), f"clamp_min({it.part(VALUE)} - {it.part(FLOOR)}, 0)")


def _robust(it: Comparison) -> Record:
    value = f'{it.part(VALUE)}{{statistic="kolmogorov_smirnov"}}'
    chance = f"{ROBUST} * sqrt({it.part('numbers_noise')})"
    return _record(it, EXCESS, "kolmogorov_smirnov", f"clamp_min({value} - {ON} {chance}, 0)")
