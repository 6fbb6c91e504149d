"""The parts of a profile: payload columns as they come, the columns that are counted, and what was left out.

A payload column of numbers or categories is counted as itself; one of texts, vectors, times or images is counted as
its aspects (`comment:length`), so that windows and drift meet only numeric and categorical bins. Refuses to know
files. Invariant: these are values; nothing in them changes after construction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exporter.stats.bins import Bins, FloatArray, IntArray, NumericBins, refined_bins
from exporter.stats.drift import Pair
from exporter.stats.layout import ColumnSpec
from exporter.stats.profiles.codec import LATER

TYPES = ("numeric", "categorical", "boolean", "datetime", "text", "vector", "image", "identifier")
# What is counted: as a feature, as an answer of the model, as truth, or as the group that a row belongs to.
ROLES = ("feature", "prediction", "target", "group")
# What a payload column may be besides: a score is an answer, the others are not counted.
PAYLOAD_ROLES = (*ROLES, "score", "time", "id", "weight", "split")


@dataclass(frozen=True, slots=True)
class ProfileColumn:
    """One counted column of the reference: counts per bin, and moments of its finite numbers (None for categories).

    `role`: feature, prediction, target or group. `quantiles`: (probability, value) pairs, not from bins. `min` and
    `max` are rounded outward to two digits. `sums`: of the values of each bin, of numbers, () where not known. `type`
    and `source` are those of the payload column that it comes from; "" stands for its own kind and name.
    """

    name: str
    role: str
    bins: Bins
    counts: tuple[int, ...]
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    skewness: float | None = None
    sums: tuple[float, ...] = ()
    type: str = ""
    source: str = ""
    array: IntArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        array = np.array(self.counts, np.int64)
        array.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "type", self.type or self.kind)
        object.__setattr__(self, "source", self.source or self.name)

    @property
    def kind(self) -> str:
        return "numeric" if isinstance(self.bins, NumericBins) else "categorical"

    @property
    def rows(self) -> int:
        return int(self.array.sum())

    @property
    def missing(self) -> int:
        """Rows whose cell was null."""
        return self.counts[self.bins.null]

    @property
    def balance(self) -> dict[str, float]:
        """Share of each class among the cells that are there: of a categorical column, or one of few numbers."""
        there = self.rows - self.missing
        if (isinstance(self.bins, NumericBins) and not self.bins.discrete) or not there:
            return {}
        labels = self.bins.labels[: self.bins.null]
        return {label: count / there for label, count in zip(labels, self.counts, strict=False) if count}

    def spec(self) -> ColumnSpec:
        """This column for a layout: its bins, kept finer where that helps quantiles."""
        if isinstance(self.bins, NumericBins) and not self.bins.discrete:
            low, high = self.min, self.max
            if low is not None and high is not None:
                return ColumnSpec(self.name, self.bins, refined_bins(self.bins, low, high))
        return ColumnSpec(self.name, self.bins)

    def pair(self, live: IntArray, live_sums: FloatArray | None = None) -> Pair:
        """This column against live counts over its own bins, for `Statistic.measure`."""
        return Pair(
            *(self.bins, self.array, live),
            reference_sums=self.bin_sums if live_sums is not None else None,
            live_sums=live_sums if self.sums else None,
            std=self.std,
        )

    @property
    def bin_sums(self) -> FloatArray | None:
        """`sums` as an array, None where not known."""
        return np.array(self.sums, np.float64) if self.sums else None


@dataclass(frozen=True, slots=True)
class PayloadColumn:
    """One column as the payload has it. `null`, `nan` and `empty` split what is missing of `rows` cells.

    `distinct`: different values, exact up to 16,384 and estimated beyond. `width` and `centroid`: of vectors.
    `effective_rows`: of weights, how many equal rows they are worth (`profile_weights.py`).
    `unit`: of times, `iso`, `s`, `ms`, `us` or `ns`; ISO times without a zone are UTC. `group`: rows are
    told apart by it, whatever its role. `hashed`: categories are
    written as hashes, see `privacy.py`.
    """

    name: str
    role: str
    type: str
    rows: int = 0
    null: int = 0
    nan: int = 0
    empty: int = 0
    distinct: int | None = None
    width: int | None = None
    centroid: tuple[float, ...] = ()
    unit: str | None = None
    group: bool = False
    hashed: bool = False
    effective_rows: float | None = field(default=None, metadata=LATER)

    def centre(self) -> FloatArray | None:
        """The centroid as an array; None for what is no vector."""
        return np.array(self.centroid, np.float64) if self.centroid else None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column of the data that has no bins in the profile, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hashing:
    """How categories were hashed, and by which key (`privacy.key_id`); see `privacy.hash_category`."""

    scheme: str
    key_id: str
