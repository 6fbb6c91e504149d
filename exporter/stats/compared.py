"""Compared: where the exported bins of the columns that have a reference lie in a flat vector of their own.

Per-bin sums and the counters of clusters are kept over this vector: only comparisons need them, and the finer
bins that quantiles need would multiply them. Refuses to know values and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import Bins, IntArray, NumericBins

Places = NDArray[np.intp]


class Column(Protocol):
    """What is read of a column of a layout."""

    @property
    def bins(self) -> Bins: ...

    @property
    def kept(self) -> Bins: ...

    @property
    def starts(self) -> Places | None: ...

    @property
    def compared(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Compared:
    """`places`: the compared columns in the layout; `starts`: where each begins in the vector of `size` bins.

    `column`: for every column of the layout its place among the compared, -1 if it is not. `cells`: for every
    cell of the layout's flat vector its bin here, `size` if its column is not compared. `low` and `high`: the
    bounds to which an infinite value of a numeric bin is drawn (0 in other bins, and for `size`). `owners`: of every
    bin the place of its column among the compared.
    """

    places: Places
    starts: Places
    size: int
    column: Places
    cells: Places
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    owners: Places
    _groups: Places  # first cell of every bin, and of every column that is not compared
    _taken: Places  # which of them are bins

    @staticmethod
    def of(columns: Sequence[Column]) -> Compared:
        """From the columns of a layout, in its order."""
        offsets = np.cumsum([0, *(column.kept.size for column in columns)])
        cells = np.full(int(offsets[-1]), -1)
        places: list[int] = []
        starts: list[int] = []
        groups: list[int] = []
        taken: list[int] = []
        bounds: list[tuple[float, float]] = []
        for place, (column, offset) in enumerate(zip(columns, offsets[:-1].tolist(), strict=True)):
            if not column.compared:
                groups.append(offset)
                continue
            places.append(place)
            starts.append(len(bounds))
            taken.extend(range(len(groups), len(groups) + column.bins.size))
            first = np.arange(column.kept.size) if column.starts is None else column.starts
            groups.extend((first + offset).tolist())
            widths = np.diff(np.append(first, column.kept.size))
            own = np.arange(len(bounds), len(bounds) + len(first))
            cells[offset : offset + column.kept.size] = np.repeat(own, widths)
            bounds.extend(_bounds(column))
        cells[cells < 0] = len(bounds)
        back = np.full(len(columns), -1)
        back[places] = range(len(places))
        low, high = np.array([*bounds, (0.0, 0.0)], np.float64).T.copy()
        inside = [np.array(one, np.intp) for one in (places, starts, groups, taken)]
        owners = np.repeat(np.arange(len(starts)), np.diff([*starts, len(bounds)]))
        fixed = inside[0], inside[1], len(bounds), back, cells, low, high, owners
        return Compared(*fixed, inside[2], inside[3])

    def counts(self, flat: IntArray) -> IntArray:
        """Counts over this vector from those over the layout's, exact."""
        if not self.size:
            return np.zeros(0, np.int64)
        return np.asarray(np.add.reduceat(flat, self._groups)[self._taken], np.int64)

    def per_column(self, flat: NDArray[np.int64]) -> IntArray:
        """Sums over the bins of each compared column."""
        return np.asarray(np.add.reduceat(flat, self.starts), np.int64) if self.size else flat


def _bounds(column: Column) -> list[tuple[float, float]]:
    """Per exported bin: its edges, where an open side has the edge of the other; zeros in special bins."""
    bins = column.bins
    if not isinstance(bins, NumericBins) or not bins.edges:
        return [(0.0, 0.0)] * bins.size
    left, right = (bins.edges[0], *bins.edges), (*bins.edges, bins.edges[-1])
    return [*zip(left, right, strict=True), (0.0, 0.0), (0.0, 0.0)]
