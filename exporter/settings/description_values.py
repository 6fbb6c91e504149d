"""How settings of what a model is made of are read: its files and the digests that they should have, thresholds."""

import json
import re
from typing import Any, Final

from exporter.records.threshold import MAX_THRESHOLDS, Threshold
from exporter.records.threshold import parse as parse_thresholds
from exporter.settings.values import texts

MAX_PLACES: Final = 64
MAX_DESCRIPTIONS: Final = 16
MAX_LABEL: Final = 256
_ARTIFACT: Final = re.compile(r"(/[^\0]*?)(?:=sha256:([0-9a-fA-F]{64}))?", re.DOTALL)
_EXPECTED: Final = (
    f"expected at most {MAX_PLACES} absolute paths or patterns, each with =sha256: and 64 hexadecimal digits "
    "or without"
)


def artifacts(value: Any) -> tuple[str, ...]:
    """Files or patterns, each with the digest that is expected or without."""
    found = texts(value)
    if len(found) > MAX_PLACES:
        raise ValueError(_EXPECTED)
    for one in found:
        if split(one)[0] == "" or (not split(one)[1] and "=sha256:" in one):
            raise ValueError(_EXPECTED)
    return found


def split(artifact: str) -> tuple[str, str]:
    """Path, and digest or ""; a path of "" for what is no artifact."""
    found = _ARTIFACT.fullmatch(artifact)
    return (found[1], (found[2] or "").lower()) if found is not None else ("", "")


def descriptions(value: Any) -> tuple[str, ...]:
    """Files or folders of descriptions, each with the digest that is expected or without."""
    found = artifacts(value)
    named = all(one.isprintable() and len(split(one)[0]) <= MAX_LABEL for one in found)
    if len(found) > MAX_DESCRIPTIONS or not named:
        raise ValueError(
            f"expected at most {MAX_DESCRIPTIONS} absolute paths of at most {MAX_LABEL} printable characters"
        )
    return found


def places(value: Any) -> tuple[str, ...]:
    """Files, by absolute path."""
    found = texts(value)
    if len(found) > MAX_PLACES or not all(one.startswith("/") and "\0" not in one for one in found):
        raise ValueError(f"expected at most {MAX_PLACES} absolute paths")
    return found


def thresholds(value: Any) -> tuple[Threshold, ...]:
    """A list of thresholds, or that as JSON. Problems tells all."""
    expected = f"expected a list of at most {MAX_THRESHOLDS} mappings"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{expected}, as JSON") from None
    if isinstance(value, tuple) and all(isinstance(one, Threshold) for one in value):
        return value
    if not isinstance(value, list):
        raise ValueError(expected)
    return parse_thresholds(value)
