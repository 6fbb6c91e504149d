"""Two descriptions -> what differs, value by value. Pure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from exporter.describe.description import IDENTITY, Description, digest


class Difference(NamedTuple):
    """`place` is a path such as hyperparameters.depth; None stands for nothing there."""

    place: str
    before: Any
    after: Any


_ABSENT: Final = object()


def differences(before: Description, after: Description) -> Iterator[Difference]:
    """In the order of the schema; features and thresholds are told apart by their names.

    There is one wherever the digests are two; besides, of owner and team.
    """
    for key in IDENTITY:
        yield from _between(key, getattr(before, key) or _ABSENT, getattr(after, key) or _ABSENT)
    for name in dict.fromkeys((*before.sections, *after.sections)):
        yield from _between(name, before.sections.get(name, _ABSENT), after.sections.get(name, _ABSENT))


def _between(place: str, before: Any, after: Any) -> Iterator[Difference]:
    if _ABSENT in (before, after):
        if before is not after:
            yield Difference(place, *(None if one is _ABSENT else one for one in (before, after)))
        return
    # True is not 1, and lists have an order.
    if digest(before) == digest(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _between(f"{place}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
        return
    one, other = _named(before), _named(after)
    if one is None or other is None:
        yield Difference(place, before, after)
        return
    for key in dict.fromkeys((*one, *other)):
        yield from _between(f"{place}[{key}]", one.get(key, _ABSENT), other.get(key, _ABSENT))
    if list(one) != list(other) and one.keys() == other.keys():
        yield Difference(f"{place} (order)", list(one), list(other))


def _named(value: Any) -> dict[str, Any] | None:
    """A list of things with different names, by name."""
    if not isinstance(value, list) or not all(isinstance(one, dict) and "name" in one for one in value):
        return None
    found = {str(one["name"]): one for one in value}
    return found if len(found) == len(value) else None
