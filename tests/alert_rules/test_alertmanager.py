"""The example for Alertmanager: valid for two generations of it, pages what is critical, tickets the rest."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alert_rules.generate import FILES
from alert_rules.rules import PREFIX, Alert
from tests.environments.tools import tools

CONFIG = Path(__file__).resolve().parents[2] / "alert_rules" / "alertmanager.yaml"
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
    """Both generations of Alertmanager take the example."""
    assert "3 receivers" in amtool("check-config", CONFIG)


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
