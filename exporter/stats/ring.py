"""Ring: panes of one window length. A pane is live at `now` if its time slot is one of the last, as many as panes.

Refuses to know what the columns mean. Invariant: `add` of one pane after another, in any order of time, leaves the
latest slot of each pane; reading changes nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.layout import Layout
from exporter.stats.moments import combine, empty_moments
from exporter.stats.tally import Moves, Tally

NEVER = int(np.iinfo(np.int64).min)
_LARGEST_UINT32 = np.iinfo(np.uint32).max


class Ring:
    """`slots[i]` is the time slot (`floor(now / pane_seconds)`) whose counts pane i holds."""

    def __init__(self, layout: Layout, length: float, panes: int) -> None:
        self.pane_seconds = length / panes
        self.slots = np.full(panes, NEVER, np.int64)
        self.rows = np.zeros(panes, np.int64)
        # uint32 halves the memory; a pane that would overflow widens the ring, see `_add_counts`.
        self.counts: NDArray[np.uint32 | np.int64] = np.zeros((panes, layout.size), np.uint32)
        self.moments = np.stack([empty_moments(len(layout.columns))] * panes)
        self.sums: FloatArray = np.zeros((panes, layout.compared.size))
        self.clusters: IntArray = np.zeros((panes, 3, len(layout.compared.places)), np.int64)

    @property
    def arrays(self) -> tuple[NDArray[np.int64 | np.uint32 | np.float64], ...]:
        """All that it holds, in the order of snapshots."""
        return self.slots, self.rows, self.counts, self.moments, self.sums, self.clusters

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)

    def slot_at(self, now: float) -> int:
        return math.floor(now / self.pane_seconds)

    def add(self, slot: int, tally: Tally) -> None:
        """Count into the pane of this slot; one that held another slot is emptied first."""
        pane = slot % len(self.slots)
        self._claim(pane, slot)
        self._add_counts(pane, tally.counts, tally.rows)
        self.moments[pane] = combine(np.stack((self.moments[pane], tally.moments)))
        self.sums[pane] += tally.sums
        self.clusters[pane] += tally.clusters

    def read(self, now: float, slot: int, newest: Tally) -> Tally:
        """What is live at `now`, with `newest` as if it had been added to `slot`."""
        last = self.slot_at(now)
        # Compared with the slot numbers and not subtracted from them: `NEVER` minus anything would wrap.
        live = (self.slots > last - len(self.slots)) & (self.slots <= last)
        pane = slot % len(self.slots)
        if newest.rows and self.slots[pane] != slot:
            live[pane] = False
        # Without a copy where all are live, as in a window that has been full once.
        those = slice(None) if live.all() else live
        rows = int(self.rows[those].sum())
        kind = np.uint32 if self.counts.dtype == np.uint32 and rows <= _LARGEST_UINT32 else np.int64
        counts = self.counts[those].sum(axis=0, dtype=kind).astype(np.int64)
        sums, clusters = self.sums[those].sum(axis=0), self.clusters[those].sum(axis=0)
        if not newest.rows or not last - len(self.slots) < slot <= last:
            return Tally(rows, counts, combine(self.moments[those]), sums, clusters)
        # Not by `Tally.add`: what is combined once more costs as much again.
        moments = combine(np.concatenate((self.moments[those], newest.moments[None])))
        together = counts + newest.counts, moments, sums + newest.sums, clusters + newest.clusters
        return Tally(rows + newest.rows, *together)

    def merge(self, other: Ring) -> None:
        """Take in the panes of another; of two slots that share a pane the later stays."""
        for pane, slot in enumerate(other.slots.tolist()):
            if slot != NEVER and slot >= self.slots[pane]:
                self.add(slot, other.pane(pane))

    def pane(self, pane: int) -> Tally:
        """One pane, to be read only."""
        counts = self.counts[pane].astype(np.int64)
        return Tally(int(self.rows[pane]), counts, self.moments[pane], self.sums[pane], self.clusters[pane])

    def adopt(self, other: Ring, moves: Moves) -> None:
        """Take over the panes of a ring whose layout is contained in this one's."""
        self.slots[:] = other.slots
        self.rows[:] = other.rows
        self.counts = self.counts.astype(other.counts.dtype)
        self.counts[:, moves.cells] = other.counts
        self.moments[:, :, moves.columns] = other.moments
        self.sums[:, moves.bins] = other.sums
        self.clusters[:, :, moves.compared] = other.clusters

    def load(self, *arrays: NDArray[Any]) -> None:
        """Take these in place of its own: as many as `arrays`, of the same shapes and kinds."""
        self.slots, self.rows, self.counts, self.moments, self.sums, self.clusters = arrays

    def _claim(self, pane: int, slot: int) -> None:
        # A clock that went back by a window or more finds a later slot here: the present wins, or nothing
        # would be counted until that time comes round again.
        if self.slots[pane] == slot:
            return
        self.slots[pane] = slot
        self.rows[pane] = 0
        self.counts[pane] = 0
        self.moments[pane] = empty_moments(self.moments.shape[2])
        self.sums[pane] = 0.0
        self.clusters[pane] = 0

    def _add_counts(self, pane: int, counts: IntArray, rows: int) -> None:
        self.rows[pane] += rows
        if self.counts.dtype == np.uint32 and self.rows[pane] > _LARGEST_UINT32:
            self.counts = self.counts.astype(np.int64)
        self.counts[pane] += counts.astype(self.counts.dtype)
