"""values.yaml, its schema and the messages that wrong values get."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from .conftest import CHART, EXAMPLE, Chart


def schema() -> dict[str, Any]:
    """The parsed schema."""
    parsed: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return parsed


def paths(properties: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of all keys of a schema whose objects are closed."""
    found: set[str] = set()
    for name, each in properties.items():
        found.add(prefix + name)
        found |= paths(each.get("properties", {}), f"{prefix}{name}.")
    return found


def test_schema_is_closed() -> None:
    """Every object whose keys are ours refuses others."""

    def walk(node: dict[str, Any], where: str) -> None:
        if "properties" in node:
            assert node.get("additionalProperties") is False, where
            for name, each in node["properties"].items():
                walk(each, f"{where}.{name}")

    walk(schema(), "values")


def test_schema_and_values_name_the_same_keys() -> None:
    """Every value is in the schema and every key of the schema is a value with a default."""
    known = paths(schema()["properties"])
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def walk(node: dict[str, Any], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for name, each in node.items():
            found.add(prefix + name)
            if isinstance(each, dict) and any(path.startswith(f"{prefix}{name}.") for path in known):
                found |= walk(each, f"{prefix}{name}.")
        return found

    # What Helm adds, and parts of the Kubernetes shape of resources that have no default.
    shapes = {path for path in known if ".resources." in path} | {"global"}
    assert walk(values) - shapes == known - shapes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("nativ=true", "Additional property nativ is not allowed"),
        ("sidecar.upsteam=x", "sidecar: Additional property upsteam is not allowed"),
        ("sidecar.ports.proxy=abc", "sidecar.ports.proxy: Invalid type. Expected: integer, given: string"),
        ("sidecar.ports.proxy=80", "sidecar.ports.proxy: Must be greater than or equal to 1024"),
        ("sidecar.native=maybe", "sidecar.native must be one of the following"),
        ("sidecar.runAsUser=0", "sidecar.runAsUser: Must be greater than or equal to 1"),
        ("sidecar.upstream=localhost:8080", "sidecar.upstream: Does not match pattern '^(https?|tcp)://"),
        ("image.pullPolicy=Sometimes", "image.pullPolicy must be one of the following"),
        ("image.digest=md5:0", "image.digest: Does not match pattern"),
        ("gpu.mode=all", "gpu.mode must be one of the following"),
        ("otlp.protocol=http/json", "otlp.protocol must be one of the following"),
        ("podMonitor.enabled=yes", "podMonitor.enabled: Invalid type. Expected: boolean, given: string"),
        ("podMonitor.interval=often", "podMonitor.interval: Does not match pattern"),
        ("sidecar.extraEnv[0].value=x", "sidecar.extraEnv.0: name is required"),
        ("sidecar.extraVolumes[0].emptyDir.medium=Memory", "sidecar.extraVolumes.0: name is required"),
        ("example.probes.readyProbe.periodSeconds=1", 'Property name of "readyProbe" does not match'),
        ("config=text", "config: Invalid type. Expected: object, given: string"),
    ],
)
def test_wrong_values_are_refused(chart: Chart, wrong: str, message: str) -> None:
    """A wrong key or type is refused; the message names the value and what was expected."""
    assert message in chart.refusal("--set", wrong)


def test_all_problems_at_once(chart: Chart) -> None:
    """Two wrong values are both in the message."""
    message = chart.refusal("--set", "nativ=true,gpu.mode=all")
    assert "nativ" in message and "gpu.mode" in message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("example.enabled=true", "example.image must name the model server's image"),
        (f"{EXAMPLE},example.port=9999", "example.port is 9999, but sidecar.upstream is"),
        (f"{EXAMPLE},example.podSpec.volumes[0].name=x", "example.podSpec.volumes is written by the chart"),
        ("podMonitor.enabled=true,sidecar.declarePorts=false", "a PodMonitor finds no port named metrics"),
        (f"{EXAMPLE},gpu.mode=claim", "gpu.claimName must name an entry of the pod's resourceClaims"),
    ],
)
def test_values_that_contradict_are_refused(chart: Chart, wrong: str, message: str) -> None:
    """What no schema can see is refused by the templates, in words of the values."""
    assert message in chart.refusal("--set", wrong)


def test_profile_too_large_is_refused(chart: Chart, tmp_path: Any) -> None:
    """A profile that no ConfigMap takes is refused with its size and the way out."""
    profile = tmp_path / "profile.json"
    profile.write_text("x" * 1_000_001)
    message = chart.refusal("--set-file", f"reference.profile={profile}")
    assert "1000001 bytes" in message and "reference.existingConfigMap" in message
