"""Values of the alert rules in the chart: Helm writes what the generator writes, and refuses what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, REPOSITORY, Chart

KINDS = yaml.safe_load((CHART / "files" / "rule_values.yaml").read_text())
OTHER: dict[str, Any] = {"ratio": 0.975, "duration": "3h", "text": "https://grafana.example.com"}
NAMED = {"targets": 'job="sidecars"', "owner_metric": "team_of_model"}


def other(name: str) -> Any:
    """Another value than the default, of the same kind."""
    row = KINDS[name]
    if "bounds" in row:
        return next(bound for bound in row["bounds"] if bound > row["default"])
    if name == "slo_page_quick":
        # At these objectives more is never reached.
        return 10
    if row["kind"] == "positive":
        return round(row["default"] * 1.5, 6)
    return NAMED.get(name) or OTHER[row["kind"]]


def rendered(chart: Chart, *arguments: str) -> dict[str, Any]:
    """The groups of every PrometheusRule by the name of its group."""
    made = chart.objects("--set", "prometheusRule.enabled=true", *arguments)
    return {group["name"]: group for rule in made for group in rule["spec"]["groups"]}


def generated(folder: Path) -> dict[str, Any]:
    files = (yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml"))
    return {group["name"]: group for file in files for group in file.get("groups", ())}


def test_defaults_are_the_committed_rules(chart: Chart) -> None:
    """Without values of its own a release has the rules of alert_rules/*.yaml."""
    assert rendered(chart) == generated(REPOSITORY / "alert_rules")


def test_every_value_reaches_the_rules(chart: Chart, tmp_path: Path) -> None:
    """With every value changed, Helm writes the same rules as the generator does, and no name is left."""
    values = {name: other(name) for name in KINDS}
    chosen = tmp_path / "values.yaml"
    chosen.write_text(yaml.safe_dump(values))
    out = tmp_path / "rules"
    command = [sys.executable, "-m", "alert_rules.generate", "--values", chosen, "--out", out]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    release = tmp_path / "release.yaml"
    release.write_text(yaml.safe_dump({"prometheusRule": {"values": values}}))
    found = rendered(chart, "--values", str(release))
    assert found == generated(out)
    before = generated(REPOSITORY / "alert_rules")
    assert all(found[name] != before[name] for name in before)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "slo_latency_seconds=0.3",
            "0.3 is no bound of the latency histogram; expected one of 0.0005, 0.001",
        ),
        ("error_ratio=2", "2 is no ratio; expected a number between 0 and 1"),
        ("min_rows=0", "0 lets every quiet endpoint alert; expected a number above 0"),
        ("drift_for=never", "never is no duration; expected such as 30m or 7d"),
        ("drift_for=3", "3 has the wrong type; expected a value of kind duration"),
        ("slo_ttft=0.9", "0.9 allows so much that slo_page_quick is never reached"),
        ("runbook=it's", "it's would end a string"),
        (
            "eror_ratio=0.1",
            "prometheusRule.values.eror_ratio is no value of the alert rules; expected one of: ",
        ),
    ],
)
def test_senseless_values_are_refused(chart: Chart, given: str, said: str) -> None:
    """Helm refuses what the generator would, with what was expected."""
    sets = f"prometheusRule.enabled=true,prometheusRule.values.{given}"
    done = chart.run("template", "demo", str(chart.path), "--set", sets)
    assert done.returncode != 0
    assert said in done.stderr
