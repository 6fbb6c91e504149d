"""Total variation and L-infinity, as PromQL: distances of shares as they are, judged as normal deviations.

It knows comparisons, no thresholds. Formulas and their sources are those of exporter/stats/total_variation.py,
l_infinity.py and chance.py: s is the pooled share of a bin, v = s (1 - s) its variance but for the noise. A column with
one bin has v = 0; the least denominators below let it be 0 and never NaN.
"""

from alert_rules.comparison import COLUMN, CRITICAL, FLOOR, MANY, VALUE, Comparison
from alert_rules.rules import Record, total
from exporter.stats.chance import LARGEST, MOST_ALIKE, MOST_UNITED, UNION, Z_999

HALF_NORMAL = 0.7978845608028654  # sqrt(2 / pi), the mean of |Z|
SPREAD = 0.3633802276324186  # 1 - 2 / pi, its variance
SKEW = 0.9952717464311566  # sqrt(2) (4 - pi) / (pi - 2)^(3/2), its skewness
RARE = 2.0  # as in exporter/stats/total_variation.py
SIXTH = (Z_999**2 - 1) / 6  # of Cornish and Fisher's correction for skewness
BY = ", ".join(COLUMN)
LEAST = "1e-30"


def total_variation(it: Comparison) -> tuple[Record, ...]:
    deviation, noise = it.part("deviation"), f"sqrt({it.noise}) / 2"
    value = f"{total(f'abs({it.difference})', *COLUMN)} / 2"
    mean = f"{HALF_NORMAL} * {deviation}"
    z = f"({Z_999} + {SIXTH} * ({SKEW} / sqrt({_free(it)}) + {RARE} * {_thin(it)}))"
    critical = f"({mean} + {z} * {_sum_deviation(it)}) * {noise} + 0.5 / {it.live.effective}"
    return (
        Record(it.part("variance"), total(_variance(it), *COLUMN)),
        Record(deviation, total(f"sqrt({_variance(it)})", *COLUMN)),
        it.told(VALUE, "total_variation", f"{value} and {it.bins}"),
        it.told(FLOOR, "total_variation", f"{mean} * {noise}"),
        it.told(CRITICAL, "total_variation", critical),
    )


def l_infinity(it: Comparison) -> tuple[Record, ...]:
    """The critical value is that of one of B bins (Bonferroni), each corrected for its skewness."""
    z = _polynomial(UNION, f"clamp_max({it.bins}, {MOST_UNITED})")
    widest = f"max by ({BY}) ({_variance(it)})"
    alike = f"clamp({it.part('variance')} / clamp_min({widest}, {LEAST}), 1, {MOST_ALIKE})"
    skewed = f"abs(1 - 2 * {it.pooled}) * {MANY} (({z} ^ 2 - 1) / 6 * {it.uneven})"
    high = f"sqrt({_variance(it)}) * {MANY} ({z} * sqrt({it.noise})) + {skewed}"
    return (
        it.told(VALUE, "l_infinity", f"max by ({BY}) (abs({it.difference})) and {it.bins}"),
        it.told(FLOOR, "l_infinity", f"{_polynomial(LARGEST, alike)} * sqrt({widest} * {it.noise})"),
        it.told(CRITICAL, "l_infinity", f"max by ({BY}) ({high}) * ({it.bins} > bool 1)"),
    )


def _variance(it: Comparison) -> str:
    return f"({it.pooled} * (1 - {it.pooled}))"  # no s - s^2, which rounding makes negative


def _sum_deviation(it: Comparison) -> str:
    """Of the sum of |Z| over bins that are correlated: sqrt((1 - 2/pi) [sum of v + sum of c_a c_b, a and b apart])."""
    c = f"({it.pooled} ^ 2 / sqrt(clamp_min({_variance(it)}, {LEAST})))"
    pairs = f"clamp_min({total(c, *COLUMN)} ^ 2 - {total(f'{c} ^ 2', *COLUMN)}, 0)"
    return f"sqrt({SPREAD} * ({it.part('variance')} + {pairs}))"


def _free(it: Comparison) -> str:
    """As many bins as would vary alike."""
    squares = f"clamp_min({total(f'{_variance(it)} ^ 2', *COLUMN)}, {LEAST})"
    return f"clamp_min({it.part('variance')} ^ 2 / {squares} - 1, 1)"


def _thin(it: Comparison) -> str:
    """Skewness of the share outside of the fullest bin."""
    fullest = f"max by ({BY}) ({it.pooled})"
    sd = f"clamp_min(sqrt({fullest} * (1 - {fullest}) * {it.noise}), {LEAST})"
    return f"(clamp_min(2 * {fullest} - 1, 0) * {it.uneven} / {sd})"


def _polynomial(coefficients: tuple[float, ...], of: str) -> str:
    """In ln of that, by Horner, the constant first."""
    text = f"{coefficients[-1]}"
    for each in reversed(coefficients[:-1]):
        text = f"({each} + ln({of}) * {text})"
    return text
