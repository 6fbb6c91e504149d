"""The rules: written from values, taken by two Prometheus generations, each alert tested, in the runbook."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import promql_parser
import pytest
import yaml

from alert_rules import chart, generate, values
from alert_rules.generate import FILES, main, undeclared
from alert_rules.promql import undeclared_in
from alert_rules.rules import PREFIX, Alert, Group
from exporter.records.catalogue import LATENCY_BUCKETS
from tests.alert_rules import scenes
from tests.environments.single import single
from tests.environments.tools import tools

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RUNBOOK = (ROOT / "alert_rules" / "RUNBOOK.md").read_text()
GROUPS: dict[str, Group] = {name: build() for name, build in FILES}
ALERTS: dict[str, Alert] = {PREFIX + rule.name: rule for group in GROUPS.values() for rule in group.alerts}
RECORDED = frozenset(rule.name for group in GROUPS.values() for rule in group.records)
PATHS = [ROOT / "alert_rules" / name for name in GROUPS]
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in PATHS
    for rule in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["groups"][0]["rules"]
    if "alert" in rule
}
TESTS = sorted(HERE.glob("*_test.yaml"))


def promtools() -> list[Path]:
    """The current promtool and the distribution's, where both are to be had."""
    installed = shutil.which("promtool")
    return list(dict.fromkeys(Path(path) for path in (tools() / "promtool", installed) if path))


def promtool(*arguments: str | Path) -> None:
    """Run each promtool at hand; fail with what it said."""
    for command in promtools():
        done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{command} {done.stdout}{done.stderr}"


@cache
def scenes_read() -> list[dict[str, Any]]:
    return [yaml.load(path.read_text(), Loader=yaml.CSafeLoader) for path in TESTS]


def blocks_of(name: str) -> list[list[dict[str, Any]]]:
    """The cases of an alert in promtool's test files, by the block of series that they share."""
    blocks = (test.get("alert_rule_test", ()) for file in scenes_read() for test in file["tests"])
    found = ([case for case in block if case["alertname"] == name] for block in blocks)
    return [cases for cases in found if cases]


def section(name: str) -> str:
    """The runbook's section of an alert, "" if there is none."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def test_committed_files_are_what_would_be_written() -> None:
    """The YAML beside the generator is what it writes (else: python -m alert_rules.generate)."""
    assert main(["--check"]) == 0


def test_committed_scenes_are_what_would_be_written() -> None:
    """promtool's files about drift are what their scenes say (else: python -m tests.alert_rules.scenes)."""
    assert {name: (HERE / name).read_text() for name in scenes.files()} == scenes.files()


def test_check_fails_on_a_stale_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is missing or edited by hand fails the check; writing mends it."""
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(chart, "write", lambda again: None)
    monkeypatch.setattr(chart, "stale", lambda again: [])
    assert main(["--check"]) == 1
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "drift.yaml").write_text("groups: []\n")
    assert generate.stale() == ["alert_rules/drift.yaml"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "LATENCY_P99",
            0.3,
            "latency_p99 = 0.3 is no bound of the latency histogram; expected one of 0.0005, ",
        ),
        ("ERROR_RATIO", 5, "error_ratio = 5 is no ratio; expected a number between 0 and 1"),
        (
            "SLO_TTFT",
            0.9,
            "slo_ttft = 0.9 allows so much that slo_page_quick = 14.4 is never reached; expected more",
        ),
        (
            "SLO_TTFT_SECONDS",
            3,
            "slo_ttft_seconds = 3 is no bound of the latency histogram; expected one of 0.001, ",
        ),
        ("DRIFT_FOR", "soon", "drift_for = soon is no duration; expected such as 30m or 7d"),
        ("MIN_REQUESTS", 0, "min_requests = 0 lets every quiet endpoint alert; expected a number above 0"),
    ],
)
def test_senseless_values_are_refused(
    name: str,
    value: float | str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A value that makes no sensible rule is refused with what was expected, and nothing is written."""
    monkeypatch.setattr(values, name, value)
    assert main([]) == 1
    assert f"alert_rules/values.yaml: {said}" in capsys.readouterr().err


def test_latency_target_is_a_bound() -> None:
    """The latency target is a bound of the histogram."""
    assert values.LATENCY_P99 in LATENCY_BUCKETS


@pytest.mark.parametrize("name", GROUPS)
def test_every_metric_used_is_declared(name: str) -> None:
    """Rules read declared metrics and series that their own file records, or one before it."""
    names = list(GROUPS)
    before = (rule.name for each in names[: names.index(name)] for rule in GROUPS[each].records)
    assert list(undeclared(GROUPS[name], frozenset(before))) == []


def test_prometheus_takes_the_rules() -> None:
    """Both generations of promtool, 2.42 among them, take the rules with every lint on."""
    command = ("check", "rules", "--lint=all", "--lint-fatal", *PATHS)
    promtool(*command)
    done = subprocess.run(
        [single("promtool-2"), *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def completed(path: Path) -> str:
    """A file of scenes with the link to a dashboard, which every alert has and no scene repeats."""
    # As promtool reads them, 0x70 is seventy zeros and no 112.
    document = yaml.load(path.read_text(), Loader=yaml.CBaseLoader)
    for sample in (
        each
        for test in document["tests"]
        for case in test.get("promql_expr_test", ())
        for each in case["exp_samples"]
    ):
        sample["value"] = float(sample["value"])
    document["rule_files"] = [str((path.parent / name).resolve()) for name in document["rule_files"]]
    for case in (case for test in document["tests"] for case in test.get("alert_rule_test", ())):
        for alert in case["exp_alerts"]:
            link = RULES[case["alertname"]]["annotations"]["dashboard_url"]
            alert["exp_annotations"].setdefault("dashboard_url", filled(link, alert["exp_labels"]))
    return yaml.dump(document, Dumper=yaml.CSafeDumper, width=1_000_000)


def filled(link: str, labels: dict[str, str]) -> str:
    """A link with its labels in the place of their names."""
    return re.sub(
        r"\{\{ \$labels\.(\w+) \| urlquery \}\}",
        lambda found: quote_plus(str(labels.get(found[1], ""))),
        link,
    )


@pytest.mark.parametrize("path", TESTS, ids=[path.name for path in TESTS])
def test_unit_tests(path: Path, tmp_path: Path) -> None:
    """promtool's unit tests pass with both generations."""
    (tmp_path / path.name).write_text(completed(path))
    promtool("test", "rules", tmp_path / path.name)


def test_faster_rules_keep_their_meaning(tmp_path: Path) -> None:
    """A rehearsal's rules have every duration divided, names and thresholds as they are."""
    assert main(["--out", str(tmp_path), "--faster", "60"]) == 0
    promtool("check", "rules", *sorted(tmp_path.glob("*.yaml")))
    slow, fast = (
        yaml.safe_load((folder / "traffic.yaml").read_text()) for folder in (ROOT / "alert_rules", tmp_path)
    )
    rules = list(zip(slow["groups"][0]["rules"], fast["groups"][0]["rules"], strict=True))
    assert [(a.get("record"), a.get("alert")) for a, _ in rules] == [
        (b.get("record"), b.get("alert")) for _, b in rules
    ]
    assert "[30000ms] offset 60000ms)" in next(
        b["expr"] for _, b in rules if b.get("alert") == "ModeltapNoTraffic"
    )
    assert next(b["for"] for _, b in rules if b.get("alert") == "ModeltapErrorRatioHigh") == "5000ms"
    text = (tmp_path / "drift_long.yaml").read_text()
    assert "  interval: 2000ms\n" in text
    assert "(column_bin:model_rows:increase1h[10080000ms:60000ms])" in text
    assert 'role!~"shadow|synthetic"} offset 1440000ms or ' in text


@pytest.mark.parametrize("name", ALERTS)
def test_alert_is_tested(name: str) -> None:
    """Every alert has a block in which it is silent first, fires, and is silent again."""
    fires = [[bool(case["exp_alerts"]) for case in block] for block in blocks_of(name)]
    assert any(block[0] is False and True in block and block[-1] is False for block in fires)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_has_a_runbook(name: str) -> None:
    """Every alert has a section with meaning, first look, causes and remedy, at the address that it tells."""
    parts = re.findall(r"^\*\*(.+?)\.\*\*", section(name), re.MULTILINE)
    assert parts == ["Meaning", "First look", "Usual causes", "What to do"]
    assert RULES[name]["annotations"]["runbook_url"] == f"{values.RUNBOOK}#{name.lower()}"


def test_runbook_has_no_other_sections() -> None:
    """No section tells of an alert that does not exist."""
    assert set(re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_queries_work(name: str) -> None:
    """The queries of a section are PromQL over declared or recorded series."""
    blocks = re.findall(r"```promql\n(.*?)```", section(name), re.DOTALL)
    queries = [line for block in blocks for line in block.splitlines() if line]
    assert queries
    assert [undeclared_in(query, RECORDED) for query in queries] == [[]] * len(queries)


@pytest.mark.parametrize("name", ALERTS)
def test_annotations_are_sentences_with_numbers(name: str) -> None:
    """The summary is a fixed sentence, the description tells the value, the severity is one of ours."""
    rule = ALERTS[name]
    assert re.fullmatch(r"[A-Z][^{}]*\.", rule.summary)
    assert "$value" in rule.description
    assert rule.severity in ("critical", "warning", "info")
    assert rule.hold


@pytest.mark.parametrize("name", ALERTS)
def test_labels_told_survive_the_aggregation(name: str) -> None:
    """A label in an annotation is one that the expression keeps: it stands in a test's expected labels."""
    told = set(re.findall(r"\$labels\.(\w+)", ALERTS[name].description))
    kept = [
        set(alert["exp_labels"])
        for block in blocks_of(name)
        for case in block
        for alert in case["exp_alerts"]
    ]
    assert all(told <= labels for labels in kept)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_compares(name: str) -> None:
    """An alert's expression compares with something; without, it would fire whenever its series exist."""
    node = promql_parser.parse(ALERTS[name].expr)
    compared = []

    def visit(found: promql_parser.Expr) -> bool:
        if isinstance(found, promql_parser.BinaryExpr):
            compared.append(str(found.op))
        return True

    promql_parser.walk(node, visit)
    assert compared
