"""PodMonitor, PrometheusRule and dashboards: made on demand, from files that Helm must not touch."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from .conftest import CHART, EXAMPLE, REPOSITORY, Chart

RULES = """\
# A comment before the groups.
groups:
  - name: test
    rules:
      - alert: ModelSlow
        expr: model_up == 0
        for: 5m
        annotations:
          description: '{{ $labels.model_name }} at {{ $value | humanize }} {{- "x" -}}'
"""
DASHBOARD = {"title": "T", "panels": [{"legendFormat": "{{model_name}} `x` $__rate_interval"}]}


@pytest.fixture
def filled(chart: Chart, tmp_path: Path) -> Chart:
    """A copy of the chart with one known rule file and one known dashboard."""
    copy = tmp_path / "modeltap"
    shutil.copytree(CHART, copy)
    shutil.rmtree(copy / "files", ignore_errors=True)
    for folder in ("dashboards", "alert_rules"):
        (copy / "files" / folder).mkdir(parents=True)
    (copy / "files" / "alert_rules" / "first_rules.yaml").write_text(RULES)
    shutil.copy(CHART / "files" / "rule_values.yaml", copy / "files")
    (copy / "files" / "dashboards" / "over_view.json").write_text(json.dumps(DASHBOARD, indent=2))
    return Chart(chart.bin, copy)


def test_off_by_default(filled: Chart) -> None:
    """None of the three is made unless asked for."""
    assert filled.objects() == []


def test_rules_survive_helm(filled: Chart) -> None:
    """A rule file reaches the PrometheusRule unchanged, templates of the alerts included."""
    values = str(CHART / "ci" / "prometheusrule-values.yaml")
    (rule,) = filled.objects("--values", values)
    assert rule["kind"] == "PrometheusRule"
    assert rule["metadata"]["name"] == "demo-modeltap-first-rules"
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert rule["spec"] == yaml.safe_load(RULES)


def test_dashboards_survive_helm(filled: Chart, tmp_path: Path) -> None:
    """A dashboard reaches its ConfigMap unchanged, with the label that Grafana's sidecar looks for."""
    values = str(CHART / "ci" / "dashboards-values.yaml")
    (found,) = filled.objects("--values", values)
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Models"}
    assert json.loads(found["data"]["over_view.json"]) == DASHBOARD
    documents = tmp_path / "objects.yaml"
    documents.write_text(filled.template("--values", values))
    assert filled.invalid(documents, "1.33.0") == ""


def test_no_files_is_no_error(filled: Chart, tmp_path: Path) -> None:
    """A chart without rules and dashboards renders none, and its notes say why."""
    shutil.rmtree(filled.path / "files")
    sets = ("--set", "prometheusRule.enabled=true,dashboards.enabled=true")
    assert filled.objects(*sets) == []
    notes = filled.notes(tmp_path, *sets)
    assert "holds no alert rules" in notes and "holds no dashboards" in notes


def test_shipped_files_render(chart: Chart) -> None:
    """Each file that the chart ships becomes one object, with a name and a size that Kubernetes takes."""
    found = chart.objects("--set", "prometheusRule.enabled=true,dashboards.enabled=true")
    shipped = [path for path in (CHART / "files").glob("*/*") if path.suffix in (".json", ".yaml")]
    assert len(found) == len(shipped)
    assert len({(each["kind"], each["metadata"]["name"]) for each in found}) == len(found)


def test_a_dashboard_too_large_is_refused(filled: Chart) -> None:
    """A dashboard that no ConfigMap takes is refused with its name and size."""
    (filled.path / "files" / "dashboards" / "huge.json").write_text(json.dumps("x" * 1_000_000))
    message = filled.refusal("--set", "dashboards.enabled=true")
    assert "huge.json has 1000002 bytes" in message and "1000000 at most" in message


def test_a_release_fits_its_secret(chart: Chart, tmp_path: Path) -> None:
    """Helm keeps chart and manifest, compressed and in base64 twice, in one Secret of 1 MiB at most."""
    assert chart.run("package", str(chart.path), "--destination", str(tmp_path)).returncode == 0
    (archive,) = tmp_path.glob("*.tgz")
    rendered = chart.template("--set", "prometheusRule.enabled=true,dashboards.enabled=true").encode()
    compressed = archive.stat().st_size * 4 / 3 + len(gzip.compress(rendered))
    assert compressed * 4 / 3 < 1_048_576


def test_podmonitor_selects_the_pods(chart: Chart) -> None:
    """The PodMonitor selects this release's pods, by the port's name that the container declares."""
    arguments = ("--set", f"{EXAMPLE},podMonitor.enabled=true")
    (monitor,) = [each for each in chart.objects(*arguments) if each["kind"] == "PodMonitor"]
    labels = chart.pod(*arguments)["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    ports = {each["name"]: each["containerPort"] for each in chart.sidecar()["ports"]}
    assert (ports[endpoint["port"]], endpoint["path"]) == (9464, "/metrics")


def test_podmonitor_for_a_fleet(chart: Chart) -> None:
    """Selector, namespaces, timing and relabelling can be set."""
    values = str(CHART / "ci" / "podmonitor-values.yaml")
    (monitor,) = chart.objects("--values", values)
    assert monitor["spec"]["selector"] == {"matchLabels": {"modeltap/sidecar": "enabled"}}
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("30s", "10s")
    assert [each["targetLabel"] for each in endpoint["relabelings"]] == ["job", "node"]
    assert endpoint["metricRelabelings"]


def test_job_is_what_the_rules_look_for(chart: Chart) -> None:
    """Whatever the release is called, the scraped series carry a job that the alert rules select."""
    sets = ("--set", "podMonitor.enabled=true,fullnameOverride=fraud")
    (monitor,) = chart.objects(*sets)
    (relabelling,) = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]
    rules = "".join(path.read_text() for path in (REPOSITORY / "alert_rules").glob("*.yaml"))
    selectors = set(re.findall(r'job=~\\?"([^"\\]+)', rules))
    assert all(re.fullmatch(selector, relabelling["replacement"]) for selector in selectors)
    (own,) = chart.objects(*sets, "--set", "podMonitor.job=")
    assert "relabelings" not in own["spec"]["podMetricsEndpoints"][0]
