"""Location: how far mean and median of a numeric column moved, and where its modes are.

Shifts are in standard deviations of the reference. Refuses to know names and time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import Bins, FloatArray, IntArray, NumericBins
from exporter.stats.chance import union_quantiles
from exporter.stats.moments import Summary

# Two-sided, 0.1 %.
_CRITICAL = 3.2905
# The deviation of a normal sample's median is this times that of its mean.
_MEDIAN = math.sqrt(math.pi / 2.0)
_LEAST_ROWS = 5
_LEAST_MODE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Shift:
    """Live less reference, in deviations of the reference; beyond +-`critical` by chance in 0.1 %."""

    value: float
    critical: float
    rows: int

    @property
    def floor(self) -> float:
        """|value| on average, when nothing moved."""
        return self.critical / _CRITICAL * math.sqrt(2.0 / math.pi)

    def exceeds(self, effect: float) -> bool:
        """Moved: beyond chance, and by more than `effect`."""
        return abs(self.value) > max(effect, self.critical)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the reference's numbers."""

    mean: float
    median: float
    std: float
    rows: int


def mean_shift(live: Summary, reference: Known, effective_rows: float | None = None) -> Shift | None:
    """By a z-test with both deviations; None below five rows, or for a constant reference."""
    n = float(live.count) if effective_rows is None else min(effective_rows, float(live.count))
    if live.mean is None or live.std is None or n < _LEAST_ROWS or reference.std <= 0 or not reference.rows:
        return None
    noise = math.sqrt(live.std**2 / n + reference.std**2 / reference.rows)
    critical = _CRITICAL * noise / reference.std
    return Shift((live.mean - reference.mean) / reference.std, critical, live.count)


def median_shift(live: Summary, reference: Known, effective_rows: float | None = None) -> Shift | None:
    """The same of the median, by the deviation that it has in normal samples: right for smooth, single peaks."""
    moved = mean_shift(live, reference, effective_rows)
    median = dict(live.quantiles).get(0.5)
    if moved is None or median is None:
        return None
    return Shift((median - reference.median) / reference.std, moved.critical * _MEDIAN, live.count)


def cuts(bins: NumericBins, extremes: tuple[float, float]) -> FloatArray:
    """Where the bins of numbers begin and end, the outer ones cut to `extremes`; needs an edge."""
    low, high = min(extremes[0], bins.edges[0]), max(extremes[1], bins.edges[-1])
    return np.array([low, *bins.edges, high])


def densities(bins: Bins, counts: IntArray, extremes: tuple[float, float] | None = None) -> FloatArray:
    """Rows per unit in the bins of numbers, outer bins cut to `extremes`; of categories and discrete values counts."""
    if not isinstance(bins, NumericBins):
        return counts[: bins.null].astype(np.float64)
    held = counts[: bins.ranges].astype(np.float64)
    if bins.discrete or extremes is None or not bins.edges:
        return held
    widths = np.diff(cuts(bins, extremes))
    return np.asarray(np.where(widths > 0, held / np.where(widths > 0, widths, 1.0), 0.0), np.float64)


def mode_shift(
    bins: NumericBins,
    counts: tuple[IntArray, IntArray],
    effective_rows: float,
    extremes: tuple[float, float],
    std: float,
) -> Shift | None:
    """From the middle of the reference's densest bin to the middle of the live one's; 0 where that is chance.

    `counts`: of reference and live. It has moved where live rows are denser in the one bin than in the other by more
    than chance, which in 0.1 % they are in any bin. None without fifty effective rows, or edges.
    """
    sizes = float(counts[0][: bins.ranges].sum()), float(counts[1][: bins.ranges].sum())
    if min(effective_rows, *sizes) < _LEAST_MODE_ROWS or std <= 0.0 or not bins.edges:
        return None
    places = cuts(bins, extremes)
    widths = np.ones(bins.ranges) if bins.discrete else np.maximum(np.diff(places), 1e-300)
    expected, found = (
        densities(bins, held, extremes) / size for held, size in zip(counts, sizes, strict=True)
    )
    pair = [int(expected.argmax()), int(found.argmax())]
    # The share of a bin is uncertain by the root of its rows, on either side.
    noise = float((expected[pair] / widths[pair]).sum()) / sizes[0]
    noise += float((found[pair] / widths[pair]).sum()) / min(effective_rows, sizes[1])
    z = float(union_quantiles(bins.ranges))
    if pair[0] == pair[1] or float(found[pair[1]] - found[pair[0]]) <= z * math.sqrt(noise):
        return Shift(0.0, 0.0, int(sizes[1]))
    middles = np.array([*bins.edges, places[-1]]) if bins.discrete else (places[1:] + places[:-1]) / 2.0
    return Shift(float(middles[pair[1]] - middles[pair[0]]) / std, 0.0, int(sizes[1]))


def peaks(density: FloatArray) -> int:
    """Local maxima after averaging each bin with its neighbours; a plateau is one. 0 without rows."""
    if not density.sum() > 0:
        return 0
    smooth = np.convolve(np.pad(density, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    steps = np.sign(np.diff(smooth, prepend=-np.inf, append=-np.inf))
    steps = steps[steps != 0]
    return int(np.count_nonzero((steps[:-1] > 0) & (steps[1:] < 0)))
