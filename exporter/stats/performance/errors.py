"""Errors of numbers: sums of prediction - truth, of its powers and of the truth's, and bins of the residuals.

Refuses to know units. Invariant: MSE = bias^2 + variance, of the same sums. Rows of which either side is missing, not
finite or beyond 1e60 are counted as refused; a truth near zero has no percentage error and is counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.performance.figures import Basis, Figure, around, mean_of, share_of, standard_error
from exporter.stats.performance.sums import LARGEST, by_sign, effective, named, usable

# Of e = prediction - truth and v = truth - centre; what can be negative by sign. *_percent: |e / truth|.
_NAMES = (
    *("rows", "weight", "weight_squares", "over", "under", "squares", "cubes_over", "cubes_under", "fourths"),
    *(
        "truth_above",
        "truth_below",
        "truth_squares",
        "truth_cubes_above",
        "truth_cubes_below",
        "truth_fourths",
    ),
    *("squares_truth_above", "squares_truth_below", "squares_truth_squares"),
    *("percent", "percent_squares", "percent_rows", "percent_weight", "percent_weight_squares"),
    *("near_zero", "refused"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows with a number on either side; NaN: none."""

    truth: FloatArray
    predicted: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class ErrorLayout:
    """`centre`: about the truth's mean, so that its variance is not lost to rounding; `edges` of residual bins (a, b].

    `near_zero`: a truth of at most this magnitude has no percentage error.
    """

    centre: float = 0.0
    edges: tuple[float, ...] = ()
    near_zero: float = 0.0

    @property
    def size(self) -> int:
        return len(_NAMES) + len(self.edges) + 1

    def sums(self, batch: Measured) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.truth))
        fit = fit & (np.abs(batch.truth) <= LARGEST) & (np.abs(batch.predicted) <= LARGEST)
        w, y = w[fit], batch.truth[fit].astype(np.float64)
        e = batch.predicted[fit] - y
        v, ee = y - self.centre, e * e
        vv = v * v
        parts = [float(len(y)), w.sum(), w @ w, *by_sign(w, e), w @ ee, *by_sign(w, ee * e), w @ (ee * ee)]
        parts += [*by_sign(w, v), w @ vv, *by_sign(w, vv * v), w @ (vv * vv)]
        parts += [*by_sign(w, ee * v), w @ (ee * vv)]
        large = np.abs(y) > self.near_zero
        ratio, own = np.minimum(np.abs(e[large] / y[large]), LARGEST), w[large]
        parts += [own @ ratio, own @ (ratio * ratio), float(large.sum()), own.sum(), own @ own]
        parts += [float(len(y) - large.sum()), float(len(fit) - fit.sum())]
        places = np.searchsorted(self.edges, e, side="left")
        return np.concatenate((parts, np.bincount(places, w, minlength=len(self.edges) + 1)))

    def residuals(self, sums: FloatArray) -> FloatArray:
        """Weight by bin of prediction - truth."""
        return sums[len(_NAMES) :]

    def read(self, sums: FloatArray) -> dict[str, float]:
        """The sums by name."""
        return named(_NAMES, sums[: len(_NAMES)])


def error_figures(layout: ErrorLayout, sums: FloatArray) -> list[Figure]:
    """Bias, MSE, RMSE, MAE, variance of the error, MAPE, R^2; those that are defined."""
    s = layout.read(sums)
    rows = effective(s["weight"], s["weight_squares"])
    if s["rows"] <= 0.0:
        return []
    basis, whole = Basis(int(s["rows"]), rows), (s["weight"], s["weight_squares"])
    found = list(_moments(s, basis))
    found.append(mean_of("mae", s["over"] + s["under"], s["squares"], whole, basis))
    apart = (s["percent_weight"], s["percent_weight_squares"]) if s["percent_rows"] > 0.0 else (0.0, 0.0)
    percent = Basis(int(s["percent_rows"]), effective(*apart))
    found.append(mean_of("mape", s["percent"], s["percent_squares"], apart, percent))
    found.append(_determination(s, basis))
    return [figure for figure in found if figure is not None]


def _moments(s: dict[str, float], basis: Basis) -> Iterator[Figure | None]:
    n, rows = s["weight"], basis.effective_rows
    bias, square = (s["over"] - s["under"]) / n, s["squares"] / n
    error = standard_error(bias, square, rows)
    yield Figure("bias", bias, *around(bias, error), error, basis)
    mse = mean_of("mse", s["squares"], s["fourths"], (n, s["weight_squares"]), basis)
    assert mse is not None  # there are rows
    yield mse
    root = math.sqrt(mse.value)
    own = mse.error / (2.0 * root) if root > 0.0 else 0.0
    yield Figure("rmse", root, math.sqrt(mse.low), math.sqrt(mse.high), own, basis)
    variance = max(0.0, square - bias * bias)
    # Fourth central moment from those about 0.
    third, fourth = (s["cubes_over"] - s["cubes_under"]) / n, s["fourths"] / n
    central = fourth - 4.0 * bias * third + 6.0 * bias**2 * square - 3.0 * bias**4
    yield mean_of(
        "error_variance", variance * n, max(central, variance**2) * n, (n, s["weight_squares"]), basis
    )


def _determination(s: dict[str, float], basis: Basis) -> Figure | None:
    """R^2 = 1 - U/V, U the mean of e^2 and V the variance of the truth; delta method over both. None of a constant."""
    n = s["weight"]
    mean = (s["truth_above"] - s["truth_below"]) / n
    square = s["truth_squares"] / n
    u, v = s["squares"] / n, square - mean * mean
    if v <= 1e-12 * square or v <= 0.0:
        return None
    cube = (s["truth_cubes_above"] - s["truth_cubes_below"]) / n
    fourth = s["truth_fourths"] / n - 4.0 * mean * cube + 6.0 * mean**2 * square - 3.0 * mean**4
    first = (s["squares_truth_above"] - s["squares_truth_below"]) / n
    cross = s["squares_truth_squares"] / n - 2.0 * mean * first + mean**2 * u
    ratio = u / v
    variance = (s["fourths"] / n - 2.0 * ratio * cross + ratio**2 * fourth) / v**2
    error = math.sqrt(max(0.0, variance) / basis.effective_rows)
    value = 1.0 - ratio
    # The ratio is above 0: limits at its logarithm, as of the other errors.
    spread = math.exp(min(1.96 * error / ratio, 700.0)) if ratio > 0.0 else 1.0
    return Figure("r2", value, 1.0 - ratio * spread, 1.0 - ratio / spread, error, basis)


_RANGE_NAMES = (
    "rows",
    "weight",
    "weight_squares",
    "inside",
    "below",
    "above",
    "width",
    "width_squares",
    "refused",
)


@dataclass(frozen=True, slots=True)
class Ranged:
    """Rows with a predicted interval."""

    truth: FloatArray
    low: FloatArray
    high: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class RangeLayout:
    """Predicted intervals: how often the truth is within (limits included), how wide they are.

    An interval whose limits are crossed is refused, and counted.
    """

    @property
    def size(self) -> int:
        return len(_RANGE_NAMES)

    def sums(self, batch: Ranged) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.truth))
        for side in (batch.truth, batch.low, batch.high):
            fit = fit & (np.abs(side) <= LARGEST)
        fit = fit & (batch.low <= batch.high)
        w, y, low, high = w[fit], batch.truth[fit], batch.low[fit], batch.high[fit]
        below, above, width = y < low, y > high, high - low
        parts = [float(len(y)), w.sum(), w @ w, w @ ~(below | above), w @ below, w @ above]
        return np.array([*parts, w @ width, w @ (width * width), float(len(fit) - fit.sum())], np.float64)

    def read(self, sums: FloatArray) -> dict[str, float]:
        """The sums by name."""
        return named(_RANGE_NAMES, sums)


def range_figures(sums: FloatArray) -> list[Figure]:
    """Coverage, the shares below and above, and the mean width."""
    s = named(_RANGE_NAMES, sums)
    if s["rows"] <= 0.0:
        return []
    whole = (s["weight"], s["weight_squares"])
    basis = Basis(int(s["rows"]), effective(*whole))
    names = (("interval_coverage", "inside"), ("interval_below", "below"), ("interval_above", "above"))
    found = [share_of(name, s[key], whole, basis) for name, key in names]
    found.append(mean_of("interval_width", s["width"], s["width_squares"], whole, basis))
    return [figure for figure in found if figure is not None]


_QUANTILE_NAMES = ("rows", "weight", "weight_squares", "loss", "loss_squares", "reached", "refused")


@dataclass(frozen=True, slots=True)
class QuantileLayout:
    """A predicted quantile: pinball loss max(t (y - q), (t - 1)(y - q)) at level t, and how often y <= q.

    Source: Koenker and Bassett, "Regression quantiles" (1978). Raises ValueError for a level that is not in (0, 1).
    """

    level: float

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"a level between 0 and 1 expected, got {self.level}")

    @property
    def size(self) -> int:
        return len(_QUANTILE_NAMES)

    def sums(self, batch: Measured) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.truth))
        fit = fit & (np.abs(batch.truth) <= LARGEST) & (np.abs(batch.predicted) <= LARGEST)
        w, away = w[fit], batch.truth[fit] - batch.predicted[fit]
        loss = np.maximum(self.level * away, (self.level - 1.0) * away)
        parts = [float(len(w)), w.sum(), w @ w, w @ loss, w @ (loss * loss), w @ (away <= 0.0)]
        return np.array([*parts, float(len(fit) - fit.sum())], np.float64)


def quantile_figures(sums: FloatArray) -> list[Figure]:
    """Mean pinball loss, and the share of truths that the quantile reached, which should be its level."""
    s = named(_QUANTILE_NAMES, sums)
    if s["rows"] <= 0.0:
        return []
    whole = (s["weight"], s["weight_squares"])
    basis = Basis(int(s["rows"]), effective(*whole))
    found = [
        mean_of("pinball", s["loss"], s["loss_squares"], whole, basis),
        share_of("quantile_reached", s["reached"], whole, basis),
    ]
    return [figure for figure in found if figure is not None]
