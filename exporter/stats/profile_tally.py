"""The second pass over reference rows: exact counts on the chosen bins, and what is summed over whole rows.

Refuses to know files and how bins were chosen. Invariant: every row is counted once in every column; all that is
kept adds up, so that memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.stats.bins import (
    Bins,
    BoolArray,
    CategoricalBins,
    FloatArray,
    IntArray,
    NumericBins,
    as_numbers,
)
from exporter.stats.moments import LARGEST
from exporter.stats.profile_column import ProfileColumn
from exporter.stats.profile_joint import Association, CoMoments, association, co_moments, cross_counts
from exporter.stats.profile_levels import Level, Measures, PeriodCounts, PeriodSet
from exporter.stats.profile_performance import Performance, PerformanceTally
from exporter.stats.profile_survey import Counted, Plan, counted
from exporter.stats.profile_types import Typed

MAX_ASSOCIATED = 100
MAX_OUTPUTS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """A counted column with its bins. `bare`: all that the profile will say of it but for counts and skewness.

    `bins` locate values as they are; those of `bare` may have hashes for names.
    """

    plan: Plan
    bins: Bins
    bare: ProfileColumn

    @property
    def name(self) -> str:
        return self.bare.name


@dataclass(frozen=True, slots=True)
class Extras:
    """What is summed besides counts. `time`: the payload column by which rows have periods of `lengths` seconds;
    `test`: whether performance is taken, from all rows or from those where `split` has that value."""

    pairs: tuple[tuple[str, str], ...] = ()
    time: str | None = None
    lengths: tuple[int, ...] = ()
    test: bool = False
    split: tuple[str, str] | None = None
    positive: str | None = None


@dataclass(slots=True)
class Tally:
    """Counts of all chosen columns. `update` takes typed payload columns as `Survey.update` does."""

    choices: Sequence[Choice]
    plans: Sequence[Plan]
    extras: Extras = field(default_factory=Extras)
    rows: int = 0
    counts: dict[str, IntArray] = field(init=False)
    performance: PerformanceTally = field(init=False)
    _cubes: dict[str, FloatArray] = field(init=False)
    _pairs: dict[tuple[str, str], FloatArray] = field(init=False)
    _tables: dict[tuple[str, str], IntArray] = field(init=False)
    _periods: tuple[PeriodCounts, ...] = field(init=False)

    def __post_init__(self) -> None:
        sizes = {choice.name: choice.bins.size for choice in self.choices}
        self.counts = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
        self.performance = PerformanceTally(self.extras.positive)
        self._cubes = {name: np.zeros(2) for name in sizes}
        self._pairs = {pair: np.zeros(6) for pair in self.extras.pairs}
        features = [c.name for c in self.choices if c.bare.role == "feature"][:MAX_ASSOCIATED]
        outputs = [c.name for c in self.choices if c.bare.role == "prediction"][:MAX_OUTPUTS]
        self._tables = {(a, b): np.zeros((sizes[a], sizes[b]), np.int64) for a in features for b in outputs}
        lengths = self.extras.lengths if self.extras.time is not None else ()
        self._periods = tuple(PeriodCounts(length, sizes) for length in lengths)

    def update(self, chunk: Mapping[str, Typed]) -> None:
        """Add rows."""
        self.rows += max((len(cells.values) for cells in chunk.values()), default=0)
        batch: dict[str, Counted] = {}
        for plan in self.plans:
            if plan.counted:
                # The first that has a name keeps it, as in the survey.
                batch = counted(plan, chunk[plan.name]) | batch
        codes = {choice.name: self._count(choice, batch[choice.name]) for choice in self.choices}
        for (a, b), sums in self._pairs.items():
            sums += co_moments(batch[a].values, batch[b].values, self._origin(a, b))
        for (a, b), table in self._tables.items():
            if len(codes[a]) == len(codes[b]):
                table += cross_counts(codes[a], codes[b], (table.shape[0], table.shape[1]))
        for period in self._periods:
            period.update(chunk[str(self.extras.time)].values, codes)
        if self.extras.test:
            self._test(chunk)

    def _count(self, choice: Choice, column: Counted) -> IntArray:
        bins = choice.bins
        if isinstance(bins, CategoricalBins):
            codes = bins.locate(column.values, column.null)
        else:
            codes = bins.locate(as_numbers(column.values, column.null))
            finite = column.values[np.abs(column.values) <= LARGEST]
            centre, scale = choice.bare.mean, choice.bare.std
            if centre is not None and scale:
                self._cubes[choice.name] += (len(finite), (((finite - centre) / scale) ** 3).sum())
        self.counts[choice.name] += np.bincount(codes, minlength=bins.size)
        return codes

    def _origin(self, a: str, b: str) -> tuple[float, float]:
        means = {choice.name: choice.bare.mean or 0.0 for choice in self.choices}
        return means[a], means[b]

    def _test(self, chunk: Mapping[str, Typed]) -> None:
        target = next((plan.name for plan in self.plans if plan.role == "target"), None)
        if target is None:
            return
        rows = self._declared(chunk, len(chunk[target].values))
        sides = []
        for role in ("prediction", "score"):
            name = next((plan.name for plan in self.plans if plan.role == role), None)
            sides.append(chunk[name].values[rows] if name is not None else None)
        if rows.any():
            self.performance.update(chunk[target].values[rows], *sides)

    def _declared(self, chunk: Mapping[str, Typed], rows: int) -> BoolArray:
        if self.extras.split is None:
            return np.ones(rows, np.bool_)
        name, value = self.extras.split
        return np.array([cell == value for cell in chunk[name].values.tolist()], np.bool_)

    def columns(self) -> tuple[ProfileColumn, ...]:
        """The profile's columns, with their counts."""
        return tuple(self._column(choice) for choice in self.choices)

    def _column(self, choice: Choice) -> ProfileColumn:
        bare, counts = choice.bare, self.counts[choice.name]
        skewness = None
        finite, cubes = self._cubes[choice.name].tolist()
        if finite and np.isfinite(cubes):
            skewness = cubes / finite
        return replace(bare, counts=tuple(counts.tolist()), skewness=skewness)

    def pairs(self) -> tuple[CoMoments, ...]:
        """The co-moments; a pair whose sums overflow is left out."""
        found = []
        for (a, b), sums in self._pairs.items():
            if np.isfinite(sums).all():
                n, *rest = sums.tolist()
                found.append(CoMoments(a, b, self._origin(a, b), int(n), *rest))
        return tuple(found)

    def associations(self) -> tuple[Association, ...]:
        """How each feature goes with each answer."""
        bins = {choice.name: choice.bins for choice in self.choices}
        found = (
            association(a, b, table, _ordered(bins[a], bins[b])) for (a, b), table in self._tables.items()
        )
        return tuple(one for one in found if one is not None)

    def levels(self, statistics: Sequence[Measures]) -> tuple[tuple[PeriodSet, ...], tuple[Level, ...]]:
        """The reference's own levels, and what became of each length of period."""
        bins = {choice.name: choice.bins for choice in self.choices}
        found = [period.levels(bins, statistics) for period in self._periods]
        return tuple(each for each, _ in found), tuple(level for _, levels in found for level in levels)

    def result(self) -> Performance | None:
        """The performance on the declared rows."""
        return self.performance.result()


def _ordered(a: Bins, b: Bins) -> tuple[int, int] | None:
    if isinstance(a, NumericBins) and isinstance(b, NumericBins):
        return a.ranges, b.ranges
    return None
