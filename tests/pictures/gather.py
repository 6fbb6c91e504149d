"""What each panel of a dashboard shows: its queries' answers, as Grafana's data source would hand them to the panel.

It knows Grafana's JSON and Prometheus's, no metric. Invariant: a panel that repeats is there once for each value, and
no two panels overlap.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from alert_rules.promql import interpolate
from dashboards.panels import Panel
from tests.e2e.monitoring import Prometheus

# At most so many panels of one that repeats.
REPEATS = 2
POINTS = 180
_VARIABLE = re.compile(r"\$(\w+)")


def gathered(
    dashboard: Mapping[str, Any], prometheus: Prometheus, values: Mapping[str, str], span: tuple[float, float]
) -> dict[str, Any]:
    """The dashboard with `answers` in each panel; `values` are those of its variables.

    A folded row is open if most of its panels have data, as a reader would open it.
    """
    chosen = {**_choices(dashboard), **values, "__range": f"{int(span[1] - span[0])}s"}

    def answered(panels: list[Panel]) -> list[Panel]:
        return [
            {
                **one,
                "title": _titled(one["title"], mine),
                "answers": [_answer(target, prometheus, mine, span) for target in one.get("targets", ())],
            }
            for one, mine in _repeated(panels, prometheus, chosen, span[1])
        ]

    shown: list[Panel] = []
    moved = 0
    for panel in dashboard["panels"]:
        inside = answered(panel.get("panels", []))
        told = [one for one in inside if any(answer["series"] for answer in one["answers"])]
        held = 2 * len(told) > len(inside)
        header = {**panel, "collapsed": False} if held else panel
        lower = [header, *inside] if held else answered([panel])
        shown += [_lowered(one, moved) for one in lower]
        if held:
            moved += _bottom(inside) - panel["gridPos"]["y"] - 1
    variables = [
        {"label": one["label"], "value": chosen.get(one["name"], "All").replace(".*", "All")}
        for one in dashboard["templating"]["list"]
        if one["type"] != "adhoc" and not one.get("hide")
    ]
    return {
        "title": dashboard["title"],
        "from": span[0],
        "to": span[1],
        "variables": variables,
        "panels": shown,
    }


def _lowered(panel: Panel, by: int) -> Panel:
    return {**panel, "gridPos": {**panel["gridPos"], "y": panel["gridPos"]["y"] + by}}


def _bottom(panels: list[Panel]) -> int:
    return max(int(one["gridPos"]["y"] + one["gridPos"]["h"]) for one in panels)


def _titled(title: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), title)


def _choices(dashboard: Mapping[str, Any]) -> dict[str, str]:
    return {
        one["name"]: one["current"]["value"]
        for one in dashboard["templating"]["list"]
        if one["type"] == "custom"
    }


def _repeated(
    panels: list[Panel], prometheus: Prometheus, chosen: Mapping[str, str], end: float
) -> Iterator[tuple[Panel, dict[str, str]]]:
    for panel in panels:
        name = panel.get("repeat")
        if not name:
            yield panel, dict(chosen)
            continue
        bins = f'{{__name__=~".+_bin_total", {name}!="", model_name=~"{chosen.get("model_name", ".*")}"}}'
        found = prometheus.at(f"group by ({name}) (last_over_time({bins}[10m]))", end)
        names = sorted(one.labels[name] for one in found)[:REPEATS]
        width = panel["gridPos"]["w"] // max(len(names), 1)
        for at, value in enumerate(names or [""]):
            place = {**panel["gridPos"], "x": at * width, "w": width}
            yield {**panel, "gridPos": place}, {**chosen, name: value}


def _answer(
    target: Mapping[str, Any], prometheus: Prometheus, values: Mapping[str, str], span: tuple[float, float]
) -> dict[str, Any]:
    query = interpolate(target["expr"], values)
    if target["instant"]:
        instant = prometheus.at(query, span[1])
        series = [{"labels": one.labels, "points": [[span[1], one.value]]} for one in instant]
    else:
        step = max(1, int(span[1] - span[0]) // POINTS)
        grid = range(int(span[0]), int(span[1]) + 1, step)
        lines = (
            (one.labels, dict(zip(one.times, one.values, strict=True)))
            for one in prometheus.range(query, *span, step)
        )
        # Where there was no sample the line has a gap.
        series = [
            {"labels": labels, "points": [(at, found.get(at)) for at in grid]} for labels, found in lines
        ]
    return {
        "refId": target["refId"],
        "legend": target["legendFormat"],
        "format": target["format"],
        "series": series,
    }
