"""Body bytes -> JSON values, and typed access to their fields, for every dialect whose body is JSON.

Knows no dialect and no column. Whatever the bytes are, the outcome is a value or Undecodable.
"""

import json
import re
from typing import Any, Final

import orjson

from exporter.records.observation import Undecodable

MAX_NAME = 128
# Join keys are compared, never shown: one that does not fit is left out; a cut one would join wrongly.
MAX_ID = 256
# Lists and objects of one body, as far as their brackets tell: an empty one takes two bytes on the wire and thirty
# times that in memory, where numbers and texts take less than ten times.
MAX_CONTAINERS: Final = 1 << 18
# Bodies with bare tokens go through a parser that is several times slower.
MAX_BARE: Final = 8 << 20
_LONE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """The JSON value in `body` (UTF-8). Bare NaN, Infinity and -Infinity are read: real servers write them.

    Raises Undecodable "not_json", "too_many_values" beyond MAX_CONTAINERS, or, for nesting that exhausts the fallback
    parser, "too_deep".
    """
    refuse_many(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Only the tokens that orjson refuses by design are worth a second, slower attempt.
        if len(body) > MAX_BARE or (b"NaN" not in body and b"Infinity" not in body):
            raise Undecodable("not_json") from None
    try:
        value = json.loads(body.decode("utf-8"))
        if _LONE.search(body) is not None:
            # The slower parser lets lone surrogates pass, which no label and no export could encode.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise Undecodable("not_json") from error
    except RecursionError as error:
        raise Undecodable("too_deep") from error
    return value


def refuse_many(body: bytes) -> None:
    """Undecodable "too_many_values" if the body could hold more than MAX_CONTAINERS lists and objects."""
    if len(body) >= 2 * MAX_CONTAINERS and body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise Undecodable("too_many_values")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; Undecodable "wrong_type" for any other JSON value."""
    value = parse(body)
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    return value


def required(fields: dict[str, Any], name: str, kind: type) -> Any:
    """The field of exactly that type (a bool is no int); Undecodable "missing_field" or "wrong_type"."""
    value = fields.get(name)
    if value is None:
        raise Undecodable("missing_field")
    if type(value) is not kind:
        raise Undecodable("wrong_type")
    return value


def text(value: Any, limit: int = MAX_NAME) -> str:
    """A name or version as text: strings cut at `limit`, integers in decimal, "" for anything else."""
    if type(value) is int:
        value = str(value)
    return value[:limit] if type(value) is str else ""


def identifier(value: Any) -> str:
    """A join key: the string as it is, "" for anything else and for one longer than MAX_ID characters."""
    return value if type(value) is str and len(value) <= MAX_ID else ""
