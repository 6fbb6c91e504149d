"""The reference's own level: how large each statistic is between one of its periods and the rest of it.

What a model's data does from week to week without anything being wrong is the least that a live window must exceed.
Refuses to know statistics: they are given. Invariants: a period's counts are exact; a level exists from eight
measured periods on, and where it does not, `PeriodSet` says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporter.stats.bins import Bins, FloatArray, IntArray
from exporter.stats.drift import Pair

LENGTHS = (3600, 86_400, 604_800)
LEAST_PERIODS = 8
MAX_PERIODS = 400  # compared, evenly chosen; all are counted
MAX_CELLS = 8_000_000  # 64 MB of counts per length
SIGMAS = 3.0


class Measured(Protocol):
    """A result of a statistic."""

    @property
    def value(self) -> float:
        """The distance."""


class Measures(Protocol):
    """What a statistic can do here; see `drift.Statistic`."""

    @property
    def name(self) -> str:
        """Its name."""

    def measure(self, pair: Pair) -> Measured | None:
        """The distance, or None."""


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


class PeriodCounts:
    """Bin counts per period of one length."""

    def __init__(self, seconds: int, sizes: Mapping[str, int]) -> None:
        """`sizes`: bins by counted column."""
        self.seconds = seconds
        ends = np.cumsum([0, *sizes.values()]).tolist()
        self._starts = dict(zip(sizes, ends, strict=False))
        self._sizes = dict(sizes)
        self._size = ends[-1]
        self._slots: dict[int, IntArray] = {}
        self.full = False

    def update(self, times: FloatArray, codes: Mapping[str, IntArray]) -> None:
        """Add rows: unix seconds (not finite: left out) and the bin of every cell."""
        timed = np.isfinite(times) & (np.abs(times) < 1e12)
        slots, inverse = np.unique(np.floor_divide(times[timed], self.seconds), return_inverse=True)
        new = len(set(slots.astype(np.int64).tolist()) - set(self._slots))
        self.full = self.full or (len(self._slots) + new) * self._size > MAX_CELLS
        if self.full:
            self._slots.clear()
            return
        for name, found in codes.items():
            size, start = self._sizes[name], self._starts[name]
            table = np.bincount(inverse * size + found[timed], minlength=len(slots) * size)
            for slot, counts in zip(slots.tolist(), table.reshape(len(slots), size), strict=True):
                self._at(int(slot))[start : start + size] += counts

    def _at(self, slot: int) -> IntArray:
        if slot not in self._slots:
            self._slots[slot] = np.zeros(self._size, np.int64)
        return self._slots[slot]

    def levels(
        self, bins: Mapping[str, Bins], statistics: Sequence[Measures]
    ) -> tuple[PeriodSet, list[Level]]:
        """The levels of these columns, and what became of the periods."""
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
        found: list[Level] = []
        for name, own in bins.items():
            start = self._starts[name]
            counts = table[:, start : start + self._sizes[name]]
            found += self._column(name, own, counts, places.tolist(), statistics)
        absent = "" if found else "too few rows in a period for any statistic"
        return PeriodSet(self.seconds, len(slots), absent), found

    def _column(
        self, name: str, bins: Bins, counts: IntArray, places: list[int], statistics: Sequence[Measures]
    ) -> Iterator[Level]:
        whole = counts.sum(axis=0)
        pairs = [Pair(bins, whole - counts[place], counts[place]) for place in places]
        for statistic in statistics:
            found = [result.value for pair in pairs if (result := statistic.measure(pair)) is not None]
            if len(found) >= LEAST_PERIODS:
                mean, std = float(np.mean(found)), float(np.std(found, ddof=1))
                yield Level(name, statistic.name, self.seconds, len(found), mean, std)
