"""Sums of which every figure of performance is made: what was added, and apart from it what was withdrawn.

A layout says what is summed over rows; an account holds the sums. A label that was wrong is taken back by adding the
same row to `withdrawn`, so no number ever falls and both can be exported as counters. Refuses to know keys, time and
models. Invariants: the sums of two parts add up to those of the whole, and every sum is of values that are not negative
(what can be negative has a slot for either sign).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from exporter.stats.bins import BoolArray, FloatArray, IntArray

ROWS, WEIGHT, SQUARES = range(3)
# The fourth power of what is larger would not add up in float64.
LARGEST = 1e60

Batch_contra = TypeVar("Batch_contra", contravariant=True)
Batch = TypeVar("Batch")


class Layout(Protocol[Batch_contra]):
    """What is summed. Two layouts that are equal have the same slots in the same places."""

    @property
    def size(self) -> int:
        """Slots."""

    def sums(self, batch: Batch_contra) -> FloatArray:
        """The sums of these rows, shape (size,), none below 0. Rows that cannot be used are counted in a slot."""


@dataclass(slots=True)
class Account(Generic[Batch]):
    """Sums of one layout. `net` is what figures are made of."""

    layout: Layout[Batch]
    added: FloatArray = field(init=False)
    withdrawn: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.added = np.zeros(self.layout.size)
        self.withdrawn = np.zeros(self.layout.size)

    def update(self, batch: Batch) -> None:
        """Count rows."""
        self.added += self.layout.sums(batch)

    def revert(self, batch: Batch) -> None:
        """Take rows back that were counted, as they were counted."""
        self.withdrawn += self.layout.sums(batch)

    def merge(self, other: Account[Batch]) -> None:
        """Take in all that `other` counted. Raises ValueError for another layout."""
        if other.layout != self.layout:
            raise ValueError(f"sums of {other.layout} do not add to those of {self.layout}")
        self.added += other.added
        self.withdrawn += other.withdrawn

    @property
    def net(self) -> FloatArray:
        """What was added and not withdrawn; rounding leaves nothing below 0."""
        return np.maximum(self.added - self.withdrawn, 0.0)


def usable(weights: FloatArray | None, rows: int) -> tuple[FloatArray, BoolArray]:
    """The weights, 1 by default, and which of them can be used: above 0, and not beyond what adds up."""
    if weights is None:
        return np.ones(rows), np.ones(rows, np.bool_)
    return weights, (weights > 0.0) & (weights <= LARGEST)


def planes(places: IntArray, weights: FloatArray, size: int) -> FloatArray:
    """Rows, sums of weights and of their squares by place, shape (3, size)."""
    parts = (None, weights, weights * weights)
    return np.stack([np.bincount(places, part, minlength=size) for part in parts]).astype(np.float64)


def settled(rows: FloatArray) -> FloatArray:
    """Planes, (3, ...), without what rounding leaves in cells whose rows were all withdrawn."""
    return np.where(rows[ROWS] > 0.0, rows, 0.0)


def by_sign(weights: FloatArray, values: FloatArray) -> list[float]:
    """Weighted sum of the positive values, and of the negative ones as a positive number."""
    return [float(weights @ np.maximum(values, 0.0)), float(weights @ np.maximum(-values, 0.0))]


def effective(weight: float, squares: float) -> float:
    """Rows of equal weight that say as much: (sum w)^2 / sum w^2; 0 of none.

    Source: Kish, "Survey Sampling" (1965), 11.7.
    """
    return weight * weight / squares if squares > 0.0 else 0.0


def named(names: Sequence[str], sums: FloatArray) -> dict[str, float]:
    """Slots by name."""
    return dict(zip(names, sums.tolist(), strict=True))
