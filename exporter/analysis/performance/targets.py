"""The truth of a numeric output in the bins of the reference's target: whether the world moved, not only the model.

Labels are summed by weight. Those of one hour of predictions are not independent, and a request's rows lie in one hour:
an hour is the cluster of which effective rows are formed, once its cohort is whole. Refuses to know stores and Samples.
Invariants: bins are the profile's; an hour is a cluster once, whichever replica releases it; a label that is no number
is in no bin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.stats import STATISTICS, Drift, Pair, Profile, ProfileColumn
from exporter.stats.bins import FloatArray, IntArray, Numbers, NumericBins
from exporter.stats.clusters import effective_rows
from exporter.stats.performance.sums import usable

# Sums behind the bins: squared weights; over hours the squared weight, and that of each bin (T and S of clusters.py).
SUMS: Final = ("squared_weights", "squared_rows", "squared_bins")
_MOST_BINS: Final = 24  # a profile's own bound is 20, special ones apart
_NO_CLASS: Final = 0


@dataclass(frozen=True)
class Target:
    """Bins of a profile's target: its edges, and the `reference` that they are of."""

    reference: str
    edges: tuple[float, ...]

    @cached_property
    def bins(self) -> NumericBins:
        return NumericBins(self.edges)

    @property
    def size(self) -> int:
        """Slots of its sums."""
        return self.bins.size + len(SUMS)

    @property
    def plain(self) -> list[Any]:
        """As a text has it."""
        return [self.reference, list(self.edges)]


def told(plain: Any) -> Target | None:
    """What a text says. Raises ValueError or TypeError for what is no target; None stays None."""
    if plain is None:
        return None
    reference, edges = plain
    if not isinstance(reference, str) or len(edges) > _MOST_BINS:
        raise ValueError(f"a reference and at most {_MOST_BINS} edges expected, got {plain!r}")
    known = tuple(map(float, edges))
    NumericBins(known)  # refuses edges that do not increase
    return Target(reference, known)


def column_of(profile: Profile) -> ProfileColumn | None:
    """The target that the profile has numbers of; None without one."""
    found = (one for one in profile.columns if one.role == "target" and one.source == one.name)
    return next((one for one in found if isinstance(one.bins, NumericBins) and one.rows > 0), None)


def target_of(profile: Profile | None, output: str, several: bool) -> tuple[Target, ProfileColumn] | None:
    """What labels of an output are binned by: the one numeric target, of several outputs that with its name."""
    column = column_of(profile) if profile is not None else None
    if profile is None or column is None or (several and output != column.name):
        return None
    assert isinstance(column.bins, NumericBins)
    return Target(profile.reference, column.bins.edges), column


def sums_of(target: Target, labels: NDArray[Any], weights: FloatArray) -> FloatArray:
    """The sums of these labels. T and S are 0: of a part of an hour they say nothing."""
    numbers, missing = labels["number"].astype(np.float64), labels["klass"] == _NO_CLASS
    w, fit = usable(weights, len(numbers))
    nan = np.isnan(numbers)
    located = target.bins.locate(Numbers(numbers, np.zeros(len(numbers), np.bool_), nan & ~missing))
    fit = fit & (located >= 0)
    found = np.zeros(target.size)
    found[: target.bins.size] = np.bincount(located[fit], w[fit], minlength=target.bins.size)
    found[target.bins.size] = w[fit] @ w[fit]
    return found


def clustered(target: Target, sums: FloatArray) -> FloatArray:
    """The same sums with T and S, if they are all of one hour."""
    found = np.maximum(sums, 0.0)
    counts = found[: target.bins.size]
    found[target.bins.size + 1 :] = counts.sum() ** 2, counts @ counts
    return found


def rows_of(target: Target, sums: FloatArray) -> tuple[IntArray, float]:
    """(rows per bin that weigh 1 each and say as much, how many of them are independent)."""
    found = np.maximum(sums, 0.0)
    counts, (squares, squared_rows, squared_bins) = np.split(found, [target.bins.size])
    weight = float(counts.sum())
    scale = weight / squares if squares > 0.0 else 0.0
    rows = weight * scale
    shares = counts / weight if weight > 0.0 else counts
    clusters = np.array([[rows], [squared_rows * scale**2], [squared_bins * scale**2]])
    # Kish twice: for weights, and for what rows of an hour have in common; as alert_rules/targets.py has it.
    independent = effective_rows(np.array([rows]), np.array([shares @ shares]), clusters)
    return np.rint(counts * scale).astype(np.int64), float(independent[0])


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference says of a target: rows per bin, and its own levels by (statistic, seconds)."""

    target: Target
    counts: tuple[int, ...]
    levels: Mapping[tuple[str, int], float]

    @classmethod
    def of(cls, profile: Profile, target: Target, column: ProfileColumn) -> "Known":
        """Of numbers alone: a row whose truth is missing there is what a row without a label is here."""
        counts = [*column.counts[: target.bins.ranges], 0, 0]
        levels = {
            (one.statistic, one.seconds): one.limit for one in profile.levels if one.column == column.name
        }
        return cls(target, tuple(counts), levels)

    def drift(self, sums: FloatArray, seconds: int = 0) -> list[Drift]:
        """Every statistic that bins give; of too few rows none. `seconds`: whose level they are judged by."""
        live, effective = rows_of(self.target, sums)
        pair = Pair(self.target.bins, np.array(self.counts, np.int64), live, effective)
        found = (one.measure(pair) for one in STATISTICS)
        levels = self.levels
        return [one._replace(level=levels.get((one.statistic, seconds))) for one in found if one is not None]
