"""Figures: a number with how sure it is; and the intervals that they have.

Refuses to know what a figure means. Invariants: low <= value <= high, and the interval of a share, or of a mean of what
lies in [0, 1], is never of width 0. All intervals are of 95 %; how often they hold is in docs/performance.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from exporter.stats.performance.sums import effective

# Below these a figure is shown and judged by nobody (SageMaker gives no deviation below 200 rows either).
LEAST_ROWS = 200
LEAST_POSITIVES = 20
Z_95 = 1.959963984540054
LOWER_IS_BETTER = frozenset(
    (
        *("brier", "brier_classes", "log_loss", "ece", "mce", "hamming_loss", "cost"),
        *("mse", "rmse", "mae", "mape", "error_variance", "pinball", "interval_width"),
        *("false_positive_rate", "false_negative_rate"),
    )
)


class Interval(NamedTuple):
    """Both limits."""

    low: float
    high: float


class Basis(NamedTuple):
    """What a figure rests on: rows, effective rows, and the rows of the rarest class that it needs."""

    rows: int
    effective_rows: float
    rarest: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `error`: its standard error. `of`: the class, rank or level that it is of, "" for all.

    `bound`: how far the figure of the values themselves may be from this one of their bins.
    """

    name: str
    value: float
    low: float
    high: float
    error: float
    basis: Basis
    of: str = ""
    bound: float = 0.0

    @property
    def state(self) -> str:
        """`ready`, or `insufficient`: fewer than 200 rows, or 20 of a class that it needs."""
        rarest = self.basis.rows if self.basis.rarest is None else self.basis.rarest
        enough = self.basis.rows >= LEAST_ROWS and rarest >= LEAST_POSITIVES
        return "ready" if enough else "insufficient"


def wilson(share: float, rows: float) -> Interval:
    """Limits of a share of `rows` > 0 effective rows.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    square = Z_95 * Z_95
    middle = (share + square / (2.0 * rows)) / (1.0 + square / rows)
    half = (
        Z_95 / (1.0 + square / rows) * math.sqrt(share * (1.0 - share) / rows + square / (4.0 * rows * rows))
    )
    return Interval(max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def logit(share: float, error: float) -> Interval:
    """Limits of a share in (0, 1) by its standard error, formed where its range is all numbers."""
    middle = math.log(share / (1.0 - share))
    half = Z_95 * error / (share * (1.0 - share))
    return Interval(_expit(middle - half), _expit(middle + half))


def fisher(value: float, error: float) -> Interval:
    """Limits of a coefficient in (-1, 1) by its standard error, formed at its inverse hyperbolic tangent."""
    middle, half = math.atanh(value), Z_95 * error / (1.0 - value * value)
    return Interval(math.tanh(middle - half), math.tanh(middle + half))


def combined(value: float, parts: Sequence[tuple[float, Interval]], weight: float) -> Interval:
    """Limits of `value`, the sum of weight * part, from the limits of its independent parts.

    Source: Zou and Donner, "Construction of confidence limits about effect measures: a general approach" (2008).
    """
    below = weight * math.sqrt(sum((part - limits.low) ** 2 for part, limits in parts))
    above = weight * math.sqrt(sum((limits.high - part) ** 2 for part, limits in parts))
    return Interval(max(0.0, value - below), min(1.0, value + above))


def share_of(name: str, hits: float, whole: tuple[float, float], basis: Basis, of: str = "") -> Figure | None:
    """A share with Wilson's limits; `whole`: weight and squared weights of what it is a share of. None of nothing."""
    rows = effective(*whole)
    if rows <= 0.0:
        return None
    share = min(1.0, hits / whole[0])
    limits = wilson(share, rows)
    error = math.sqrt(share * (1.0 - share) / rows)
    return Figure(name, share, *limits, error, Basis(basis.rows, rows, basis.rarest), of)


def mean_of(
    name: str, total: float, squares: float, whole: tuple[float, float], basis: Basis
) -> Figure | None:
    """A mean of what is never negative, from weighted sums of it and of its square. None of nothing.

    Limits are formed at the logarithm: errors are skewed, and their mean is above 0.
    """
    rows = effective(*whole)
    if rows <= 0.0:
        return None
    mean = total / whole[0]
    error = standard_error(mean, squares / whole[0], rows)
    half = Z_95 * error / mean if mean > 0.0 else 0.0
    spread = math.exp(min(half, 700.0))
    limits = (mean / spread, mean * spread)
    return Figure(name, mean, *limits, error, Basis(basis.rows, rows, basis.rarest))


def share_mean(
    name: str, total: float, squares: float, whole: tuple[float, float], basis: Basis
) -> Figure | None:
    """A mean of what lies in [0, 1]. Where no scatter was seen, with the limits of a share, which scatters most."""
    figure = mean_of(name, total, squares, whole, basis)
    if figure is None:
        return None
    if figure.error > 1e-9:
        return replace(figure, high=max(figure.value, min(figure.high, 1.0)))
    limits = wilson(min(1.0, figure.value), figure.basis.effective_rows)
    return replace(figure, low=min(limits.low, figure.value), high=max(limits.high, figure.value))


def standard_error(mean: float, square: float, rows: float) -> float:
    """Of a mean, from the mean of squares and effective rows; infinite of a single row."""
    if rows <= 1.0:
        return math.inf
    return math.sqrt(max(0.0, square - mean * mean) / (rows - 1.0))


def around(value: float, error: float) -> Interval:
    """Limits by the normal distribution."""
    return Interval(value - Z_95 * error, value + Z_95 * error)


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, x))))
