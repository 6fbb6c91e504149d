"""From the previous chart to this one and back: values, names and immutable fields; and nothing is left behind.

`previous/` holds the values and the rendered example of the last chart that others may have installed. Replace them at
a release, by what that release has. A rollback renders nothing: Helm applies what it stored, so it works where the
same objects, with the same immutable fields, are on both sides.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, EXAMPLE, Chart

PREVIOUS = Path(__file__).parent / "previous"
FORMS = pytest.mark.parametrize(("form", "kube"), [("native", "1.33.0"), ("plain", "1.27.0")])


def immutable(text: str) -> list[Any]:
    """What Kubernetes refuses to change, or what others hold on to, of each object."""
    found = []
    for each in yaml.safe_load_all(text):
        spec = each["spec"]
        selector = spec["selector"]
        ports = [port["port"] for port in spec.get("ports", [])]
        found.append((each["apiVersion"], each["kind"], each["metadata"]["name"], selector, ports))
    return found


def keys(node: dict[str, Any], prefix: str = "") -> dict[str, type]:
    """Dotted names of all values with the kind of each; an empty mapping is a value."""
    found: dict[str, type] = {}
    for name, each in node.items():
        inner = keys(each, f"{prefix}{name}.") if isinstance(each, dict) and each else {}
        found |= inner or {prefix + name: type(each)}
    return found


@FORMS
def test_previous_values_still_work(chart: Chart, form: str, kube: str) -> None:
    """All values of the previous chart are accepted, and make objects that can be upgraded in place."""
    rendered = chart.template("--values", str(PREVIOUS / "values.yaml"), "--set", EXAMPLE, kube=kube)
    assert immutable(rendered) == immutable((PREVIOUS / f"{form}.yaml").read_text())


@FORMS
def test_reused_values_still_work(chart: Chart, tmp_path: Path, form: str, kube: str) -> None:
    """`helm upgrade --reuse-values` renders this chart with the previous one's defaults, so new values are absent."""
    copy = tmp_path / "modeltap"
    shutil.copytree(CHART, copy)
    shutil.copy(PREVIOUS / "values.yaml", copy / "values.yaml")
    reused = Chart(chart.bin, copy)
    assert reused.template("--set", EXAMPLE, kube=kube) == chart.template("--set", EXAMPLE, kube=kube)
    everything = "podMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true"
    assert reused.template("--set", everything, kube=kube) == chart.template("--set", everything, kube=kube)


def test_no_value_was_lost() -> None:
    """Every value of the previous chart is one of this, of the same kind."""
    now = keys(yaml.safe_load((CHART / "values.yaml").read_text()))
    for name, kind in keys(yaml.safe_load((PREVIOUS / "values.yaml").read_text())).items():
        assert now.get(name) is kind, name


def test_uninstall_leaves_nothing(chart: Chart) -> None:
    """Every object is the release's own: no hooks, nothing kept, nothing of the cluster, no CRD, no claim of a disk."""
    everything = str(CHART / "ci" / "everything-values.yaml")
    found = chart.objects("--values", everything)
    kinds = {"ConfigMap", "Deployment", "PodMonitor", "PrometheusRule", "Service"}
    assert {each["kind"] for each in found} | {"ConfigMap"} == kinds
    for each in found:
        assert not [name for name in each["metadata"].get("annotations", {}) if name.startswith("helm.sh/")]
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert each["metadata"]["namespace"]
