"""Checks of pint that need no Prometheus, under its own names (cloudflare/pint, docs/checks).

`alerts/comparison` and `promql/series` are in test_generate.py, where they also look at scenes.
"""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alert_rules import values
from alert_rules.generate import FILES
from alert_rules.rules import PREFIX, Alert, Record, as_yaml
from tests.alert_rules.labels import ROWS, Reader

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
GROUPS = {name: build() for name, build in FILES}
ALERTS: dict[str, Alert] = {rule.name: rule for group in GROUPS.values() for rule in group.alerts}
RECORDS: dict[str, list[Record]] = {}
for _group in GROUPS.values():
    for _record in _group.records:
        RECORDS.setdefault(_record.name, []).append(_record)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    assert found is not None, duration
    return int(found[1]) * SECONDS[found[2]]


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_template(name: str) -> None:
    """alerts/template: a label in an annotation can be there, or its place is empty for ever."""
    told = set(re.findall(r"\$labels\.(\w+)", ALERTS[name].description))
    labels = Reader(RECORDS).of(ALERTS[name].expr)
    assert labels is not None
    assert told <= labels


def test_alerts_template_finds_what_is_lost() -> None:
    """The check can fail: a label that was aggregated away, ignored, or belongs to the other side is none."""
    read = Reader(RECORDS).of
    assert read("sum by (job) (model_up)") == {"job"}
    assert "protocol" not in (read("sum without (protocol) (model_request_errors_total)") or {"protocol"})
    assert read("model_up / on (job) model_up") == {"job"}
    assert "source" not in (read("model_up and on (job) model_queue_length") or {"source"})
    assert "le" not in (
        read("histogram_quantile(0.9, rate(model_request_duration_seconds_bucket[5m]))") or {"le"}
    )
    assert read('label_join(vector(1), "column", "", "output")') == {"column"}


@pytest.mark.parametrize("name", GROUPS)
def test_promql_vector_matching(name: str) -> None:
    """promql/vector_matching: sides that are matched on all labels have the same, or nothing ever matches."""
    for rule in (*GROUPS[name].records, *GROUPS[name].alerts):
        reader = Reader(RECORDS)
        reader.of(rule.expr)
        # What an orchestrator adds may be absent from both.
        apart = [(left, right) for left, right in reader.bare if left and right and left ^ right - {"pod"}]
        assert [pair for pair in apart if not (pair[0] <= pair[1] or pair[1] <= pair[0])] == [], rule.name


@pytest.mark.parametrize("name", GROUPS)
def test_rule_for(name: str) -> None:
    """rule/for: an alert waits no longer than a day, and holds no longer than that."""
    for alert in GROUPS[name].alerts:
        assert seconds(alert.hold) <= seconds("6h"), alert.name
        assert seconds(alert.keep or "0m") <= seconds("1d"), alert.name


def test_rule_name() -> None:
    """rule/name: alerts are CamelCase after the prefix, records level:metric:operation, and of what."""
    assert [name for name in ALERTS if not re.fullmatch(r"([A-Z][a-z0-9]+)+", name)] == []
    assert [
        name
        for name in RECORDS
        if not re.fullmatch(r"[a-z_]+:[a-z][a-z0-9_]*:[a-z0-9_]+(:[a-z0-9_]+)?", name)
    ] == []


@pytest.mark.parametrize("name", GROUPS)
def test_rule_label(name: str) -> None:
    """rule/label: every alert has a severity of three, no record has one, and no label is but ours."""
    for rule in as_yaml(GROUPS[name])["groups"][0]["rules"]:
        labels = rule.get("labels", {})
        if "alert" in rule:
            assert labels["severity"] in ("critical", "warning", "info")
            assert labels.keys() <= {"severity", "owner", "team"}
        else:
            assert not labels.keys() & {"severity", "owner", "team"}


@pytest.mark.parametrize("name", GROUPS)
def test_alerts_annotation(name: str) -> None:
    """alerts/annotation: four of them, none empty, and the link leads to a dashboard of ours that has the variables."""
    for rule in as_yaml(GROUPS[name])["groups"][0]["rules"]:
        if "alert" in rule:
            assert list(rule["annotations"]) == ["summary", "description", "runbook_url", "dashboard_url"]
            assert all(rule["annotations"].values())
            link = urlsplit(rule["annotations"]["dashboard_url"])
            board = json.loads((DASHBOARDS / f"{link.path.removeprefix('/d/modeltap-')}.json").read_text())
            variables = {f"var-{each['name']}" for each in board["templating"]["list"]}
            assert {each.partition("=")[0] for each in link.query.split("&") if each} <= variables


def test_owners_are_told_by_a_metric_of_ours() -> None:
    """promql/series: what labels ask for has what they take from it."""
    assert {"model_name", "owner", "team"} <= ROWS[values.OWNER_METRIC]


def test_rule_duplicate() -> None:
    """rule/duplicate: nothing is recorded twice under the same labels, and no alert has the name of another."""
    recorded = [(rule.name, *sorted(rule.labels.items())) for rules in RECORDS.values() for rule in rules]
    assert len(set(recorded)) == len(recorded)
    names = [PREFIX + rule.name for group in GROUPS.values() for rule in group.alerts]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_absent(name: str) -> None:
    """alerts/absent: what asks for absence waits at least two scrapes, of a minute each, or one restart is an alert."""
    if re.search(r"\babsent(_over_time)?\(", ALERTS[name].expr):
        assert seconds(ALERTS[name].hold) >= seconds("2m")
