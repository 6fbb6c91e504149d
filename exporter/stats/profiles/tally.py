"""The second pass over reference rows: exact counts on the chosen bins, and what is summed over whole rows.

Refuses to know files and how bins were chosen. Invariant: every row is counted once in every column; all that is
kept adds up, so that memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.stats.association import joint_counts
from exporter.stats.bins import (
    Bins,
    BoolArray,
    CategoricalBins,
    FloatArray,
    IntArray,
    NumericBins,
    Values,
    as_numbers,
)
from exporter.stats.moments import LARGEST
from exporter.stats.pairs import FOURTHS, Scale, co_moments, fourth_moments, pearson, spread, with_spread
from exporter.stats.profiles.bands import TestRows
from exporter.stats.profiles.column import ProfileColumn
from exporter.stats.profiles.joint import Association, CoMoments, association_of
from exporter.stats.profiles.levels import Level, Measures, PeriodCounts, PeriodSet
from exporter.stats.profiles.performance import Performance
from exporter.stats.profiles.score_cells import CellsTally
from exporter.stats.profiles.survey import Counted, Plan, counted
from exporter.stats.profiles.types import Typed
from exporter.stats.profiles.weights import Weighed, apportioned, weights_of

MAX_ASSOCIATED = 100
MAX_OUTPUTS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """A counted column with its bins. `bare`: all that the profile will say of it but for counts and sums.

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


@dataclass(frozen=True, slots=True)
class Located:
    """Cells of one column: their bins, and as numbers, as which they are summed per bin (zeros for categories)."""

    codes: IntArray
    values: FloatArray


def located(bins: Bins, column: Counted) -> Located:
    """Where cells fall. What is no ordinary number is summed as the nearest edge, 0 in special bins."""
    if isinstance(bins, CategoricalBins):
        codes = bins.locate(column.values, column.null)
        return Located(codes, np.zeros(len(codes)))
    codes = bins.locate(as_numbers(column.values, column.null))
    values = np.asarray(column.values, np.float64)
    odd = ~(np.abs(values) <= LARGEST)
    if odd.any():
        low, high = (bins.edges[0], bins.edges[-1]) if bins.edges else (0.0, 0.0)
        drawn = np.clip(np.nan_to_num(values), low, high)
        values = np.where(odd, np.where(codes < bins.ranges, drawn, 0.0), values)
    return Located(codes, np.where(codes < bins.ranges, values, 0.0))


@dataclass(slots=True)
class Tally:
    """Counts of all chosen columns. `update` takes typed payload columns as `Survey.update` does."""

    choices: Sequence[Choice]
    plans: Sequence[Plan]
    extras: Extras = field(default_factory=Extras)
    weighed: Weighed | None = None
    rows: int = 0
    counts: dict[str, FloatArray | IntArray] = field(init=False)
    sums: dict[str, FloatArray] = field(init=False)
    performance: TestRows = field(init=False)
    cells: CellsTally = field(init=False)
    _pairs: FloatArray = field(init=False)
    _fourths: FloatArray = field(init=False)
    _scales: dict[str, Scale] = field(init=False)
    _tables: dict[tuple[str, str], FloatArray | IntArray] = field(init=False)
    _periods: tuple[PeriodCounts, ...] = field(init=False)

    def __post_init__(self) -> None:
        bins = {choice.name: choice.bins for choice in self.choices}
        sizes = {name: own.size for name, own in bins.items()}
        self.counts = {name: self._empty(size) for name, size in sizes.items()}
        self.sums = {name: np.zeros(size) for name, size in sizes.items()}
        self._pairs = np.zeros((6, len(self.extras.pairs)))
        self._fourths = np.zeros((FOURTHS, len(self.extras.pairs)))
        watched = {name for pair in self.extras.pairs for name in pair}
        self._scales = {
            c.name: Scale(c.bare.mean or 0.0, c.bare.std or 0.0) for c in self.choices if c.name in watched
        }
        features = [c.name for c in self.choices if c.bare.role == "feature"][:MAX_ASSOCIATED]
        outputs = [c.name for c in self.choices if c.bare.role == "prediction"][:MAX_OUTPUTS]
        self._tables = {(a, b): self._empty(sizes[a], sizes[b]) for a in features for b in outputs}
        lengths = self.extras.lengths if self.extras.time is not None else ()
        self._periods = tuple(PeriodCounts(length, sizes) for length in lengths)
        self.performance = TestRows(self.extras.positive, lengths)
        self.cells = CellsTally(self.plans, bins, self.extras.positive, self.weighed is not None)

    def _empty(self, *shape: int) -> FloatArray | IntArray:
        return np.zeros(shape, np.int64) if self.weighed is None else np.zeros(shape)

    def update(self, chunk: Mapping[str, Typed]) -> None:
        """Add rows."""
        self.rows += max((len(cells.values) for cells in chunk.values()), default=0)
        batch: dict[str, Counted] = {}
        for plan in self.plans:
            if plan.counted:
                # The first that has a name keeps it, as in the survey.
                batch = counted(plan, chunk[plan.name]) | batch
        found = {choice.name: located(choice.bins, batch[choice.name]) for choice in self.choices}
        weights = None if self.weighed is None else weights_of(self.plans, chunk)
        for name, own in found.items():
            size = len(self.counts[name])
            values = own.values if weights is None else own.values * weights
            self.counts[name] += np.bincount(own.codes, weights, minlength=size)
            self.sums[name] += np.bincount(own.codes, values, minlength=size)
        if self._scales:
            finite = {name: _finite(batch[name].values) for name in self._scales}
            self._pairs += co_moments(self.extras.pairs, self._scales, finite, weights)
            self._fourths += fourth_moments(self.extras.pairs, self._scales, finite, weights)
        for (a, b), table in self._tables.items():
            if len(found[a].codes) == len(found[b].codes):
                table += joint_counts(
                    found[a].codes, found[b].codes, (table.shape[0], table.shape[1]), weights
                )
        for period in self._periods:
            period.update(chunk[str(self.extras.time)].values, found, weights)
        if self.extras.test:
            self._test(chunk, weights)

    def _test(self, chunk: Mapping[str, Typed], weights: FloatArray | None) -> None:
        target = next((plan.name for plan in self.plans if plan.role == "target"), None)
        if target is None:
            return
        rows = self._declared(chunk, len(chunk[target].values))
        sides: dict[str, Values | None] = {}
        for role in ("prediction", "score"):
            name = next((plan.name for plan in self.plans if plan.role == role), None)
            sides[role] = chunk[name].values[rows] if name is not None else None
        if rows.any():
            times = None if self.extras.time is None else chunk[self.extras.time].values[rows]
            own = None if weights is None else weights[rows]
            self.performance.update(chunk[target].values[rows], **sides, times=times, weights=own)
            self.cells.update(chunk, rows, weights)

    def _declared(self, chunk: Mapping[str, Typed], rows: int) -> BoolArray:
        if self.extras.split is None:
            return np.ones(rows, np.bool_)
        name, value = self.extras.split
        return np.array([cell == value for cell in chunk[name].values.tolist()], np.bool_)

    def columns(self) -> tuple[ProfileColumn, ...]:
        """The profile's columns, with their counts."""
        return tuple(self._column(choice) for choice in self.choices)

    def _column(self, choice: Choice) -> ProfileColumn:
        counts, sums = tuple(self._whole(self.counts[choice.name]).tolist()), self.sums[choice.name]
        if not isinstance(choice.bins, NumericBins):
            return replace(choice.bare, counts=counts)
        sums = sums if self.weighed is None else sums * self.weighed.scale
        return replace(choice.bare, counts=counts, sums=tuple(sums.tolist()))

    def _whole(self, sums: FloatArray | IntArray) -> IntArray:
        """Counts of rows, or of effective ones."""
        if self.weighed is None:
            return sums.astype(np.int64, copy=False)
        return apportioned(sums.astype(np.float64, copy=False), self.weighed.scale)

    def pairs(self) -> tuple[CoMoments, ...]:
        """The co-moments; a pair whose sums overflow is left out."""
        found = []
        for (a, b), sums, fourths in zip(self.extras.pairs, self._pairs.T, self._fourths.T, strict=True):
            if np.isfinite(sums).all():
                wide = _spread(sums, fourths)
                if self.weighed is not None and sums[0]:
                    sums = sums * (np.rint(sums[0] * self.weighed.scale) / sums[0])
                n, *rest = sums.tolist()
                one, other = self._scales[a], self._scales[b]
                means, deviations = (one.mean, other.mean), (one.std, other.std)
                pair = CoMoments(a, b, means, deviations, int(n), *rest)
                found.append(replace(pair, spread=wide))
        return tuple(found)

    def associations(self) -> tuple[Association, ...]:
        """How each feature goes with each answer."""
        bins = {choice.name: choice.bins for choice in self.choices}
        found = (
            association_of(a, b, self._whole(table), _ordered(bins[a], bins[b]))
            for (a, b), table in self._tables.items()
        )
        return tuple(one for one in found if one is not None)

    def levels(self, statistics: Sequence[Measures]) -> tuple[tuple[PeriodSet, ...], tuple[Level, ...]]:
        """The reference's own levels, and what became of each length of period."""
        columns = {choice.name: (choice.bins, choice.bare.std) for choice in self.choices}
        found = [period.levels(columns, statistics) for period in self._periods]
        return tuple(each for each, _ in found), tuple(level for _, levels in found for level in levels)

    def result(self) -> Performance | None:
        """The performance on the declared rows."""
        found = self.performance.result()
        return found and replace(found, cells=self.cells.result())


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _ordered(a: Bins, b: Bins) -> tuple[int, int] | None:
    if isinstance(a, NumericBins) and isinstance(b, NumericBins):
        return a.ranges, b.ranges
    return None


def _spread(sums: FloatArray, fourths: FloatArray) -> float:
    """To six digits, for a file; 1, as of normal rows, where it overflows."""
    if not np.isfinite(fourths).all():
        return 1.0
    found = spread(with_spread(sums, fourths), pearson(sums) or 0.0)
    return float(f"{found:.6g}") if np.isfinite(found) else 1.0
