"""Joint: what is counted of whole rows in rolling windows: pairs of columns, distances of rows, tables of associations.

Which they are the reference tells. Sums add up over panes; reading changes none. Rows wait until there are some hundred
of them, or a reader, or the next pane: a call costs more than a row. Refuses to know models; `now` is an argument.
Invariants: nothing in a batch raises; a column that has other rows than the rest takes no part; memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.stats.association import joint_counts
from exporter.stats.bins import (
    Bins,
    BoolArray,
    FloatArray,
    IntArray,
    Nulls,
    NumericBins,
    Values,
    as_numbers,
    split_nulls,
)
from exporter.stats.moments import LARGEST
from exporter.stats.pairs import SUMS, live_moments
from exporter.stats.profiles.joint import Association, CoMoments, Precision
from exporter.stats.profiles.profile import Profile
from exporter.stats.rolling import RollingSums

MAX_FEATURES = 10  # of an output, those that go with it most in the reference
WAITING_ROWS = 512
_WHOLE = 3
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class JointParts:
    """What the reference says of columns together, as far as live rows are held against it.

    `bins`: of the columns of the associations.
    """

    pairs: tuple[CoMoments, ...]
    precision: Precision | None
    associations: tuple[Association, ...]
    bins: Mapping[str, Bins]

    @staticmethod
    def of(profile: Profile | None, counted: Iterable[str]) -> JointParts | None:
        """Those whose columns are all counted; None where there are none."""
        if profile is None:
            return None
        names = frozenset(counted)
        bins = {column.name: column.bins for column in profile.columns if column.name in names}
        pairs = tuple(one for one in profile.pairs if {one.a, one.b} <= names)
        precision = profile.precision
        if precision is not None and not names.issuperset(precision.names):
            precision = None
        chosen = _strongest(one for one in profile.associations if {one.feature, one.prediction} <= names)
        if not pairs and precision is None and not chosen:
            return None
        taken = {name for one in chosen for name in (one.feature, one.prediction)}
        return JointParts(pairs, precision, chosen, {name: bins[name] for name in taken})

    @property
    def columns(self) -> frozenset[str]:
        """All that take part."""
        own = self.precision.names if self.precision is not None else ()
        return frozenset((*(name for one in self.pairs for name in (one.a, one.b)), *own, *self.bins))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the tables of the associations: bins of the feature, bins of the answer."""
        return [(self.bins[one.feature].size, self.bins[one.prediction].size) for one in self.associations]

    @property
    def size(self) -> int:
        """Numbers in the flat vector: of pairs, of whole rows, of tables."""
        return SUMS * len(self.pairs) + _WHOLE + sum(down * across for down, across in self.shapes)


def _strongest(associations: Iterable[Association]) -> tuple[Association, ...]:
    by_output: dict[str, list[Association]] = {}
    for one in associations:
        by_output.setdefault(one.prediction, []).append(one)
    return tuple(
        one
        for own in by_output.values()
        for one in sorted(own, key=lambda each: (-abs(each.strength), each.feature))[:MAX_FEATURES]
    )


@dataclass(frozen=True, slots=True)
class JointView:
    """The sums of one window: (7, pairs), those of whole rows (3,), and a table per association."""

    pairs: FloatArray
    whole: FloatArray
    tables: tuple[IntArray, ...]


class JointWindows:
    """`add` rows, `read` windows."""

    def __init__(self, parts: JointParts, lengths: tuple[float, ...]) -> None:
        self.parts = parts
        self._sums = RollingSums((parts.size,), lengths)
        self._columns = parts.columns
        self._space = parts.precision.space() if parts.precision is not None else None
        self._waiting: list[dict[str, _Cells]] = []
        self._rows = 0
        self._since: tuple[float, list[int]] = (
            0.0,
            [],
        )  # when the first of those that wait came, and the panes of then

    def add(
        self,
        now: float,
        batch: Mapping[str, Values],
        nulls: Mapping[str, Nulls],
        rows: int,
        at: float | None = None,
    ) -> None:
        """Cells of rows of one and the same requests, `rows` of them; `at`: when they belong, if not now."""
        found = {
            name: _Cells(values, None if isinstance(own := nulls.get(name), int) else own)
            for name in self._columns
            if (values := batch.get(name)) is not None and len(values) == rows
        }
        if at is not None and at < now:
            self._sums.add(now, self._summed([found]), at)
            return
        slots = self._sums.slots_at(now)
        alike = not self._waiting or self._waiting[0].keys() == found.keys()
        if not alike or slots != self._since[1]:
            self._settle()
        if not self._waiting:
            self._since = now, slots
        self._waiting.append(found)
        self._rows += rows
        if self._rows >= WAITING_ROWS:
            self._settle()

    def read(self, now: float, length: float) -> JointView:
        """The window of `length` seconds that ends at `now`. Raises KeyError for a length not kept."""
        self._settle()
        flat, count = self._sums.read(now, length), len(self.parts.pairs)
        tables, start = [], SUMS * count + _WHOLE
        for down, across in self.parts.shapes:
            cells = flat[start : start + down * across]
            tables.append(cells.reshape(down, across).astype(np.int64))
            start += down * across
        pairs = flat[: SUMS * count].reshape(SUMS, count)
        return JointView(pairs, flat[SUMS * count :][:_WHOLE], tuple(tables))

    @property
    def lengths(self) -> tuple[float, ...]:
        """Of its windows, seconds."""
        return self._sums.lengths

    def rolling(self) -> RollingSums:
        """A copy of all that rolls, for a snapshot."""
        self._settle()
        return self._sums.copied()

    def take(self, sums: RollingSums) -> None:
        """Take over what an earlier one of the same parts and lengths had counted, before anything is added."""
        self._sums = sums

    def _settle(self) -> None:
        if self._waiting:
            self._sums.add(self._since[0], self._summed(self._waiting))
            self._waiting, self._rows = [], 0

    def _summed(self, batches: list[dict[str, _Cells]]) -> FloatArray:
        cells = {name: _Cells.joined([batch[name] for batch in batches]) for name in batches[0]}
        parts = self.parts
        numbers = {
            name: own.finite()
            for name, own in cells.items()
            if name not in parts.bins or _number(parts, name)
        }
        found = [live_moments(parts.pairs, numbers).ravel(), self._whole(numbers)]
        codes = {name: own.located(parts.bins[name]) for name, own in cells.items() if name in parts.bins}
        for one, (down, across) in zip(parts.associations, parts.shapes, strict=True):
            both = codes.get(one.feature, _NONE), codes.get(one.prediction, _NONE)
            same = len(both[0]) == len(both[1])
            left, right = both if same else (_NONE, _NONE)
            found.append(joint_counts(left, right, (down, across)).ravel().astype(np.float64))
        return np.concatenate(found)

    def _whole(self, numbers: Mapping[str, FloatArray]) -> FloatArray:
        """Of rows that have all columns of the precision matrix."""
        precision = self.parts.precision
        if precision is None or self._space is None or not numbers.keys() >= set(precision.names):
            return np.zeros(_WHOLE)
        return self._space.sums(np.stack([numbers[name] for name in precision.names], axis=1))


def _number(parts: JointParts, name: str) -> bool:
    return isinstance(parts.bins[name], NumericBins)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of a column, and which of them are null."""

    values: Values
    null: BoolArray | None

    @staticmethod
    def joined(parts: list[_Cells]) -> _Cells:
        if len(parts) == 1:
            return parts[0]
        masks = None
        if any(part.null is not None for part in parts):
            masks = np.concatenate(
                [np.zeros(len(p.values), np.bool_) if p.null is None else p.null for p in parts]
            )
        return _Cells(np.concatenate([part.values for part in parts]), masks)

    def finite(self) -> FloatArray:
        """As numbers, NaN where a cell is none, or too large for sums."""
        found = as_numbers(self.values, self.null).values.astype(np.float64, copy=False)
        odd = ~(np.abs(found) <= LARGEST)
        return np.where(odd, np.nan, found) if odd.any() else found

    def located(self, bins: Bins) -> IntArray:
        """The bin of each."""
        null, _ = split_nulls(self.null)
        if isinstance(bins, NumericBins):
            return bins.locate(as_numbers(self.values, null))
        return bins.locate(self.values, null)
