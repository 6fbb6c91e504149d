"""Panels as plain dicts: the first functions make what Grafana stores, the others change one aspect of it.

It knows Grafana's JSON and no metric. Invariant: every panel has a title, a description that ends with the
families that it reads, a unit and a text for the empty case; ids, letters and positions are given by
`layout`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alert_rules.promql import families_in, interpolate, recorded_in

Panel = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# A panel with this text holds data whenever traffic flows; any other text names a state in which it is empty.
NO_TRAFFIC = "No traffic"
# In the cell of a table whose other cells say something.
NOTHING = "–"
COLUMNS = 24
# The legend has a third of a panel: three series below their header need as much.
LEGIBLE = 9
NEUTRAL = [{"color": "text", "value": None}]
# Where nothing happens, Grafana's axis goes up to 100, of a share to 10,000 %.
LEAST_SHARE = 0.01
# What a column of labels is called, where its own words are not enough.
HEADINGS = {"model_name": "Model", "job_name": "Job", "alertname": "Alert", "slo": "SLO", "hw_id": "GPU"}
# So many columns of numbers are as wide as their titles: pixels beside each, and of each letter.
FEW, COLUMN, LETTER = 2, 52, 8


@dataclass(frozen=True, slots=True)
class Query:
    """One target. `table` asks for a single instant as rows, `heatmap` for `le` buckets."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    shape: str = "time_series"


def timeseries(title: str, text: str, unit: str, *queries: Query) -> Panel:
    panel = _panel("timeseries", title, text, queries)
    panel["fieldConfig"]["defaults"].update(
        unit=unit,
        min=0,
        color={"mode": "palette-classic"},
        custom={"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": False},
    )
    if unit == "percentunit":
        panel["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] = LEAST_SHARE
    # What is largest comes first: few lines of a legend are seen without scrolling.
    calcs = {"calcs": ["lastNotNull", "max"], "sortBy": "Max", "sortDesc": True}
    panel["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", **calcs},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def stat(title: str, text: str, unit: str, *queries: Query) -> Panel:
    panel = _panel("stat", title, text, queries)
    panel["fieldConfig"]["defaults"].update(
        unit=unit,
        color={"mode": "thresholds"},
        mappings=[
            {"type": "special", "options": {"match": "nan", "result": {"text": NO_TRAFFIC, "index": 0}}}
        ],
        thresholds={"mode": "absolute", "steps": NEUTRAL},
    )
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "none",
        "graphMode": "area",
        "textMode": "auto",
    }
    return sized(panel, 3, 4)


def heatmap(title: str, text: str, unit: str, query: Query) -> Panel:
    panel = _panel("heatmap", title, text, (query,))
    panel["fieldConfig"]["defaults"].update(unit=unit)
    panel["options"] = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "fill": "dark-blue"},
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "tooltip": {"mode": "single", "yHistogram": True},
        "legend": {"show": True},
    }
    return panel


def bars(title: str, text: str, label: str, columns: Mapping[str, Query], order: Query) -> Panel:
    """Share per value of `label`, one colour per column; all queries must be grouped by that label alone.

    `order` gives each value the number that it is sorted by; what has none comes first.
    """
    panel = _panel("barchart", title, text, (*columns.values(), order))
    panel["fieldConfig"]["defaults"].update(
        unit="percentunit",
        min=0,
        color={"mode": "palette-classic"},
        custom={"fillOpacity": 70, "lineWidth": 0},
    )
    panel["options"] = {
        "xField": label,
        "xTickLabelRotation": -45,
        "xTickLabelMaxLength": 8,
        "groupWidth": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi"},
    }
    panel["transformations"] = _joined(label, tuple(columns))
    return coloured(panel, dict(zip(columns, ("blue", "text"), strict=False)))


def table(title: str, text: str, labels: Sequence[str], columns: Mapping[str, tuple[Query, str]]) -> Panel:
    """One row per set of `labels`; a column is a query with its unit, its values at the end of the range."""
    panel = _panel("table", title, text, tuple(query for query, _ in columns.values()))
    shape = {"align": "auto", "filterable": True, "minWidth": 60}
    panel["fieldConfig"]["defaults"].update(unit="short", custom=shape)
    columns = {_capital(name): told for name, told in columns.items()}
    panel["fieldConfig"]["overrides"] = [
        *(override(name, "noValue", NOTHING, displayName=_heading(name)) for name in labels),
        *(override(name, "unit", unit, noValue=NOTHING) for name, (_, unit) in columns.items()),
    ]
    if len(columns) <= FEW:
        # Texts have the rest.
        for name, shown in zip(columns, panel["fieldConfig"]["overrides"][len(labels) :], strict=True):
            shown["properties"].append({"id": "custom.width", "value": COLUMN + LETTER * len(name)})
    names = {f"Value #{letter}": name for letter, name in zip(_letters(), columns, strict=False)}
    if len(columns) == 1:
        # Grafana numbers values only where there is more than one query.
        names["Value"] = next(iter(columns))
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True, "Value": True} if len(columns) > 1 else {"Time": True},
                "renameByName": names,
                "indexByName": {name: at for at, name in enumerate((*labels, *names))},
            },
        },
    ]
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    return panel


def linked(panel: Panel, column: str, title: str, uid: str) -> Panel:
    """A column of a table leads to another dashboard, narrowed to the model of the row."""
    chosen = "".join(
        f"&${{{name}:queryparam}}" for name in ("datasource", "job", "namespace", "instance", "role")
    )
    model = "".join(f"&var-{name}=${{__data.fields.{name}}}" for name in ("model_name", "model_version"))
    link = {"title": title, "url": f"/d/{uid}?${{__url_time_range}}{chosen}{model}", "targetBlank": False}
    panel["fieldConfig"]["overrides"].append(override(column, "links", [link]))
    return panel


def tinted(panel: Panel, column: str, *steps: tuple[str, float | None]) -> Panel:
    """Colour a column of a table by its values: (colour, from) pairs, the first from nothing."""
    judged_by = {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}
    nothing = {"type": "special", "options": {"match": "null", "result": {"text": NOTHING, "color": "text"}}}
    shown = override(column, "thresholds", judged_by, mappings=[nothing])
    shown["properties"].append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    panel["fieldConfig"]["overrides"].append(shown)
    return panel


def sized(panel: Panel, width: int, height: int) -> Panel:
    return {**panel, "gridPos": {"w": width, "h": height}}


def empty(panel: Panel, text: str) -> Panel:
    """Say what it means that there is nothing to see, where that is not the absence of traffic."""
    panel["fieldConfig"]["defaults"]["noValue"] = text
    return panel


def signed(panel: Panel) -> Panel:
    """Let the axis go below zero."""
    del panel["fieldConfig"]["defaults"]["min"]
    return panel


def stacked(panel: Panel) -> Panel:
    panel["fieldConfig"]["defaults"]["custom"].update(
        stacking={"mode": "normal", "group": "A"}, fillOpacity=40
    )
    return panel


def repeated(panel: Panel, variable: str, per_row: int) -> Panel:
    return {**panel, "repeat": variable, "repeatDirection": "h", "maxPerRow": per_row}


def coloured(panel: Panel, colours: Mapping[str, str], dashed: Iterable[str] = ()) -> Panel:
    """A fixed colour for each series whose name starts with the word; limits are dashed and unfilled."""
    lines = set(dashed)
    for word, colour in colours.items():
        properties: list[dict[str, Any]] = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
        if word in lines:
            style = {"fill": "dash", "dash": [8, 6]}
            properties += [
                {"id": "custom.lineStyle", "value": style},
                {"id": "custom.fillOpacity", "value": 0},
            ]
        matcher = {"id": "byRegexp", "options": f"/^{word}/"}
        panel["fieldConfig"]["overrides"].append({"matcher": matcher, "properties": properties})
    return panel


def beside(panel: Panel, word: str, unit: str) -> Panel:
    """Series whose name starts with the word are of another unit, and have the axis on the right."""
    right = {"unit": unit, "custom.axisPlacement": "right", "custom.fillOpacity": 0}
    properties = [{"id": one, "value": given} for one, given in right.items()]
    matcher = {"id": "byRegexp", "options": f"/^{word}/"}
    panel["fieldConfig"]["overrides"].append({"matcher": matcher, "properties": properties})
    return panel


def judged(panel: Panel, *steps: tuple[str, float | None]) -> Panel:
    """Colour a stat by its value: (colour, from) pairs, the first from nothing."""
    defaults = panel["fieldConfig"]["defaults"]
    defaults["thresholds"]["steps"] = [{"color": colour, "value": value} for colour, value in steps]
    panel["options"]["colorMode"] = "value"
    return panel


def plain(panel: Panel) -> Panel:
    """A stat without its line: where it is as high as the panels beside it, they would overlap."""
    return {**panel, "options": {**panel["options"], "graphMode": "none"}}


def mapped(panel: Panel, texts: Mapping[str, str]) -> Panel:
    """Show words in place of values."""
    options = {value: {"text": text, "index": at} for at, (value, text) in enumerate(texts.items())}
    panel["fieldConfig"]["defaults"]["mappings"].append({"type": "value", "options": options})
    return panel


def override(name: str, key: str, value: Any, **others: Any) -> dict[str, Any]:
    properties = [{"id": one, "value": given} for one, given in {key: value, **others}.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def layout(rows: Sequence[tuple[str, Sequence[Panel]]], folded: Iterable[str] = ()) -> list[Panel]:
    """Row headers and panels in Grafana's flat list, packed left to right, ids counted from 1.

    Panels of folded rows stand inside their header, and are asked for only when somebody opens it.
    """
    placed: list[Panel] = []
    closed = set(folded)
    top = 0
    for title, panels in rows:
        number = len(placed) + sum(len(row["panels"]) for row in placed if row["type"] == "row") + 1
        header = {"id": number, **_row(title, top, title in closed)}
        inside, below = _packed(panels, top + 1)
        inside = [{"id": number + at, **panel} for at, panel in enumerate(inside, start=1)]
        if title in closed:
            placed.append({**header, "panels": inside})
            top += 1
        else:
            placed += [header, *inside]
            top = below
    return placed


def _packed(panels: Sequence[Panel], top: int) -> tuple[list[Panel], int]:
    """Panels at their places, and where the next row begins; a line is as wide as the page and of one height."""
    placed = []
    for line in _lines(panels):
        height = max(panel["gridPos"]["h"] for panel in line)
        if any(panel["type"] == "timeseries" for panel in line):
            height = max(height, LEGIBLE)
        given = sum(panel["gridPos"]["w"] for panel in line)
        left = taken = 0
        for panel in line:
            taken += panel["gridPos"]["w"]
            right = taken * COLUMNS // given
            placed.append({**panel, "gridPos": {"x": left, "y": top, "w": right - left, "h": height}})
            left = right
        top += height
    return placed, top


def _lines(panels: Sequence[Panel]) -> list[list[Panel]]:
    """As many as fit beside each other; what repeats has a line of its own, and no other is alone after three."""
    lines: list[list[Panel]] = []
    left = COLUMNS
    for panel in panels:
        width = panel["gridPos"]["w"]
        if left + width > COLUMNS or "repeat" in panel:
            lines.append([])
            left = 0
        lines[-1].append(panel)
        left = COLUMNS if "repeat" in panel else left + width
    if len(lines) > 1 and len(lines[-1]) == 1 and "repeat" not in lines[-1][0] and len(lines[-2]) > 2:
        lines[-1].insert(0, lines[-2].pop())
    return lines


def _panel(kind: str, title: str, text: str, queries: Sequence[Query]) -> Panel:
    exprs = [interpolate(query.expr) for query in queries]
    families = sorted({name for expr in exprs for name in (*families_in(expr), *recorded_in(expr))})
    return {
        "type": kind,
        "title": title,
        "description": f"{text}\n\nMetrics: {', '.join(f'`{name}`' for name in families)}",
        "datasource": DATASOURCE,
        "gridPos": {"w": 8, "h": 8},
        "targets": [_target(letter, query) for letter, query in zip(_letters(), queries, strict=False)],
        "fieldConfig": {"defaults": {"noValue": NO_TRAFFIC}, "overrides": []},
        "options": {},
    }


def _target(letter: str, query: Query) -> dict[str, Any]:
    instant = query.shape == "table"
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "format": query.shape,
        "instant": instant,
        "range": not instant,
        "exemplar": query.exemplars,
    }


def _heading(label: str) -> str:
    return HEADINGS.get(label) or _capital(label.removeprefix("model_").removeprefix("hw_").replace("_", " "))


def _capital(title: str) -> str:
    # p50 and p-value are written so.
    return title[0].upper() + title[1:] if title[:2].isalpha() else title


def _joined(label: str, names: Sequence[str]) -> list[dict[str, Any]]:
    *given, order = (f"Value #{letter}" for letter in _letters()[: len(names) + 1])
    hidden = {"Time": True, order: True, **{f"Time {at}": True for at in range(1, len(names) + 2)}}
    shown = {"excludeByName": hidden, "renameByName": dict(zip(given, names, strict=True)), "indexByName": {}}
    return [
        {"id": "joinByField", "options": {"byField": label, "mode": "outer"}},
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": order, "desc": False}]}},
        {"id": "organize", "options": shown},
    ]


def _letters() -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _row(title: str, top: int, collapsed: bool) -> Panel:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"type": "row", "title": title, "collapsed": collapsed, "gridPos": place, "panels": []}
