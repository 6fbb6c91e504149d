"""Kolmogorov-Smirnov, as PromQL: the formulas of exporter/stats/kolmogorov_smirnov.py over bins in order.

It knows comparisons, no thresholds. PromQL cannot read a number from a label; but `histogram_quantile` can: the
quantile 1 of a histogram with one bound is that bound. So no replica exports an order, and profiles that were made long
ago have one. The sum up to each edge is that over the lowest one, two, three ... edges.
"""

from alert_rules.comparison import (
    COLUMN,
    CRITICAL,
    FLOOR,
    MANY,
    NUMBERS,
    ON,
    PANE,
    ROWS_PER_BIN,
    VALUE,
    Comparison,
    Live,
)
from alert_rules.deviations import HALF_NORMAL
from alert_rules.rules import Record, total

KOLMOGOROV_999 = 1.9495
KOLMOGOROV_MEAN = 0.8687311606361591  # sqrt(pi / 2) ln 2
DISCRETE = 0.5826  # as in exporter/stats/kolmogorov_smirnov.py, with its sources
ROBUST = 1.8  # Deequ's: about 0.3 %
# Edges of the widest numeric column: 20 distinct values, and one below the least (exporter/stats/profiles/build.py).
MOST_EDGES = 21
EDGE = "column_bin:model_edge:value"
PLACE = "column_bin:model_edge:place"
BY = ", ".join(COLUMN)


def edges() -> tuple[Record, ...]:
    """Upper bounds of numeric bins, and their places from 1 on; categorical columns have no `<nan>`, and no order.

    Of live bins, which all bins of a profile are among: a column without one has an order as well.
    """
    bins, ordered = (f"{Live(PANE).bins}{{{chosen}}}" for chosen in ('bin!~"<.*>|[+]Inf"', 'bin="<nan>"'))
    numeric = f"(0 * {bins} + 1 and {ON} {ordered})"
    last = f'label_replace({numeric}, "le", "+Inf", "", "")'
    within = (
        f'label_replace(0 * bottomk by ({BY}) ({n}, {EDGE}) + 1, "edge", "{n}", "", "")'
        for n in range(1, MOST_EDGES + 1)
    )
    return (
        Record(EDGE, f'histogram_quantile(1, label_replace({numeric}, "le", "$1", "bin", "(.*)") or {last})'),
        Record(PLACE, f"{MOST_EDGES + 1} - sum by ({BY}, bin) ({' or '.join(within)})"),
    )


def kolmogorov_smirnov(it: Comparison) -> tuple[Record, ...]:
    """Over finite numbers; as large a share of them is independent as of all rows."""
    name = "kolmogorov_smirnov"
    difference, noise = it.part("numbers_difference", "column_bin"), it.part("numbers_noise")
    several = f"(count by ({BY}) ({difference}) > bool 1)"
    value = f"max by ({BY}) (abs({_each_edge(difference)}))"
    distance = f'{it.part(VALUE)}{{statistic="{name}"}}'
    return (
        *_numbers(it),
        it.told(VALUE, name, f"{value} and {noise}"),
        it.told(FLOOR, name, f"{several} * {_mean(it)} * sqrt({noise})"),
        it.told(CRITICAL, name, f"{several} * {KOLMOGOROV_999} * sqrt({noise})"),
        it.told("drift_robust_excess", name, f"clamp_min({distance} - {ON} {ROBUST} * sqrt({noise}), 0)"),
    )


def _sides(it: Comparison) -> tuple[str, str]:
    """Rows per bin of numbers: live, and of the base."""
    live, base = (f"({name}{NUMBERS} and {ON} {EDGE})" for name in (it.live.bins, it.base))
    return live, base


def _numbers(it: Comparison) -> tuple[Record, ...]:
    """Rows that are numbers, how many are independent, and what their shares differ by."""
    live, base = _sides(it)
    rows, base_rows, effective = (
        it.part(what) for what in ("numbers", "base_numbers", "numbers_effective_rows")
    )
    difference = it.part("numbers_difference", "column_bin")
    independent = f"{it.base_effective} * {base_rows} / {it.base_rows}" if it.base_effective else base_rows
    least = f"{ROWS_PER_BIN} * count by ({BY}) ({difference})"
    # A profile with more edges than that would get a distance that stops too early.
    known = f"unless count by ({BY}) ({EDGE}) > {MOST_EDGES}"
    return (
        Record(rows, f"{total(live, *COLUMN)} > 0"),
        Record(base_rows, f"{total(base, *COLUMN)} > 0"),
        Record(effective, f"{it.live.effective} * {rows} / {it.live.rows}"),
        Record(
            difference,
            f"{live} / {MANY} ({rows} and {it.bins}) - {base} / {MANY} ({base_rows} and {it.bins})",
        ),
        Record(
            it.part("numbers_noise"), f"1 / ({effective} >= {least}) + 1 / ({independent} >= {least}) {known}"
        ),
    )


def _mean(it: Comparison) -> str:
    """Without drift, over the root of the noise: a maximum at discrete places, or at the one that matters."""
    live, base = _sides(it)
    both = f"({it.live.bins} + {it.base})"
    rows = f"({it.part('numbers')} + {it.part('base_numbers')})"
    apart = f"sqrt({total(f'({live} + {base}) ^ 2', *COLUMN)}) / {rows}"
    # b (1 - b) is largest where b, the pooled share up to an edge, is nearest to a half.
    nearest = f"min by ({BY}) (abs(({_each_edge(both)}) / {MANY} {rows} - 0.5))"
    many, one = f"{KOLMOGOROV_MEAN} - {DISCRETE} * {apart}", f"{HALF_NORMAL} * sqrt(0.25 - {nearest} ^ 2)"
    return f"({many} >= {one} or {one})"


def _each_edge(per_bin: str) -> str:
    """The sum up to each edge, told by a label `edge`."""
    lowest = (f"sum by ({BY}) ({per_bin} and {PLACE} <= {n})" for n in range(1, MOST_EDGES + 1))
    named = (f'label_replace({each}, "edge", "{n}", "", "")' for n, each in enumerate(lowest, start=1))
    return " or ".join(named)
