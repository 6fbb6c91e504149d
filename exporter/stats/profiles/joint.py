"""What a reference says of columns together: co-moments of pairs, a precision matrix, associations with the answer.

The statistics over them are elsewhere (`pairs.py`, `mahalanobis.py`, `association.py`), for live rows as for these.
Refuses to know files. Invariants: sums add up over parts; a precision matrix is finite, symmetric and positive
definite, or there is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.stats.association import cramers_v, rank_correlation
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.mahalanobis import Space
from exporter.stats.pairs import Scale, co_moments, pearson
from exporter.stats.profiles.codec import LATER

MAX_PAIRS = 20
STRONGEST = 5
MAX_JOINT = 50  # columns of the precision matrix: 1,275 numbers; pairs are looked for among these too
LEAST_JOINT_ROWS = 100
LEAST_CORRELATION = 0.1  # weaker pairs are not chosen by themselves: noise would fill the places


@dataclass(frozen=True, slots=True)
class CoMoments:
    """Six sums of a pair over rows where both are finite, of x = (a - mean) / std and y alike for b.

    `mean` and `std`: of the two columns in the reference, in that order. Live sums in the same units are compared
    with these by `pairs.shift`. `spread`: how much more r varies than that of normal rows, by variance; 1 if not known.
    """

    a: str
    b: str
    mean: tuple[float, float]
    std: tuple[float, float]
    n: int
    x: float
    y: float
    xx: float
    yy: float
    xy: float
    spread: float = field(default=1.0, metadata=LATER)

    @property
    def sums(self) -> FloatArray:
        """The six sums as `pairs.py` has them."""
        return np.array([self.n, self.x, self.y, self.xx, self.yy, self.xy], np.float64)

    @property
    def scales(self) -> dict[str, Scale]:
        """How live values of the two columns are brought to the same units."""
        return {self.a: Scale(self.mean[0], self.std[0]), self.b: Scale(self.mean[1], self.std[1])}

    @property
    def correlation(self) -> float | None:
        """Pearson's r; None for fewer than two rows or a constant."""
        return pearson(self.sums)


def strongest_pairs(
    names: Sequence[str], table: FloatArray, most: int = STRONGEST, weights: FloatArray | None = None
) -> list[tuple[str, str]]:
    """The pairs with the largest |r| >= 0.1 in the table's finite cells, ties by name; of the first 50 columns."""
    names, columns = names[:MAX_JOINT], dict(zip(names[:MAX_JOINT], table.T, strict=False))
    scales = {name: _scale(values) for name, values in columns.items()}
    pairs = list(itertools.combinations(names, 2))
    sums = co_moments(pairs, scales, columns, weights)
    found = []
    for pair, own in zip(pairs, sums.T, strict=True):
        r = pearson(own) if own[0] >= LEAST_JOINT_ROWS else None
        if r is not None and abs(r) >= LEAST_CORRELATION:
            found.append((-round(abs(r), 12), pair))
    return [pair for _, pair in sorted(found)[:most]]


def _scale(values: FloatArray) -> Scale:
    finite = values[np.isfinite(values)]
    return Scale(float(finite.mean()), float(finite.std())) if len(finite) else Scale(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Precision:
    """Ledoit and Wolf's shrunk precision matrix of rows brought to mean 0 and deviation 1: z = (row - mean) / scale.

    `rows` complete reference rows had squared distances z' matrix z that sum to `squares`, and their squares to
    `fourths`: what live rows are compared with, because shrinkage moves the mean off the number of columns.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    shrinkage: float
    rows: int
    squares: float
    fourths: float

    def space(self) -> Space:
        """Mean and precision in the columns' own units; rows have the columns in the order of `names`."""
        scale = np.array(self.scale)
        return Space(np.array(self.mean), np.array(self.matrix) / np.outer(scale, scale))

    @property
    def sums(self) -> FloatArray:
        """The reference's own sums as `mahalanobis.multivariate` takes them."""
        return np.array([self.rows, self.squares, self.fourths], np.float64)


def ledoit_wolf(table: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, float]:
    """The shrunk covariance of complete rows, and the shrinkage in [0, 1].

    (1 - s) S + s (tr S / p) I, with the s that is optimal in mean square: beta / (||S||^2 - p mu^2), beta the sum of
    the variances of S's entries, sum v_i^2 ||x_i x_i' - S||^2 with shares v of the weights (1/n each without). Source:
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004).
    """
    width = table.shape[1]
    covariance, beta = _covariance(table) if weights is None else _weighted_covariance(table, weights)
    mu = float(np.trace(covariance)) / width
    delta = float(np.square(covariance).sum())
    spread = delta - width * mu * mu
    shrinkage = 0.0 if spread <= 0.0 else max(0.0, min(1.0, beta / spread))
    shrunk = (1.0 - shrinkage) * covariance
    shrunk.flat[:: width + 1] += shrinkage * mu
    return shrunk, shrinkage


def _covariance(table: FloatArray) -> tuple[FloatArray, float]:
    """S, and the sum of the variances of its entries; of equal rows it needs no second product."""
    rows = len(table)
    centred = table - table.mean(axis=0)
    covariance = centred.T @ centred / rows
    fourths = float((np.square(centred).sum(axis=1) ** 2).sum())
    return covariance, (fourths / rows - float(np.square(covariance).sum())) / rows


def _weighted_covariance(table: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    shares = weights / weights.sum()
    centred = table - shares @ table
    covariance = (centred * shares[:, None]).T @ centred
    squares = np.square(np.square(centred).sum(axis=1))
    crossed = np.einsum("ij,ij->i", centred @ covariance, centred)
    away = squares - 2.0 * crossed + float(np.square(covariance).sum())
    return covariance, float(np.square(shares) @ away)


def precision_of(
    names: Sequence[str], table: FloatArray, weights: FloatArray | None = None
) -> Precision | None:
    """The precision matrix of the first 50 columns, those that vary, from complete rows.

    None below 100 (effective) rows, below two per column, or where the matrix cannot be inverted.
    """
    names, table = list(names[:MAX_JOINT]), table[:, :MAX_JOINT]
    there = np.isfinite(table).all(axis=1)
    complete, weights = table[there], None if weights is None else weights[there]
    # Equal weights are no weights, to the last bit.
    if weights is not None and len(weights) and weights.min() == weights.max():
        weights = None
    effective = float(len(complete)) if weights is None else float(weights.sum() ** 2 / (weights @ weights))
    if effective < max(LEAST_JOINT_ROWS, 2 * len(names)) or len(names) < 2:
        return None
    mean, scale = _standard(complete, weights)
    varied = np.isfinite(scale) & (scale > 1e-12 * np.maximum(np.abs(mean), 1e-300))
    if int(varied.sum()) < 2:
        return None
    mean, scale, complete = mean[varied], scale[varied], complete[:, varied]
    shrunk, shrinkage = ledoit_wolf((complete - mean) / scale, weights)
    try:
        matrix = np.linalg.inv(shrunk)
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:  # columns that are copies of each other, and no shrinkage to part them
        return None
    matrix = (matrix + matrix.T) / 2.0
    chosen = tuple(name for name, own in zip(names, varied.tolist(), strict=True) if own)
    rows = tuple(map(tuple, matrix.tolist()))
    bare = Precision(chosen, tuple(mean.tolist()), tuple(scale.tolist()), rows, shrinkage, 0, 0.0, 0.0)
    n, squares, fourths = _distances(bare.space(), complete, weights, effective)
    return replace(bare, rows=n, squares=squares, fourths=fourths)


def _standard(table: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of the columns."""
    with np.errstate(over="ignore", invalid="ignore"):
        if weights is None:
            return table.mean(axis=0), table.std(axis=0)
        shares = weights / weights.sum()
        mean = shares @ table
        return mean, np.sqrt(shares @ np.square(table - mean))


def _distances(
    space: Space, table: FloatArray, weights: FloatArray | None, effective: float
) -> tuple[int, float, float]:
    """The reference's own sums; of weighted rows those of so many effective ones."""
    if weights is None:
        n, squares, fourths = space.sums(table).tolist()
        return int(n), squares, fourths
    found, rows = space.squared(table), round(effective)
    shares = weights / weights.sum()
    return rows, rows * float(shares @ found), rows * float(shares @ np.square(found))


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly a feature goes with an answer, from the table of their bins: an association, not an importance.

    `cramer`: Cramer's V in [0, 1], of all bins. `rank`: Spearman's correlation of the bins of finite numbers in
    [-1, 1], None where one of the two is categorical. Both can be formed live from the same table.
    """

    feature: str
    prediction: str
    rows: int
    cramer: float
    rank: float | None = None

    @property
    def strength(self) -> float:
        """Spearman's where there is one, else Cramer's."""
        return self.cramer if self.rank is None else self.rank


def association_of(
    feature: str, prediction: str, table: IntArray, ordered: tuple[int, int] | None
) -> Association | None:
    """The association of one table; `ordered`: how many of its rows and columns are bins of numbers, in order."""
    v = cramers_v(table)
    if v is None:
        return None
    rank = rank_correlation(table[: ordered[0], : ordered[1]]) if ordered is not None else None
    return Association(feature, prediction, int(table.sum()), v, rank)
