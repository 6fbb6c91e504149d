"""Segments of rows and of labels: cells -> places of groups, and those again from what a label says of its row.

A row keeps a place for each segment, of those that its `What` names; a label keeps 32 bits of each group's name, since
who takes it need not know its rows. Refuses to know names of models. Invariant: nothing raises for any cells; a cell
that is missing is in no group.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.pending.row import version_id
from exporter.records.exchange import OTHER
from exporter.records.observation import Column
from exporter.records.segment import MAX_SEGMENTS, Segment
from exporter.stats import canonical

NONE: Final = 255
_BITS: Final = 0xFFFFFFFF
Places = NDArray[np.uint8]


def places(segments: Sequence[Segment], columns: Iterable[Column], rows: int) -> Places:
    """The place of the group of each row in each segment, shape (rows, 4)."""
    found = np.full((rows, MAX_SEGMENTS), NONE, np.uint8)
    named = {column.name: column for column in columns if column.kind != "vector"}
    for number, segment in enumerate(segments):
        column = named.get(segment.column)
        if column is not None and len(column.values) == rows:
            found[:, number] = _banded(segment, column) if segment.edges else _named(segment, column)
    return found


def _banded(segment: Segment, column: Column) -> Places:
    values = column.values
    if column.kind != "numeric":
        values = np.array([_number(cell) for cell in values.tolist()], np.float64)
    found = np.searchsorted(segment.edges, values, side="left").astype(np.uint8)
    found[np.isnan(values)] = NONE
    return found


def _number(cell: object) -> float:
    try:
        return float(cell) if isinstance(cell, str) else float("nan")
    except ValueError:
        return float("nan")


def _named(segment: Segment, column: Column) -> Places:
    known = {name: place for place, name in enumerate(segment.words)}
    told: dict[Any, int] = {}
    for cell in set(cells := column.values.tolist()):
        name = canonical(cell)
        told[cell] = NONE if name is None else known.get(name, len(known))
    # NaN is not equal to itself, and may be in the set more than once.
    return np.array([told.get(cell, NONE) for cell in cells], np.uint8)


def marks(segments: Sequence[Segment], groups: Iterable[tuple[str, str]]) -> list[int]:
    """What a label keeps of the groups that it names: of those that are segments."""
    named = {segment.column: segment for segment in segments}
    return [mark(named[name], group(named[name], value)) for name, value in groups if name in named]


def group(segment: Segment, value: str) -> str:
    """The group that a value is in; `<other>` also for a text where numbers were expected."""
    if not segment.edges:
        name = canonical(value)
        return name if name in segment.words else OTHER
    number = _number(value)
    return segment.groups[int(np.searchsorted(segment.edges, number))] if number == number else OTHER


def mark(segment: Segment, name: str) -> int:
    """32 bits of a group's name, never 0."""
    return version_id(f"{segment.column}\0{name}") & _BITS or 1


def settled(segments: Sequence[Segment], rows: Places, told: NDArray[np.uint32] | None) -> Places:
    """The groups of rows whose labels may say better: what a label says of a segment is so."""
    if told is None or not told.any():
        return rows
    found = rows.copy()
    for number, segment in enumerate(segments):
        for place, name in enumerate(segment.groups):
            found[(told == mark(segment, name)).any(axis=1), number] = place
    return found
