"""Heads -> what they say about a body: its media type.

Knows no dialect.
"""

import re
from typing import Final

JSON = frozenset({"application/json", "text/json"})
CSV = frozenset({"text/csv", "application/csv"})
JSON_LINES = frozenset(
    {
        *("application/jsonlines", "application/x-jsonlines", "application/jsonl"),
        *("application/x-ndjson", "application/json-lines"),
    }
)
_IMAGE: Final = "application/x-image"  # SageMaker's name for any
_CONTENT_TYPE: Final = re.compile(rb"(?i)\r\ncontent-type:[ \t]*([!-:<-~]*)")


def media_type(head: bytes) -> str:
    """The media type of the body in lower case, without its parameters; "" if the head does not tell."""
    found = _CONTENT_TYPE.search(head)
    return found[1].decode("ascii").lower() if found is not None else ""


def is_image(media: str) -> bool:
    """Whether a body of that media type is one image."""
    return media.startswith("image/") or media == _IMAGE


def is_json(media: str) -> bool:
    """Whether a body of that media type has to be one JSON value."""
    return media in JSON or media.endswith("+json")
