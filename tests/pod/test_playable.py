"""What stands in for a cluster's objects, on what the chart renders; nothing is played here."""

from typing import Any

import pytest
import yaml

from tests.helm.conftest import Chart
from tests.pod.playable import NotPlayable, playable

PLAIN = ("--set", "example.enabled=true,example.image=model:1.0,sidecar.native=false")
PORTS = {"service": 18080, "metrics": 19464}


def played(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The containers by name."""
    (deployment,) = yaml.safe_load_all(playable(objects, PORTS))
    return {each["name"]: each for each in deployment["spec"]["template"]["spec"]["containers"]}


def test_the_service_becomes_a_host_port(chart: Chart) -> None:
    """The port that the Service targets is the sidecar's; the model's own is not published."""
    found = played(chart.objects(*PLAIN))
    ports = {port["name"]: port.get("hostPort") for each in found.values() for port in each["ports"]}
    assert ports == {"model": None, "proxy": 18080, "metrics": 19464, "health": None}


def test_what_podman_lacks_is_taken_out(chart: Chart) -> None:
    """No probe and no field of a cluster is left; security, resources, hooks and the pod's name are as rendered."""
    rendered = chart.objects(*PLAIN)
    found = played(rendered)
    (before,) = [each for each in rendered if each["kind"] == "Deployment"]
    for container in before["spec"]["template"]["spec"]["containers"]:
        after = found[container["name"]]
        assert after["image"] == f"localhost/{container['image']}"
        for kept in ("securityContext", "resources", "lifecycle", "args"):
            assert after.get(kept) == container.get(kept)
        assert not [name for name in after if name.endswith("Probe")]
    fields = {
        each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in found["modeltap"]["env"]
        if "valueFrom" in each
    }
    assert fields == {"POD_NAME": "metadata.name"}


def test_config_maps_are_played_too(chart: Chart) -> None:
    """What is mounted comes along."""
    text = playable(chart.objects(*PLAIN, "--set", "config.max_concurrency=3"), PORTS)
    assert [each["kind"] for each in yaml.safe_load_all(text)] == ["ConfigMap", "Deployment"]


def test_a_port_that_nobody_has(chart: Chart) -> None:
    """It is named, and so are those that there are."""
    with pytest.raises(NotPlayable, match=r"'nowhere'; there are health, metrics, model, proxy"):
        playable(chart.objects(*PLAIN), {"service": 1, "nowhere": 2})


def test_a_service_that_targets_nothing(chart: Chart) -> None:
    """A Service whose target no container declares is an error, as nothing would answer."""
    objects = chart.objects(*PLAIN)
    for each in objects:
        if each["kind"] == "Service":
            each["spec"]["ports"][0]["targetPort"] = 9
    with pytest.raises(NotPlayable, match="targets port 9, which 0 containers declare"):
        playable(objects, PORTS)
