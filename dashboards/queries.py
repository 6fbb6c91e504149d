"""Queries made of selectors, and the panel of quantiles: what more than one row of a dashboard is made of.

It knows no dashboard. Invariant: a ratio or quantile of nothing is nothing, never NaN.
"""

from collections.abc import Callable

from alert_rules.promql import family
from dashboards.panels import Panel, Query, coloured, timeseries

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
QUANTILE_COLOURS = {"p50": "green", "p90": "orange", "p99": "red"}


def rate(name: str, selector: str, part: str = "") -> str:
    return f"rate({family(name, part)}{{{selector}}}[$__rate_interval])"


def increase(name: str, selector: str, part: str = "") -> str:
    return f"increase({family(name, part)}{{{selector}}}[$__rate_interval])"


def gauge(name: str, selector: str) -> str:
    return f"{family(name)}{{{selector}}}"


def total(expr: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) ({expr})" if labels else f"sum({expr})"


def quantile(level: float, name: str, selector: str, *labels: str) -> str:
    """A quantile over the chosen replicas; nothing where nothing was counted, since that would be NaN."""
    return f"histogram_quantile({level}, {total(rate(name, selector, '_bucket'), *labels, 'le')}) >= 0"


def quantiles(name: str, selector: str, exemplars: bool = False) -> tuple[Query, ...]:
    return tuple(Query(quantile(level, name, selector), word, exemplars) for word, level in QUANTILES.items())


def latency(title: str, text: str, queries: tuple[Query, ...]) -> Panel:
    return coloured(timeseries(title, text, "s", *queries), QUANTILE_COLOURS)


def in_order(label: str, rows: Callable[[str], str]) -> Query:
    """Where a bin stands among the others: by its bound, then the last one, then what is no number; names have none.

    `rows` gives series by bin, narrowed by further matchers. `histogram_quantile` reads a number from a label: the
    quantile 1 of a histogram with one bound is that bound.
    """

    def of(chosen: str) -> str:
        return f"0 * {total(rows(chosen), label)}"

    bins = f"({of('')} + 1)"
    both = (
        f'label_replace({bins}, "le", "$1", "{label}", "(.*)") or label_replace({bins}, "le", "+Inf", "", "")'
    )
    last, special = of(f', {label}="+Inf"'), of(f', {label}=~"<.*>"')
    bounds = f"histogram_quantile(1, {both}) < 1e300"
    return Query(f"({bounds}) or ({last} + 1e300) or ({special} + 1e301)", shape="table")
