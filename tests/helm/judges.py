"""Judges of manifests beside the real helm and the Kubernetes schemas: schemas of operators, the restricted standard.

`schemas/` holds one JSON schema for each kind; its `$comment` says from which package it was made. To make one again,
take the package's declarations of that kind, leave every object closed, and drop descriptions and `status`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).parent / "schemas"
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"),
    "secret",
}


@cache
def schema(name: str) -> Draft7Validator:
    """The validator of one kind."""
    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def misfits(document: dict[str, Any], name: str | None = None) -> list[str]:
    """What the schema of a document's kind, or of that name, finds wrong with it; none if nothing."""
    found = schema(name or document["kind"]).iter_errors(document)
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in found]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod."""
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def unrestricted(spec: dict[str, Any]) -> Iterator[str]:
    """What the restricted Pod Security Standard does not let pass, by its own list of controls."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes") or []:
        yield from (f"volume {volume['name']}: {kind}" for kind in volume.keys() - VOLUMES - {"name"})
    pod = spec.get("securityContext", {})
    for each in containers(spec):
        own = {**pod, **each.get("securityContext", {})}
        capabilities = own.get("capabilities", {})
        demands = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": "ALL" in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "privileged": not own.get("privileged"),
            "procMount": own.get("procMount", "Default") == "Default",
            "runAsNonRoot": own.get("runAsNonRoot") is True,
            "runAsUser": own.get("runAsUser") != 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "hostPort": not any("hostPort" in port for port in each.get("ports", [])),
        }
        yield from (f"{each['name']}: {name}" for name, met in demands.items() if not met)


def dangling(spec: dict[str, Any]) -> Iterator[str]:
    """Mounts without a volume, claims without a resource claim, ports taken twice: no schema sees them."""
    volumes = {each["name"] for each in spec.get("volumes") or []}
    claims = {each["name"] for each in spec.get("resourceClaims") or []}
    taken: set[tuple[int, str]] = set()
    for each in containers(spec):
        name = each["name"]
        mounts = (mount["name"] for mount in each.get("volumeMounts", []))
        yield from (f"{name}: no volume {mount}" for mount in mounts if mount not in volumes)
        wanted = (claim["name"] for claim in each.get("resources", {}).get("claims", []))
        yield from (f"{name}: no resource claim {claim}" for claim in wanted if claim not in claims)
        for port in each.get("ports", []):
            key = (port["containerPort"], port.get("protocol", "TCP"))
            if key in taken:
                yield f"{name}: port {key} is taken"
            taken.add(key)
