"""Windows: rolling counts and moments of many columns, over several lengths, and totals since the start.

A ring of panes per length. Each pane has the number of its time slot (`floor(now / pane length)`); a pane is
live at `now` if its slot is one of the last `panes`, the current one included. So a window covers at least
(panes - 1) / panes of its length, at most all of it, and what leaves it leaves exactly.

One tally is open for all lengths: as long as no length has come to its next slot, a batch is added there and
nowhere else, and only then to the rings. Readers see it as if it had been.

Refuses to know what the columns mean. `now` is an argument, in seconds, of any clock. Invariants: reading is
a function of (state, now) and changes nothing; totals never go back; memory does not depend on traffic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import BoolArray, FloatArray, IntArray, Nulls, NumericBins, Values, regroup
from exporter.stats.clusters import effective_rows
from exporter.stats.digest import Misfit, digest_batch
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import HIGH, LOW, PROBABILITIES, Summary, quantiles_of, summarize, summary_of
from exporter.stats.ring import Ring
from exporter.stats.tally import Moves, Tally

LENGTHS_SECONDS = (300.0, 3600.0, 86_400.0, 604_800.0)
PANES = 12


@dataclass(frozen=True)
class View:
    """Counts and moments of all columns over one span. Its arrays are its own; later updates do not show.

    `sums` and `clusters` are those of a `Tally`, over the layout's compared columns.
    """

    layout: Layout
    flat: IntArray
    moments: FloatArray
    sums: FloatArray
    clusters: IntArray

    def counts(self, name: str) -> IntArray:
        """Counts per bin of a column, int64, in the order of `layout.column(name).bins.labels`."""
        kept, starts = self.flat[self.layout.slice(name)], self.layout.column(name).starts
        return kept if starts is None else regroup(kept, starts)

    def rows(self, name: str) -> int:
        """How many cells of the column were counted, special bins included."""
        return int(self.cells[self.layout.places[name]])

    @cached_property
    def cells(self) -> IntArray:
        """The same of all columns."""
        return self._per_column(self.flat)

    @cached_property
    def values(self) -> IntArray:
        """Of all columns: how many cells have a value."""
        return self._per_column(np.where(self.layout.valued, self.flat, 0))

    @cached_property
    def constant(self) -> BoolArray:
        """Of all columns: whether all values are one and the same, which the rest of the categories is not."""
        worded = ~self.layout.ranges.numbers[self.layout.starts]
        same = (self.moments[LOW] == self.moments[HIGH]) | worded
        if not same.any():
            return np.zeros(len(same), np.bool_)
        used = self._per_column((self.flat > 0) & self.layout.valued)
        named = self._per_column(np.where(self.layout.named, self.flat, 0))
        return np.asarray((used == 1) & (named == self.values) & same, np.bool_)

    def _per_column(self, flat: NDArray[Any]) -> IntArray:
        if not len(self.layout.columns):
            return np.zeros(0, np.int64)
        return np.asarray(np.add.reduceat(flat, self.layout.starts, dtype=np.int64), np.int64)

    @cached_property
    def compared(self) -> IntArray:
        """Counts over the exported bins of the compared columns."""
        return self.layout.compared.counts(self.flat)

    @cached_property
    def independent(self) -> FloatArray:
        """Of the compared columns: how many independent rows theirs are worth."""
        compared, counts = self.layout.compared, self.compared
        rows = compared.per_column(counts).astype(np.float64)
        shares = counts / np.maximum(rows, 1.0)[compared.owners]
        agreement = np.add.reduceat(shares * shares, compared.starts) if len(rows) else rows
        return effective_rows(rows, agreement, self.clusters)

    def bin_sums(self, name: str) -> FloatArray | None:
        """Sum of the values of each bin, for a numeric column that can have a reference; else None."""
        compared, column = self.layout.compared, self.layout.column(name)
        place = int(compared.column[self.layout.places[name]])
        if place < 0 or not isinstance(column.bins, NumericBins):
            return None
        return self.sums[compared.starts[place] :][: column.bins.size]

    def effective_rows(self, name: str) -> float:
        """How many independent rows the column's rows are worth, see `clusters.py`; all of them if not known."""
        rows, place = self.rows(name), int(self.layout.compared.column[self.layout.places[name]])
        return float(rows) if place < 0 or not rows else float(self.independent[place])

    def summaries(self, names: Sequence[str]) -> dict[str, Summary]:
        """`summary` of many columns at once, by the usual probabilities."""
        return summaries_of([self], names)[0]

    def _summary(self, name: str, found: list[float] | None) -> Summary:
        place = self.layout.places[name]
        missing = int(self.flat[self.layout.offsets[place] + self.layout.columns[place].kept.null])
        if found is None:
            return Summary(int(self.cells[place]), missing, 0)
        return summary_of(int(self.cells[place]), missing, self.moments[:, place], found)

    def summary(self, name: str, probabilities: tuple[float, ...] = PROBABILITIES) -> Summary:
        """Count, mean, std, extremes and quantiles; for a categorical column rows and missing only."""
        bins, counts = self.layout.column(name).kept, self.flat[self.layout.slice(name)]
        if isinstance(bins, NumericBins):
            return summarize(bins, counts, self.moments[:, self.layout.places[name]], probabilities)
        return Summary(int(counts.sum()), int(counts[bins.null]), 0)


def summaries_of(views: Sequence[View], names: Sequence[str]) -> list[dict[str, Summary]]:
    """`View.summaries` of several views of one layout: together they cost little more than one."""
    if not views:
        return []
    layout = views[0].layout
    numeric = [name for name in names if layout.edges[layout.places[name]] is not None]
    places = np.array([layout.places[name] for name in numeric], np.intp)
    found = quantiles_of([(view.flat, view.moments) for view in views], layout.ranges, places)
    summaries = []
    for view, table in zip(views, found.tolist(), strict=True):
        rows = dict(zip(numeric, table, strict=True))
        summaries.append({name: view._summary(name, rows.get(name)) for name in names})
    return summaries


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
        self.rings = tuple(Ring(layout, length, panes) for length in lengths)
        self._open = self._empty()
        self._slots = (0,) * len(lengths)  # of what is open, per ring
        self._total = self._empty()  # without what is open
        self._signed = np.zeros((2, len(layout.columns)))

    def update(
        self,
        now: float,
        batch: Mapping[str, Values],
        nulls: Mapping[str, Nulls] | None = None,
        requests: IntArray | None = None,
        at: float | None = None,
    ) -> tuple[Misfit, ...]:
        """Add a batch: one-dimensional arrays by column name; columns may be absent or differ in length.

        `nulls` gives, per column, a mask over its cells, or the number of null cells that are not in its
        array; None in an object array is null as well. Numbers are float64 (or float32, kept), categories
        strings or objects. `requests`: rows of each request, in the order of the cells (None: one row each); it
        holds for the columns whose arrays have that many cells. Nothing in a batch raises: what cannot be
        counted is returned.

        `at`: when the batch belongs, if that is not now. A window that does not reach back so far has none of it;
        the totals have all.
        """
        digest = digest_batch(self.layout, batch, nulls or {}, requests)
        if at is None or at >= now:
            slots = tuple(ring.slot_at(now) for ring in self.rings)
            if slots != self._slots:
                self.settle()
                self._slots = slots
            self._open.add(digest.tally)
        else:
            self._add_late(now, at, digest.tally)
        self._signed += digest.signed
        return digest.misfits

    def _add_late(self, now: float, at: float, tally: Tally) -> None:
        self.settle()
        for ring in self.rings:
            slot = ring.slot_at(at)
            # A pane that holds a later slot, after a clock went back, keeps it.
            if slot > ring.slot_at(now) - self.panes and slot >= ring.slots[slot % self.panes]:
                ring.add(slot, tally)
        self._total.add(tally)

    def settle(self) -> None:
        """Move what is open into the rings; no reader can tell."""
        if self._open.rows:
            for ring, slot in zip(self.rings, self._slots, strict=True):
                ring.add(slot, self._open)
            self._total.add(self._open)
            self._open = self._empty()

    def read(self, now: float, length: float) -> View:
        """The window of `length` seconds that ends at `now`. Raises KeyError for a length not kept."""
        if length not in self.lengths:
            raise KeyError(length)
        place = self.lengths.index(length)
        return self._view(self.rings[place].read(now, self._slots[place], self._open))

    def totals(self) -> View:
        """Everything since the start; its counts are what counters export."""
        total = self._total.copy()
        total.add(self._open)
        return self._view(total)

    def signed_sums(self, name: str) -> tuple[float, float]:
        """Since the start: sum of the positive values, and of the negative ones as a positive number."""
        positive, negative = self._signed[:, self.layout.places[name]].tolist()
        return positive, negative

    @property
    def signed(self) -> dict[str, tuple[float, float]]:
        """The same of all columns."""
        return dict(zip(self.layout.places, zip(*self._signed.tolist(), strict=True), strict=True))

    def merge(self, other: Windows) -> None:
        """Take in all that `other` counted. Raises ValueError unless layout, lengths and panes agree.

        Law: equals one object that saw both streams, as long as no clock went back by more than a window.
        """
        self.merge_rolling(other)
        self._total.add(other._total)
        self._total.add(other._open)
        self._signed += other._signed

    def merge_rolling(self, other: Windows) -> None:
        """Take in the rolling windows of `other` and leave the totals: how a snapshot comes back."""
        if (self.layout, self.lengths, self.panes) != (other.layout, other.lengths, other.panes):
            raise ValueError("windows merge only if layout, lengths and panes are the same")
        self.settle()
        for ring, theirs, slot in zip(self.rings, other.rings, other._slots, strict=True):
            ring.merge(theirs)
            if other._open.rows and slot >= ring.slots[slot % self.panes]:
                ring.add(slot, other._open)

    def copied(self) -> Windows:
        """The rolling windows once more, without the totals; later updates do not show."""
        self.settle()
        copy = Windows(self.layout, self.lengths, self.panes)
        for ring, ours in zip(copy.rings, self.rings, strict=True):
            ring.load(*(array.copy() for array in ours.arrays))
        return copy

    def extended(self, layout: Layout) -> Windows:
        """The same counts under a layout that has these columns and bins and more (see `Layout.grown`).

        Raises ValueError if a column or a bin of the present layout is missing there.
        """
        moves = _moves(self.layout, layout)
        self.settle()
        grown = Windows(layout, self.lengths, self.panes)
        for ring, ours in zip(grown.rings, self.rings, strict=True):
            ring.adopt(ours, moves)
        grown._total.rows = self._total.rows
        grown._total.counts[moves.cells] = self._total.counts
        grown._total.block[:, moves.columns] = self._total.moments
        grown._total.sums[moves.bins] = self._total.sums
        grown._total.clusters[:, moves.compared] = self._total.clusters
        grown._signed[:, moves.columns] = self._signed
        return grown

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: rings and totals."""
        rings = sum(ring.nbytes for ring in self.rings)
        return rings + self._total.nbytes + self._open.nbytes + self._signed.nbytes

    def _empty(self) -> Tally:
        return Tally.empty(self.layout.size, len(self.layout.columns), self.layout.compared)

    def _view(self, tally: Tally) -> View:
        return View(self.layout, tally.counts, tally.moments, tally.sums, tally.clusters)


def _moves(old: Layout, new: Layout) -> Moves:
    columns = np.array([_place(new, column) for column in old.columns], np.intp)
    cells = np.array([cell for column in old.columns for cell in _cells(new, column)], np.intp)
    compared = new.compared.column[columns[old.compared.places]]
    starts = [np.zeros(0, np.intp)]
    for place, ours in zip(compared.tolist(), old.compared.places.tolist(), strict=True):
        starts.append(new.compared.starts[place] + np.arange(old.columns[ours].bins.size))
    return Moves(cells, columns, np.concatenate(starts), compared)


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
