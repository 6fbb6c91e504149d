"""Frozen dataclasses <-> JSON values, and what is wrong with a JSON value, from the dataclasses' types alone.

Refuses to know what the nouns mean. Understands str, int (never negative), float (finite), bool, unions with None,
tuples and dataclasses of these. A field marked `LATER` may be missing, and is not written while it has its default, so
that files from before it was there keep their hash. Invariant: a value without problems is built without an exception,
and what was built is written the same way: 30 and 30.0 are one number where a float is meant.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterator
from typing import Any, cast, get_args, get_origin, get_type_hints

LATER = {"later": True}


def plain(value: Any) -> Any:
    """The JSON value of a noun."""
    if dataclasses.is_dataclass(value):
        shown = [field for field in dataclasses.fields(value) if field.init]
        parts = {field: getattr(value, field.name) for field in shown}
        return {f.name: plain(part) for f, part in parts.items() if not (_later(f) and part == f.default)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def built(kind: Any, value: Any) -> Any:
    """The noun of a JSON value in which `problems` found nothing."""
    if kind is float:
        return float(value)
    if get_origin(kind) is types.UnionType:
        return None if value is None else built(_inner(kind), value)
    if get_origin(kind) is tuple:
        return tuple(built(item, each) for item, each in zip(_items(kind, len(value)), value, strict=True))
    if dataclasses.is_dataclass(kind):
        hints, made = hints_of(kind), cast("Callable[..., Any]", kind)
        return made(**{key: built(hints[key], item) for key, item in value.items()})
    return value


def problems(kind: Any, value: Any, place: str) -> Iterator[str]:
    """What is wrong, each with the place, what was found and what was expected."""
    if get_origin(kind) is types.UnionType:
        if value is not None:
            yield from problems(_inner(kind), value, place)
    elif get_origin(kind) is tuple:
        yield from _tuple_problems(kind, value, place)
    elif dataclasses.is_dataclass(kind):
        yield from _object_problems(kind, value, place)
    elif not _SCALARS[kind][0](value):
        yield f"{place}: {shown(value)}, expected {_SCALARS[kind][1]}"


def shown(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a noun."""
    if get_origin(kind) is types.UnionType:
        return {"anyOf": [schema_of(_inner(kind)), {"type": "null"}]}
    if get_origin(kind) is tuple:
        items = get_args(kind)
        if items[-1] is Ellipsis:
            return {"type": "array", "items": schema_of(items[0])}
        return {
            "type": "array",
            "prefixItems": [schema_of(item) for item in items],
            "items": False,
            "minItems": len(items),
        }
    if dataclasses.is_dataclass(kind):
        hints = hints_of(kind)
        properties = {key: schema_of(item) for key, item in hints.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": [key for key in hints if key not in _optional(kind)],
            "additionalProperties": False,
        }
    return dict(_SCALARS[kind][2])


def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's parameters, by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _later(field: dataclasses.Field[Any]) -> bool:
    return field.metadata.get("later", False) is True


def _optional(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind) if _later(field)}


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0 that 64 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


_SCALARS: dict[Any, tuple[Any, str, dict[str, Any]]] = {
    str: (lambda value: isinstance(value, str), "a string", {"type": "string"}),
    bool: (lambda value: isinstance(value, bool), "true or false", {"type": "boolean"}),
    int: (is_count, "a whole number >= 0", {"type": "integer", "minimum": 0}),
    float: (is_number, "a finite number", {"type": "number"}),
}


def _inner(kind: Any) -> Any:
    return next(item for item in get_args(kind) if item is not type(None))


def _items(kind: Any, length: int) -> list[Any]:
    items = get_args(kind)
    return [items[0]] * length if items[-1] is Ellipsis else list(items)


def _tuple_problems(kind: Any, value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{place}: {shown(value)}, expected a list"
        return
    items = _items(kind, len(value))
    if len(items) != len(value):
        yield f"{place}: {len(value)} values, expected {len(items)}"
        return
    for index, (item, each) in enumerate(zip(items, value, strict=True)):
        yield from problems(item, each, f"{place}[{index}]")


def _object_problems(kind: Any, value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: {shown(value)}, expected an object"
        return
    hints = hints_of(kind)
    for key in hints:
        if key not in value and key not in _optional(kind):
            yield f"{place}.{key}: missing"
    for key, item in value.items():
        if key in hints:
            yield from problems(hints[key], item, f"{place}.{key}")
        else:
            yield f"{place}.{key}: unknown key, expected one of {', '.join(hints)}"
