"""Rows that came before: a hash of each row, and a table of fixed size of those seen lately.

The table is lossy: a place holds one hash, and the next row that falls on it takes it. So a repeat is found with
probability exp(-n / PLACES) after n other rows in between: 98.5 % after 1,000, 86 % after 10,000, 22 % after 100,000.
What is found is a repeat but for collisions of 64-bit hashes: one row in 10**14, with a full table. Refuses to
know names and models; `now` is an argument. Invariants: memory never grows; a row counts once for each time that it
comes again.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PLACES: Final = 1 << 16
# Numbers of one batch that are hashed at most; rows beyond them are not looked at.
MAX_CELLS: Final = 1 << 20
Hashes = NDArray[np.uint64]
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))


class Repeats:
    """`see` hashes of rows and tell how many were there in the last `seconds`, in the same batch too."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._hashes: Hashes = np.zeros(PLACES, np.uint64)
        self._times = np.full(PLACES, -np.inf)

    def see(self, hashes: Hashes, now: float) -> int:
        """How many of them are repeats."""
        distinct = np.unique(hashes) if len(hashes) > 1 else hashes
        places = (distinct & np.uint64(PLACES - 1)).astype(np.intp)
        # A clock that was set back makes no row old.
        seen = (self._hashes[places] == distinct) & (now - self._times[places] <= self._seconds)
        self._hashes[places] = distinct
        self._times[places] = now
        return len(hashes) - len(distinct) + int(np.count_nonzero(seen))


def row_hashes(columns: Sequence[NDArray[Any]], salt: int = 0) -> Hashes:
    """A hash of each row of columns of one length: numbers, objects that can be hashed, or tables of numbers.

    Equal cells are equal hashes whatever the width of the float; 0 is -0, and every NaN is one. Those of texts hold
    within this process only. Of more cells than MAX_CELLS the first rows are hashed.
    """
    if not columns:
        return np.zeros(0, np.uint64)
    width = sum(column.shape[1] if column.ndim == 2 else 1 for column in columns)
    rows = min(len(columns[0]), MAX_CELLS // max(1, width))
    if not rows:
        return np.zeros(0, np.uint64)
    return _hashed(np.concatenate([_bits(column[:rows]) for column in columns]).reshape(-1, rows), salt)


def table_hashes(table: NDArray[np.floating[Any]], salt: int = 0) -> Hashes:
    """The same of numbers alone, a row for each column: shape (columns, rows)."""
    rows = min(table.shape[1], MAX_CELLS // max(1, len(table)))
    return _hashed(_bits(table[:, :rows].T).reshape(-1, rows), salt) if rows else np.zeros(0, np.uint64)


def _hashed(table: Hashes, salt: int) -> Hashes:
    """Of 64 bits for each cell, shape (columns, rows); the table is used up."""
    table ^= _keys(len(table))[:, None]
    found: Hashes = _mixed(table).sum(axis=0, dtype=np.uint64)
    return _mixed(found ^ np.uint64(salt & 0xFFFFFFFFFFFFFFFF))


@lru_cache(maxsize=64)
def _keys(count: int) -> Hashes:
    """Each place has a key of its own before the mixing, so that values that change places are another row.

    A factor for each would not do: sums of multiples collide for small numbers.
    """
    return _mixed(np.arange(1, count + 1, dtype=np.uint64) * _ODD)


def _mixed(bits: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014), in place: a bijection that spreads every bit."""
    bits ^= bits >> _SHIFTS[0]
    bits *= _MIX[0]
    bits ^= bits >> _SHIFTS[1]
    bits *= _MIX[1]
    bits ^= bits >> _SHIFTS[2]
    return bits


def _bits(column: NDArray[Any]) -> Hashes:
    """64 bits for each cell; those of a table one place after another, as its columns would be."""
    if column.dtype.kind == "O":
        return np.fromiter(map(hash, column.tolist()), np.int64, len(column)).view(np.uint64)
    values = np.ascontiguousarray(column.T, np.float64).ravel() + 0.0
    gaps = np.isnan(values)
    if gaps.any():
        values[gaps] = np.nan
    bits: Hashes = values.view(np.uint64)
    return bits
