"""Slots: what is kept under one key, as bytes, and the four things that can happen to it. Pure; every store's algebra.

A slot is its rows, 40 bytes each, and behind them the label that joined them: its time (float64) and its value. A
label that is parked has no rows before it, and behind it the second (u32) at which it is given up. A label takes 8 to
39 bytes; parked 12 to 43 and never 40, so the length alone tells the cases apart. The script that Redis runs says the
same in Lua; one suite holds them together.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

from exporter.pending.contract import (
    LABEL_BYTES,
    MAX_ROWS_PER_KEY,
    Label,
    Limits,
    Released,
    Rows,
    Taken,
)
from exporter.pending.row import KEY_BYTES, ROW, ROW_BYTES, SECONDS, RowArray, split

TIME_BYTES: Final = 8
_TIME: Final = struct.Struct("<d")
_UNTIL: Final = struct.Struct("<I")
_LATEST: Final = (1 << 32) - 1
# Role and version: whose answer a row is.
_WHOSE: Final = slice(1, 10)
# Of a value that would make a parked label as long as a row.
_NO_SIZE: Final = ROW_BYTES - TIME_BYTES - _UNTIL.size

Added = Literal["pending", "joined", "repeated", "evicted"]


class Ages:
    """Rows are forgotten by the bucket: a 64th of the age, at least a second, of the time of a key's first row."""

    def __init__(self, limits: Limits) -> None:
        self.age = limits.age_seconds
        self.width = max(1, math.ceil(limits.age_seconds / 64))

    def bucket(self, slot: bytes) -> int:
        """The bucket of a slot that has rows."""
        return int.from_bytes(slot[SECONDS], "little") // self.width

    def due(self, bucket: int) -> float:
        """When all of the bucket is forgotten."""
        return (bucket + 1) * self.width + self.age

    def last_due(self, now: float) -> int:
        """The latest bucket that is forgotten by now."""
        return math.floor((now - self.age) / self.width) - 1


class Admitted:
    """The rows of one `put`, by bucket; `too_old` of them are not among them. `now` is a limit of their times."""

    def __init__(self, rows: Rows, now: float, ages: Ages) -> None:
        values, self._keys = rows.values, rows.keys
        if len(values) != len(self._keys) or values.dtype != ROW or {*map(len, self._keys)} - {KEY_BYTES}:
            raise ValueError(
                f"as many keys of {KEY_BYTES} bytes as rows of {ROW_BYTES} were expected:"
                f" {len(self._keys)} keys, {len(values)} of {values.dtype}"
            )
        latest = min(int(now), _LATEST)
        if len(values) and values["seconds"].max() > latest:
            values = _not_after(values, latest)
        self._raw = split(values)
        self._buckets = np.asarray(values["seconds"], np.int64) // ages.width
        self._first = ages.last_due(now) + 1
        self.too_old = int(np.count_nonzero(self._buckets < self._first))

    def groups(self) -> Iterator[tuple[int, Sequence[bytes], Sequence[bytes]]]:
        """Bucket, keys, packed rows; usually there is one bucket."""
        if not len(self._raw):
            return
        lowest = int(self._buckets.min())
        if lowest == int(self._buckets.max()):
            if lowest >= self._first:
                yield lowest, self._keys, self._raw
            return
        for bucket in np.unique(self._buckets[self._buckets >= self._first]).tolist():
            places = np.flatnonzero(self._buckets == bucket).tolist()
            yield bucket, [self._keys[at] for at in places], [self._raw[at] for at in places]


def _not_after(values: RowArray, latest: int) -> RowArray:
    values = values.copy()
    values["fraction"][values["seconds"] > latest] = 0
    values["seconds"] = np.minimum(values["seconds"], latest)
    return values


def tail_of(label: Label) -> bytes:
    """A label as it stands behind rows. Raises ValueError for one that no owner may hand in."""
    fits = len(label.value) <= LABEL_BYTES and len(label.value) != _NO_SIZE
    if len(label.key) != KEY_BYTES or not fits or not math.isfinite(label.time):
        raise ValueError(
            f"a key of {KEY_BYTES} bytes, a value of at most {LABEL_BYTES} and not {_NO_SIZE}, and a finite time were"
            f" expected: {label}"
        )
    return _TIME.pack(label.time) + label.value


def parked(tail: bytes, until: float) -> bytes:
    """The slot of a label that waits."""
    return tail + _UNTIL.pack(min(math.ceil(until), _LATEST))


def until(slot: bytes) -> int:
    """When a parked label is given up."""
    return int(_UNTIL.unpack(slot[-_UNTIL.size :])[0])


def rows_in(slot: bytes) -> int:
    """How many rows it has; 0: a label is parked in it."""
    return _end(slot) // ROW_BYTES


def _end(slot: bytes) -> int:
    """Of its rows. Between a row and a row with a label behind it is a label that is parked."""
    size = len(slot)
    return 0 if ROW_BYTES < size < ROW_BYTES + TIME_BYTES else size // ROW_BYTES * ROW_BYTES


def pending_in(slot: bytes) -> int:
    """How many of its rows wait for a label."""
    return 0 if len(slot) % ROW_BYTES else len(slot) // ROW_BYTES


def add(slot: bytes, row: bytes) -> tuple[bytes, Added]:
    """The slot with one row more, and what became of that row."""
    end = _end(slot)
    whose = row[_WHOSE]
    for at in range(0, end, ROW_BYTES):
        if slot[at + _WHOSE.start : at + _WHOSE.stop] == whose:
            return slot, "repeated"
    if end >= MAX_ROWS_PER_KEY * ROW_BYTES:
        return slot, "evicted"
    tail = slot[end:] if end else slot[: -_UNTIL.size]
    return slot[:end] + row + tail, "joined" if tail else "pending"


def released(key: bytes, row: bytes, slot: bytes) -> Released:
    """The label of a slot, handed out with the row that has just joined it."""
    tail = slot[_end(slot) :]
    return Released(key, row, tail[TIME_BYTES:], _TIME.unpack(tail[:TIME_BYTES])[0])


def answer(slot: bytes, tail: bytes) -> tuple[bytes, Taken]:
    """The slot after a label came to it, and what became of that label."""
    end = _end(slot)
    rows, old, end_of_wait = slot[:end], slot[end:], b""
    if not old:
        return rows + tail, Taken("joined", rows)
    if not end:
        old, end_of_wait = old[: -_UNTIL.size], old[-_UNTIL.size :]
    earlier = _TIME.unpack(old[:TIME_BYTES]) <= _TIME.unpack(tail[:TIME_BYTES])
    changed = rows + tail + end_of_wait if earlier else slot
    if old[TIME_BYTES:] == tail[TIME_BYTES:]:
        return changed, Taken("duplicate")
    if not earlier:
        return slot, Taken("stale")
    return changed, Taken("corrected", rows, old[TIME_BYTES:]) if end else Taken("parked")
