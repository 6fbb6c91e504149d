"""The format of our own, as `modeltap describe` writes it: a JSON object of identity and sections, or that as YAML."""

import json
from typing import BinaryIO, Final

from exporter.describe.description import Description
from exporter.describe.description import describe as described
from exporter.describe.reading import mapping_of_yaml

NAMES: Final = (
    "modeltap.json",
    "*.description.json",
    "description.json",
    "description.y*ml",
    "*.description.y*ml",
)


def read(stream: BinaryIO) -> Description:
    """JSON is YAML, but for what nobody writes."""
    return described(mapping_of_yaml(stream))


def text(description: Description) -> str:
    """The file."""
    return json.dumps(description.document(), indent=2, ensure_ascii=False) + "\n"
