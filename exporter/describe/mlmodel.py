"""MLflow's `MLmodel`: flavours, signature, run, environment. Paths of pickles in it are texts; nothing is loaded."""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from exporter.describe.description import Description, describe
from exporter.describe.reading import chosen, mapping_of_yaml, without

NAMES: Final = ("MLmodel",)
_VERSIONS: Final = ("python_version", "env", "mlflow_version")


def read(stream: BinaryIO) -> Description:
    """Name and version are told by the registry only, where it wrote them."""
    found = mapping_of_yaml(stream)
    flavours = found.get("flavors")
    flavours = {str(name): said for name, said in flavours.items()} if isinstance(flavours, Mapping) else {}
    signature = found.get("signature")
    signature = signature if isinstance(signature, Mapping) else {}
    inputs = _columns(signature.get("inputs"))
    python = flavours.get("python_function")
    environment = chosen(found, "mlflow_version", "model_size_bytes") | _versions(flavours)
    if isinstance(python, Mapping):
        environment |= chosen(python, *_VERSIONS)
    metadata = found.get("metadata")
    own = metadata if isinstance(metadata, Mapping) else {}
    params = _columns(signature.get("params"))
    return describe(
        {
            "name": found.get("name") or own.get("name"),
            "version": found.get("version") or own.get("version"),
            "owner": own.get("owner"),
            "team": own.get("team"),
            "run_id": found.get("run_id"),
            "checkpoint": found.get("model_uuid") or found.get("model_id"),
            "architecture": {
                "flavors": {name: _flavour(said) for name, said in flavours.items()},
                **({"outputs": _columns(signature.get("outputs"))} if signature.get("outputs") else {}),
            },
            "hyperparameters": {str(one.get("name")): one.get("default") for one in params},
            "features": [{"name": str(one.get("name") or place)} | one for place, one in enumerate(inputs)],
            "training_data": without(own, "owner", "team", "name", "version"),
            "environment": environment,
        },
        "mlflow",
    )


def _columns(value: Any) -> list[dict[str, Any]]:
    """A signature is JSON in a text."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return []
    return [dict(one) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _flavour(said: Any) -> Any:
    return without(said, *_VERSIONS) if isinstance(said, Mapping) else said


def _versions(flavours: Mapping[str, Any]) -> dict[str, Any]:
    """sklearn_version and its like."""
    said = [flavour for flavour in flavours.values() if isinstance(flavour, Mapping)]
    return {key: each[key] for each in said for key in each if str(key).endswith("_version")}
