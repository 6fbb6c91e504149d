"""The row "Worth": what labels are worth to their owner: costs, KPIs, contests, labels that were asked for.

It knows which question each panel answers. Invariants: sums are added less withdrawn ones, losses less gains; gauges of
a shared store are the same on every replica, so the largest is shown, never the sum.
"""

from collections.abc import Sequence

from dashboards import contests
from dashboards.panels import Panel, Query, coloured, empty, signed, sized, timeseries
from dashboards.performance import net
from dashboards.queries import gauge, increase, total
from dashboards.variables import OBSERVED, TARGET

_BY = ("model_version", "output")


def panels() -> Sequence[Panel]:
    """All of them."""
    found = (*_costs(), *_kpis(), *contests.panels(), *_asked())
    return tuple(sized(panel, 8, 8) for panel in found)


def _costs() -> Sequence[Panel]:
    loss, gain = (
        net("model.cost.realised", *_BY, "maturity", selector=f'{OBSERVED}, direction="{side}"')
        for side in ("loss", "gain")
    )
    rows = f"({net('model.performance.rows', *_BY, 'maturity')} > 0)"
    expected = [
        total(increase("model.cost.expected", f'{OBSERVED}, direction="{side}"'), *_BY)
        for side in ("loss", "gain")
    ]
    among = f"({total(increase('model.cost.rows', OBSERVED), *_BY)} > 0)"
    panel = timeseries(
        "Cost per row",
        "What labelled rows cost, losses less gains, and what scores let expect of all rows.",
        "short",
        Query(f"({loss} - {gain}) / {rows}", "{{model_version}} {{output}} {{maturity}}"),
        Query(f"({' - '.join(expected)}) / {among}", "{{model_version}} {{output}} expected"),
    )
    return (empty(signed(panel), "No costs configured"),)


def _kpis() -> Sequence[Panel]:
    value = f"max by (model_version, statistic) ({gauge('model.kpi.value', OBSERVED)})"
    target = f"max by (statistic, owner, direction) ({gauge('model.kpi.target', TARGET)})"
    rows = f"max by (model_version, statistic) ({gauge('model.kpi.rows', OBSERVED)})"
    panel = timeseries(
        "KPIs",
        "What the owner made of labels and outcomes, over its window, and the target.",
        "short",
        Query(value, "{{model_version}} {{statistic}}"),
        Query(target, "target {{statistic}} ({{direction}}, {{owner}})"),
    )
    coloured(panel, {"target": "red"}, ("target",))
    count = timeseries(
        "Rows of KPIs",
        "Labelled rows in the window of each.",
        "short",
        Query(rows, "{{model_version}} {{statistic}}"),
    )
    return empty(signed(panel), "No KPIs configured"), empty(count, "No KPIs configured")


def _asked() -> Sequence[Panel]:
    right, weight = (
        net("model.performance.asked", *_BY, "maturity", selector=f'{OBSERVED}, statistic="{statistic}"')
        for statistic in ("right", "weight")
    )
    figure = timeseries(
        "Accuracy by labels asked for",
        "Each row weighted by one over its chance of being asked for: it speaks for all rows.",
        "percentunit",
        Query(f"{right} / ({weight} > 0)", "{{model_version}} {{output}} {{maturity}}"),
    )
    closed = total(increase("modeltap.label_requests.closed", TARGET), "outcome")
    requests = timeseries(
        "Labels asked for",
        "Rows put up at /v1/label-requests, those that wait, and what became of the others.",
        "short",
        Query(total(increase("model.label.requested", OBSERVED), "reason"), "asked for, {{reason}}"),
        Query(total(gauge("modeltap.label_requests.open", TARGET)), "open"),
        Query(closed, "{{outcome}}"),
    )
    return tuple(empty(panel, "No label is asked for") for panel in (figure, requests))
