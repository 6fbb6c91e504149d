"""Kolmogorov-Smirnov, as PromQL: the formulas of exporter/stats/kolmogorov_smirnov.py over bins in order.

It knows comparisons, no thresholds. PromQL cannot read a number from a label; but `histogram_quantile` can: the
quantile 1 of a histogram with one bound is that bound. So no replica exports an order, and profiles that were made long
ago have one. The sum up to each edge is that over the lowest one, two, three ... edges: places are labels, so that
Prometheus finds those bins in its index, and what an edge that a column does not have would add is never read.
"""

from collections.abc import Iterable, Sequence

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
# What chance makes of the distance at one edge is at most half of HALF_NORMAL: more than that at many edges unless bins
# are as concentrated as this.
CONCENTRATED = (KOLMOGOROV_MEAN - HALF_NORMAL / 2) / DISCRETE
BY = ", ".join(COLUMN)
PLACED = f"on ({BY}, bin) group_left (place, edges) {PLACE}"


def edges() -> tuple[Record, ...]:
    """Upper bounds of numeric bins, with a label `edges`, how many there are; and 1 for each bin, with its `place`.

    Places are 1, 2 ... and `last`. Categorical columns have no `<nan>`, and no order. Of live bins, which all bins of a
    profile are among: a column without one has an order as well.
    """
    bins, last, ordered = (
        f"{Live(PANE).bins}{{{chosen}}}" for chosen in ('bin!~"<.*>|[+]Inf"', 'bin="+Inf"', 'bin="<nan>"')
    )
    numeric = f"(0 * {bins} + 1 and {ON} {ordered})"
    bound = f'label_replace({numeric}, "le", "$1", "bin", "(.*)") or label_replace({numeric}, "le", "+Inf", "", "")'
    several = f'{ON} group_left (edges) count_values by ({BY}) ("edges", count by ({BY}) ({numeric}))'
    places = {
        str(n): f"topk by ({BY}) (1, bottomk by ({BY}) ({n}, {EDGE}{{{_having(n)}}})) ^ 0"
        for n in range(1, MOST_EDGES + 1)
    }
    places["last"] = f"(0 * {last} + 1 and {ON} {ordered})"
    return (
        Record(EDGE, f"histogram_quantile(1, {bound}) * {several}"),
        Record(PLACE, _united("place", places.items())),
    )


def kolmogorov_smirnov(it: Comparison) -> tuple[Record, ...]:
    """Over finite numbers; as large a share of them is independent as of all rows.

    The floor, over the root of the noise: a maximum at discrete places, or at the one that matters.
    """
    name = "kolmogorov_smirnov"
    difference, noise = it.part("numbers_difference", "column_bin"), it.part("numbers_noise")
    several = f"(count by ({BY}) ({difference}) > bool 1)"
    value = f"max by ({BY}) (abs({each_edge(difference)}))"
    many = f"{KOLMOGOROV_MEAN} - {DISCRETE} * {it.part('numbers_concentration')}"
    # b (1 - b) is largest where b, the pooled share up to an edge, is nearest to a half.
    nearest = f"min by ({BY}) (abs(({each_edge(it.part('numbers_pooled', 'column_bin'))}) - 0.5))"
    one = f"{HALF_NORMAL} * sqrt(0.25 - {nearest} ^ 2)"
    distance = f'{it.part(VALUE)}{{statistic="{name}"}}'
    return (
        *_numbers(it),
        it.told(VALUE, name, f"{value} and {noise}"),
        *_concentrated(it),
        it.told(FLOOR, name, f"{several} * ({many} >= {one} or {one} or {many}) * sqrt({noise})"),
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
            f"({live} / {MANY} ({rows} and {it.bins}) - {base} / {MANY} ({base_rows} and {it.bins})) * {PLACED}",
        ),
        Record(
            it.part("numbers_noise"), f"1 / ({effective} >= {least}) + 1 / ({independent} >= {least}) {known}"
        ),
    )


def _concentrated(it: Comparison) -> tuple[Record, ...]:
    """The root of the sum of squared pooled shares; the shares themselves of the few columns that one edge may rule."""
    live, base = _sides(it)
    both = f"({live} + {base})"
    rows = f"({it.part('numbers')} + {it.part('base_numbers')})"
    concentration = it.part("numbers_concentration")
    few = f"({rows} and {concentration} > {CONCENTRATED:.6f})"
    return (
        Record(concentration, f"sqrt({total(f'{both} ^ 2', *COLUMN)}) / {rows}"),
        Record(it.part("numbers_pooled", "column_bin"), f"{both} / {MANY} {few} * {PLACED}"),
    )


def each_edge(per_bin: str) -> str:
    """The sum up to each edge, told by a label `edge`; `per_bin`: a series with places."""
    sums = {}
    for n in range(1, MOST_EDGES + 1):
        lowest = "|".join(map(str, range(1, n + 1)))
        sums[str(n)] = f'sum by ({BY}) ({per_bin}{{place=~"{lowest}", {_having(n)}}})'
    return _united("edge", sums.items())


def _having(n: int) -> str:
    """Columns that have so many edges."""
    return f'edges=~"{"|".join(map(str, range(n, MOST_EDGES + 1)))}"'


def _united(label: str, expressions: Iterable[tuple[str, str]]) -> str:
    """All of them, told by this label; halves of halves, since `or` reads its left side again each time."""
    return _halves([f'label_replace({each}, "{label}", "{value}", "", "")' for value, each in expressions])


def _halves(terms: Sequence[str]) -> str:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({_halves(terms[:middle])} or {_halves(terms[middle:])})"
