"""The 15 rules of Grafana's dashboard-linter that concern Prometheus, under their own names.

Each takes a dashboard and returns what it finds, one line each. It knows the classic schema, rows with panels
inside included, and nothing of our catalogue.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser

from alert_rules.promql import interpolate, selectors_in

Dashboard = dict[str, Any]
Rule = Callable[[Dashboard], Iterator[str]]

_KNOWN = json.loads((Path(__file__).parent / "grafana.json").read_text())
# Ids of Grafana's own lists, as `python -m dashboards.pictures --lists` prints them.
UNITS, TRANSFORMATIONS = frozenset(_KNOWN["units"]), frozenset(_KNOWN["transformations"])
DATASOURCES = ("$datasource", "${datasource}")
RATES = ("rate", "irate")
# A range that nobody writes, in the place of the variable.
MARKED = timedelta(seconds=86_399)
MARK = {"__rate_interval": "86399s"}


def panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Every panel that is no row, those inside collapsed rows included."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def targets(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    """The title of the panel and the query, for each target of each panel."""
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def variable(dashboard: Dashboard, name: str) -> dict[str, Any]:
    return next((one for one in dashboard["templating"]["list"] if one["name"] == name), {})


def template_datasource_rule(dashboard: Dashboard) -> Iterator[str]:
    found = variable(dashboard, "datasource")
    if found.get("type") != "datasource" or found.get("query") != "prometheus":
        yield "no variable `datasource` of type datasource for prometheus"
    elif found["label"] != "Data source":
        yield f"label {found['label']!r}, not 'Data source'"


def template_job_rule(dashboard: Dashboard) -> Iterator[str]:
    return _target_variable(dashboard, "job")


def template_instance_rule(dashboard: Dashboard) -> Iterator[str]:
    return _target_variable(dashboard, "instance")


def template_label_promql_rule(dashboard: Dashboard) -> Iterator[str]:
    for one in _query_variables(dashboard):
        found = re.fullmatch(r"label_values\((.+), *\w+\)", one["query"])
        if found is None:
            yield f"{one['name']}: {one['query']} is no label_values(selector, label)"
        elif _unparsable(found[1]):
            yield f"{one['name']}: {_unparsable(found[1])}"


def template_on_time_change_reload_rule(dashboard: Dashboard) -> Iterator[str]:
    for one in _query_variables(dashboard):
        if one["refresh"] != 2:
            yield f"{one['name']}: refresh {one['refresh']}, not 2 (on time range change)"


def panel_datasource_rule(dashboard: Dashboard) -> Iterator[str]:
    for panel in panels(dashboard):
        for held in (panel, *panel.get("targets", ())):
            if held.get("datasource", {}).get("uid") not in DATASOURCES:
                yield f"{panel['title']}: a data source that is no variable"


def panel_title_description_rule(dashboard: Dashboard) -> Iterator[str]:
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']} has no title or no description"


def panel_units_rule(dashboard: Dashboard) -> Iterator[str]:
    for panel in panels(dashboard):
        unit = panel["fieldConfig"]["defaults"].get("unit")
        properties = (one for override in panel["fieldConfig"]["overrides"] for one in override["properties"])
        used = [unit, *(one["value"] for one in properties if one["id"] == "unit")]
        yield from (
            f"{panel['title']}: unit {name!r} is not in the list" for name in used if name not in UNITS
        )


def panel_no_targets_rule(dashboard: Dashboard) -> Iterator[str]:
    return (f"{panel['title']}: no targets" for panel in panels(dashboard) if not panel.get("targets"))


def target_promql_rule(dashboard: Dashboard) -> Iterator[str]:
    for title, query in targets(dashboard):
        problem = _unparsable(query)
        if problem:
            yield f"{title}: {problem}"


def target_rate_interval_rule(dashboard: Dashboard) -> Iterator[str]:
    for title, query in targets(dashboard):
        if not _unparsable(query) and any(span != MARKED for span in _rated(interpolate(query, MARK))):
            yield f"{title}: a rate over another range than $__rate_interval"


def target_job_rule(dashboard: Dashboard) -> Iterator[str]:
    return _unmatched(dashboard, "job")


def target_instance_rule(dashboard: Dashboard) -> Iterator[str]:
    return _unmatched(dashboard, "instance")


def target_counter_agg_rule(dashboard: Dashboard) -> Iterator[str]:
    for title, query in targets(dashboard):
        counters = [one for one in selectors_in(interpolate(query)) if (one.name or "").endswith("_total")]
        if len(counters) != _counters_under_rates(interpolate(query)):
            yield f"{title}: a counter outside of rate, irate and increase"


def uneditable_dashboard(dashboard: Dashboard) -> Iterator[str]:
    if dashboard.get("editable") is not False:
        yield "editable is not false"


RULES: dict[str, Rule] = {
    "template-datasource-rule": template_datasource_rule,
    "template-job-rule": template_job_rule,
    "template-instance-rule": template_instance_rule,
    "template-label-promql-rule": template_label_promql_rule,
    "template-on-time-change-reload-rule": template_on_time_change_reload_rule,
    "panel-datasource-rule": panel_datasource_rule,
    "panel-title-description-rule": panel_title_description_rule,
    "panel-units-rule": panel_units_rule,
    "panel-no-targets-rule": panel_no_targets_rule,
    "target-promql-rule": target_promql_rule,
    "target-rate-interval-rule": target_rate_interval_rule,
    "target-job-rule": target_job_rule,
    "target-instance-rule": target_instance_rule,
    "target-counter-agg-rule": target_counter_agg_rule,
    "uneditable-dashboard": uneditable_dashboard,
}


def _target_variable(dashboard: Dashboard, name: str) -> Iterator[str]:
    wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
    found = variable(dashboard, name)
    if found.get("datasource", {}).get("uid") not in DATASOURCES:
        yield f"no variable {name!r} with the templated data source"
    yield from (f"{name}: {key} is not {value!r}" for key, value in wanted.items() if found.get(key) != value)


def _query_variables(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    return (one for one in dashboard["templating"]["list"] if one["type"] == "query")


def _unmatched(dashboard: Dashboard, label: str) -> Iterator[str]:
    for title, query in targets(dashboard):
        if _unparsable(query):
            continue
        # The variable itself is kept, so that the matcher can be compared with it.
        for selector in selectors_in(interpolate(query, {label: f"${label}"})):
            matchers = selector.matchers.matchers
            wanted = (label, promql_parser.MatchOp.Re, f"${label}")
            if wanted not in [(one.name, one.op, one.value) for one in matchers]:
                yield f'{title}: {selector.name} without {label}=~"${label}"'


def _counters_under_rates(query: str) -> int:
    found = 0

    def visit(node: promql_parser.Expr) -> bool:
        nonlocal found
        if isinstance(node, promql_parser.Call) and node.func.name in (*RATES, "increase"):
            inside = node.args[0]
            is_range = isinstance(inside, promql_parser.MatrixSelector)
            found += is_range and (inside.vector_selector.name or "").endswith("_total")
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def _rated(query: str) -> list[timedelta | None]:
    """The range of each rate in a query."""
    found: list[timedelta | None] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.Call) and node.func.name in RATES:
            inside = node.args[0]
            if isinstance(inside, promql_parser.MatrixSelector | promql_parser.SubqueryExpr):
                found.append(inside.range)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def _unparsable(query: str) -> str:
    try:
        promql_parser.parse(interpolate(query))
    except ValueError as error:
        return f"{error} in {query}"
    return ""
