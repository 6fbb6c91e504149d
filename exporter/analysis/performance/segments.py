"""Segments of rows and of labels: cells -> places of groups, and those again from what a label says of its row.

A row keeps a place for each segment, of those that its `What` names; a label keeps places too, and what they are places
of, since who takes it need not know its rows. Refuses to know names of models. Invariant: nothing raises for any cells;
a cell that is missing is in no group.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.pending.row import version_id
from exporter.records.observation import Column
from exporter.records.segment import MAX_SEGMENTS, Segment
from exporter.stats import canonical

NONE: Final = 255
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


class Named(NamedTuple):
    """The groups that a label tells: a place in each of four segments, and three bytes of what these are."""

    places: bytes
    segments: bytes


def named(segments: Sequence[Segment], groups: Iterable[tuple[str, str]]) -> Named | None:
    """What a label keeps of the groups that it tells; None if it tells of no segment."""
    told = dict(groups)
    found = [NONE] * MAX_SEGMENTS
    for number, segment in enumerate(segments):
        if segment.column in told:
            found[number] = place_of(segment, told[segment.column])
    return Named(bytes(found), digest(segments).to_bytes(3, "little")) if set(found) != {NONE} else None


def place_of(segment: Segment, value: str) -> int:
    """The group that a value is in; none for a text where numbers were expected."""
    if not segment.edges:
        name = canonical(value)
        return segment.words.index(name) if name in segment.words else len(segment.words)
    number = _number(value)
    return int(np.searchsorted(segment.edges, number)) if number == number else NONE


def digest(segments: Sequence[Segment]) -> int:
    """24 bits of what segments are, never 0: places of others say nothing here."""
    return version_id("\0".join(segment.text for segment in segments)) & 0xFFFFFF or 1


def settled(segments: Sequence[Segment], rows: Places, labels: NDArray[Any]) -> Places:
    """The groups of rows whose labels may say better: what a label says of a segment is so."""
    if not segments or "groups" not in (labels.dtype.names or ()):
        return rows
    told = (labels["segments"] == digest(segments))[:, None] & (labels["groups"] != NONE)
    return np.where(told, labels["groups"], rows)
