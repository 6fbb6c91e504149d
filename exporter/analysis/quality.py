"""Which values of a side's columns cannot be right, counted by column and reason. Refuses to know windows and rules.

Nulls, NaN and unseen categories are in the bins already and are read from there; here is what bins do not tell: limits
and fences of the reference, infinity, types, shapes, encoding, columns that are missing or new. Reasons are named after
TensorFlow Data Validation's anomalies (docs/quality.md). Bounded: a name becomes a key only where the column is
counted, and new columns share one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from exporter.analysis.aspects import Nature
from exporter.analysis.fit import Fitted
from exporter.records.exchange import OTHER
from exporter.records.observation import Column
from exporter.stats import CategoricalBins, Profile, ProfileColumn
from exporter.stats.quality import OUTLIER_IQR, OUTLIER_Z, Judge, Limit, limits

MISSING_COLUMN: Final = "missing_column"
NEW_COLUMN: Final = "new_column"
DATA_TYPE: Final = "unexpected_data_type"
SHAPE: Final = "invalid_feature_shape"
UNEXPECTED: Final = "unexpected_value"
ENCODING: Final = "invalid_utf8"
# Rows that no bin has counted.
UNREAD: Final = (MISSING_COLUMN, DATA_TYPE, SHAPE)
_OUTLIERS: Final = (OUTLIER_Z, OUTLIER_IQR)
_LOST: Final = "\ufffd"  # what a decoder writes for bytes that are no UTF-8


@dataclass(frozen=True, slots=True)
class Findings:
    """A copy: rows by (column, reason); `shares` of the reference beyond its own fences; payload columns it knows.

    `moving`: counted columns that do not stand still in the reference.
    """

    counts: dict[tuple[str, str], int]
    shares: dict[tuple[str, str], float]
    known: frozenset[str]
    moving: frozenset[str]


class Quality:
    """`see` each column of a batch and `judge` the batch; `findings` is a copy."""

    def __init__(
        self, profile: Profile | None, natures: Mapping[str, Nature], order: Sequence[str] = ()
    ) -> None:
        """`natures`: the profile's payload columns that are counted; `order`: all that it has of this role."""
        self._columns = {column.name: column for column in profile.columns} if profile is not None else {}
        self._known = frozenset(natures)
        self._moving = frozenset(name for name, column in self._columns.items() if not _still(column))
        self._order = frozenset(order)
        self._limits: dict[str, dict[str, Limit]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._shares: dict[tuple[str, str], float] = {}
        self._judge = Judge({})
        self.admit(natures)
        if natures:
            for name in natures:
                self._start(name, (MISSING_COLUMN,))
            self._start(OTHER, (NEW_COLUMN,))

    def admit(self, natures: Mapping[str, Nature]) -> None:
        """Columns that are counted from now on: all reasons that they can have are there at 0."""
        for name, nature in natures.items():
            self._start(name, (DATA_TYPE, *_REASONS.get(nature.type, ())))
            for part in nature.names(name):
                self._limit(part, self._columns.get(part), nature)
        self._judge = Judge(self._limits)

    def _limit(self, part: str, column: ProfileColumn | None, nature: Nature) -> None:
        numeric = column.kind == "numeric" if column is not None else nature.type in ("numeric", "vector")
        if not numeric:
            return
        found = self._limits[part] = limits(column)
        self._start(part, found)
        for reason in _OUTLIERS:
            share = found[reason].share if reason in found else None
            if share is not None:
                self._shares[part, reason] = share

    def see(self, name: str, nature: Nature, given: Sequence[Column], parts: Mapping[str, Fitted]) -> None:
        """One payload column of a batch, as it came and as it is counted."""
        wrong = max(_unread(given, fitted) for fitted in parts.values()) if parts else 0
        if wrong:
            shape = nature.type == "vector" and given[0].kind == "vector"
            self._add(name, SHAPE if shape else DATA_TYPE, wrong)
        if nature.type == "category" and given[0].kind == "categorical":
            lost = sum([_undecodable(column.values.tolist()) for column in given])
            if lost:
                self._add(name, ENCODING, lost)

    def judge(self, batch: Mapping[str, NDArray[Any]], names: Sequence[str], rows: int) -> None:
        """A batch of so many rows, whose payload has columns of these names."""
        for cell, count in self._judge.count(batch).items():
            self._counts[cell] += count
        if self._known and self._known != frozenset(names):
            for name in self._known.difference(names):
                self._add(name, MISSING_COLUMN, rows)
            if not self._order.issuperset(names):
                self._add(OTHER, NEW_COLUMN, rows)

    def findings(self) -> Findings:
        """A copy."""
        return Findings(dict(self._counts), self._shares, self._known, self._moving)

    def _start(self, name: str, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self._counts.setdefault((name, reason), 0)

    def _add(self, name: str, reason: str, rows: int) -> None:
        self._counts[name, reason] = self._counts.get((name, reason), 0) + rows


# What can be wrong with the cells of a type, besides being of another one.
_REASONS: Final[dict[str, tuple[str, ...]]] = {"vector": (SHAPE,), "category": (ENCODING,)}


def _still(column: ProfileColumn) -> bool:
    """Whether all values of the reference are one; the bin that holds all rare categories tells of no single one."""
    used = [place for place, count in enumerate(column.counts[: column.bins.null]) if count]
    if isinstance(column.bins, CategoricalBins):
        return len(used) == 1 and used[0] < len(column.bins.categories)
    return len(used) == 1 and column.min == column.max


def _unread(given: Sequence[Column], fitted: Fitted) -> int:
    """Cells that could not be read as what the column is."""
    if not fitted.misfits:
        return 0
    besides = fitted.nulls if isinstance(fitted.nulls, int) else 0  # a mask is over the values themselves
    lost = sum([len(column.values) for column in given]) - len(fitted.values) - besides
    return lost if lost > 0 else sum([len(given[place].values) for place in fitted.misfits])


def _undecodable(cells: list[str | None]) -> int:
    odd = {cell for cell in set(cells) if isinstance(cell, str) and not cell.isascii() and _is_lost(cell)}
    return sum([cell in odd for cell in cells]) if odd else 0


def _is_lost(cell: str) -> bool:
    return _LOST in cell or any("\ud800" <= character <= "\udfff" for character in cell)
