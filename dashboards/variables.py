"""Template variables, selectors made of them, and the frame of a dashboard, the same for all of them.

It knows the labels that every family shares and no panel. Invariant: no query names a data source, a job, a
model or a window of its own; all come from these variables.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from alert_rules.load import REPLICAS
from alert_rules.promql import family
from alert_rules.values import LATENCY_P99
from dashboards.panels import DATASOURCE, Panel
from exporter.records.generation_metrics import FIRST_TOKEN_BUCKETS
from exporter.records.metric import LATENCY_BUCKETS

TAG = "modeltap"
HIDDEN = 2
ROLES = ("live", "shadow", "canary", "synthetic")
# A namespace is only known in Kubernetes; an absent label is matched by the default.
TARGET = 'job=~"$job", namespace=~"$namespace", instance=~"$instance"'
MODEL = f'{TARGET}, model_name=~"$model_name"'
SERIES = f'{MODEL}, model_version=~"$model_version"'
# A job that was pushed has no instance, and its own job.
JOB = 'job=~"$job", job_name=~"$job_name"'
# What bodies say is counted by role: a mirror's answers are not the model's.
OBSERVED = f'{SERIES}, role="$role"'
# What rules record of all replicas has no instance.
FLEET = 'job=~"$job", model_name=~"$model_name", model_version=~"$model_version", role="$role"'
# What rules record of all replicas and versions.
RECORDED = 'job=~"$job", namespace=~"$namespace", model_name=~"$model_name"'
# Probes of orchestrators are no traffic.
TRAFFIC = f'{SERIES}, operation!~"health|metadata"'
# Prometheus 2 and 3 write a whole bound in two ways.
LATENCY_TARGET = 'le=~"$latency_target([.]0)?"'
FIRST_TOKEN_TARGET = 'le=~"$first_token_target([.]0)?"'


def variables() -> list[dict[str, Any]]:
    up, traffic = family("modeltap.build"), family("model.request.duration", "_count")
    prediction, feature = family("model.prediction.bin"), family("model.feature.bin")
    return [
        _datasource(),
        _query("job", "Job", f"label_values({up}, job)", ".+"),
        _query("namespace", "Namespace", f'label_values({up}{{job=~"$job"}}, namespace)', ".*"),
        _query(
            "instance",
            "Instance",
            f'label_values({up}{{job=~"$job", namespace=~"$namespace"}}, instance)',
            ".+",
        ),
        # An unnamed model has no such label, which `.+` would leave out.
        _query("model_name", "Model", f"label_values({traffic}{{{TARGET}}}, model_name)", ".*"),
        _query("model_version", "Version", f"label_values({traffic}{{{MODEL}}}, model_version)", ".*"),
        _choice("role", "Role", ROLES, "live"),
        _query("output", "Output", f"label_values({prediction}{{{OBSERVED}}}, output)", ".*"),
        _one(_query("feature", "Feature", f"label_values({feature}{{{OBSERVED}}}, feature)", ".*")),
        _choice("window", "Rolling window", ("5m", "1h"), "1h"),
        _choice("fleet_window", "Fleet window", ("1h", "24h", "7d"), "1h"),
        _choice("latency_target", "Latency target (s)", _bounds(LATENCY_BUCKETS), f"{LATENCY_P99:g}"),
        _choice("first_token_target", "First token target (s)", _bounds(FIRST_TOKEN_BUCKETS), "0.5"),
        {"type": "adhoc", "name": "filters", "label": "Filters", "datasource": DATASOURCE, "filters": []},
    ]


def _bounds(buckets: Sequence[float]) -> tuple[str, ...]:
    """A share within a target is exact only where the target is a bound of the histogram."""
    return tuple(f"{bound:g}" for bound in buckets)


def job_variables() -> list[dict[str, Any]]:
    """Those of the dashboard of batch jobs."""
    started = family("model.job.start.time")
    return [
        _datasource(),
        _query("job", "Job", f"label_values({started}, job)", ".+"),
        _query("job_name", "Name", f'label_values({started}{{job=~"$job"}}, job_name)', ".+"),
        {"type": "adhoc", "name": "filters", "label": "Filters", "datasource": DATASOURCE, "filters": []},
    ]


def dashboard(
    uid: str,
    title: str,
    text: str,
    panels: list[Panel],
    templates: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A whole dashboard of the classic schema, as Grafana 10.4 and later read it."""
    chosen = _shown(variables() if templates is None else templates, panels)
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": [TAG],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "annotations": {"list": _annotations() if templates is None else []},
        "templating": {"list": chosen},
        "panels": panels,
    }


def _shown(variables: list[dict[str, Any]], panels: list[Panel]) -> list[dict[str, Any]]:
    """All of them, so that links hand every choice on; those that no panel here reads are hidden."""
    text = json.dumps([panels, [one.get("query", "") for one in variables]])
    used = {"datasource", "filters", *re.findall(r"\$\{?(\w+)", text)}
    return [{**one, **({} if one["name"] in used else {"hide": HIDDEN})} for one in variables]


def _datasource() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "regex": "",
        "hide": 0,
    }


def _query(name: str, label: str, query: str, everything: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _one(variable: dict[str, Any]) -> dict[str, Any]:
    """Choose exactly one value, the first to begin with."""
    rest = {key: value for key, value in variable.items() if key not in ("allValue", "current")}
    return {**rest, "multi": False, "includeAll": False}


def _choice(name: str, label: str, values: tuple[str, ...], chosen: str) -> dict[str, Any]:
    options = [{"text": value, "value": value, "selected": value == chosen} for value in values]
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "options": options,
        "current": {"text": chosen, "value": chosen, "selected": True},
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "modeltap",
        "icon": "apps",
        "tooltip": "The other dashboards, with what is chosen here",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _annotations() -> list[dict[str, Any]]:
    info = f"{family('model.info')}{{{SERIES}}}"
    builtin = {
        "builtIn": 1,
        "name": "Annotations & Alerts",
        "type": "dashboard",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
    }
    firing = _annotation("Firing alerts", "red", 'ALERTS{alertname=~"Modeltap.+", alertstate="firing"}')
    version = _annotation("New model version", "blue", f"{info} unless {info} offset 5m")
    counted = f'{REPLICAS}{{job=~"$job", namespace=~"$namespace"}}'
    # Prometheus records once a minute or more often; what it did not know before is no change.
    replicas = _annotation("Replicas changed", "purple", f"{counted} != {counted} offset 1m")
    replicas["titleFormat"] = "{{job}}"
    firing["titleFormat"] = "{{alertname}}"
    version["titleFormat"] = "{{model_name}} {{model_version}}"
    return [builtin, firing, version, replicas]


def _annotation(name: str, colour: str, expr: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": False,
        "expr": expr,
        "step": "60s",
        "iconColor": colour,
    }
