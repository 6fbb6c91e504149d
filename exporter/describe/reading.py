"""JSON and YAML of a bounded size, with problems told as those of a setting are; what formats share."""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from exporter.records.problems import Problems

MAX_BYTES: Final = 4 << 20


def bounded(stream: BinaryIO) -> str:
    """All of it as text."""
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Problems([f": more than {MAX_BYTES} bytes, expected a description"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problems([f": byte {error.start}: expected UTF-8"]) from None


def mapping_of_json(stream: BinaryIO) -> dict[str, Any]:
    """A JSON object."""
    text = bounded(stream)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise Problems([f": line {error.lineno}: {error.msg}; expected JSON"]) from None
    except (RecursionError, ValueError):
        raise Problems([": expected JSON that is not nested without end"]) from None
    return _mapping(found)


def mapping_of_yaml(stream: BinaryIO) -> dict[str, Any]:
    """A YAML mapping; only plain values are made."""
    import yaml  # only where a file of it is read

    text = bounded(stream)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Problems([f": {' '.join(str(error).split())}; expected YAML"]) from None
    return _mapping(found)


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise Problems([f": {type(found).__name__}, expected a mapping"])
    return {str(key): value for key, value in found.items()}


def chosen(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Those keys that are there and say something."""
    return {key: found[key] for key in keys if found.get(key) not in (None, "", [], {})}


def without(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """All others that say something."""
    return {key: value for key, value in found.items() if key not in keys and value not in (None, "", [], {})}
