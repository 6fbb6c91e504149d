"""MLServer's `model-settings.json`: the runtime, its parameters, inputs and outputs."""

from collections.abc import Mapping
from typing import BinaryIO, Final

from exporter.describe.description import Description, describe
from exporter.describe.reading import chosen, mapping_of_json, without

NAMES: Final = ("model-settings.json",)


def read(stream: BinaryIO) -> Description:
    """The version is one of its parameters."""
    found = mapping_of_json(stream)
    given = found.get("parameters")
    parameters = given if isinstance(given, Mapping) else {}
    extra = parameters.get("extra")
    inputs = found.get("inputs")
    listed = [one for one in inputs if isinstance(one, Mapping)] if isinstance(inputs, list) else []
    return describe(
        {
            "name": found.get("name"),
            "version": parameters.get("version"),
            "checkpoint": parameters.get("uri"),
            "architecture": chosen(found, "implementation", "platform", "versions", "outputs"),
            "hyperparameters": dict(extra) if isinstance(extra, Mapping) else {},
            "features": [{"name": str(one.get("name"))} | dict(one) for one in listed],
            "preprocessing": chosen(parameters, "content_type", "format"),
            "environment": without(parameters, "version", "uri", "extra", "content_type", "format")
            | chosen(found, "max_batch_size", "max_batch_time", "parallel_workers"),
        },
        "mlserver",
    )
