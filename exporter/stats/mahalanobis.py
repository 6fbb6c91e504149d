"""Mahalanobis: how far whole rows lie from the reference, all features together.

Mean of d^2 = (x - mean)' precision (x - mean): the number of features if nothing drifted, larger where values or their
correlations moved, smaller where they contracted. State: rows, sum of d^2, sum of d^4, which add up. Refuses to know
names and time. Source: Mahalanobis, "On the generalised distance in statistics" (1936).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.chance import Z_999, skewed

ROWS, SQUARES, FOURTHS = range(3)
_LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Multivariate:
    """Mean squared distance per feature: `expected` (1 without drift), exceeded by chance above `critical`."""

    value: float
    expected: float
    critical: float
    rows: int

    def exceeds(self, effect: float) -> bool:
        """Drifted: beyond chance, and by more than `effect` above what is expected."""
        return self.value > max(self.critical, self.expected + effect)


@dataclass(frozen=True, slots=True)
class Space:
    """The reference's mean (features,) and precision matrix (features, features).

    Raises ValueError for shapes that do not fit, and for a matrix that is not symmetric with finite entries.
    """

    mean: FloatArray
    precision: FloatArray

    def __post_init__(self) -> None:
        features = len(self.mean)
        if self.precision.shape != (features, features) or not features:
            raise ValueError(f"{features} means and a square matrix expected, got {self.precision.shape}")
        if not np.isfinite(self.precision).all() or not np.allclose(self.precision, self.precision.T):
            raise ValueError("the precision matrix must be symmetric and finite")

    def squared(self, rows: FloatArray) -> FloatArray:
        """d^2 of every row, shape (rows,)."""
        away = np.asarray(rows, np.float64) - self.mean
        return np.asarray(np.einsum("ij,ij->i", away @ self.precision, away), np.float64)

    def sums(self, rows: FloatArray) -> FloatArray:
        """What adds up, shape (3,), of the rows whose features are all finite, and small enough to be squared."""
        ordinary = (np.abs(rows) < 1e60).all(axis=1)
        found = self.squared(rows if ordinary.all() else rows[ordinary])
        return np.array([len(found), found.sum(), found @ found])


def multivariate(
    sums: FloatArray, features: int, reference: FloatArray | None = None, effective_rows: float | None = None
) -> Multivariate | None:
    """The mean squared distance per feature; None below ten rows.

    `reference`: sums of the reference's own rows, whose mean is then what is expected: with a shrunk precision matrix
    it is not the number of features. The deviation is the rows' own, or that of normal rows where it is smaller.
    """
    rows = float(sums[ROWS])
    n = rows if effective_rows is None else min(effective_rows, rows)
    if n < _LEAST_ROWS or (reference is not None and reference[ROWS] < _LEAST_ROWS):
        return None
    mean, variance = _moments(sums)
    expected, noise = float(features), 0.0
    if reference is not None:
        expected, own = _moments(reference)
        noise = own / float(reference[ROWS])
        variance = own
    variance = max(variance, 2.0 * features)
    # d^2 of normal rows is chi-square with as many degrees as features.
    z = float(skewed(Z_999, math.sqrt(8.0 / features / n)))
    critical = expected + z * math.sqrt(variance / n + noise)
    return Multivariate(mean / features, expected / features, critical / features, int(rows))


def _moments(sums: FloatArray) -> tuple[float, float]:
    rows, squares, fourths = sums.tolist()
    mean = squares / rows
    return mean, max(0.0, fourths / rows - mean * mean)
