"""Digest: a batch of columns turned into what a window adds: counts, moments, sums, clusters, signed sums.

Refuses to know time. Invariant: nothing in a batch raises; each cell is counted once or is a misfit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from exporter.stats.bins import (
    BoolArray,
    FloatArray,
    IntArray,
    Nulls,
    NumericBins,
    Values,
    as_numbers,
    split_nulls,
)
from exporter.stats.clusters import ROWS, SQUARED_BINS, SQUARED_ROWS, squared_bins
from exporter.stats.compared import Compared, Places
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import LARGEST, moments_of
from exporter.stats.tally import Tally

_NO_NUMBERS = np.zeros(0)
_NO_INDICES = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Cells of a batch that could not be used: `reason` is extra_column, wrong_shape or wrong_type."""

    column: str
    reason: str
    cells: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A batch turned into what is added; `signed` (2, columns)."""

    tally: Tally
    signed: FloatArray
    misfits: tuple[Misfit, ...]


class _Gathered:
    """The cells of a batch, column by column: where they fall, and their numbers.

    Numeric columns come first, so that a cell's bin and its number stand at the same place.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.numbers: list[FloatArray] = []
        self.edges: list[FloatArray | None] = []  # by which they are still to be located
        self.ready: dict[int, IntArray] = {}  # bins of those that are located, by their places in `numbers`
        self.owners: list[int] = []  # the numeric columns
        self.other: list[IntArray] = []
        self.other_owners: list[int] = []
        self.nulls: dict[int, int] = {}  # null cells besides those in arrays, by cell of the flat vector
        self.misfits: list[Misfit] = []

    def take(self, place: int, column: ColumnSpec, cells: Values, nulls: Nulls) -> None:
        """Locate one column."""
        offset, bins = self.layout.offsets[place], column.kept
        mask, more = (None, 0) if nulls is None else split_nulls(nulls)
        values = np.asarray(cells)
        if values.ndim != 1 or (mask is not None and mask.shape != values.shape):
            self.misfits.append(Misfit(column.name, "wrong_shape", values.size))
            return
        if more:
            self.nulls[offset + bins.null] = more
        if not isinstance(bins, NumericBins):
            self.other.append(bins.locate(values, mask) + offset)
            self.other_owners.append(place)
        else:
            self._mixed(place, column.name, bins, (values, mask))

    def _mixed(
        self, place: int, name: str, bins: NumericBins, cells: tuple[Values, BoolArray | None]
    ) -> None:
        ready = as_numbers(*cells)
        indices, floats = bins.locate(ready), ready.values.astype(np.float64, copy=False)
        if ready.wrong is not None and ready.wrong.any():
            right = indices >= 0
            self.misfits.append(Misfit(name, "wrong_type", len(right) - int(np.count_nonzero(right))))
            indices, floats = indices[right], floats[right]
        self.ready[len(self.numbers)] = indices
        self.number(place, floats, None)

    def lengths(self) -> list[tuple[int, int]]:
        """Column and number of its cells, in the order in which the cells are joined."""
        owners, cells = [*self.owners, *self.other_owners], [*self.numbers, *self.other]
        return [(place, len(one)) for place, one in zip(owners, cells, strict=True)]

    def number(self, place: int, numbers: FloatArray, edges: FloatArray | None) -> None:
        """Take a numeric column."""
        self.numbers.append(numbers)
        self.edges.append(edges)
        self.owners.append(place)

    def located(self, numbers: FloatArray, lengths: list[int]) -> IntArray:
        """The cells of the flat vector of all numbers, joined; NaN lands in the last range of its column.

        Columns side by side with the same edges, as all have without a profile, are located at once.
        """
        parts, start, end = [_NO_INDICES], 0, 0
        for place, (edges, after) in enumerate(zip_longest(self.edges, self.edges[1:])):
            end += lengths[place]
            if edges is None:
                parts.append(self.ready[place])
            elif edges is after:
                continue
            else:
                parts.append(edges.searchsorted(numbers[start:end]))
            start = end
        found = parts[1] if len(parts) == 2 else np.concatenate(parts)
        return found + np.repeat(self.layout.starts[self.owners], lengths)


def digest_batch(
    layout: Layout,
    batch: Mapping[str, Values],
    nulls: Mapping[str, Nulls],
    requests: IntArray | None = None,
) -> Digest:
    """Locate every cell in the flat vector, count once, and take the moments; see `Windows.update`."""
    gathered = _Gathered(layout)
    for name, place in layout.places.items():
        values = batch.get(name)
        if values is None:
            continue
        edges = layout.edges[place]
        if edges is not None and name not in nulls and _plain(values):
            gathered.number(place, values, edges)
            continue
        gathered.take(place, layout.columns[place], values, nulls.get(name))
    for name in batch:
        if name not in layout.places:
            gathered.misfits.append(Misfit(name, "extra_column", np.size(batch[name])))
    numbers = np.concatenate((_NO_NUMBERS, *gathered.numbers))
    cells = [len(one) for one in gathered.numbers]
    indices = gathered.located(numbers, cells)
    if gathered.other:
        indices = np.concatenate((indices, *gathered.other))
    usual = np.abs(numbers) <= LARGEST
    odd = _NO_INDICES if usual.all() else np.flatnonzero(~usual)
    if len(odd):  # NaN was taken for the largest of all numbers: from the last range to the bin of NaN
        indices[odd] += 2 * (layout.tails[indices[odd]] & np.isnan(numbers[odd]))
    lengths = np.zeros(len(layout.columns), np.intp)
    lengths[gathered.owners] = cells
    moments, signed = moments_of(numbers, lengths, finite=not len(odd))
    counts = np.bincount(indices, minlength=layout.size).astype(np.int64, copy=False)
    for cell, more in gathered.nulls.items():
        counts[cell] += more
    rows = max((*cells, *map(len, gathered.other)), default=0) + sum(gathered.nulls.values())
    sums, clusters = np.zeros(0), np.zeros((3, 0), np.int64)
    if layout.compared.size:
        bins = layout.compared.cells[indices]
        sums = _sums(layout.compared, bins[: len(numbers)], numbers, odd)
        clusters = _clusters(gathered, counts, bins, requests)
    return Digest(Tally(rows, counts, moments, sums, clusters), signed, tuple(gathered.misfits))


def _plain(cells: Values) -> bool:
    """The usual case: an array of float64 with one dimension."""
    return type(cells) is np.ndarray and cells.dtype.char == "d" and cells.ndim == 1


def _sums(compared: Compared, bins: Places, numbers: FloatArray, odd: Places) -> FloatArray:
    """Sum of the numbers of each bin; infinite ones count as the edge of their bin, NaN as nothing."""
    if len(odd):
        numbers = numbers.copy()
        where = bins[odd]
        numbers[odd] = np.clip(np.nan_to_num(numbers[odd]), compared.low[where], compared.high[where])
    found = np.bincount(bins, numbers, minlength=compared.size + 1)
    return np.asarray(found[: compared.size], np.float64)


def _clusters(gathered: _Gathered, counts: IntArray, bins: Places, requests: IntArray | None) -> IntArray:
    """Rows whose request is known and their two sums of squares, of every compared column."""
    compared = gathered.layout.compared
    rows = compared.per_column(compared.counts(counts))
    lengths = np.zeros(0, np.int64) if requests is None else np.asarray(requests, np.int64)
    if not len(rows) or lengths.max(initial=0) <= 1:  # every row is a request of its own
        return np.repeat(rows[None], 3, axis=0)
    clusters = np.zeros((3, len(rows)), np.int64)
    total, start = int(lengths.sum()), 0
    columns, cells = [], []
    for place, length in gathered.lengths():
        if length == total and compared.column[place] >= 0:
            columns.append(compared.column[place])
            cells.append(bins[start : start + length])
        start += length
    if columns:
        squares = squared_bins(np.stack(cells), lengths, compared.size)
        alone = rows[columns] - total  # null cells besides the array: of requests that are not known
        clusters[ROWS, columns] = rows[columns]
        clusters[SQUARED_ROWS, columns] = int((lengths * lengths).sum()) + alone
        clusters[SQUARED_BINS, columns] = compared.per_column(squares)[columns] + alone
    return clusters
