"""Association of features with a prediction, and how its ranking moved: a hint at what the model relies on.

It is no importance: that word is kept for attributions, which only the model can give. State: counts over pairs
of bins, which add up. Refuses to know names and time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.chance import Z_999, skewed

# Two-sided, 0.1 %; and the mean of |Z|.
_CRITICAL = 3.2905
_MEAN = math.sqrt(2.0 / math.pi)
_LEAST_ROWS = 50
_ROWS_PER_DEGREE = 5
_LARGEST = 1.0 - 1e-12


@dataclass(frozen=True, slots=True)
class AssociationShift:
    """Strength in a window and in the reference; the change is `floor` on average and above `critical` in 0.1 %."""

    value: float
    reference: float
    floor: float
    critical: float
    rows: int
    effective_rows: float

    @property
    def change(self) -> float:
        """|live - reference|."""
        return abs(self.value - self.reference)


def joint_counts(
    left: IntArray, right: IntArray, shape: tuple[int, int], weights: FloatArray | None = None
) -> IntArray | FloatArray:
    """How often two bins came together, of rows located in both (`Bins.locate`; -1 is left out)."""
    both = (left >= 0) & (right >= 0)
    cells = left[both] * shape[1] + right[both]
    own = None if weights is None else weights[both]
    return np.bincount(cells, own, minlength=shape[0] * shape[1]).reshape(shape)


def rank_correlation(joint: IntArray) -> float | None:
    """Spearman's rho of two columns known by ordered bins, in [-1, 1]; None if either has a single bin.

    Pearson's correlation of mid-ranks: rows in one bin are tied. Special bins have no rank: leave them out before.
    Source: Spearman (1904).
    """
    down, across = joint.sum(axis=1), joint.sum(axis=0)
    rows = int(down.sum())
    x, y = (np.cumsum(side) - (side - 1) / 2.0 - (rows + 1) / 2.0 for side in (down, across))
    varied = float(down @ np.square(x)) * float(across @ np.square(y))
    if rows < 2 or np.count_nonzero(down) < 2 or np.count_nonzero(across) < 2:
        return None
    return max(-1.0, min(1.0, float(x @ joint @ y) / math.sqrt(varied)))


def rank_shifts(
    joints: IntArray, references: FloatArray, reference_rows: FloatArray, effective_rows: FloatArray
) -> list[AssociationShift | None]:
    """How far Spearman's rho moved, of tables of ordered bins (tables, down, across); None below fifty effective rows.

    By Fisher's z, whose variance is (1 + rho^2 / 2) / (n - 3) for normal rows, or what the table itself says where that
    is larger: of a parabola it is fourfold. Source: Bonett and Wright, "Sample size requirements for estimating
    Pearson, Kendall and Spearman correlations" (2000).
    """
    rows = joints.sum(axis=(1, 2))
    n = np.minimum(effective_rows, rows)
    varied = (np.count_nonzero(joints.sum(axis=2), axis=1) > 1) & (
        np.count_nonzero(joints.sum(axis=1), axis=1) > 1
    )
    known = varied & (np.minimum(n, reference_rows) >= _LEAST_ROWS)
    found: list[AssociationShift | None] = [None] * len(joints)
    kept = np.flatnonzero(known)
    if not len(kept):
        return found
    value, variance = _ranked(joints[kept])
    own = np.clip(references[kept], -_LARGEST, _LARGEST)
    spread = np.maximum(1.0 + own * own / 2.0, variance / np.maximum((1.0 - value * value) ** 2, 1e-6))
    deviation = np.sqrt(spread * (1.0 / (n[kept] - 3.0) + 1.0 / (reference_rows[kept] - 3.0)))
    critical = np.abs(np.tanh(np.arctanh(own) + np.copysign(_CRITICAL * deviation, value - own)) - own)
    told = (value, references[kept], critical * _MEAN / _CRITICAL, critical, rows[kept], n[kept])
    for place, one in zip(kept.tolist(), zip(*(part.tolist() for part in told), strict=True), strict=True):
        found[place] = AssociationShift(*one)
    return found


def _ranked(joints: IntArray) -> tuple[FloatArray, FloatArray]:
    """Spearman's rho of each table, and n times its variance: the mean square of what a row moves it by.

    A row moves the ranks of all others too.
    """
    p = joints / joints.sum(axis=(1, 2), keepdims=True)
    (u, above_u, spread_u, own_u), (v, above_v, spread_v, own_v) = (
        _side(p.sum(axis=axis)) for axis in (2, 1)
    )
    pv, up = (p @ v[:, :, None])[:, :, 0], (u[:, None] @ p)[:, 0]
    product = np.einsum("ki,ki->k", u, pv)
    scale = np.sqrt(spread_u * spread_v)
    rho = np.clip(product / scale, -1.0, 1.0)
    shared = u[:, :, None] * v[:, None] - product[:, None, None]
    shared += (pv[:, None] @ above_u)[:, 0, :, None] + (up[:, None] @ above_v)
    shared /= scale[:, None, None]
    shared -= rho[:, None, None] / 2.0 * (own_u[:, :, None] + own_v[:, None])
    return rho, np.einsum("kij,kij->k", p, shared * shared)


def _side(share: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mid-ranks about 0, by how much a row in bin a moves the rank of bin i, spread of the ranks, and what moves it."""
    u = np.cumsum(share, axis=1) - share / 2.0 - 0.5
    bins = share.shape[1]
    above = (np.tri(bins, k=-1) + np.eye(bins) / 2.0) - (u + 0.5)[:, :, None]
    spread = np.einsum("ki,ki->k", share, u * u)
    moved = u * u - spread[:, None] + 2.0 * ((share * u)[:, None] @ above)[:, 0]
    return u, above, spread, moved / spread[:, None]


def cramer_shift(
    joint: IntArray, reference: float, reference_rows: float, effective_rows: float
) -> AssociationShift | None:
    """How far Cramer's V moved, on either side less what chance adds to it; None below five effective rows a degree.

    n V^2 (least bins - 1) is chi-square, non-central by the reference's. V less chance is sqrt(max(0, V^2 - df / n /
    (least bins - 1))). Source: Bergsma, "A bias-correction for Cramer's V and Tschuprow's T" (2013).
    """
    found, rows = cramers_v(joint), int(joint.sum())
    down, across = (int(np.count_nonzero(joint.sum(axis=side))) for side in (1, 0))
    degrees, least = (down - 1) * (across - 1), min(down, across) - 1
    n = min(effective_rows, float(rows))
    if found is None or min(n, reference_rows) < max(_LEAST_ROWS, _ROWS_PER_DEGREE * degrees):
        return None
    value = _unbiased(found, degrees, n * least)
    own = _unbiased(reference, degrees, reference_rows * least)
    sums = [degrees + 2.0 * own * own * size * least for size in (n, reference_rows)]
    scale = [2.0 * one / (size * least) ** 2 for one, size in zip(sums, (n, reference_rows), strict=True)]
    skew = math.sqrt(8.0) * (degrees + 3.0 * own * own * n * least) / sums[0] ** 1.5
    reach = float(skewed(Z_999, skew)) * math.sqrt(sum(scale))
    up = math.sqrt(own * own + reach) - own
    critical = up if value >= own else own - math.sqrt(max(0.0, own * own - reach))
    return AssociationShift(value, own, critical * _MEAN / _CRITICAL, critical, rows, n)


def _unbiased(v: float, degrees: int, scale: float) -> float:
    return math.sqrt(max(0.0, v * v - degrees / scale))


def cramers_v(joint: IntArray) -> float | None:
    """Cramer's V in [0, 1], for bins without an order; None if either column has a single bin.

    sqrt(chi-square / n / (least number of bins - 1)). Source: Cramer, "Mathematical methods of statistics" (1946).
    """
    occupied = joint[np.ix_(joint.sum(axis=1) > 0, joint.sum(axis=0) > 0)]
    least, rows = min(occupied.shape), int(joint.sum())
    if least < 2:
        return None
    expected = np.outer(occupied.sum(axis=1), occupied.sum(axis=0)) / rows
    chi_square = float((np.square(occupied - expected) / expected).sum())
    return min(1.0, math.sqrt(chi_square / rows / (least - 1)))


def ndcg(reference: FloatArray, live: FloatArray) -> float | None:
    """How well the live ranking keeps the reference's: normalised discounted cumulative gain, in [0, 1].

    1: the same order. Gains are the reference's sizes, discounts 1/log2(rank + 1) of the live rank; ties share their
    mean gain. Signs do not matter: the size of an association is ranked. None where the reference has none at all.
    Alarms below 0.9 are usual. Source: Jarvelin and Kekalainen (2002).
    """
    gains, sizes = np.abs(reference), np.abs(live)
    if not gains.sum() > 0:
        return None
    discounts = 1.0 / np.log2(np.arange(2, len(gains) + 2))
    distinct, groups, counts = np.unique(-sizes, return_inverse=True, return_counts=True)
    means = np.bincount(groups, gains, len(distinct)) / counts
    ends = np.cumsum(counts)
    shares = np.append(0.0, np.cumsum(discounts))
    reached = float((means * (shares[ends] - shares[ends - counts])).sum())
    return reached / float((np.sort(gains)[::-1] * discounts).sum())
