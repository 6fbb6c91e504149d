"""Association of features with a prediction, and how its ranking moved: a hint at what the model relies on.

It is no importance: that word is kept for attributions, which only the model can give. State: counts over pairs
of bins, which add up. Refuses to know names and time.
"""

from __future__ import annotations

import math

import numpy as np

from exporter.stats.bins import FloatArray, IntArray


def joint_counts(left: IntArray, right: IntArray, shape: tuple[int, int]) -> IntArray:
    """How often two bins came together, of rows located in both (`Bins.locate`; -1 is left out)."""
    both = (left >= 0) & (right >= 0)
    cells = left[both] * shape[1] + right[both]
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64, copy=False)


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
