"""Comparison: all columns of a window against their references, each statistic formed once for all of them.

Made once for a layout and its references, used at every tick. Refuses to know models and time. Invariant: it finds the
same as `Statistic.measure` of each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import BoolArray, FloatArray, IntArray, NumericBins
from exporter.stats.drift import BOTH, NUMERIC, Drift, Statistic
from exporter.stats.layout import Layout
from exporter.stats.table import Table
from exporter.stats.window import View

# (column, statistic) -> the reference's own level for windows of this length
Levels = Mapping[tuple[str, str], float]
# A statistic's name, its numbers as in `Result`, and the reference's own level.
Told = tuple[str, list[float], float | None]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a column is compared with: counts over its exported bins; sum of the values of each, and std, if known."""

    counts: IntArray
    sums: FloatArray | None = None
    std: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What the comparison of one view found; nouns are made only of what is asked for.

    `holds`: (statistics, columns). `numbers`: what a `Drift` tells, (8, statistics, columns), NaN where there is no
    p-value.
    """

    columns: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    holds: BoolArray
    numbers: FloatArray
    levels: Levels

    def of(self, name: str) -> tuple[Drift, ...]:
        """Every statistic of a column that holds for it and has rows enough; () for a column without reference."""
        try:
            row = self.columns.index(name)
        except ValueError:
            return ()
        return tuple(self._of(row))

    def told(self, names: Sequence[str]) -> dict[str, list[Told]]:
        """The same of many columns without nouns, for those that tell of hundreds at every tick.

        Columns without a reference are left out.
        """
        places = {name: place for place, name in enumerate(self.columns)}
        known = [name for name in names if name in places]
        rows = [places[name] for name in known]
        ready = self.holds[:, rows].T.tolist()
        numbers = self.numbers[:, :, rows].transpose(2, 1, 0).tolist()
        words = [one.name for one in self.statistics]
        level = self.levels.get
        return {
            name: [
                (word, own, level((name, word)))
                for word, holds, own in zip(words, held, found, strict=True)
                if holds
            ]
            for name, held, found in zip(known, ready, numbers, strict=True)
        }

    def drifted(self, statistic: str, effect: float | None = None) -> tuple[tuple[str, ...], int]:
        """Which columns drifted by this statistic, and how many have it: the share of drifted columns.

        Above all yardsticks that exist and above `effect` (None: the statistic's own). KeyError for a name that is
        not among the statistics.
        """
        beyond = self.beyond(statistic, effect)
        names = np.flatnonzero(beyond > 0.0).tolist()
        return tuple(self.columns[place] for place in names), int((~np.isnan(beyond)).sum())

    def beyond(self, statistic: str, effect: float | None = None) -> FloatArray:
        """How far each column is above the largest of its yardsticks and `effect` (None: the statistic's own).

        Negative below; NaN where the statistic does not hold or has too few rows. KeyError for an unknown name.
        """
        for place, one in enumerate(self.statistics):
            if one.name == statistic:
                effects = {} if effect is None else {statistic: effect}
                return np.asarray(self._beyond(slice(place, place + 1), effects)[0], np.float64)
        raise KeyError(statistic)

    def all_beyond(self, effects: Mapping[str, float]) -> FloatArray:
        """The same of every statistic, (statistics, columns); those without an effect here have their own."""
        return self._beyond(slice(None), effects)

    def _beyond(self, rows: slice, effects: Mapping[str, float]) -> FloatArray:
        value, floor, critical = self.numbers[:3, rows]
        chosen = self.statistics[rows]
        least = np.array([effects.get(one.name, one.effect) for one in chosen])[:, None]
        yardsticks = np.maximum(np.maximum(floor, critical), least)
        if self.levels:
            limits = [[self.levels.get((name, one.name), 0.0) for name in self.columns] for one in chosen]
            yardsticks = np.maximum(yardsticks, np.array(limits).reshape(yardsticks.shape))
        return np.where(self.holds[rows], value - yardsticks, np.nan)

    def shares(self, effects: Mapping[str, float]) -> Iterator[tuple[str, int, int]]:
        """Of each statistic how many columns drifted, and how many have it; see `drifted`."""
        drifted = (self.all_beyond(effects) > 0.0).sum(axis=1).tolist()
        for one, many, of in zip(self.statistics, drifted, self.holds.sum(axis=1).tolist(), strict=True):
            yield one.name, many, of

    def each(self) -> Iterator[tuple[str, tuple[Drift, ...]]]:
        """Every column with what `of` gives."""
        for row, name in enumerate(self.columns):
            yield name, tuple(self._of(row))

    def _of(self, row: int) -> Iterator[Drift]:
        name, levels = self.columns[row], self.levels
        for one, holds, told in zip(
            self.statistics, self.holds[:, row].tolist(), self.numbers[:, :, row].T.tolist(), strict=True
        ):
            if holds:
                value, floor, critical, rows, reference_rows, bins, effective, p_value = told
                sizes = int(rows), int(reference_rows), int(bins)
                p = None if p_value != p_value else p_value
                level = levels.get((name, one.name)) if levels else None
                yield Drift(one.name, value, floor, critical, *sizes, effective, p, level)


class _Fixed(NamedTuple):
    """The reference's part of a table of so many views; see `Table`."""

    counts: IntArray
    ranges: BoolArray
    sums: FloatArray
    std: FloatArray
    kept: dict[str, tuple[FloatArray, ...]]


class Comparison:
    """The references of a layout's columns, made ready for `measure`."""

    def __init__(
        self, layout: Layout, references: Mapping[str, Reference], statistics: Sequence[Statistic]
    ) -> None:
        """Columns that are not compared, or have no reference here, are left out.

        Raises ValueError for counts or sums over another number of bins than the column exports.
        """
        self.statistics = tuple(statistics)
        compared = [layout.columns[place] for place in layout.compared.places.tolist()]
        columns = [column for column in compared if column.name in references]
        self.columns = tuple(column.name for column in columns)
        self._layout = layout
        self._rows = np.array([compared.index(column) for column in columns], np.intp)
        widest = max((column.bins.size for column in columns), default=1)
        sizes = np.array([column.bins.size for column in columns], np.intp)[:, None]
        steps = np.arange(widest)
        starts = layout.compared.starts[self._rows][:, None]
        # Bins beyond a column's own lie one past the end, where there is always a 0.
        self._cells = np.where(steps < sizes, starts + steps, layout.compared.size)
        ranges = [column.bins.ranges if isinstance(column.bins, NumericBins) else 0 for column in columns]
        self._ranges = steps < np.array(ranges, np.intp).reshape(-1, 1)
        self._numeric = np.array(ranges, np.intp) > 0
        held = [references[name] for name in self.columns]
        self._counts = self._padded([one.counts for one in held]).astype(np.int64)
        self._sums = self._padded([_known(one) for one in held])
        lacks = [one.sums is None or one.std is None for one in held]
        self._std = np.array(
            [np.nan if lack else one.std for lack, one in zip(lacks, held, strict=True)], float
        )
        # By how many views are measured together: what the reference's part of such a table is.
        self._fixed: dict[int, _Fixed] = {}

    def measure(self, view: View, levels: Levels | None = None) -> Result:
        """All statistics of all columns. Raises ValueError for a view of another layout."""
        return self.measure_all([view], [levels])[0]

    def measure_all(self, views: Sequence[View], levels: Sequence[Levels | None]) -> tuple[Result, ...]:
        """The same of several views, such as all windows: together they cost little more than one."""
        if not views:
            return ()
        table, count = self._table(views), len(self.columns)
        found = [one.find(table) for one in self.statistics]
        kinds = {NUMERIC: np.tile(self._numeric, len(views)), BOTH: np.ones(count * len(views), np.bool_)}
        shape = len(found), count * len(views)
        holds = [one.ready() & kinds[own.kinds] for own, one in zip(self.statistics, found, strict=True)]
        ready = np.array(holds).reshape(shape)
        numbers = np.array([one.numbers() for one in found], np.float64).reshape(shape[0], 8, shape[1])
        numbers = numbers.swapaxes(0, 1)
        cuts = [slice(place * count, (place + 1) * count) for place in range(len(views))]
        return tuple(
            Result(self.columns, self.statistics, ready[:, cut], numbers[:, :, cut], own or {})
            for cut, own in zip(cuts, levels, strict=True)
        )

    def _table(self, views: Sequence[View]) -> Table:
        """The rows of all views, one after another; what is the reference's is repeated once."""
        if any(view.layout is not self._layout and view.layout != self._layout for view in views):
            raise ValueError("a comparison measures views of its own layout only")
        many = len(views)
        if many not in self._fixed:
            self._fixed[many] = _Fixed(
                _repeated(self._counts, many),
                _repeated(self._ranges, many),
                _repeated(self._sums, many),
                np.tile(self._std, many),
                {},
            )
        counts, ranges, own, std, kept = self._fixed[many]
        live = self._laid([view.compared for view in views], np.int64)
        sums = self._laid([view.sums for view in views], np.float64)
        effective = np.concatenate([view.independent[self._rows] for view in views])
        return Table(counts, live, ranges, effective, (own, sums), std, kept)

    def _laid(self, flats: Sequence[NDArray[Any]], kind: type[Any]) -> NDArray[Any]:
        """Vectors over the compared bins as rows of a table, a row per column."""
        held = np.zeros((len(flats), self._layout.compared.size + 1), kind)
        for place, flat in enumerate(flats):
            held[place, :-1] = flat
        # A bin's cells of all columns lie together in memory: sums over few bins then take a fourth of the time.
        laid = held[:, self._cells.T].swapaxes(0, 1)
        return np.ascontiguousarray(laid.reshape(len(laid), -1)).T

    def _padded(self, rows: list[IntArray] | list[FloatArray]) -> FloatArray:
        matrix = np.zeros(self._cells.shape)
        sizes = (self._cells < self._layout.compared.size).sum(axis=1)
        for place, (row, size) in enumerate(zip(rows, sizes.tolist(), strict=True)):
            if len(row) != size:
                name = self.columns[place]
                raise ValueError(f"column {name!r}: {size} bins are exported, its reference has {len(row)}")
            matrix[place, :size] = row
        return matrix


def _repeated(table: NDArray[Any], many: int) -> NDArray[Any]:
    return np.asfortranarray(np.tile(table, (many, 1)))


def _known(reference: Reference) -> FloatArray:
    return np.zeros(len(reference.counts)) if reference.sums is None else reference.sums
