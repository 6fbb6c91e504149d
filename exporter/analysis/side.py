"""Inputs or outputs of one model version: the columns that are counted, and their windows.

Which columns are counted is decided by the profile (or by the order of the payload without one), and what they are by
the profile or their first sight, never by later traffic. Refuses to know tasks, classes and Samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import Nature, counted, is_free, misfits, profiled, sighted
from exporter.analysis.batch import Batch, Members
from exporter.analysis.columns import Columns
from exporter.analysis.fit import Fitted, categorical, numeric
from exporter.analysis.judge import Judge
from exporter.analysis.kept import KeptColumn, KeptSide
from exporter.analysis.known import Known
from exporter.analysis.missing import Missing
from exporter.analysis.quality import Findings, Quality
from exporter.records.exchange import OTHER
from exporter.records.observation import Column
from exporter.records.sample import Exponential
from exporter.stats import (
    ColumnSpec,
    Layout,
    NumericBins,
    Profile,
    ProfileColumn,
    SnapshotError,
    View,
    Windows,
    coarse_bins,
    fine_bins,
    from_bytes,
)
from exporter.stats.exponential import SCALE, ZERO_THRESHOLD, Exponentials, update_all
from exporter.stats.profiles.column import PayloadColumn

MAX_UNPROFILED = 20
_MAX_REFUSED = 1000  # names that are remembered, to tell how many they are
MISFITS = ("missing_column", "extra_column", "wrong_type")
# Probabilities in twentieths, kept in hundredths for quantiles; fixed, so that replicas add up.
_SHARES = NumericBins(tuple(part / 100 for part in range(5, 101, 5)))
_FINE = NumericBins(tuple(part / 100 for part in range(1, 101)))
DERIVED_BINS = {name: ColumnSpec(name, _SHARES, _FINE) for name in ("confidence", "margin")}
Role = Literal["feature", "prediction"]


class Times(NamedTuple):
    """When a batch is counted, and when its rows belong, if not then."""

    now: float
    at: float | None = None


class Latest(NamedTuple):
    """What was counted last, by column: values, and which of them are null, or how many besides."""

    batch: dict[str, NDArray[Any]]
    nulls: dict[str, int | NDArray[np.bool_]]


_NOTHING = Latest({}, {})


class _Taken(NamedTuple):
    """Columns of a batch by the names of their bins, their nulls, and the exchanges that are misfits."""

    values: dict[str, NDArray[Any]]
    nulls: dict[str, int | NDArray[np.bool_]]
    wrong: set[int]


@dataclass(frozen=True, slots=True)
class SideState:
    """A copy of one side: totals since the start, and the rolling windows by length where they were asked for.

    `profile` is None where no column of this role is profiled. `derived`: columns that no reference has. `signed`:
    positive and negative sums of the numeric columns. `reasons`: by payload column, the counted column that tells its
    nulls, and how many of those were absent and declared. `exponentials`: base-2 buckets of the numeric predictions.
    `judge` compares the windows. `hidden`: columns that are counted in windows only.
    """

    role: Role
    profile: Profile | None
    layout: Layout
    derived: frozenset[str]
    totals: View
    signed: dict[str, tuple[float, float]]
    windows: dict[float, View]
    reasons: dict[str, tuple[str, int, int]]
    exponentials: dict[str, Exponential]
    judge: Judge
    hidden: frozenset[str]
    quality: Findings

    def reference(self, name: str) -> str:
        """The label value of the reference of a column."""
        return self.profile.reference if self.profile is not None and name not in self.derived else ""

    def profiled(self, name: str) -> ProfileColumn | None:
        """What a column is compared with, if anything."""
        return self.profile.column(name) if self.profile is not None and name not in self.derived else None


class Side:
    """`update` takes batches in, `state` is a copy."""

    def __init__(
        self,
        role: Role,
        profile: Profile | None,
        known: Known,
        chosen: Columns,
    ) -> None:
        """`chosen`: the columns of the profile that are counted."""
        columns = [column for column in profile.columns if column.role == role] if profile is not None else []
        counted = chosen.of(role)
        self.role: Role = role
        self.profile = profile if columns else None
        self._judge = Judge(self.profile, role, known.drift_effects)
        self._derived: set[str] = set()
        self._missing = Missing(known.missing_values if role == "feature" else ())
        self._exponentials: dict[str, Exponentials] = {}
        payload = profile.payload if profile is not None else ()
        self._natures = profiled(counted, payload)
        # Of all columns of the profile, those that are not counted included.
        self._needed = profiled(columns, payload).keys()
        self._order = _order(payload, role) or tuple(self._needed)
        told = {column.name for column in payload}
        left = {column.name for column in profile.left_out} if profile is not None else set()
        self._known = frozenset(self._needed | told | left)
        self._hidden = frozenset(column.name for column in counted) - chosen.exported
        self._quality = Quality(self.profile, self._natures, tuple(self._known))
        self._room = MAX_UNPROFILED if self.profile is None else 0
        self._refused: set[str] = set()
        self.remembers = False  # what was counted last
        self._latest = _NOTHING
        self._windows = Windows(Layout(tuple(column.spec() for column in counted)), known.windows)
        self._numbers_of: tuple[Layout | None, frozenset[str]] = (None, frozenset())

    @property
    def refused(self) -> int:
        """Columns that found no room, as far as they are counted."""
        return len(self._refused)

    @property
    def layout(self) -> Layout:
        """The columns counted now."""
        return self._windows.layout

    def nature(self, name: str) -> Nature | None:
        """What a column is; None for one that is not counted."""
        return self._natures.get(name)

    def placed(self, batch: Batch) -> Batch:
        """The profile's names where the payload's are positional: same number, and none of them known.

        A vector of as many places as the profile has columns is those columns.
        """
        order, names = self._order, batch.names
        alone = len(names) == 1 < len(order) and names[0] not in self._natures
        if alone and _as_wide(batch.members, len(order)):
            return Batch(order, [_split(order, member[0]) for member in batch.members])
        if names and len(order) == len(names) and not set(names) & set(order):
            return batch.renamed(order)
        return batch

    def update(
        self,
        times: Times,
        batch: Batch,
        derived: Mapping[str, NDArray[np.float64]] = MappingProxyType({}),
    ) -> dict[str, int]:
        """Add exchanges that are alike, and what was derived from them.

        Returns how many exchanges did not fit, by reason. A column of another kind than its bins is converted; it is
        a misfit where a cell cannot be, or where a column without a profile turned from classes to numbers.
        """
        found, rows = self._taken(batch), batch.rows
        self._quality.judge(found.values, batch.names, rows)
        values = found.values | self._with_derived(derived) if derived else found.values
        self._latest = Latest(values, found.nulls) if self.remembers else _NOTHING
        self._windows.update(times.now, values, found.nulls, requests=batch.requests, at=times.at)
        if self.role == "prediction":
            self._scale(values)
        return self._misfits(batch.names, found.wrong, len(batch.members))

    def _taken(self, batch: Batch) -> _Taken:
        """The columns that are counted, as their bins count them."""
        found = _Taken({}, {}, set())
        numbers, table = self._numbers(), batch.table
        plain = batch.gapless and not self._missing.declared
        if plain and table is not None and numbers.issuperset(batch.names):
            # The usual case, at the least cost: nothing can be missing, of another kind, or new.
            found.values.update(zip(batch.names, table, strict=True))
            return found
        new: list[ColumnSpec] = []
        for place, name in enumerate(batch.names):
            if plain and table is not None and name in numbers:
                found.values[name] = table[place]
            else:
                new += self._take(name, batch.columns(place), found)
        if self.profile is None:
            self._grow(new, found.values)
        return found

    def _take(self, name: str, given: list[Column], found: _Taken) -> list[ColumnSpec]:
        """One column; returns the columns by which it is counted, where it is new and their bins are known."""
        columns = self._missing.cleared(given)
        nature, new = self._natures.get(name), []
        if nature is None:
            nature = self._admitted(name, columns)
            if nature is None:
                return []
            new = nature.specs(name)
        usable = False
        parts = self._counted(nature, name, columns)
        self._quality.see(name, nature, columns, parts)
        for part, fitted in parts.items():
            found.values[part] = fitted.values
            if not isinstance(fitted.nulls, int) or fitted.nulls:
                found.nulls[part] = fitted.nulls
            found.wrong.update(fitted.misfits)
            usable = usable or len(fitted.misfits) < len(given)
        if usable:
            self._missing.count(name, given, columns)
        return new

    def _numbers(self) -> frozenset[str]:
        """Columns of the payload that are counted as the numbers they are."""
        if self._numbers_of[0] is not self.layout:
            places, edges = self.layout.places, self.layout.edges
            found = [
                name
                for name, nature in self._natures.items()
                if nature.type in ("numeric", "category")
                and name in places
                and edges[places[name]] is not None
            ]
            self._numbers_of = self.layout, frozenset(found)
        return self._numbers_of[1]

    def follow(self, other: "Side") -> None:
        """Count the columns that another side of the same profile counts, and admit none of its own."""
        self._room = 0
        new = {name: nature for name, nature in other._natures.items() if name not in self._natures}
        if new:
            self._natures |= new
            self._quality.admit(new)
            specs = [spec for name, nature in new.items() for spec in nature.specs(name)]
            self._windows = self._windows.extended(Layout((*self.layout.columns, *specs)))

    def latest(self) -> Latest:
        """What the last update counted, and forget it."""
        found, self._latest = self._latest, _NOTHING
        return found

    def _scale(self, batch: dict[str, NDArray[Any]]) -> None:
        places, edges = self.layout.places, self.layout.edges
        names = [name for name in batch if name in places and edges[places[name]] is not None]
        for name in names:
            if name not in self._exponentials:
                self._exponentials[name] = Exponentials()
        if names:
            columns = [self._exponentials[name] for name in names]
            update_all(columns, [np.asarray(batch[name], np.float64) for name in names])

    def _admitted(self, name: str, columns: list[Column]) -> Nature | None:
        """What a new column is, if it is to be counted: none beside a profile, and none beyond the bound."""
        if not self._room or name in self._derived:
            self._refuse(name)
            return None
        nature = sighted(columns)
        size = len(nature.names(name))
        if size > self._room:
            self._refuse(name)
            return None
        self._room -= size
        self._natures[name] = nature
        self._quality.admit({name: nature})
        return nature

    def _refuse(self, name: str) -> None:
        if self.profile is None and len(self._refused) < _MAX_REFUSED:
            self._refused.add(name)

    def _with_derived(self, derived: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Those derived columns that are counted: a name that the payload had first is the payload's."""
        found = {name: values for name, values in derived.items() if name not in self._natures}
        new = [name for name in found if name not in self._derived]
        if new:
            self._derived.update(new)
            specs = [DERIVED_BINS.get(name) or ColumnSpec(name, coarse_bins(), fine_bins()) for name in new]
            self._windows = self._windows.extended(Layout((*self.layout.columns, *specs)))
        return found

    def _counted(self, nature: Nature, name: str, columns: list[Column]) -> dict[str, Fitted]:
        if nature.type in ("numeric", "category"):
            return {name: self._fit(name, columns)}
        return counted(nature, name, columns)

    def _fit(self, name: str, columns: list[Column]) -> Fitted:
        kind = columns[0].kind
        if kind == "vector":
            return misfits(columns)
        if name not in self.layout.places:
            return numeric(columns) if kind == "numeric" else _nameable(categorical(columns))
        if isinstance(self.layout.column(name).bins, NumericBins):
            return numeric(columns)
        fitted = categorical(columns)
        if self.profile is not None:
            return fitted
        if kind == "numeric":
            return Fitted(fitted.values, 0, frozenset(range(len(columns))))
        return _nameable(fitted)

    def _grow(self, new: list[ColumnSpec], batch: dict[str, NDArray[Any]]) -> None:
        layout = Layout((*self.layout.columns, *new)) if new else self.layout
        layout = layout.grown(batch)
        if layout is not self.layout:
            self._windows = self._windows.extended(layout)

    def _misfits(self, names: tuple[str, ...], wrong: set[int], exchanges: int) -> dict[str, int]:
        found = {"wrong_type": len(wrong)} if wrong else {}
        if self.profile is not None:
            if not self._needed <= set(names):
                found["missing_column"] = exchanges
            if not self._known.issuperset(names):
                found["extra_column"] = exchanges
        return found

    def kept(self) -> tuple[dict[str, Any], Windows]:
        """What a `KeptSide` says of this side, and a copy of its rolling windows."""
        own = {} if self.profile is not None else self._natures
        columns = tuple(
            [KeptColumn(name, nature.type, nature.width, nature.aspects) for name, nature in own.items()]
        )
        reference = self.profile.reference if self.profile is not None else ""
        head = {"side": self.role, "reference": reference, "columns": columns}
        return head | {"derived": tuple(sorted(self._derived))}, self._windows.copied()

    def restore(self, kept: KeptSide) -> None:
        """Take over rolling windows; only into a side that has counted nothing. Raises SnapshotError."""
        windows = from_bytes(kept.windows)
        own = self.layout.columns
        names = [column.name for column in windows.layout.columns]
        there = [column for column in windows.layout.columns if column.name not in kept.derived]
        if kept.reference != (self.profile.reference if self.profile is not None else ""):
            raise SnapshotError(f"windows of reference {kept.reference or 'none'}, another is in use")
        if (windows.lengths, windows.panes) != (self._windows.lengths, self._windows.panes):
            raise SnapshotError(f"windows of {windows.lengths} seconds, others are in use")
        natures = {one.name: Nature(one.type, one.width, None, one.aspects) for one in kept.columns}
        parts = [part for name, nature in natures.items() for part in nature.names(name)]
        if self.profile is not None:
            fits = tuple(there) == own
        else:
            fits = {column.name for column in there} <= set(parts) and len(parts) <= MAX_UNPROFILED
        if not fits or not set(kept.derived) <= set(names):
            raise SnapshotError("windows over other columns than are counted")
        if self.profile is None:
            self._natures = natures
            self._room -= len(parts)
        self._derived = set(kept.derived)
        # The columns of now: what was written does not know how categories are hashed.
        now = self.layout
        columns = [now.column(one.name) if one.name in now.places else one for one in windows.layout.columns]
        self._windows = Windows(Layout(tuple(columns)), windows.lengths, windows.panes)
        self._windows.merge_rolling(windows)

    def state(self, now: float | None) -> SideState:
        """A copy; with the rolling windows as of `now`, unless that is None."""
        windows, layout = self._windows, self.layout
        signed = {
            name: sums
            for (name, sums), edges in zip(windows.signed.items(), layout.edges, strict=True)
            if edges is not None
        }
        views = {} if now is None else {length: windows.read(now, length) for length in windows.lengths}
        copied = self.role, self.profile, layout, frozenset(self._derived), windows.totals(), signed, views
        base2 = {name: _exponential(found) for name, found in self._exponentials.items()}
        return SideState(*copied, self._reasons(), base2, self._judge, self._hidden, self._quality.findings())

    def _reasons(self) -> dict[str, tuple[str, int, int]]:
        places = self.layout.places
        telling = {name: nature.telling(name) for name, nature in self._natures.items()}
        found = self._missing
        return {
            name: (part, found.absent.get(name, 0), found.sentinels.get(name, 0))
            for name, part in telling.items()
            if part in places and part not in self._hidden
        }


def _order(payload: Sequence[PayloadColumn], role: Role) -> tuple[str, ...]:
    """The names of a side's payload, for payloads without any: what is not counted has its place there too.

    () where the profile does not tell: one of schema 1, and images, whose aspects are columns of the payload.
    """
    roles = ("feature",) if role == "feature" else ("prediction", "score")
    own = [column for column in payload if column.role in roles]
    return () if any(column.type == "image" for column in own) else tuple([column.name for column in own])


def _exponential(found: Exponentials) -> Exponential:
    return Exponential(SCALE, found.zero, ZERO_THRESHOLD, *found.used(False), *found.used(True))


def _as_wide(members: Members, width: int) -> bool:
    """Whether the first columns are vectors of that width."""
    return all(member[0].kind == "vector" and member[0].values.shape[1] == width for member in members)


def _split(names: tuple[str, ...], vector: Column) -> tuple[Column, ...]:
    """The places of a vector as columns; a null row is null in each."""
    return tuple(
        [Column(name, "numeric", vector.values[:, at], vector.nulls) for at, name in enumerate(names)]
    )


def _nameable(fitted: Fitted) -> Fitted:
    """The categories of a column that nobody declared, without those that may be anybody's words."""
    if fitted.values.dtype != object:
        return fitted
    cells = fitted.values.tolist()
    free = {cell for cell in set(cells) if isinstance(cell, str) and is_free(cell)}
    if not free:
        return fitted
    return Fitted(np.array([OTHER if cell in free else cell for cell in cells], object), fitted.nulls)
