"""Building a profile from columns: which bins a column gets, and which columns get none.

Refuses to read files. Invariant: edges come from these values alone and never change afterwards; every column
given ends up either in the profile or, with a reason, in `left_out`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from exporter.stats.bins import (
    OTHER,
    UNSEEN,
    BoolArray,
    CategoricalBins,
    FloatArray,
    NumericBins,
    Values,
    as_numbers,
    canonical,
    nameable,
)
from exporter.stats.moments import COUNT, HIGH, LARGEST, LOW, MEAN, PROBABILITIES, SQUARES, moments_of
from exporter.stats.profile import LeftOut, Profile, ProfileColumn

DEFAULT_BINS = 10
MAX_BINS = 20
MAX_VALUES = 20
MAX_CATEGORIES = 20
# Fewer rows than this could point at a single person, and give no stable share either.
CATEGORY_ROWS = 10
IDENTIFIER_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """What a user may choose. `keep`: columns named on purpose, which are never taken for identifiers."""

    model_name: str = "*"
    model_version: str = "*"
    bins: int = DEFAULT_BINS
    keep: frozenset[str] = field(default_factory=frozenset)

    def validate(self) -> list[str]:
        """All problems, as sentences."""
        if 2 <= self.bins <= MAX_BINS:
            return []
        return [f"bins: {self.bins}, expected a whole number from 2 to {MAX_BINS}"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the data: its values (numbers, or text and None), its role, a mask of its null cells."""

    values: Values
    role: str = "feature"
    null: BoolArray | None = None


def build(columns: Mapping[str, Column], config: ProfileConfig) -> Profile:
    """The profile of these columns, in their order. Raises ValueError for a configuration that is not valid.

    Numbers: quantile bins, equal edges merged; at most 20 distinct values become bins of their own. Text:
    the 20 most frequent categories with at least 10 rows, the others pooled. Identifiers are left out.
    """
    problems = config.validate()
    if problems:
        raise ValueError("; ".join(problems))
    kept: list[ProfileColumn] = []
    left: list[LeftOut] = []
    for name, column in columns.items():
        built = _build_column(name, column, config)
        if isinstance(built, ProfileColumn):
            kept.append(built)
        else:
            left.append(built)
    rows = max((len(column.values) for column in columns.values()), default=0)
    return Profile(tuple(kept), rows, config.model_name, config.model_version, tuple(left))


def _build_column(name: str, column: Column, config: ProfileConfig) -> ProfileColumn | LeftOut:
    if column.role == "ignored":
        return LeftOut(name, "ignored")
    keep = name in config.keep or column.role != "feature"
    if column.values.dtype.kind in "fiu":
        return _numeric(name, column, config.bins, keep)
    return _categorical(name, column, keep)


def _numeric(name: str, column: Column, bins: int, keep: bool) -> ProfileColumn | LeftOut:
    numbers = as_numbers(column.values, column.null)
    values = numbers.values.astype(np.float64, copy=False)
    block, _ = moments_of(values, np.array([len(values)]))
    if block[COUNT, 0] == 0:
        return LeftOut(name, "no finite number")
    finite = values[np.abs(values) <= LARGEST]
    distinct = np.unique(finite)
    whole = bool((distinct == np.floor(distinct)).all())
    if not keep and whole and _mostly_distinct(len(distinct), len(finite)):
        return LeftOut(name, f"identifier: {len(distinct)} distinct whole numbers in {len(finite)} rows")
    own = value_bins(distinct) if len(distinct) <= MAX_VALUES else quantile_bins(finite, bins)
    counts = own.count(column.values, column.null).tolist()
    std = float(np.sqrt(block[SQUARES, 0] / block[COUNT, 0]))
    pairs = tuple(zip(PROBABILITIES, np.quantile(finite, PROBABILITIES).tolist(), strict=True))
    mean, low, high = (float(block[row, 0]) for row in (MEAN, LOW, HIGH))
    return ProfileColumn(name, column.role, own, tuple(counts), mean, std, low, high, pairs)


def _mostly_distinct(distinct: int, rows: int) -> bool:
    return distinct > MAX_VALUES and distinct > IDENTIFIER_SHARE * rows


def quantile_bins(finite: FloatArray, bins: int = DEFAULT_BINS) -> NumericBins:
    """Bins of equal count, fewer than `bins` where quantiles tie. `finite`: not empty, up to ±1e97."""
    edges = np.quantile(finite, np.arange(1, bins) / bins) + 0.0
    return NumericBins(tuple(np.unique(edges).tolist()))


def value_bins(distinct: FloatArray) -> NumericBins:
    """One bin per value, a tail above, and below the least value an edge of its own.

    Without that edge a value that falls under the reference's least one, such as -1 in a column of 0 and 1,
    would be counted as that one. It lies half the smallest gap below; for a single value v, half of max(1,
    |v|).
    """
    values = distinct + 0.0
    with np.errstate(over="ignore"):  # values near ±1.8e308: no finite guard, then there is none
        gap = float(np.diff(values).min()) if len(values) > 1 else max(1.0, abs(float(values[0])))
        guard = min(float(values[0]) - gap / 2, float(np.nextafter(values[0], -np.inf)))
    edges = [guard, *values.tolist()] if np.isfinite(guard) else values.tolist()
    return NumericBins(tuple(edges), discrete=True)


def _categorical(name: str, column: Column, keep: bool) -> ProfileColumn | LeftOut:
    cells = column.values.tolist()
    if column.null is not None:
        cells = [None if null else cell for cell, null in zip(cells, column.null.tolist(), strict=True)]
    times = Counter(text for cell in cells if (text := canonical(cell)) is not None)
    filled = times.total()
    if not filled:
        return LeftOut(name, "no value")
    if not keep and _mostly_distinct(len(times), filled):
        return LeftOut(name, f"identifier: {len(times)} distinct texts in {filled} rows")
    bins = category_bins(times)
    if not bins.categories:
        return LeftOut(name, f"no category has {CATEGORY_ROWS} rows")
    counts = bins.count(column.values, column.null).tolist()
    return ProfileColumn(name, column.role, bins, tuple(counts))


def category_bins(times: Mapping[str, int]) -> CategoricalBins:
    """The most frequent categories, ties by name; the rest is `<other>` if any was pooled, or `<unseen>`."""
    order = sorted(times, key=lambda category: (-times[category], category))
    frequent = [c for c in order if times[c] >= CATEGORY_ROWS and nameable(c)][:MAX_CATEGORIES]
    return CategoricalBins(tuple(frequent), UNSEEN if len(frequent) == len(order) else OTHER)
