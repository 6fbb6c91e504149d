"""Pairs: correlation of chosen pairs of columns, and how far it moved from the reference's.

State of a pair: six co-moments (n, sum of x, y, xx, yy, xy) that add up over panes and replicas, of x and y
less the reference's mean and over its deviation, so that nothing is lost to large means. Refuses to know time.

Shift: Fisher's z = (atanh r - atanh r_ref) / sqrt(1/(n - 3) + 1/(m - 3)), standard normal if nothing moved.
Source: Fisher, "On the probable error of a coefficient of correlation" (1921).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporter.stats.bins import FloatArray

N, X, Y, XX, YY, XY, SPREAD = range(7)
SUMS = 7
FOURTHS = 5
# Two-sided, 0.1 %.
_CRITICAL = 3.2905
# atanh is infinite at 1: a correlation that rounds to it is taken as this.
_LARGEST = 1.0 - 1e-12


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of a column's reference; the deviation of a constant is taken as 1."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class PairShift:
    """Correlation of a window and of the reference; the change exceeds `critical` by chance in 0.1 %."""

    correlation: float
    reference: float
    critical: float
    z: float
    p_value: float
    rows: int

    @property
    def change(self) -> float:
        """|r - r_ref|."""
        return abs(self.correlation - self.reference)

    def exceeds(self, effect: float) -> bool:
        """Moved: beyond chance, and by more than `effect`."""
        return abs(self.z) > _CRITICAL and self.change > effect


def co_moments(
    pairs: Sequence[tuple[str, str]],
    scales: Mapping[str, Scale],
    batch: Mapping[str, FloatArray],
    weights: FloatArray | None = None,
) -> FloatArray:
    """Sums of every pair, shape (6, pairs), over the rows in which both are finite; 0 where a column is absent.

    Columns of different lengths have no rows in common and add nothing. `weights`: of the rows, 1 by default.
    """
    ready = {name: _scaled(batch[name], scales[name]) for name in scales if name in batch}
    found = np.zeros((6, len(pairs)))
    for place, (left, right) in enumerate(pairs):
        x, y = ready.get(left), ready.get(right)
        if x is None or y is None or x.shape != y.shape:
            continue
        both = np.isfinite(x) & np.isfinite(y)
        if not both.all():
            x, y = x[both], y[both]
        if weights is None:
            found[:, place] = len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y
        else:
            w = weights[both]
            found[:, place] = w.sum(), w @ x, w @ y, w @ (x * x), w @ (y * y), w @ (x * y)
    return found


class Expected(Protocol):
    """What the reference says of a pair; see `profile_joint.CoMoments`."""

    @property
    def a(self) -> str:
        """The one column."""

    @property
    def b(self) -> str:
        """The other."""

    @property
    def scales(self) -> dict[str, Scale]:
        """Their units."""

    @property
    def correlation(self) -> float | None:
        """r of the reference."""


def fourth_moments(
    pairs: Sequence[tuple[str, str]],
    scales: Mapping[str, Scale],
    batch: Mapping[str, FloatArray],
    weights: FloatArray | None = None,
) -> FloatArray:
    """Sums of xxxx, yyyy, xxxy, xyyy, xxyy of every pair, shape (5, pairs), over the rows of `co_moments`."""
    ready = {name: _scaled(batch[name], scales[name]) for name in scales if name in batch}
    found = np.zeros((FOURTHS, len(pairs)))
    for place, (left, right) in enumerate(pairs):
        x, y = ready.get(left), ready.get(right)
        if x is None or y is None or x.shape != y.shape:
            continue
        both = np.isfinite(x) & np.isfinite(y)
        x, y, w = x[both], y[both], 1.0 if weights is None else weights[both]
        with np.errstate(over="ignore", invalid="ignore"):
            xx, yy, xy = x * x, y * y, x * y
            found[:, place] = [
                (w * a * b).sum() for a, b in ((xx, xx), (yy, yy), (xx, xy), (xy, yy), (xx, yy))
            ]
    return found


def with_spread(sums: FloatArray, fourths: FloatArray) -> FloatArray:
    """The six sums of one pair and the seventh of `live_moments`, from its fourth moments and its own r."""
    r = pearson(sums) or 0.0
    xxxx, yyyy, xxxy, xyyy, xxyy = fourths.tolist()
    moved = xxyy - r * (xxxy + xyyy) + r * r * (xxxx + 2.0 * xxyy + yyyy) / 4.0
    return np.append(sums[:SPREAD], moved)


def live_moments(pairs: Sequence[Expected], batch: Mapping[str, FloatArray]) -> FloatArray:
    """Sums of every pair of live rows, shape (7, pairs): the six, and the squares of what each row adds to r.

    A row moves r by (xy - r (x^2 + y^2) / 2) / n, with the reference's r: by the spread of that r varies, whatever the
    form of the distribution. Source: Devlin, Gnanadesikan and Kettenring, "Robust estimation and outlier detection with
    correlation coefficients" (1975).
    """
    found = np.zeros((SUMS, len(pairs)))
    for place, one in enumerate(pairs):
        names, scales = [(one.a, one.b)], one.scales
        found[:SPREAD, place] = co_moments(names, scales, batch)[:, 0]
        if found[N, place]:
            x, y = (_scaled(batch[name], scales[name]) for name in names[0])
            moved = x * y - (one.correlation or 0.0) * (x * x + y * y) / 2.0
            moved = moved[np.isfinite(moved)]
            found[SPREAD, place] = moved @ moved
    return found


def spread(live: FloatArray, r: float) -> float:
    """How much more the correlation of such rows varies than that of normal ones, by variance; at least 1.

    `live`: the seven sums of one pair; `r`: the reference's.
    """
    n = float(live[N])
    if n < 2:
        return 1.0
    mean = (live[XY] - r * (live[XX] + live[YY]) / 2.0) / n
    normal = max((1.0 - r * r) ** 2, 1e-12)
    return max(1.0, float((live[SPREAD] / n - mean * mean) / normal))


def pearson(sums: FloatArray) -> float | None:
    """Correlation from the six sums of one pair; None with fewer than two rows or where one side is constant."""
    n, x, y, xx, yy, xy = sums[:SPREAD].tolist()
    across, down = n * xx - x * x, n * yy - y * y
    # What rounding leaves of a constant is no variance.
    if n < 2 or across <= 1e-12 * n * xx or down <= 1e-12 * n * yy:
        return None
    return float(max(-1.0, min(1.0, (n * xy - x * y) / math.sqrt(across) / math.sqrt(down))))


def shift(
    live: FloatArray,
    reference: FloatArray,
    effective_rows: float | None = None,
    reference_spread: float = 1.0,
) -> PairShift | None:
    """How far the correlation of one pair moved; None unless both have one, of at least four rows.

    `effective_rows`: how many of the live rows are independent, all by default. Of `live_moments` the seventh sum says
    how many normal rows the rows of both sides are worth: far fewer where tails are heavy. A window that the largest
    values did not reach knows too little of them, so that `reference_spread` counts where it is more.
    """
    r, own = pearson(live), pearson(reference)
    n = float(live[N]) if effective_rows is None else min(effective_rows, float(live[N]))
    m = float(reference[N])
    if len(live) == SUMS and own is not None:
        worth = max(spread(live, own), reference_spread)
        n, m = n / worth, m / worth
    if r is None or own is None or min(n, m) < 4:
        return None
    deviation = math.sqrt(1.0 / (n - 3.0) + 1.0 / (m - 3.0))
    z = (_atanh(r) - _atanh(own)) / deviation
    # The least change that is beyond chance, to the side to which the correlation went.
    edge = math.tanh(_atanh(own) + math.copysign(_CRITICAL * deviation, z))
    return PairShift(r, own, abs(edge - own), z, math.erfc(abs(z) / math.sqrt(2.0)), int(live[N]))


def _scaled(values: FloatArray, scale: Scale) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((np.asarray(values, np.float64) - scale.mean) / (scale.std or 1.0), np.float64)


def _atanh(r: float) -> float:
    return math.atanh(max(-_LARGEST, min(_LARGEST, r)))
