"""Windows: rolling counts and moments of many columns, over several lengths, and totals since the start.

A ring of panes per length. Each pane has the number of its time slot (`floor(now / pane length)`); a pane is
live at `now` if its slot is one of the last `panes`, the current one included. So a window covers at least
(panes - 1) / panes of its length, at most all of it, and what leaves it leaves exactly.

Refuses to know what the columns mean. `now` is an argument, in seconds, of any clock. Invariants: reading is
a function of (state, now) and changes nothing; totals never go back; memory does not depend on traffic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray, IntArray, Nulls, NumericBins, Values, regroup
from exporter.stats.digest import Digest, Misfit, digest_batch
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import (
    PROBABILITIES,
    Summary,
    combine,
    empty_moments,
    summarize,
)

LENGTHS_SECONDS = (300.0, 3600.0)
PANES = 12
_NEVER = np.iinfo(np.int64).min
_LARGEST_UINT32 = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True)
class View:
    """Counts and moments of all columns over one span. Its arrays are its own; later updates do not show."""

    layout: Layout
    flat: IntArray
    moments: FloatArray

    def counts(self, name: str) -> IntArray:
        """Counts per bin of a column, int64, in the order of `layout.column(name).bins.labels`."""
        kept, starts = self.flat[self.layout.slice(name)], self.layout.column(name).starts
        return kept if starts is None else regroup(kept, starts)

    def rows(self, name: str) -> int:
        """How many cells of the column were counted, special bins included."""
        return int(self.flat[self.layout.slice(name)].sum())

    def summary(self, name: str, probabilities: tuple[float, ...] = PROBABILITIES) -> Summary:
        """Count, mean, std, extremes and quantiles; for a categorical column rows and missing only."""
        bins, counts = self.layout.column(name).kept, self.flat[self.layout.slice(name)]
        if isinstance(bins, NumericBins):
            return summarize(bins, counts, self.moments[:, self.layout.places[name]], probabilities)
        return Summary(int(counts.sum()), int(counts[bins.null]), 0)


class Windows:
    """Rolling windows over the columns of one layout, all fed by one `update` per batch."""

    def __init__(
        self, layout: Layout, lengths: tuple[float, ...] = LENGTHS_SECONDS, panes: int = PANES
    ) -> None:
        """`lengths` in seconds, distinct and positive. Raises ValueError otherwise."""
        if panes < 1 or not lengths or len(set(lengths)) != len(lengths):
            raise ValueError(f"at least one pane and distinct lengths expected, got {panes} and {lengths}")
        if not all(0 < length < math.inf for length in lengths):
            raise ValueError(f"lengths must be positive and finite, got {lengths}")
        self.layout = layout
        self.lengths = lengths
        self.panes = panes
        self._rings = {length: _Ring(layout, length, panes) for length in lengths}
        self._total = np.zeros(layout.size, np.int64)
        self._moments = empty_moments(len(layout.columns))
        self._signed = np.zeros((2, len(layout.columns)))

    def update(
        self, now: float, batch: Mapping[str, Values], nulls: Mapping[str, Nulls] | None = None
    ) -> tuple[Misfit, ...]:
        """Add a batch: one-dimensional arrays by column name; columns may be absent or differ in length.

        `nulls` gives, per column, a mask over its cells, or the number of null cells that are not in its
        array; None in an object array is null as well. Numbers are float64 (or float32, kept), categories
        strings or objects. Nothing in a batch raises: what cannot be counted is returned.
        """
        digest = digest_batch(self.layout, batch, nulls or {})
        for ring in self._rings.values():
            ring.add(now, digest)
        self._total += digest.counts
        self._moments = combine(np.stack((self._moments, digest.moments)))
        self._signed += digest.signed
        return digest.misfits

    def read(self, now: float, length: float) -> View:
        """The window of `length` seconds that ends at `now`. Raises KeyError for a length not kept."""
        counts, moments = self._rings[length].read(now)
        return View(self.layout, counts, moments)

    def totals(self) -> View:
        """Everything since the start; its counts are what counters export."""
        return View(self.layout, self._total.copy(), self._moments.copy())

    def signed_sums(self, name: str) -> tuple[float, float]:
        """Since the start: sum of the positive values, and of the negative ones as a positive number."""
        positive, negative = self._signed[:, self.layout.places[name]].tolist()
        return positive, negative

    def merge(self, other: Windows) -> None:
        """Take in all that `other` counted. Raises ValueError unless layout, lengths and panes agree.

        Law: equals one object that saw both streams, as long as no clock went back by more than a window.
        """
        if (self.layout, self.lengths, self.panes) != (other.layout, other.lengths, other.panes):
            raise ValueError("windows merge only if layout, lengths and panes are the same")
        for length, ring in self._rings.items():
            ring.merge(other._rings[length])
        self._total += other._total
        self._moments = combine(np.stack((self._moments, other._moments)))
        self._signed += other._signed

    def extended(self, layout: Layout) -> Windows:
        """The same counts under a layout that has these columns and bins and more (see `Layout.grown`).

        Raises ValueError if a column or a bin of the present layout is missing there.
        """
        places = np.array([_place(layout, column) for column in self.layout.columns], np.intp)
        cells = np.array([i for c in self.layout.columns for i in _cells(layout, c)], np.intp)
        grown = Windows(layout, self.lengths, self.panes)
        for length, ring in self._rings.items():
            grown._rings[length].adopt(ring, cells, places)
        grown._total[cells] = self._total
        grown._moments[:, places] = self._moments
        grown._signed[:, places] = self._signed
        return grown

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: rings and totals."""
        rings = sum(ring.nbytes for ring in self._rings.values())
        return rings + self._total.nbytes + self._moments.nbytes + self._signed.nbytes


class _Ring:
    """Panes of one window length. `slots[i]` is the time slot whose counts pane i holds."""

    def __init__(self, layout: Layout, length: float, panes: int) -> None:
        self.pane_seconds = length / panes
        self.slots = np.full(panes, _NEVER, np.int64)
        # uint32 halves the memory; a pane that would overflow widens the ring, see `_add_counts`.
        self.counts: NDArray[np.uint32 | np.int64] = np.zeros((panes, layout.size), np.uint32)
        self.rows = np.zeros(panes, np.int64)
        self.moments = np.stack([empty_moments(len(layout.columns))] * panes)

    @property
    def nbytes(self) -> int:
        return self.counts.nbytes + self.moments.nbytes + self.slots.nbytes + self.rows.nbytes

    def slot_at(self, now: float) -> int:
        return math.floor(now / self.pane_seconds)

    def add(self, now: float, digest: Digest) -> None:
        slot = self.slot_at(now)
        pane = slot % len(self.slots)
        self._claim(pane, slot)
        self._add_counts(pane, digest.counts, digest.rows)
        self.moments[pane] = combine(np.stack((self.moments[pane], digest.moments)))

    def read(self, now: float) -> tuple[IntArray, FloatArray]:
        slot = self.slot_at(now)
        # Compared with the slot numbers and not subtracted from them: `_NEVER` minus anything would wrap.
        live = (self.slots > slot - len(self.slots)) & (self.slots <= slot)
        return self.counts[live].sum(axis=0, dtype=np.int64), combine(self.moments[live])

    def merge(self, other: _Ring) -> None:
        for pane, slot in enumerate(other.slots.tolist()):
            if slot == _NEVER or slot < self.slots[pane]:
                continue
            self._claim(pane, slot)
            self._add_counts(pane, other.counts[pane].astype(np.int64), int(other.rows[pane]))
            self.moments[pane] = combine(np.stack((self.moments[pane], other.moments[pane])))

    def adopt(self, other: _Ring, cells: NDArray[np.intp], places: NDArray[np.intp]) -> None:
        self.slots[:] = other.slots
        self.rows[:] = other.rows
        self.counts = self.counts.astype(other.counts.dtype)
        self.counts[:, cells] = other.counts
        self.moments[:, :, places] = other.moments

    def _claim(self, pane: int, slot: int) -> None:
        # A clock that went back by a window or more finds a later slot here: the present wins, or nothing
        # would be counted until that time comes round again.
        if self.slots[pane] == slot:
            return
        self.slots[pane] = slot
        self.rows[pane] = 0
        self.counts[pane] = 0
        self.moments[pane] = empty_moments(self.moments.shape[2])

    def _add_counts(self, pane: int, counts: IntArray, rows: int) -> None:
        self.rows[pane] += rows
        if self.counts.dtype == np.uint32 and self.rows[pane] > _LARGEST_UINT32:
            self.counts = self.counts.astype(np.int64)
        self.counts[pane] += counts.astype(self.counts.dtype)


def _place(layout: Layout, column: ColumnSpec) -> int:
    if column.name not in layout.places:
        raise ValueError(f"column {column.name!r} is missing from the new layout")
    return layout.places[column.name]


def _cells(layout: Layout, column: ColumnSpec) -> list[int]:
    start, labels = layout.slice(column.name).start, layout.column(column.name).kept.labels
    index = {label: start + place for place, label in enumerate(labels)}
    missing = [label for label in column.kept.labels if label not in index]
    if missing:
        raise ValueError(f"column {column.name!r}: bins {missing} are missing from the new layout")
    return [index[label] for label in column.kept.labels]
