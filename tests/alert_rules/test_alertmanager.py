"""The example for Alertmanager: valid for each amtool at hand, pages what is critical, tickets the rest, is legible."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_rules.generate import FILES
from alert_rules.rules import PREFIX, Alert
from tests.environments.tools import tools

CONFIG = Path(__file__).resolve().parents[2] / "alert_rules" / "alertmanager.yaml"
TEXTS = CONFIG.with_name("modeltap.tmpl")
RENDERED = Path(__file__).with_name("notifications.yaml")
RECEIVERS = {"critical": "page", "warning": "ticket", "info": "log"}
ALERTS: list[Alert] = [rule for _, build in FILES for rule in build().alerts]


def amtool(*arguments: str | Path) -> str:
    """Run each amtool at hand; fail with what it said."""
    said = ""
    commands = dict.fromkeys(Path(path) for path in (tools() / "amtool", shutil.which("amtool")) if path)
    for command in commands:
        done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command} {done.stdout}{done.stderr}"
        said += done.stdout
    return said


def routed(receiver: str, *labels: str) -> None:
    amtool("config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels)


def test_alertmanager_takes_the_example() -> None:
    """amtool takes the example and finds the texts beside it."""
    said = amtool("check-config", CONFIG)
    assert "3 receivers" in said
    assert "1 templates" in said


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_alert_reaches_its_receiver(rule: Alert) -> None:
    """Critical alerts page, warnings open a ticket."""
    routed(
        RECEIVERS[rule.severity],
        f"alertname={PREFIX}{rule.name}",
        f"severity={rule.severity}",
        "namespace=shop",
    )


def test_foreign_alerts_page_nobody() -> None:
    """An alert that is not ours goes to the log, however severe, and so does information."""
    routed("log", "alertname=DiskFull", "severity=critical")
    routed("log", "alertname=ModeltapSomething", "severity=info")


def inhibitions() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """By alert: the alerts that silence it, each with the labels that must be the same."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    names = [PREFIX + rule.name for rule in ALERTS]
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        sources, targets = (
            [name for name in names if re.fullmatch(matcher.partition('"')[2][:-1], name)]
            for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        )
        for target in targets:
            found.setdefault(target, []).extend((source, tuple(rule["equal"])) for source in sources)
    return found


def test_no_alert_silences_what_silences_it() -> None:
    """Along inhibitions one never comes back: what is silenced by a circle would be told by nobody."""
    sources = {target: {source for source, _ in rules} for target, rules in inhibitions().items()}
    for start in sources:
        reached: set[str] = set()
        ahead = set(sources[start])
        while ahead:
            reached |= ahead
            ahead = {each for name in ahead for each in sources.get(name, set())} - reached
        assert start not in reached, start


def test_an_outage_silences_its_consequences() -> None:
    """What a dead model does to rates and budgets is inhibited while it is down and while windows remember it."""
    known = inhibitions()
    pages = [
        PREFIX + rule.name for rule in ALERTS if rule.severity == "critical" and rule.name.startswith("Slo")
    ]
    for consequence in (*pages, "ModeltapErrorRatioHigh", "ModeltapNoTraffic", "ModeltapLatencyHigh"):
        for source in ("ModeltapModelDown", "ModeltapModelWasDown"):
            assert (source, ("namespace", "job")) in known[consequence], consequence


@pytest.mark.parametrize("source", ["DataMissing", "DataInvalid"])
def test_faulty_cells_silence_the_drift_of_their_feature_alone(source: str) -> None:
    """Missing values, another type and unseen categories explain the drift of the same feature, not of another."""
    ((labels),) = [
        labels for name, labels in inhibitions()["ModeltapFeatureDrift"] if name == PREFIX + source
    ]
    assert "feature" in labels


CASES = yaml.safe_load(RENDERED.read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_notifications_read_well(case: dict[str, Any], tmp_path: Path) -> None:
    """Each text of a notification is, to the letter, what a person should read."""
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"externalURL": "", "commonLabels": {}, **case["data"]}, default=str))
    for name, expected in case["texts"].items():
        kind = "html" if name == "html" else "text"
        said = amtool(
            *("template", "render", f"--template.glob={TEXTS}", f"--template.data={data}"),
            *(f"--template.type={kind}", f'--template.text={{{{ template "modeltap.{name}" . }}}}'),
        )
        assert said.strip() == expected.strip(), name


def test_a_large_group_is_told_in_part(tmp_path: Path) -> None:
    """Of forty alerts ten are told, and that there are forty."""
    alert = {"status": "firing", "labels": {}, "annotations": {"description": "One of many."}}
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"status": "firing", "alerts": [alert] * 40}))
    for name in ("text", "slack", "html"):
        said = amtool(
            *("template", "render", f"--template.glob={TEXTS}", f"--template.data={data}"),
            f'--template.text={{{{ template "modeltap.{name}" . }}}}',
        )
        assert said.count("One of many.") == 10
        assert "The first 10 of 40 are shown." in said


def test_every_text_is_sent() -> None:
    """Every text of the file is used by a receiver, or by another text; a receiver uses none that is not there."""
    texts = set(re.findall(r'define "(modeltap\.\w+)"', TEXTS.read_text()))
    used = set(re.findall(r'template "(modeltap\.\w+)"', CONFIG.read_text() + TEXTS.read_text()))
    assert used == texts


def test_inhibitions_name_alerts_that_exist() -> None:
    """Sources and targets of inhibitions are alerts of ours."""
    names = {PREFIX + rule.name for rule in ALERTS}
    matchers = [
        matcher
        for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    for matcher in matchers:
        found = re.fullmatch(r'alertname=~?"(?P<pattern>.+)"', matcher)
        assert found is not None
        pattern = found["pattern"]
        alternatives = len(pattern.split("|"))
        assert sum(re.fullmatch(pattern, name) is not None for name in names) == alternatives, matcher
