"""The chart as a dependency: a model's chart adds the sidecar by including its templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, REPOSITORY, Chart, load

CHART_YAML = """\
apiVersion: v2
name: fraud-model
version: 1.0.0
appVersion: "7.7.7"
dependencies:
  - name: modeltap
    version: 0.1.0
    repository: file://{chart}
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: fraud
spec:
  selector:
    matchLabels: {{app: fraud}}
  template:
    metadata:
      labels:
        app: fraud
    spec:
{pod}
      containers:
        - name: model
          image: fraud:1
"""

TWO_LINES = """\
      initContainers:
        {{- include "modeltap.container" .Subcharts.modeltap | nindent 8 }}
      volumes:
        {{- include "modeltap.volumes" .Subcharts.modeltap | nindent 8 }}
"""


def parent(chart: Chart, folder: Path, pod: str = TWO_LINES, values: str = "") -> Chart:
    """Write a model's chart that depends on ours, and let helm fetch the dependency."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART_YAML.format(chart=CHART))
    (folder / "values.yaml").write_text(values)
    (folder / "templates" / "deployment.yaml").write_text(DEPLOYMENT.format(pod=pod))
    done = chart.run("dependency", "update", "--skip-refresh", str(folder))
    assert done.returncode == 0, done.stderr
    return Chart(chart.bin, folder)


def pod_spec(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod's spec of the one Deployment."""
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["spec"])


def test_two_lines_add_the_sidecar(chart: Chart, tmp_path: Path) -> None:
    """Two includes put the sidecar and its volumes into a foreign pod, valid and with the right names."""
    values = "modeltap:\n  sidecar:\n    upstream: http://127.0.0.1:8500\n  config:\n    series_hold: 0\n"
    model = parent(chart, tmp_path / "fraud", values=values)
    objects = model.objects()
    spec = pod_spec(objects)
    (sidecar,) = spec["initContainers"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert sidecar["image"] == f"modeltap:{version}", "not the parent's appVersion"
    assert sidecar["restartPolicy"] == "Always"
    assert {"name": "MODELTAP_UPSTREAM", "value": "http://127.0.0.1:8500"} in sidecar["env"]
    (config,) = [each for each in objects if each["kind"] == "ConfigMap"]
    assert spec["volumes"] == [{"name": "modeltap-config", "configMap": {"name": config["metadata"]["name"]}}]
    documents = tmp_path / "objects.yaml"
    documents.write_text(model.template())
    assert model.invalid(documents, "1.33.0") == ""


def test_disabled_takes_it_out(chart: Chart, tmp_path: Path) -> None:
    """With `enabled: false` the same lines render nothing, and the pod stays valid."""
    model = parent(chart, tmp_path / "fraud")
    arguments = ("--set", "modeltap.enabled=false")
    spec = pod_spec(model.objects(*arguments))
    assert (spec["initContainers"], spec["volumes"]) == (None, None)
    documents = tmp_path / "objects.yaml"
    documents.write_text(model.template(*arguments))
    assert model.invalid(documents, "1.33.0") == ""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("sidecar.ports.proxy=9100", 9100),
        ("enabled=false", 8080),
        ("enabled=false,modeltap.sidecar.upstream=http://localhost/", 80),
        ("enabled=false,modeltap.sidecar.upstream=https://[::1]", 443),
    ],
)
def test_target_of_the_service(chart: Chart, tmp_path: Path, settings: str, expected: int) -> None:
    """The Service's target is the sidecar, and without it the model itself."""
    model = parent(chart, tmp_path / "fraud")
    service = 'kind: Service\nport: {{ include "modeltap.targetPort" .Subcharts.modeltap }}\n'
    (model.path / "templates" / "service.yaml").write_text(service)
    (found,) = [each for each in model.objects("--set", f"modeltap.{settings}") if each["kind"] == "Service"]
    assert found["port"] == expected


def test_readme_s_full_form(chart: Chart, tmp_path: Path) -> None:
    """The pod of the chart's README renders on old and new clusters with the sidecar in one place."""
    text = (CHART / "README.md").read_text()
    block = next(part for part in text.split("```") if "modelLifecycle" in part)
    template = "  template:\n" + block.partition("  template:\n")[2]
    model = parent(chart, tmp_path / "fraud")
    head = DEPLOYMENT.partition("  template:\n")[0].replace("{{", "{").replace("}}", "}")
    (model.path / "templates" / "deployment.yaml").write_text(
        head + template.replace("labels:\n", "labels:\n        app: fraud\n")
    )
    for kube, where in (("1.27.0", "containers"), ("1.33.0", "initContainers")):
        spec = pod_spec(model.objects(kube=kube))
        assert "modeltap" in [each["name"] for each in spec[where]]
        both = [*(spec["initContainers"] or []), *spec["containers"]]
        assert sorted(each["name"] for each in both) == ["model", "modeltap"]
        documents = tmp_path / f"{kube}.yaml"
        documents.write_text(model.template(kube=kube))
        assert model.invalid(documents, kube) == ""


@pytest.mark.parametrize("context", [".", '(dict "Values" .Values.modeltap "Chart" .Chart)'])
def test_context_of_another_chart_is_refused(chart: Chart, tmp_path: Path, context: str) -> None:
    """A context that would give the parent's name and version is refused, with the right line to write."""
    pod = '      initContainers: {{ include "modeltap.container" ' + context + " }}\n"
    model = parent(chart, tmp_path / "fraud", pod=pod)
    message = model.refusal()
    assert 'got that of "fraud-model"' in message
    assert 'include "modeltap.container" .Subcharts.modeltap' in message.replace('\\"', '"')


def test_strict_values_reach_through_a_parent(chart: Chart, tmp_path: Path) -> None:
    """A wrong key under the dependency's name is refused; Helm's global values are not."""
    model = parent(chart, tmp_path / "fraud")
    assert "Additional property nativ" in model.refusal("--set", "modeltap.nativ=true")
    assert model.objects("--set", "global.team=fraud")


def test_user_can_be_left_out_from_a_parent(chart: Chart, tmp_path: Path) -> None:
    """A null in the parent's own values file reaches the container."""
    model = parent(chart, tmp_path / "fraud", values="modeltap:\n  sidecar:\n    runAsUser: null\n")
    (sidecar,) = pod_spec(model.objects())["initContainers"]
    assert "runAsUser" not in sidecar["securityContext"]


def test_environment_is_made_once() -> None:
    """Asking for the same environment again gives the same one, untouched."""
    make = load(REPOSITORY / "tests" / "environments" / "make.py")
    before = (make.environment("helm") / make.STAMP).stat().st_mtime_ns
    assert (make.environment("helm") / make.STAMP).stat().st_mtime_ns == before
