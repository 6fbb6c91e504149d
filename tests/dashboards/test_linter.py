"""The dashboards keep the linter's rules, and each rule finds a dashboard that breaks it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.built import NAMES, built
from tests.dashboards.linter import RULES, Dashboard, panels, variable

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


PUSHED = "what is pushed comes from no instance"
EXEMPT = {("jobs.json", "template-instance-rule"): PUSHED, ("jobs.json", "target-instance-rule"): PUSHED}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_rule_is_kept(name: str, rule: str) -> None:
    """A dashboard keeps the rule, unless it has a reason not to."""
    found = list(RULES[rule](built(name)))
    assert bool(found) is ((name, rule) in EXEMPT), found


@pytest.mark.parametrize("rule", RULES)
def test_rule_finds_a_breakage(rule: str) -> None:
    """The rule finds a dashboard that breaks it."""
    broken = copy.deepcopy(built(NAMES[0]))
    BREAKAGES[rule](broken)
    assert list(RULES[rule](broken))
