"""What a reference says of columns together: co-moments of pairs, a precision matrix, associations with the answer.

Refuses to know files. Every sum here adds up over parts and replicas; every matrix comes from complete rows alone.
Invariants: |r| <= 1; a precision matrix is finite, symmetric and positive definite, or there is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray, IntArray

MAX_PAIRS = 20
STRONGEST = 5
MAX_JOINT = 50  # columns of the precision matrix: 1,275 numbers; pairs are looked for among these too
LEAST_JOINT_ROWS = 100
LEAST_CORRELATION = 0.1  # weaker pairs are not chosen by themselves: noise would fill the places


@dataclass(frozen=True, slots=True)
class CoMoments:
    """Six sums of a pair over rows where both are finite, of x = a - origin[0] and y = b - origin[1].

    The origin is the reference's means: live sums around the same origin add up and lose no digits to large means.
    """

    a: str
    b: str
    origin: tuple[float, float]
    n: int
    x: float
    y: float
    xx: float
    yy: float
    xy: float

    @property
    def correlation(self) -> float | None:
        """Pearson's r; None for fewer than two rows or a constant."""
        if self.n < 2:
            return None
        spread = (self.xx - self.x * self.x / self.n) * (self.yy - self.y * self.y / self.n)
        if not spread > 0.0:
            return None
        r = (self.xy - self.x * self.y / self.n) / float(np.sqrt(spread))
        return max(-1.0, min(1.0, r))


def co_moments(a: FloatArray, b: FloatArray, origin: tuple[float, float]) -> FloatArray:
    """The six sums of two columns: n, x, y, xx, yy, xy; they add up."""
    both = np.isfinite(a) & np.isfinite(b)
    x, y = a[both] - origin[0], b[both] - origin[1]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y])


def strongest_pairs(names: Sequence[str], table: FloatArray, most: int = STRONGEST) -> list[tuple[str, str]]:
    """The pairs with the largest |r| >= 0.1 in the table's finite cells, ties by name; of the first 50 columns."""
    names = names[:MAX_JOINT]
    found = []
    for i, j in itertools.combinations(range(len(names)), 2):
        r = _correlation(table[:, i], table[:, j])
        if r is not None and abs(r) >= LEAST_CORRELATION:
            found.append((-round(abs(r), 12), names[i], names[j]))
    return [(a, b) for _, a, b in sorted(found)[:most]]


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    if int(both.sum()) < LEAST_JOINT_ROWS:
        return None
    origin = (float(a[both].mean()), float(b[both].mean()))
    sums = co_moments(a, b, origin).tolist()
    return CoMoments("", "", origin, int(sums[0]), *sums[1:]).correlation if np.isfinite(sums).all() else None


@dataclass(frozen=True, slots=True)
class Precision:
    """For the squared Mahalanobis distance of a row: d2 = z' matrix z with z = (row - mean) / scale.

    `expected` and `spread`: mean and standard deviation of d2 over the reference rows, which is what a live mean
    is compared with (shrinkage and heavy tails move it off the number of columns). `rows`: complete rows.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    rows: int
    shrinkage: float
    expected: float
    spread: float

    def distances(self, table: FloatArray) -> FloatArray:
        """d2 of each row, shape (rows, columns in the order of `names`); NaN for incomplete rows."""
        z = (table - np.array(self.mean)) / np.array(self.scale)
        with np.errstate(invalid="ignore", over="ignore"):
            found = np.einsum("ij,jk,ik->i", z, np.array(self.matrix), z)
        return np.asarray(np.where(np.isfinite(table).all(axis=1), found, np.nan), np.float64)


def ledoit_wolf(table: FloatArray) -> tuple[FloatArray, float]:
    """The shrunk covariance of complete rows, and the shrinkage in [0, 1].

    (1 - s) S + s (tr S / p) I, with the s that is optimal in mean square. Source: Ledoit and Wolf, "A
    well-conditioned estimator for large-dimensional covariance matrices" (2004).
    """
    rows, width = table.shape
    centred = table - table.mean(axis=0)
    covariance = centred.T @ centred / rows
    mu = float(np.trace(covariance)) / width
    squares = np.square(centred)
    delta = float(np.square(covariance).sum())
    beta = (float((squares.sum(axis=1) ** 2).sum()) / rows - delta) / rows
    spread = delta - width * mu * mu
    shrinkage = 0.0 if spread <= 0.0 else max(0.0, min(1.0, beta / spread))
    shrunk = (1.0 - shrinkage) * covariance
    shrunk.flat[:: width + 1] += shrinkage * mu
    return shrunk, shrinkage


def precision_of(names: Sequence[str], table: FloatArray) -> Precision | None:
    """The precision matrix of the first 50 columns that vary, from complete rows; None from fewer than 100 of them.

    Columns are brought to mean 0 and standard deviation 1 before the shrinkage, which knows no units.
    """
    names, table = list(names[:MAX_JOINT]), table[:, :MAX_JOINT]
    complete = table[np.isfinite(table).all(axis=1)]
    if len(complete) < max(LEAST_JOINT_ROWS, 2 * len(names)) or len(names) < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = complete.mean(axis=0), complete.std(axis=0)
    varied = np.isfinite(scale) & (scale > 1e-12 * np.maximum(np.abs(mean), 1e-300))
    if int(varied.sum()) < 2:
        return None
    mean, scale, complete = mean[varied], scale[varied], complete[:, varied]
    shrunk, shrinkage = ledoit_wolf((complete - mean) / scale)
    try:
        matrix = np.linalg.inv(shrunk)
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:  # columns that are copies of each other, and no shrinkage to part them
        return None
    matrix = (matrix + matrix.T) / 2.0
    chosen = tuple(name for name, there in zip(names, varied.tolist(), strict=True) if there)
    whole = tuple(map(tuple, matrix.tolist()))
    bare = Precision(
        chosen, tuple(mean.tolist()), tuple(scale.tolist()), whole, len(complete), shrinkage, 0.0, 0.0
    )
    found = bare.distances(complete)
    return Precision(
        bare.names,
        bare.mean,
        bare.scale,
        whole,
        len(complete),
        shrinkage,
        float(found.mean()),
        float(found.std()),
    )


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly a feature goes with an answer, from the table of their bins: an association, not an importance.

    `cramer`: bias-corrected Cramer's V in [0, 1], of all bins. `rank`: Spearman's correlation of the bins of finite
    numbers in [-1, 1], None where one of the two is categorical. Both can be formed live from the same table.
    """

    feature: str
    prediction: str
    rows: int
    cramer: float
    rank: float | None = None


def cramers_v(table: IntArray) -> float | None:
    """Bias-corrected Cramer's V of a table of counts; None without two occupied rows and columns.

    Source: Bergsma, "A bias-correction for Cramer's V and Tschuprow's T" (2013).
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    n = int(table.sum())
    if min(rows, columns) < 2 or n < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float((np.square(table - expected) / expected).sum()) / n
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return min(1.0, float(np.sqrt(corrected / (smaller - 1)))) if smaller > 1 else None


def rank_correlation(table: IntArray) -> float | None:
    """Spearman's rank correlation of two ordered bins, ties at their middle rank; None if one does not vary."""
    n = int(table.sum())
    down, across = table.sum(axis=1), table.sum(axis=0)
    x = np.cumsum(down) - (down - 1) / 2.0 - (n + 1) / 2.0
    y = np.cumsum(across) - (across - 1) / 2.0 - (n + 1) / 2.0
    spread = float((down * x * x).sum() * (across * y * y).sum())
    return None if spread <= 0.0 else float(x @ table @ y) / float(np.sqrt(spread))


def association(
    feature: str, prediction: str, table: IntArray, ordered: tuple[int, int] | None
) -> Association | None:
    """The association of one table; `ordered`: how many of its rows and columns are bins of numbers, in order."""
    v = cramers_v(table)
    if v is None:
        return None
    rank = rank_correlation(table[: ordered[0], : ordered[1]]) if ordered is not None else None
    return Association(feature, prediction, int(table.sum()), v, rank)


def cross_counts(a: NDArray[np.int64], b: NDArray[np.int64], shape: tuple[int, int]) -> IntArray:
    """How many rows fall into each pair of bins."""
    flat = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.int64, copy=False)
