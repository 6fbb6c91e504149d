"""The shape of a rule, and PromQL pieces that more than one file of rules needs.

It knows no thresholds. Invariant: every alert has a severity, a summary, a description and a runbook anchor
made from its own name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alert_rules.values import RUNBOOK, SCOPE
from dashboards.promql import family

PREFIX = "Modeltap"
MODEL = (*SCOPE, "model_name", "model_version")
# Probes of orchestrators are no traffic.
TRAFFIC = 'operation!~"health|metadata"'


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

    `interval`: how often, "" for as often as the server evaluates anything.
    """

    name: str
    records: Sequence[Record]
    alerts: Sequence[Alert]
    interval: str = ""


def total(expr: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) ({expr})"


def series(name: str, selector: str = "", part: str = "") -> str:
    return family(name, part) + (f"{{{selector}}}" if selector else "")


def as_yaml(group: Group) -> dict[str, Any]:
    """What Prometheus reads. No labels on the group: 2.42 refuses a file that has them."""
    rules = [*map(_record, group.records), *map(_alert, group.alerts)]
    interval = {"interval": group.interval} if group.interval else {}
    return {"groups": [{"name": group.name, **interval, "rules": rules}]}


def _record(rule: Record) -> dict[str, Any]:
    labels = {"labels": dict(rule.labels)} if rule.labels else {}
    return {"record": rule.name, "expr": rule.expr, **labels}


def _alert(rule: Alert) -> dict[str, Any]:
    name = PREFIX + rule.name
    annotations = {
        "summary": rule.summary,
        "description": rule.description,
        "runbook_url": f"{RUNBOOK}#{name.lower()}",
    }
    keep = {"keep_firing_for": rule.keep} if rule.keep else {}
    head = {"alert": name, "expr": rule.expr, "for": rule.hold, **keep}
    return {**head, "labels": {"severity": rule.severity}, "annotations": annotations}
