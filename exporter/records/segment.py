"""Segments: columns that part rows into groups which an owner names, such as sex=F|M or age<=25|45.

What is not among the named groups is `<other>`: a group is a label value, and nobody's word becomes one by itself.
Refuses to know arrays. Invariant: a Segment that was parsed has between 2 and 17 groups, all different.
"""

import math
from dataclasses import dataclass
from typing import Final

from exporter.records.exchange import OTHER

MAX_SEGMENTS: Final = 4
MAX_GROUPS: Final = 16
_MAX_NAME: Final = 64
EXPECTED: Final = (
    f"expected COLUMN=GROUP|GROUP… or COLUMN<=NUMBER|NUMBER… with rising numbers, 1 to {MAX_GROUPS} different ones"
    f" of at most {_MAX_NAME} printable characters; at most {MAX_SEGMENTS} columns, each once"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One column. `words`: its groups by name; or `edges`: its groups end at these numbers, and one is above."""

    column: str
    words: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all; the place of a group is what rows keep of it."""
        if self.edges:
            return (*(f"<={edge:g}" for edge in self.edges), f">{self.edges[-1]:g}")
        return (*self.words, OTHER)

    @property
    def text(self) -> str:
        """As an owner writes it."""
        if self.edges:
            return f"{self.column}<={'|'.join(map(repr, self.edges))}"
        return f"{self.column}={'|'.join(self.words)}"


def parse(text: str) -> Segment:
    """The segment of a text. Raises ValueError."""
    head, sign, tail = text.partition("=")
    banded = head.endswith("<")
    column, parts = head.removesuffix("<").strip(), [part.strip() for part in tail.split("|")]
    good = sign and column and all(parts) and len(set(parts)) == len(parts) <= MAX_GROUPS
    if not good or not all(len(part) <= _MAX_NAME and part.isprintable() for part in (column, *parts)):
        raise ValueError(EXPECTED)
    if not banded:
        if OTHER in parts:
            raise ValueError(EXPECTED)
        return Segment(column, tuple(parts))
    try:
        edges = tuple(map(float, parts))
    except ValueError:
        raise ValueError(EXPECTED) from None
    made = Segment(column, edges=edges)
    # Groups of edges that six digits cannot tell apart would share a name.
    if not all(map(math.isfinite, edges)) or sorted(set(edges)) != list(edges):
        raise ValueError(EXPECTED)
    if len(set(made.groups)) < len(made.groups):
        raise ValueError(EXPECTED)
    return made


def parse_all(texts: list[str]) -> tuple[Segment, ...]:
    """All segments of a configuration. Raises ValueError."""
    found = tuple(map(parse, texts))
    if len(found) > MAX_SEGMENTS or len({one.column for one in found}) < len(found):
        raise ValueError(EXPECTED)
    return found
