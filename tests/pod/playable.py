"""What the chart renders, made playable by `podman kube play`; each change stands for what only a cluster has.

* A Service's port becomes a hostPort of the container port that it targets.
* Fields of the cluster (namespace, node, uid) become literals; the pod's name stays a field, which podman knows.
* Probes go: podman runs them by systemd's timers and as `curl` inside the container.
* Names of images get the registry of images that are only here.

Everything else is played as it was rendered. Podman ignores `lifecycle`: who plays the kubelet asks the hook itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

Document = dict[str, Any]
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
HOST = {"hostIP": "127.0.0.1"}
FIELDS = {"metadata.namespace": "default", "spec.nodeName": "this-host"}
# What podman fills in itself: the pod's name, and what stands in these.
NAME, KNOWN = "metadata.name", ("metadata.labels[", "metadata.annotations[")


class NotPlayable(ValueError):
    """Something in the rendered objects that would be lost or misread; the text says what and where."""


def playable(rendered: Iterable[Document], ports: Mapping[str, int]) -> str:
    """One Deployment as YAML; `ports` maps a container port's name, or "service", to the host's port."""
    documents = [copy.deepcopy(each) for each in rendered if each]
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    services = [each for each in documents if each["kind"] == "Service"]
    kept = [each for each in documents if each["kind"] == "ConfigMap"]
    containers = deployment["spec"]["template"]["spec"]["containers"]
    for each in containers:
        _container(each)
    _publish(containers, {name: port for name, port in ports.items() if name != "service"})
    for service in services:
        _serve(containers, service, ports["service"])
    return yaml.safe_dump_all([*kept, deployment], sort_keys=False)


def _container(container: Document) -> None:
    for probe in PROBES:
        container.pop(probe, None)
    container["image"] = f"localhost/{container['image']}"
    for variable in container.get("env", []):
        path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        if path and path != NAME and not path.startswith(KNOWN):
            del variable["valueFrom"]
            variable["value"] = FIELDS.get(path, f"no-{path}")


def _publish(containers: list[Document], ports: Mapping[str, int]) -> None:
    found = {port["name"]: port for each in containers for port in each.get("ports", [])}
    for name, port in ports.items():
        if name not in found:
            raise NotPlayable(f"no container has a port named {name!r}; there are {', '.join(sorted(found))}")
        found[name].update(HOST | {"hostPort": port})


def _serve(containers: list[Document], service: Document, host: int) -> None:
    name = service["metadata"]["name"]
    for wanted in service["spec"]["ports"]:
        target = wanted["targetPort"]
        found = [port for each in containers for port in each.get("ports", [])]
        found = [port for port in found if target in (port["containerPort"], port["name"])]
        if len(found) != 1:
            raise NotPlayable(
                f"Service {name} targets port {target!r}, which {len(found)} containers declare"
            )
        found[0].update(HOST | {"hostPort": host})
