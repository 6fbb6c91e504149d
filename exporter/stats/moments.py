"""Moments and quantiles: what a window says about a numeric column, from parts that merge.

Refuses to know time and names. A block of moments is a float64 array (6, columns): count, mean, sum of
squared deviations, min, max, sum of cubed deviations. Invariant: `combine` of the blocks of parts equals the
block of the whole, within rounding; deviations are taken from each part's own mean, so a large mean does not
eat the variance (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", 1979; third order: Pébay, "Formulas for robust, one-pass parallel computation", 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import BoolArray, FloatArray, IntArray, NumericBins

COUNT, MEAN, SQUARES, LOW, HIGH, CUBES = range(6)
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)

# Beyond this magnitude sums of cubes overflow float64 for large counts. Such values count in the bins, not in
# the moments, exactly like infinities.
LARGEST = 1e97


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known about one column in one window.

    `rows`: all cells; `missing`: null cells; `count`: finite numbers, to which the rest refers (std has ddof
    0). None where there is no finite number, never NaN. `quantiles`: (probability, value) pairs. `skew`: third
    central moment over std cubed, None for a constant.
    """

    rows: int
    missing: int
    count: int
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    skew: float | None = None


def empty_moments(columns: int) -> FloatArray:
    """The block of no values at all, shape (6, columns)."""
    block = np.zeros((6, columns))
    block[LOW] = np.inf
    block[HIGH] = -np.inf
    return block


def combine(blocks: FloatArray) -> FloatArray:
    """One block from many, (k, 6, columns) -> (6, columns)."""
    counts, means, squares = blocks[:, COUNT], blocks[:, MEAN], blocks[:, SQUARES]
    result = np.empty(blocks.shape[1:])
    result[COUNT] = counts.sum(axis=0)
    # Counts of weighted rows are sums of weights, and may be less than 1.
    result[MEAN] = (counts * means).sum(axis=0) / np.where(result[COUNT] > 0.0, result[COUNT], 1.0)
    away = np.where(counts > 0.0, means - result[MEAN], 0.0)
    between = counts * away * away
    result[SQUARES] = (squares + between).sum(axis=0)
    result[LOW] = blocks[:, LOW].min(axis=0, initial=np.inf)
    result[HIGH] = blocks[:, HIGH].max(axis=0, initial=-np.inf)
    result[CUBES] = (blocks[:, CUBES] + away * (3.0 * squares + between)).sum(axis=0)
    return result


def moments_of(
    values: FloatArray, lengths: NDArray[np.intp], finite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Moments of columns that lie one after another in `values`, `lengths[i]` cells each (0 allowed).

    Returns the block (6, columns) and the signed sums (2, columns): sum of the positive values and, as a
    positive number, of the negative ones (a sum that can fall would read as a counter reset). NaN, infinities
    and magnitudes above 1e97 are left out; `finite`: it is known that there are none.
    """
    block, signed = empty_moments(len(lengths)), np.zeros((2, len(lengths)))
    usual = None if finite else np.abs(values) <= LARGEST
    if usual is not None and not usual.all():
        owners = np.repeat(np.arange(len(lengths)), lengths)[usual]
        values, lengths = values[usual], np.bincount(owners, minlength=len(lengths))
    filled = np.flatnonzero(lengths)
    if not len(filled):
        return block, signed
    counts = lengths[filled]
    if (counts == counts[0]).all():
        sums = _sums_of_equal(values.reshape(len(filled), int(counts[0])))
    else:
        sums = _sums_of_ragged(values, counts)
    block[COUNT, filled] = counts
    block[MEAN : MEAN + 5, filled] = sums[:5]
    signed[:, filled] = sums[5:]
    return block, signed


def _sums_of_equal(values: FloatArray) -> FloatArray:
    """Mean .. cubes as in a block, then the signed sums, (7, columns), of a matrix with a row per column."""
    sums = np.zeros((7, len(values)))
    sums[0] = values.mean(axis=1)
    sums[2], sums[3] = values.min(axis=1), values.max(axis=1)
    if values.shape[1] == 1:
        sums[5], sums[6] = np.maximum(values[:, 0], 0.0), np.maximum(-values[:, 0], 0.0)
        return sums
    away = values - sums[0][:, None]
    squares = away * away
    sums[1] = squares.sum(axis=1)
    sums[4] = np.einsum("ij,ij->i", squares, away)
    sums[5] = np.maximum(values, 0.0, out=squares).sum(axis=1)
    if sums[2].min() < 0.0:
        sums[6] = np.maximum(np.negative(values, out=away), 0.0, out=squares).sum(axis=1)
    return sums


def _sums_of_ragged(values: FloatArray, counts: NDArray[np.intp]) -> FloatArray:
    """The same of columns that differ in length, one after another."""
    starts = np.cumsum(counts) - counts
    sums = np.zeros((7, len(counts)))
    sums[0] = np.add.reduceat(values, starts) / counts
    away = values - np.repeat(sums[0], counts)
    squares = away * away
    sums[1] = np.add.reduceat(squares, starts)
    sums[2] = np.minimum.reduceat(values, starts)
    sums[3] = np.maximum.reduceat(values, starts)
    sums[4] = np.add.reduceat(squares * away, starts)
    sums[5] = np.add.reduceat(np.maximum(values, 0.0), starts)
    if sums[2].min() < 0.0:
        sums[6] = np.add.reduceat(np.maximum(-values, 0.0), starts)
    return sums


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


@dataclass(frozen=True, slots=True)
class Ranges:
    """Bins of numbers of many columns side by side in a flat vector.

    `left` and `right`: where each bin begins and ends, both its value in columns of discrete values; `numbers`: which
    cells are such bins; `starts`: first cell of each column.
    """

    left: FloatArray
    right: FloatArray
    numbers: BoolArray
    starts: NDArray[np.intp]


def quantiles_of(
    parts: Sequence[tuple[IntArray, FloatArray]], ranges: Ranges, places: NDArray[np.intp]
) -> FloatArray:
    """What `quantiles` finds for the columns at these places, shape (parts, places, PROBABILITIES).

    `parts`: flat counts and moments over the same bins. One running sum over their cells puts every order statistic
    of every column into its bin at once. Where a column has no number the row means nothing.
    """
    shape = len(parts), len(places), len(PROBABILITIES)
    if not len(places):
        return np.zeros(shape)
    starts = ranges.starts[places]
    sizes = np.append(ranges.starts[1:], len(ranges.left))[places] - starts
    begins, total = np.cumsum(sizes) - sizes, int(sizes.sum())
    cells = np.arange(total) + np.repeat(starts - begins, sizes)
    flat = np.concatenate([one[cells] for one, _ in parts])
    ends = np.cumsum(np.where(np.tile(ranges.numbers[cells], len(parts)), flat, 0))
    offsets = np.repeat(np.arange(len(parts)) * total, len(places))
    first = np.tile(begins, len(parts)) + offsets
    last = first + np.tile(sizes, len(parts))
    before = np.where(first > 0, ends[first - 1], 0)
    rows = np.maximum(ends[last - 1] - before, 1)[:, None]
    position = np.array(PROBABILITIES) * (rows - 1)
    below = np.floor(position)
    share = position - below
    ranks = np.concatenate((below, np.minimum(below + 1, rows - 1)), axis=1) + before[:, None]
    index = np.minimum(ends.searchsorted(ranks, side="right"), last[:, None] - 1)
    bins = cells[index - offsets[:, None]]
    moments = np.concatenate([one[:, places] for _, one in parts], axis=1)
    some = moments[COUNT] > 0.0
    extremes = [np.where(some, moments[which], 0.0)[:, None] for which in (LOW, HIGH)]
    left, right = (np.clip(edges[bins], *extremes) for edges in (ranges.left, ranges.right))
    held = np.maximum(flat[index], 1)
    placed = left + (right - left) * ((ranks - (ends[index] - held) + 0.5) / held)
    lower, upper = placed[:, : share.shape[1]], placed[:, share.shape[1] :]
    return np.asarray(lower + share * (upper - lower), np.float64).reshape(shape)


def summarize(
    bins: NumericBins, counts: IntArray, block: FloatArray, probabilities: tuple[float, ...] = PROBABILITIES
) -> Summary:
    """The summary of one numeric column: its counts, shape (bins.size,), and its moments, shape (6,)."""
    low, high = float(block[LOW]), float(block[HIGH])
    found = (quantiles(bins, counts, low, high, probabilities) or ()) if block[COUNT] else ()
    return summary_of(int(counts.sum()), int(counts[bins.null]), block, found, probabilities)


def summary_of(
    rows: int,
    missing: int,
    block: FloatArray,
    found: Sequence[float],
    probabilities: tuple[float, ...] = PROBABILITIES,
) -> Summary:
    """The summary of moments (6,) and quantiles that are known."""
    count, mean, squares, low, high, cubes = block.tolist()
    if count == 0:
        return Summary(rows, missing, 0)
    std = math.sqrt(squares / count)
    # Rounding alone gives a constant a tiny std; what is left of its cubes says nothing.
    varies = high > low and std > 1e-12 * max(abs(low), abs(high))
    skew = cubes / count / std / std / std if varies else None
    pairs = tuple(zip(probabilities, found, strict=False))
    return Summary(rows, missing, int(count), mean, std, low, high, pairs, skew)
