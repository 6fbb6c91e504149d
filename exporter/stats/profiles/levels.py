"""The reference's own level: how large each statistic is between one of its periods and the rest of it.

What a model's data does from week to week without anything being wrong is the least that a live window must exceed.
Refuses to know statistics: they are given. Invariants: a period's counts are exact; a level exists from eight
measured periods on, and where it does not, `PeriodSet` says why; weighted rows are worth their effective ones in each
period.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporter.stats.bins import Bins, FloatArray, IntArray, NumericBins
from exporter.stats.profiles.weights import Weighed
from exporter.stats.table import Table

LENGTHS = (3600, 86_400, 604_800)
LEAST_PERIODS = 8
MAX_PERIODS = 400  # compared, evenly chosen; all are counted
MAX_CELLS = 8_000_000  # 64 MB of counts per length
SIGMAS = 3.0


class Measures(Protocol):
    """What a statistic can do here; see `drift.Statistic`."""

    @property
    def name(self) -> str:
        """Its name."""

    def values(self, bins: Bins, table: Table) -> FloatArray:
        """The distance of every row of a table over these bins; NaN where it has none."""


@dataclass(frozen=True, slots=True)
class Level:
    """Mean and standard deviation (ddof 1) of one statistic over the periods of one length, each against the rest."""

    column: str
    statistic: str
    seconds: int
    periods: int
    mean: float
    std: float

    @property
    def limit(self) -> float:
        """mean + 3 sigma: what a drifted window exceeds."""
        return self.mean + SIGMAS * self.std


@dataclass(frozen=True, slots=True)
class PeriodSet:
    """Periods of one length: how many were found, and why no level came of them ("" where some did)."""

    seconds: int
    periods: int
    absent: str = ""


class Cells(Protocol):
    """Cells of one column of a chunk; see `profile_tally.Located`."""

    @property
    def codes(self) -> IntArray:
        """Their bins."""

    @property
    def values(self) -> FloatArray:
        """As what they are summed."""


Columns = Mapping[str, tuple[Bins, float | None]]


class PeriodCounts:
    """Counts and sums per bin and period of one length."""

    def __init__(self, seconds: int, sizes: Mapping[str, int]) -> None:
        """`sizes`: bins by counted column."""
        self.seconds = seconds
        ends = np.cumsum([0, *sizes.values()]).tolist()
        self._starts = dict(zip(sizes, ends, strict=False))
        self._sizes = dict(sizes)
        self._size = ends[-1]
        self._slots: dict[int, FloatArray] = {}
        self._weighed: dict[int, Weighed] = {}
        self.full = False

    def update(
        self, times: FloatArray, cells: Mapping[str, Cells], weights: FloatArray | None = None
    ) -> None:
        """Add rows: unix seconds (not finite: left out), the cells of every column, and what each row weighs."""
        timed = np.isfinite(times) & (np.abs(times) < 1e12)
        slots, inverse = np.unique(np.floor_divide(times[timed], self.seconds), return_inverse=True)
        new = len(set(slots.astype(np.int64).tolist()) - set(self._slots))
        self.full = self.full or 2 * (len(self._slots) + new) * self._size > MAX_CELLS
        if self.full:
            self._slots.clear()
            return
        own_weights = None if weights is None else weights[timed]
        self._weigh(slots.astype(np.int64).tolist(), inverse, own_weights)
        for name, found in cells.items():
            size, start = self._sizes[name], self._starts[name]
            places, shape = inverse * size + found.codes[timed], (len(slots), size)
            values = found.values[timed] if own_weights is None else found.values[timed] * own_weights
            counts = np.bincount(places, own_weights, minlength=len(slots) * size).reshape(shape)
            sums = np.bincount(places, values, minlength=len(slots) * size).reshape(shape)
            for row, slot in enumerate(slots.tolist()):
                own = self._at(int(slot))
                own[0, start : start + size] += counts[row]
                own[1, start : start + size] += sums[row]

    def _weigh(self, slots: Sequence[int], inverse: IntArray, weights: FloatArray | None) -> None:
        """Rows without weights weigh 1."""
        totals = np.bincount(inverse, weights, minlength=len(slots)).tolist()
        squares = totals
        if weights is not None:
            squares = np.bincount(inverse, weights**2, minlength=len(slots)).tolist()
        for slot, total, square in zip(slots, totals, squares, strict=True):
            own = self._weighed.setdefault(slot, Weighed())
            own.total, own.squares = own.total + total, own.squares + square

    def _at(self, slot: int) -> FloatArray:
        if slot not in self._slots:
            self._slots[slot] = np.zeros((2, self._size))
        return self._slots[slot]

    def levels(self, columns: Columns, statistics: Sequence[Measures]) -> tuple[PeriodSet, list[Level]]:
        """The levels of these columns (bins, and standard deviation of numbers), and what became of the periods."""
        slots = sorted(self._slots)
        if self.full:
            return PeriodSet(self.seconds, 0, "more periods than are kept"), []
        if len(slots) < LEAST_PERIODS:
            return PeriodSet(
                self.seconds, len(slots), f"fewer than {LEAST_PERIODS} periods in the reference"
            ), []
        table = np.stack([self._slots[slot] for slot in slots])
        places = np.unique(np.linspace(0, len(slots) - 1, min(len(slots), MAX_PERIODS)).round()).astype(
            np.intp
        )
        worth = np.array([(self._weighed[slot].total, self._weighed[slot].squares) for slot in slots])
        scales = np.stack([_scale(worth[places]), _scale(worth.sum(axis=0) - worth[places])])
        found: list[Level] = []
        for name, (bins, std) in columns.items():
            start = self._starts[name]
            own = table[places, :, start : start + self._sizes[name]]
            whole = table[:, :, start : start + self._sizes[name]].sum(axis=0)
            sides = own * scales[0, :, None, None], (whole - own) * scales[1, :, None, None]
            found += self._column(name, bins, _table(bins, sides, std), statistics)
        absent = "" if found else "too few rows in a period for any statistic"
        return PeriodSet(self.seconds, len(slots), absent), found

    def _column(self, name: str, bins: Bins, table: Table, statistics: Sequence[Measures]) -> Iterator[Level]:
        for statistic in statistics:
            values = statistic.values(bins, table)
            found = values[~np.isnan(values)]
            if len(found) >= LEAST_PERIODS:
                mean, std = float(np.mean(found)), float(np.std(found, ddof=1))
                yield Level(name, statistic.name, self.seconds, len(found), mean, std)


def _scale(worth: FloatArray) -> FloatArray:
    """What makes sums of weights effective rows, (n,); `worth`: their totals and squares, (n, 2). 0 without rows."""
    totals, squares = worth.T
    found: FloatArray = np.divide(totals, squares, out=np.zeros(len(worth)), where=squares > 0.0)
    return found


def _table(bins: Bins, sides: tuple[FloatArray, FloatArray], std: float | None) -> Table:
    """A row for each period, against the rest, both in effective rows; sums only where there are numbers."""
    own, others = sides
    live, rest = np.rint(own[:, 0]).astype(np.int64), np.rint(others[:, 0]).astype(np.int64)
    numeric = isinstance(bins, NumericBins)
    ranges = np.zeros(live.shape, np.bool_)
    if isinstance(bins, NumericBins):
        ranges[:, : bins.ranges] = True
    sums = (others[:, 1], own[:, 1]) if numeric else None
    deviation = np.full(len(own), np.nan if std is None or not numeric else std)
    return Table(rest, live, ranges, live.sum(axis=1).astype(np.float64), sums, deviation)
