"""Weights of reference rows: what they make of sums, quantiles and counts.

Only the ratio of two weights means something, so counts are brought to effective rows, n = (sum w)^2 / sum w^2 (Kish,
"Survey Sampling", 1965): a reference of weighted rows says no more about a share than n equal ones would, and
whoever takes the sum of its counts for n has the right noise floor. Refuses to know files. Invariants: equal weights
are no weights; whole weights are repeated rows, in every moment, quantile (`inverted_cdf`) and share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporter.stats.bins import FloatArray, IntArray, Values
from exporter.stats.moments import COUNT, CUBES, HIGH, LARGEST, LOW, MEAN, SQUARES, empty_moments

# Squares and their sums stay within float64, and the smallest weight still moves a sum beside the largest.
LEAST_WEIGHT, MOST_WEIGHT = 1e-12, 1e12


class Planned(Protocol):
    """A payload column's plan; see `profile_survey.Plan`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def role(self) -> str:
        """Its role."""


class Filled(Protocol):
    """Its typed cells."""

    @property
    def values(self) -> Values:
        """Of weights: float64."""


def weights_of(plans: Sequence[Planned], chunk: Mapping[str, Filled]) -> FloatArray | None:
    """The weights of the rows of a chunk; None where no column has them."""
    name = next((plan.name for plan in plans if plan.role == "weight"), None)
    return None if name is None else np.asarray(chunk[name].values, np.float64)


def unfit(weights: FloatArray) -> IntArray:
    """Places of what is no weight: neither 0 nor a number from 1e-12 to 1e12."""
    fit = (weights == 0.0) | ((weights >= LEAST_WEIGHT) & (weights <= MOST_WEIGHT))
    return np.flatnonzero(~fit)


@dataclass(slots=True)
class Weighed:
    """Sums of weights, and of their squares."""

    total: float = 0.0
    squares: float = 0.0

    def update(self, weights: FloatArray) -> None:
        """Add rows."""
        self.total += float(weights.sum())
        self.squares += float(weights @ weights)

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2; 0 without rows."""
        return self.total * (self.total / self.squares) if self.squares else 0.0

    @property
    def scale(self) -> float:
        """What a weight is multiplied with to be a part of an effective row."""
        return self.total / self.squares if self.squares else 0.0


def apportioned(sums: FloatArray, scale: float) -> IntArray:
    """Sums of weights as whole effective rows, by largest remainders, so that they add up to the whole's rounded sum.

    No count is off by a row or more.
    """
    exact = sums.ravel() * scale
    found = np.floor(exact + 1e-9)
    missing = int(np.rint(exact.sum()) - found.sum())
    order = np.argsort(found - exact, kind="stable")
    found[order[: max(0, missing)]] += 1.0
    return found.astype(np.int64).reshape(sums.shape)


def weighted_moments(values: FloatArray, weights: FloatArray) -> FloatArray:
    """A block of moments (`moments.py`), shape (6, 1), whose count is the sum of weights."""
    block = empty_moments(1)
    fit = np.abs(values) <= LARGEST
    x, w = values[fit], weights[fit]
    total = w.sum()
    if not len(x):
        return block
    mean = (w @ x) / total
    away = x - mean
    block[[COUNT, MEAN, SQUARES, CUBES], 0] = total, mean, w @ away**2, w @ away**3
    block[[LOW, HIGH], 0] = x.min(), x.max()
    return block


def weighted_quantiles(values: FloatArray, weights: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """The least value up to which at least that share of the weight lies (`inverted_cdf` of numpy)."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    # A share that is met exactly is not missed by the last bit of a sum.
    wanted = np.asarray(probabilities) * reached[-1] * (1.0 - 1e-12)
    places = np.searchsorted(reached, wanted)
    found: FloatArray = values[order][np.minimum(places, len(order) - 1)]
    return found
