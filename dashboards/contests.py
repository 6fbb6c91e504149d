"""Panels of the row "Worth" about champions and challengers: who is better, over how many rows, and what is left out.

It knows which question each panel answers. Invariants: gauges of a shared store are the same on every replica, so the
largest is shown; sums of split traffic add up over replicas, and count once hours are mature.
"""

from collections.abc import Sequence

from alert_rules.promql import family
from dashboards.panels import Panel, Query, empty, signed, timeseries
from dashboards.queries import gauge, total
from dashboards.variables import SERIES

# A challenger is no live model, whatever role is chosen.
_CONTEST = ("role", "model_version", "output", "statistic", "champion")
_NAMED = "{{role}} {{model_version}} over {{champion}} {{statistic}}"


def panels() -> Sequence[Panel]:
    """All of them."""
    return *_both(), *_split()


def _both() -> Sequence[Panel]:
    labels = ", ".join((*_CONTEST, "comparison"))
    advantage = f"max by ({labels}, state) ({gauge('model.contest.advantage', SERIES)})"
    rows = f"max by ({labels}) ({gauge('model.contest.rows', SERIES)})"
    panel = timeseries(
        "Challenger's advantage",
        "Above 0 it is better than the live champion, on rows that both scored (paired) or hour by hour (split); "
        "limits hold at every look.",
        "short",
        Query(advantage, f"{_NAMED} {{{{comparison}}}} {{{{state}}}}"),
    )
    count = timeseries(
        "Rows of contests",
        "Labelled rows of the challenger that are compared with the champion's.",
        "short",
        Query(rows, f"{_NAMED} {{{{comparison}}}}"),
    )
    none = "No row with a label of a challenger"
    return empty(signed(panel), none), empty(count, none)


def _split() -> Sequence[Panel]:
    above, below, pairs = (_sum(state) for state in ("above", "below", "pairs"))
    fleet = timeseries(
        "Advantage on split traffic",
        "Of the challenger, by all replicas' mature hours of the range shown; its limits are recorded by the rules.",
        "short",
        Query(f"({above} - {below}) / ({pairs} > 0)", _NAMED),
    )
    left = total(
        f"increase({family('model.contest.left_out')}{{{SERIES}}}[$__range])",
        *("role", "model_version", "champion", "reason"),
    )
    rows = timeseries(
        "Rows that no contest has",
        "Of a challenger on split traffic: alone in their hour, of a key that both had, or of one contest too many.",
        "short",
        Query(left, "{{role}} {{model_version}} over {{champion}} {{reason}}"),
    )
    none = "No mature hour of split traffic"
    return empty(signed(fleet), none), empty(rows, none)


def _sum(state: str) -> str:
    counted = f'{family("model.contest.split")}{{{SERIES}, state="{state}"}}'
    return total(f"increase({counted}[$__range])", *_CONTEST)
