"""What the chart renders, by the schemas of the Prometheus Operator and the restricted Pod Security Standard."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, Chart
from .judges import SCHEMAS, dangling, misfits, schema, unrestricted

CI = sorted((CHART / "ci").glob("*-values.yaml"))
POD: dict[str, Any] = {
    "containers": [
        {
            "name": "one",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "ports": [{"containerPort": 80}],
        }
    ],
    "volumes": [{"name": "data", "emptyDir": {}}],
}


@pytest.fixture(scope="module")
def rendered(chart: Chart) -> dict[str, list[dict[str, Any]]]:
    """The objects of each ci file."""
    return {path.stem: chart.objects("--values", str(path)) for path in CI}


def test_operator_s_objects(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every PodMonitor and PrometheusRule is one to the operator's own schema."""
    found = [
        each
        for objects in rendered.values()
        for each in objects
        if each["apiVersion"].startswith("monitoring.")
    ]
    assert {each["kind"] for each in found} == {"PodMonitor", "PrometheusRule"}
    for each in found:
        assert misfits(each) == [], each["metadata"]["name"]


def test_pods_are_restricted(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Every pod of every ci file passes the restricted standard, and names nothing that is not there."""
    for name, objects in rendered.items():
        for each in objects:
            if each["kind"] == "Deployment":
                spec = each["spec"]["template"]["spec"]
                assert [*unrestricted(spec), *dangling(spec)] == [], name


def broken(path: str, value: object) -> dict[str, Any]:
    """The sound pod with one thing changed; a path of names and indices with dots between."""
    spec = copy.deepcopy(POD)
    node: Any = spec
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        node = node[step]
    node[last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("hostPID", True, "hostPID"),
        ("volumes.0", {"name": "data", "hostPath": {"path": "/"}}, "volume data: hostPath"),
        ("volumes", [], "one: no volume data"),
        ("containers.0.ports.0.hostPort", 80, "one: hostPort"),
        ("containers.0.resources", {"claims": [{"name": "gpu"}]}, "one: no resource claim gpu"),
        ("containers.0.securityContext.capabilities", {}, "one: capabilities.drop"),
        ("containers.0.securityContext.capabilities.add", ["SYS_PTRACE"], "one: capabilities.add"),
        ("containers.0.securityContext.runAsNonRoot", False, "one: runAsNonRoot"),
        ("containers.0.securityContext.runAsUser", 0, "one: runAsUser"),
        ("containers.0.securityContext.privileged", True, "one: privileged"),
        ("containers.0.securityContext.seccompProfile.type", "Unconfined", "one: seccompProfile"),
        ("containers.0.ports", [{"containerPort": 80}] * 2, "one: port (80, 'TCP') is taken"),
    ],
)
def test_the_judges_see(path: str, value: object, expected: str) -> None:
    """The judges themselves: a sound pod passes, and each fault is named."""
    assert [*unrestricted(POD), *dangling(POD)] == []
    spec = broken(path, value)
    assert [*unrestricted(spec), *dangling(spec)] == [expected]


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_schemas(path: Path) -> None:
    """Each is a schema, says where it is from, and refuses a field that it does not know."""
    schema(path.stem).check_schema(schema(path.stem).schema)
    assert "$comment" in schema(path.stem).schema
    assert any("nonsense" in each for each in misfits({"nonsense": 1}, path.stem))


def test_a_wrong_podmonitor() -> None:
    """The operator's schema works: a misspelt field of an endpoint is refused."""
    monitor = yaml.safe_load(
        "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, spec: {selector: {}, podMetricsEndpoints: "
        "[{port: metrics, intervall: 15s}]}}"
    )
    (found,) = misfits(monitor)
    assert "spec.podMetricsEndpoints.0" in found and "intervall" in found
