"""Rolling sums: windows over arrays that add up, for what is not counted in bins: pairs of columns, whole rows.

The panes are those of `window.py`: live at `now` if their slot is one of the last, as many as panes. Refuses to
know what is summed. Invariants: reading changes nothing; `merge` equals concatenation while no clock goes back
by more than a window; memory does not depend on traffic.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray
from exporter.stats.ring import NEVER
from exporter.stats.window import LENGTHS_SECONDS, PANES


class RollingSums:
    """Sums of arrays of one shape, over several lengths and since the start."""

    def __init__(
        self, shape: tuple[int, ...], lengths: tuple[float, ...] = LENGTHS_SECONDS, panes: int = PANES
    ) -> None:
        """`lengths` in seconds. Raises ValueError unless they are distinct and positive, and panes at least one."""
        if panes < 1 or len(set(lengths)) != len(lengths) or not all(0 < one < math.inf for one in lengths):
            raise ValueError(f"at least one pane and distinct positive lengths expected: {panes}, {lengths}")
        self.shape = shape
        self.lengths = lengths
        self.panes = panes
        self._slots = np.full((len(lengths), panes), NEVER, np.int64)
        self._sums = np.zeros((len(lengths), panes, *shape))
        self._total = np.zeros(shape)

    def add(self, now: float, sums: FloatArray, at: float | None = None) -> None:
        """Count into the pane of `now` of every length; or of `at`, where a window reaches back so far."""
        late = at is not None and at < now
        last = self.slots_at(now)
        for row, slot in enumerate(self.slots_at(at) if at is not None and late else last):
            # A pane that holds a later slot, after a clock went back, keeps it.
            if not late or last[row] - self.panes < slot >= self._slots[row, slot % self.panes]:
                self._add(row, slot, sums)
        self._total += sums

    def read(self, now: float, length: float) -> FloatArray:
        """The sums of the window that ends at `now`. Raises KeyError for a length not kept."""
        if length not in self.lengths:
            raise KeyError(length)
        row = self.lengths.index(length)
        last = self.slots_at(now)[row]
        live = (self._slots[row] > last - self.panes) & (self._slots[row] <= last)
        return np.asarray(self._sums[row, live].sum(axis=0), np.float64)

    def total(self) -> FloatArray:
        """Everything since the start."""
        return self._total.copy()

    def merge(self, other: RollingSums) -> None:
        """Take in all that `other` counted. Raises ValueError unless shape, lengths and panes agree."""
        if (self.shape, self.lengths, self.panes) != (other.shape, other.lengths, other.panes):
            raise ValueError("rolling sums merge only if shape, lengths and panes are the same")
        for row, slots in enumerate(other._slots.tolist()):
            for pane, slot in enumerate(slots):
                if slot != NEVER and slot >= self._slots[row, pane]:
                    self._add(row, slot, other._sums[row, pane])
        self._total += other._total

    @property
    def arrays(self) -> tuple[NDArray[np.int64], FloatArray]:
        """All that rolls: the slot of every pane, and its sums; what snapshots hold."""
        return self._slots, self._sums

    def copied(self) -> RollingSums:
        """The rolling sums once more, without the total; later additions do not show."""
        copy = RollingSums(self.shape, self.lengths, self.panes)
        copy.load(self._slots.copy(), self._sums.copy())
        return copy

    def load(self, slots: NDArray[np.int64], sums: FloatArray) -> None:
        """Take these in place of its own: of the shapes of `arrays`."""
        self._slots, self._sums = slots, sums

    def slots_at(self, now: float) -> list[int]:
        """The slot of each length."""
        return [math.floor(now / (length / self.panes)) for length in self.lengths]

    def _add(self, row: int, slot: int, sums: FloatArray) -> None:
        pane = slot % self.panes
        if self._slots[row, pane] != slot:
            self._slots[row, pane] = slot
            self._sums[row, pane] = 0.0
        self._sums[row, pane] += sums
