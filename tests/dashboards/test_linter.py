"""The dashboards keep the linter's rules, and each rule finds a dashboard that breaks it."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_rules.generate import FILES
from alert_rules.promql import ALERTS, FOREIGN
from tests.dashboards.built import NAMES, built
from tests.dashboards.linter import RULES, TRANSFORMATIONS, Dashboard, panels, variable

Breakage = Callable[[Dashboard], Any]


def _first_query(dashboard: Dashboard, query: str) -> None:
    next(panels(dashboard))["targets"][0]["expr"] = query


BREAKAGES: dict[str, Breakage] = {
    "template-datasource-rule": lambda d: variable(d, "datasource").update(label="Prometheus"),
    "template-job-rule": lambda d: variable(d, "job").update(multi=False),
    "template-instance-rule": lambda d: variable(d, "instance").update(allValue=".*"),
    "template-label-promql-rule": lambda d: variable(d, "job").update(query="label_values(up{, job)"),
    "template-on-time-change-reload-rule": lambda d: variable(d, "job").update(refresh=1),
    "panel-datasource-rule": lambda d: next(panels(d))["datasource"].update(uid="prometheus"),
    "panel-title-description-rule": lambda d: next(panels(d)).update(description=""),
    "panel-units-rule": lambda d: next(panels(d))["fieldConfig"]["defaults"].update(unit="seconds"),
    "panel-no-targets-rule": lambda d: next(panels(d)).update(targets=[]),
    "target-promql-rule": lambda d: _first_query(d, "sum(rate(up))"),
    "target-rate-interval-rule": lambda d: _first_query(d, 'rate(x{job=~"$job", instance=~"$instance"}[5m])'),
    "target-job-rule": lambda d: _first_query(d, 'up{instance=~"$instance"}'),
    "target-instance-rule": lambda d: _first_query(d, 'up{job=~"$job", instance="a"}'),
    "target-counter-agg-rule": lambda d: _first_query(d, "sum(model_predictions_total)"),
    "uneditable-dashboard": lambda d: d.update(editable=True),
}


LINT = Path(__file__).resolve().parents[2] / "dashboards" / ".lint"
# What is pushed comes from no instance.
EXEMPT = {("jobs.json", "template-instance-rule"), ("jobs.json", "target-instance-rule")}


def excused(line: str) -> bool:
    """Series that cannot have the matcher: of rules, of alerts (one on absence has no job), of another exporter."""
    name = line.rpartition(": ")[2].partition(" without ")[0]
    return "without" in line and (name == ALERTS or name in FOREIGN or name in recorded())


@cache
def recorded() -> frozenset[str]:
    return frozenset(rule.name for _, group in FILES for rule in group().records)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_rule_is_kept(name: str, rule: str) -> None:
    """A dashboard keeps the rule, unless it has a reason not to."""
    found = [line for line in RULES[rule](built(name)) if not excused(line)]
    assert bool(found) is ((name, rule) in EXEMPT), found


def test_the_linters_own_file_is_complete() -> None:
    """`.lint` excludes what the rules find, by the dashboard's title, and nothing else."""
    exclusions = yaml.safe_load(LINT.read_text())["exclusions"]
    listed = {(rule, one["dashboard"]) for rule, each in exclusions.items() for one in each["entries"]}
    found = {
        (rule, built(name)["title"])
        for rule, check in RULES.items()
        for name in NAMES
        if any(check(built(name)))
    }
    assert listed == found
    assert all(each["reason"] for each in exclusions.values())


@pytest.mark.parametrize("name", NAMES)
def test_transformations_are_grafanas(name: str) -> None:
    """Each transformation of a table is one that Grafana has."""
    used = {one["id"] for panel in panels(built(name)) for one in panel.get("transformations", ())}
    assert used <= TRANSFORMATIONS


@pytest.mark.parametrize("rule", RULES)
def test_rule_finds_a_breakage(rule: str) -> None:
    """The rule finds a dashboard that breaks it."""
    broken = copy.deepcopy(built(NAMES[0]))
    BREAKAGES[rule](broken)
    assert list(RULES[rule](broken))
