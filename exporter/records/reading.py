"""Reading: one sample line of somebody else's exposition. What a scrape of the upstream is turned into."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Reading(NamedTuple):
    """`name` is the sample's, with its suffix; `value` may be NaN or infinite."""

    name: str
    labels: Mapping[str, str]
    value: float


class Malformed(ValueError):
    """A body that is not the exposition that it should be; the text says which line, and what was expected."""


# Body, content type, names: the readings of those names. Malformed unless all of the body is an exposition.
Read = Callable[[bytes, str, frozenset[str]], Iterable[Reading]]
