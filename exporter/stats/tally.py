"""Tally: what one span of time counted in all columns of a layout; two of them add up.

Refuses to know time and where cells came from. Invariant: `add` of tallies equals the tally of all their rows,
exactly for counts, within rounding for moments and sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.compared import Compared, Places
from exporter.stats.moments import combine, empty_moments

_MOST_WAITING = 16


@dataclass(slots=True)
class Tally:
    """`counts` over the layout's flat vector, `block` of moments (6, columns); over the compared bins `sums` of values
    (0 in categorical ones) and `clusters` (3, compared columns), see `clusters.py`.

    `rows` is at least the largest count.
    """

    rows: int
    counts: IntArray
    block: FloatArray
    sums: FloatArray
    clusters: IntArray
    # Blocks that are not yet combined into the first: many at once cost hardly more than one.
    _waiting: list[FloatArray] = field(default_factory=list)
    _combined: FloatArray | None = None  # what they come to, once that was asked

    @staticmethod
    def empty(size: int, columns: int, compared: Compared) -> Tally:
        """Nothing yet."""
        sums, clusters = np.zeros(compared.size), np.zeros((3, len(compared.places)), np.int64)
        return Tally(0, np.zeros(size, np.int64), empty_moments(columns), sums, clusters)

    def add(self, other: Tally) -> None:
        """Take in all that `other` counted."""
        self._waiting.append(other.moments)
        self._combined = None
        if len(self._waiting) >= _MOST_WAITING:
            self.block = self.moments
            self._waiting = []
        self.rows += other.rows
        self.counts += other.counts
        self.sums += other.sums
        self.clusters += other.clusters

    def copy(self) -> Tally:
        """One of its own."""
        return Tally(self.rows, self.counts.copy(), self.moments, self.sums.copy(), self.clusters.copy())

    @property
    def moments(self) -> FloatArray:
        """Moments (6, columns) of all rows; never changed afterwards."""
        if not self._waiting:
            return self.block
        # Every window asks, and so do the totals.
        if self._combined is None:
            self._combined = combine(np.stack((self.block, *self._waiting)))
        return self._combined

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; of the blocks that may wait as many as there can be, and what they come to."""
        blocks = (2 + _MOST_WAITING) * self.block.nbytes
        return self.counts.nbytes + blocks + self.sums.nbytes + self.clusters.nbytes


@dataclass(frozen=True, slots=True)
class Moves:
    """Where the cells, columns, compared bins and compared columns of one layout lie in a larger one."""

    cells: Places
    columns: Places
    bins: Places
    compared: Places
