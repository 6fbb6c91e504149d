"""The shape of a rule, and PromQL pieces that more than one file of rules needs.

It knows no thresholds. Invariant: every alert has a severity, a summary, a description, a runbook anchor made from its
own name and a dashboard that shows what its labels name; and an owner and a team, where an info metric tells them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alert_rules.promql import family
from alert_rules.values import DASHBOARDS, OWNER_METRIC, RUNBOOK, SCOPE

PREFIX = "Modeltap"
MODEL = (*SCOPE, "model_name", "model_version")
# Probes of orchestrators are no traffic.
TRAFFIC = 'operation!~"health|metadata"'
# Of kube-state-metrics; rules that read them say nothing where it is not.
FOREIGN = frozenset(
    f"kube_horizontalpodautoscaler_{name}" for name in ("spec_max_replicas", "status_current_replicas")
)
# Labels that are variables of the dashboards.
SHOWN = ("job_name", "instance", "model_name", "model_version")


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule; named level:metric:operation, as Prometheus advises; `labels` are added to what it records."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert without the common prefix; `hold` is the `for`, `keep` the `keep_firing_for` ("" for none)."""

    name: str
    severity: Literal["critical", "warning", "info"]
    hold: str
    expr: str
    summary: str
    description: str
    keep: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """One file: records first, since rules of a group are evaluated in order and the alerts read them.

    `interval`: how often, "" for as often as the server evaluates anything; `dashboard`: which one its alerts link to.
    """

    name: str
    records: Sequence[Record]
    alerts: Sequence[Alert]
    interval: str = ""
    dashboard: str = "model"


def total(expr: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) ({expr})"


def series(name: str, selector: str = "", part: str = "") -> str:
    return family(name, part) + (f"{{{selector}}}" if selector else "")


def as_yaml(group: Group) -> dict[str, Any]:
    """What Prometheus reads. No labels on the group: 2.42 refuses a file that has them."""
    rules = [*map(_record, group.records), *(_alert(alert, group.dashboard) for alert in group.alerts)]
    interval = {"interval": group.interval} if group.interval else {}
    return {"groups": [{"name": group.name, **interval, "rules": rules}]}


def _record(rule: Record) -> dict[str, Any]:
    labels = {"labels": dict(rule.labels)} if rule.labels else {}
    return {"record": rule.name, "expr": rule.expr, **labels}


def _alert(rule: Alert, board: str) -> dict[str, Any]:
    name = PREFIX + rule.name
    told = frozenset(re.findall(r"\$labels\.(\w+)", rule.description))
    annotations = {
        "summary": rule.summary,
        "description": rule.description,
        "runbook_url": f"{RUNBOOK}#{name.lower()}",
        "dashboard_url": _dashboard(board, told),
    }
    keep = {"keep_firing_for": rule.keep} if rule.keep else {}
    head = {"alert": name, "expr": rule.expr, "for": rule.hold, **keep}
    return {**head, "labels": {"severity": rule.severity, **_owner(told)}, "annotations": annotations}


def _dashboard(board: str, told: frozenset[str]) -> str:
    """The dashboard of a file of rules, or that of jobs, variables set to what the description tells."""
    shown = [label for label in SHOWN if label in told]
    choice = "&".join(f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in shown)
    board = "jobs" if "job_name" in told else board
    return f"{DASHBOARDS}/d/modeltap-{board}" + (f"?{choice}" if choice else "")


def _owner(told: frozenset[str]) -> dict[str, str]:
    """Asked for where an alert fires: a join in the expression would lose the alert with the info metric."""
    known = ("model_name",) if "model_name" in told else tuple(sorted(told & {"job", "instance"}))
    if not known:
        return {}
    keys = ("namespace", *known)
    selector = ", ".join(f"{key}=%q" for key in keys)
    given = " ".join(f"$labels.{key}" for key in keys)
    asked = f'printf "{OWNER_METRIC}{{{selector}}}" {given} | query | sortByLabel "owner"'
    # What the series says itself is nearer; an empty label is no label.
    return {
        label: f"{{{{ with $labels.{label} }}}}{{{{ . }}}}{{{{ else }}}}{{{{ with {asked} }}}}"
        f'{{{{ . | first | label "{label}" }}}}{{{{ end }}}}{{{{ end }}}}'
        for label in ("owner", "team")
    }
