"""What the rows of one model version tell as wholes: whether they came before, and how old they are.

A row is its inputs without ids and times. Its age is the time of analysis less that of its column of times, which is
no feature: it always moves on. A time without a zone is UTC. Bounded: a table of fixed size, made with the first row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import moment
from exporter.analysis.batch import Batch, Members
from exporter.analysis.fit import joined
from exporter.analysis.known import Known
from exporter.records.observation import Column, Observation
from exporter.records.quality_metrics import LAG_BUCKETS
from exporter.stats import Profile
from exporter.stats.duplicates import Repeats, row_hashes, table_hashes
from exporter.stats.profiles.types import UNITS

REPEAT_SECONDS: Final = 3600.0
# Later and earlier is no time but a number in another unit.
_SOONEST, _LATEST = -1e11, 1e11


@dataclass(frozen=True, slots=True)
class RowFacts:
    """A copy. `lags`: rows per bucket of LAG_BUCKETS, and their sum; `latest` is None before the first time.

    `duplicates` and `rate` (rows per second) are the reference's own, None where not known.
    """

    hashed: int
    repeated: int
    time_column: str
    lags: tuple[int, ...]
    lag_sum: float
    future: int
    unread: int
    null: int
    latest: float | None
    duplicates: float | None
    rate: float | None


class Rows:
    """`see` batches, `facts` is a copy. Not for two threads at once."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.refer(None)
        self._repeats: Repeats | None = None
        self._hashed = self._repeated = 0
        self._lags = np.zeros(len(LAG_BUCKETS) + 1, np.int64)
        self._sum = 0.0
        self._future = self._unread = self._null = 0
        self._latest: float | None = None

    def refer(self, profile: Profile | None) -> None:
        """Judge against another reference; what was counted stays."""
        self.time_column, self._scale = _times_of(profile, self._known)
        self._duplicates = profile.duplicates if profile is not None else None
        self._rate = _rate(profile) if profile is not None else None

    def repeats(self, batch: Batch, now: float) -> None:
        """Rows of exchanges whose columns have the same names and kinds."""
        table = batch.table if batch.table is not None else _table(batch.members)
        salt = hash(batch.names)
        hashes = row_hashes(_joined(batch.members), salt) if table is None else table_hashes(table, salt)
        if not len(hashes):
            return
        if self._repeats is None:
            self._repeats = Repeats(REPEAT_SECONDS)
        self._hashed += len(hashes)
        self._repeated += self._repeats.see(hashes, now)

    def ages(self, observations: Sequence[Observation], now: float) -> None:
        """How long ago the rows happened, where their time is told."""
        if self.time_column:
            for one in observations:
                for column in one.inputs:
                    if column.name == self.time_column:
                        self._age(column, now)

    def _age(self, column: Column, now: float) -> None:
        cells = self._seconds(column)
        there = cells[np.abs(cells) < _LATEST]
        null = (
            column.nulls if column.kind == "numeric" else sum(cell is None for cell in column.values.tolist())
        )
        self._null += null
        self._unread += max(0, len(cells) - len(there) - null)
        past = there[there <= now]
        self._future += len(there) - len(past)
        if len(past):
            lags = now - past
            places = np.searchsorted(LAG_BUCKETS, lags, side="left")
            self._lags += np.bincount(places, minlength=len(self._lags))
            self._sum += float(lags.sum())
            newest = float(past.max())
            self._latest = newest if self._latest is None else max(self._latest, newest)

    def _seconds(self, column: Column) -> NDArray[np.float64]:
        """Unix seconds, NaN for what is no time."""
        if column.kind == "numeric":
            return column.values.astype(np.float64) / self._scale
        if column.kind == "vector":
            return np.full(len(column.values), np.nan)
        cells = column.values.tolist()
        known = {cell: moment(cell) if isinstance(cell, str) else None for cell in set(cells)}
        return np.array([known[cell] for cell in cells], np.float64)

    def facts(self) -> RowFacts:
        """A copy."""
        lags = tuple(self._lags.tolist())
        told = self._duplicates, self._rate
        times = self.time_column, lags, self._sum, self._future, self._unread, self._null, self._latest
        return RowFacts(self._hashed, self._repeated, *times, *told)


def _times_of(profile: Profile | None, known: Known) -> tuple[str, float]:
    """The column of times, "" for none, and how many of its units are a second."""
    payload = profile.payload if profile is not None else ()
    declared = {column.name: column.unit or "" for column in payload if column.role == "time"}
    name = known.time_column or next(iter(declared), "")
    return name, UNITS.get(known.time_unit or declared.get(name, ""), 1.0)


def _rate(profile: Profile) -> float | None:
    """Rows per second of the reference in those of its shortest periods that have rows."""
    counted = [one for one in profile.periods if one.periods]
    if not counted:
        return None
    shortest = min(counted, key=lambda one: one.seconds)
    return profile.rows / (shortest.periods * shortest.seconds)


def _table(members: Members) -> NDArray[Any] | None:
    """The columns of all exchanges as rows of one table, if all are numbers: one call where each would cost its own.

    Good for hashes, which are of 64 bits whatever the floats were.
    """
    if not members[0] or any(column.kind != "numeric" for column in members[0]):
        return None
    width = len(members[0])
    flat = np.concatenate([cell.values for cells in zip(*members, strict=True) for cell in cells])
    rows = sum([len(member[0].values) for member in members])
    return flat.reshape(width, rows) if len(flat) == width * rows else None


def _joined(members: Members) -> list[NDArray[Any]]:
    """The columns of all exchanges; none where there are no rows: columns that differ in length or width."""
    try:
        found = [joined(cells) for cells in zip(*members, strict=True)]
    except ValueError:
        return []
    return found if len(set(map(len, found))) == 1 else []
