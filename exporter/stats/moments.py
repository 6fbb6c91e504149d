"""Moments and quantiles: what a window says about a numeric column, from parts that merge.

Refuses to know time and names. A block of moments is a float64 array (5, columns): count, mean, sum of
squared deviations, min, max. Invariant: `combine` of the blocks of parts equals the block of the whole,
within rounding; deviations are taken from each part's own mean, so a large mean does not eat the variance
(Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray, IntArray, NumericBins

COUNT, MEAN, SQUARES, LOW, HIGH = range(5)
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)

# Beyond this magnitude squares overflow float64 for large counts. Such values count in the bins, not in
# the moments, exactly like infinities.
LARGEST = 1e145


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known about one column in one window.

    `rows`: all cells; `missing`: null cells; `count`: finite numbers, to which the rest refers (std has ddof
    0). None where there is no finite number, never NaN. `quantiles`: (probability, value) pairs.
    """

    rows: int
    missing: int
    count: int
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()


def empty_moments(columns: int) -> FloatArray:
    """The block of no values at all, shape (5, columns)."""
    block = np.zeros((5, columns))
    block[LOW] = np.inf
    block[HIGH] = -np.inf
    return block


def combine(blocks: FloatArray) -> FloatArray:
    """One block from many, (k, 5, columns) -> (5, columns)."""
    counts, means = blocks[:, COUNT], blocks[:, MEAN]
    result = np.empty(blocks.shape[1:])
    result[COUNT] = counts.sum(axis=0)
    result[MEAN] = (counts * means).sum(axis=0) / np.maximum(result[COUNT], 1.0)
    between = (counts * (means - result[MEAN]) ** 2).sum(axis=0)
    result[SQUARES] = blocks[:, SQUARES].sum(axis=0) + between
    result[LOW] = blocks[:, LOW].min(axis=0, initial=np.inf)
    result[HIGH] = blocks[:, HIGH].max(axis=0, initial=-np.inf)
    return result


def moments_of(values: FloatArray, lengths: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Moments of columns that lie one after another in `values`, `lengths[i]` cells each (0 allowed).

    Returns the block (5, columns) and the signed sums (2, columns): sum of the positive values and, as a
    positive number, of the negative ones (a sum that can fall would read as a counter reset). NaN, infinities
    and magnitudes above 1e145 are left out.
    """
    block, signed = empty_moments(len(lengths)), np.zeros((2, len(lengths)))
    finite = np.abs(values) <= LARGEST
    if not finite.all():
        owners = np.repeat(np.arange(len(lengths)), lengths)[finite]
        values, lengths = values[finite], np.bincount(owners, minlength=len(lengths))
    filled = np.flatnonzero(lengths)
    if not len(filled):
        return block, signed
    counts = lengths[filled]
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(values, starts) / counts
    deviations = values - np.repeat(means, counts)
    block[COUNT, filled] = counts
    block[MEAN, filled] = means
    block[SQUARES, filled] = np.add.reduceat(deviations * deviations, starts)
    block[LOW, filled] = np.minimum.reduceat(values, starts)
    block[HIGH, filled] = np.maximum.reduceat(values, starts)
    signed[0, filled] = np.add.reduceat(np.maximum(values, 0.0), starts)
    if block[LOW].min() < 0.0:
        signed[1, filled] = np.add.reduceat(np.maximum(-values, 0.0), starts)
    return block, signed


def quantiles(
    bins: NumericBins,
    counts: IntArray,
    low: float,
    high: float,
    probabilities: tuple[float, ...] = PROBABILITIES,
) -> tuple[float, ...] | None:
    """Quantiles by interpolation in bins; `low` and `high` are the finite extremes. None without numbers.

    Definition: linear between order statistics, as `numpy.quantile`; an order statistic is put at its place
    within its bin as if the bin were evenly filled (at the upper edge where the bins are discrete values).
    Bound: the error is at most the width of the wider of the two bins that hold the neighbouring order
    statistics, bins cut to [low, high]. An infinite value counts at the extreme of its side.
    """
    held = counts[: bins.ranges]
    total = int(held.sum())
    if total == 0 or not low <= high:
        return None
    position = np.array(probabilities) * (total - 1)
    below = np.floor(position)
    share = position - below
    ranks = np.concatenate((below, np.minimum(below + 1, total - 1)))
    placed = _order_statistics(bins, held, (low, high), ranks)
    lower, upper = placed[: len(share)], placed[len(share) :]
    return tuple((lower + share * (upper - lower)).tolist())


def _order_statistics(
    bins: NumericBins, held: IntArray, extremes: tuple[float, float], ranks: FloatArray
) -> FloatArray:
    ends = np.cumsum(held)
    index = ends.searchsorted(ranks, side="right")
    edges = np.clip(np.concatenate(([-np.inf], bins.array, [np.inf])), *extremes)
    left, right = edges[index], edges[index + 1]
    if bins.discrete:
        return right
    inside = (ranks - (ends[index] - held[index]) + 0.5) / held[index]
    return np.asarray(left + (right - left) * inside, np.float64)


def summarize(
    bins: NumericBins, counts: IntArray, block: FloatArray, probabilities: tuple[float, ...] = PROBABILITIES
) -> Summary:
    """The summary of one numeric column: its counts, shape (bins.size,), and its moments, shape (5,)."""
    rows, missing, count = int(counts.sum()), int(counts[bins.null]), int(block[COUNT])
    if count == 0:
        return Summary(rows, missing, 0)
    low, high = float(block[LOW]), float(block[HIGH])
    found = quantiles(bins, counts, low, high, probabilities) or ()
    std = float(np.sqrt(block[SQUARES] / count))
    pairs = tuple(zip(probabilities, found, strict=False))
    return Summary(rows, missing, count, float(block[MEAN]), std, low, high, pairs)
