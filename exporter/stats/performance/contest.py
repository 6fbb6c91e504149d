"""Champion against challenger: a difference with an interval that holds at every look, however often one looks.

An interval of 95 % that is looked at daily until it leaves 0 does so far more often than in 5 %. This one is an
asymptotic confidence sequence: with a probability of 95 % the truth is in all of them at once, so a contest may be
ended whenever it is decided. With t rows, variance s^2 of a row's share in the difference, and a tuning r,

    half = s sqrt(2 (t r^2 + 1) / (t^2 r^2) log(sqrt(t r^2 + 1) / a))

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (Annals of Statistics, 2024), of means and of what is asymptotically linear, such as ratios of cells. It
holds from a first look on that has rows enough: below `LEAST_ROWS` nothing is decided.

Refuses to know models. Invariant: the interval is never shorter than the one for a single look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.performance.figures import LEAST_ROWS
from exporter.stats.performance.sums import LARGEST, effective, usable

ALPHA = 0.05
# Rows at which the interval is to be shortest; it holds at all others too.
TUNED_ROWS = 5000
_NAMES = ("rows", "weight", "weight_squares", "above", "below", "squares", "refused")


@dataclass(frozen=True, slots=True)
class Contest:
    """Challenger less champion. `verdict`: better, worse, undecided, or insufficient."""

    difference: float
    low: float
    high: float
    rows: int
    verdict: str


def boundary(rows: float, tuned_rows: float = TUNED_ROWS, alpha: float = ALPHA) -> float:
    """Half of the interval, in deviations of one row, after so many rows > 0."""
    tuning = tuning_of(tuned_rows, alpha)
    grown = rows * tuning + 1.0
    return math.sqrt(2.0 * grown / (rows * rows * tuning) * (math.log(grown) / 2.0 - math.log(alpha)))


def tuning_of(tuned_rows: float, alpha: float = ALPHA) -> float:
    """r^2, within a few per cent of what makes the interval shortest at so many rows."""
    logarithm = -2.0 * math.log(alpha)
    return (logarithm + math.log(logarithm) + 1.0) / tuned_rows


@dataclass(frozen=True, slots=True)
class Paired:
    """Rows that both scored, as a shadow's: challenger's value less champion's, such as two squared errors."""

    difference: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class PairedLayout:
    """Sums of differences, by sign, and of their squares. What both have in common is not noise here."""

    @property
    def size(self) -> int:
        return len(_NAMES)

    def sums(self, batch: Paired) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.difference))
        fit = fit & (np.abs(batch.difference) <= LARGEST)
        w, d = w[fit], batch.difference[fit]
        parts = [float(len(w)), w.sum(), w @ w, w @ np.maximum(d, 0.0), w @ np.maximum(-d, 0.0), w @ (d * d)]
        return np.array([*parts, float(len(fit) - fit.sum())], np.float64)


def together(sums: FloatArray, lower_is_better: bool, tuned_rows: float = TUNED_ROWS) -> Contest | None:
    """The mean difference over rows that both scored; None without any."""
    rows, weight, squares, above, below, twice, _ = sums.tolist()
    if rows <= 0.0:
        return None
    count = effective(weight, squares)
    mean = (above - below) / weight
    half = math.sqrt(max(0.0, twice / weight - mean * mean)) * boundary(count, tuned_rows)
    return judged(mean, half, int(rows), (rows >= LEAST_ROWS, lower_is_better))


def judged(difference: float, half: float, rows: int, how: tuple[bool, bool]) -> Contest:
    """`how`: whether there are rows enough, and whether lower is better."""
    ready, lower_is_better = how
    low, high = difference - half, difference + half
    verdict = "undecided"
    if not ready:
        verdict = "insufficient"
    elif low > 0.0:
        verdict = "worse" if lower_is_better else "better"
    elif high < 0.0:
        verdict = "better" if lower_is_better else "worse"
    return Contest(difference, low, high, rows, verdict)
