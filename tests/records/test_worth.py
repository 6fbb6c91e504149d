"""cost.py, kpi.py: what an owner may write of costs and KPIs, in files and in JSON, and what is said else."""

import json
from typing import Any

import pytest

from exporter.records.cost import MAX_COSTS, Cost
from exporter.records.kpi import MAX_KPIS, Kpi
from exporter.settings.config import ConfigError, load

FINE = {"name": "a", "value": "outcome.x / labelled", "target": "4.5"}


def loaded(**flags: Any) -> Any:
    return load({"upstream": "http://h:1"} | flags, {})


def test_costs() -> None:
    """Numbers and classes as YAML or JSON write them."""
    found = loaded(label_costs='{"1": {"0": 250, "true": -0.5}}').label_costs
    assert found == (Cost("1", "0", 250.0), Cost("1", "true", -0.5))
    assert loaded(label_costs={2: {0: "250", 1.0: 5}}).label_costs == (
        Cost("2", "0", 250.0),
        Cost("2", "1", 5.0),
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("[]", "expected {TRUE CLASS: {PREDICTED CLASS: COST}}"),
        ("{", "expected a mapping of mappings, as JSON"),
        ("{}", "no costs, expected"),
        ('{"1": 2}', ".1: 2, expected"),
        ('{"1": {"0": "much"}}', ".1.0: 'much', expected a number up to 1e+12"),
        ('{"1": {"0": NaN}}', "expected a number"),
        ('{"1": {"0": 1e13}}', "expected a number"),
        ('{"1": {"0": true}}', "expected a number"),
        ('{"1": {"": 1}}', "expected classes of 1 to 128 characters"),
        ({1: {0: 1, "0": 3}}, "expected each pair of classes once"),
        (json.dumps({"1": {str(n): 1 for n in range(MAX_COSTS + 1)}}), "401 costs, expected at most 400"),
    ],
)
def test_wrong_costs(given: Any, told: str) -> None:
    """What, where, and what was expected."""
    with pytest.raises(ConfigError) as raised:
        loaded(label_costs=given)
    assert any(told in problem for problem in raised.value.problems), raised.value.problems


def test_kpis() -> None:
    """Numbers may be texts, as files have them."""
    assert loaded(kpis=[FINE]).kpis == (Kpi("a", "outcome.x / labelled", 4.5),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "A"}, "name: 'A', expected a-z"),
        ({"value": ""}, "expected a number such as outcome.revenue / labelled"),
        ({"value": "1 + 2"}, "names nothing"),
        ({"value": "nothing"}, "'nothing' is no sum; expected predicted, labelled"),
        ({"value": "input.x"}, "expected outcome.NAME or told.NAME"),
        ({"value": "labelled > 3"}, "is not allowed"),
        ({"value": "__import__(1)"}, "is not allowed"),
        ({"target": None}, "target: None, expected a number"),
        ({"target": "many"}, "target: 'many', expected a number"),
        ({"days": 0}, "days: 0, expected a number from 0.04 to 366"),
        ({"direction": "up"}, "direction: 'up', expected above or below"),
        ({"maturity": "late"}, "maturity: 'late', expected arrival or mature"),
        ({"owner": "x" * 65}, "expected a text of at most 64 characters"),
        ({"unknown": 1}, "unknown: unknown key"),
    ],
)
def test_wrong_kpis(change: dict[str, Any], told: str) -> None:
    """What, where, and what was expected."""
    with pytest.raises(ConfigError) as raised:
        loaded(kpis=[FINE | change])
    assert any(told in problem for problem in raised.value.problems), raised.value.problems


def test_all_that_is_wrong_is_told() -> None:
    """Of every KPI; a name is given once, and there are so many."""
    with pytest.raises(ConfigError) as raised:
        loaded(kpis=json.dumps([FINE, FINE, 3, {"target": 1}]))
    assert len(raised.value.problems) == 4
    with pytest.raises(ConfigError):
        loaded(kpis=[FINE] * (MAX_KPIS + 1))
