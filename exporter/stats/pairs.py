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

import numpy as np

from exporter.stats.bins import FloatArray

N, X, Y, XX, YY, XY = range(6)
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
    pairs: Sequence[tuple[str, str]], scales: Mapping[str, Scale], batch: Mapping[str, FloatArray]
) -> FloatArray:
    """Sums of every pair, shape (6, pairs), over the rows in which both are finite; 0 where a column is absent.

    Columns of different lengths have no rows in common and add nothing.
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
        found[:, place] = len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y
    return found


def pearson(sums: FloatArray) -> float | None:
    """Correlation from the six sums of one pair; None with fewer than two rows or where one side is constant."""
    n, x, y, xx, yy, xy = sums.tolist()
    across, down = n * xx - x * x, n * yy - y * y
    # What rounding leaves of a constant is no variance.
    if n < 2 or across <= 1e-12 * n * xx or down <= 1e-12 * n * yy:
        return None
    return float(max(-1.0, min(1.0, (n * xy - x * y) / math.sqrt(across) / math.sqrt(down))))


def shift(live: FloatArray, reference: FloatArray, effective_rows: float | None = None) -> PairShift | None:
    """How far the correlation of one pair moved; None unless both have one, of at least four rows.

    `effective_rows`: how many of the live rows are independent, all by default.
    """
    r, own = pearson(live), pearson(reference)
    n = float(live[N]) if effective_rows is None else min(effective_rows, float(live[N]))
    m = float(reference[N])
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
