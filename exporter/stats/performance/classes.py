"""Confusion cells: rows by their true and their predicted class.

The profile's most frequent classes have cells of their own, all others share `<other>`; a row whose two classes are
both others and differ is kept apart, so that it never counts as right. Refuses to know names beyond those given.
Invariant: every row with both sides and a usable weight is in exactly one cell; all others are counted as refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.stats.bins import OTHER, BoolArray, FloatArray, IntArray, canonical
from exporter.stats.performance.sums import planes, settled, usable

MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows with truth and prediction, as places of classes (-1: none). `alike`: whether they are the same class."""

    truth: IntArray
    predicted: IntArray
    alike: BoolArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as rows, weights and squared weights, shape (3, C, C), a row per true class.

    `mixed`, shape (3,): rows of `<other>`, the last class, that are another one than predicted; in none of the cells.
    """

    classes: tuple[str, ...]
    cells: FloatArray
    mixed: FloatArray

    @property
    def right(self) -> FloatArray:
        """Of each class what was predicted rightly, (3, C)."""
        return np.ascontiguousarray(np.diagonal(self.cells, axis1=1, axis2=2))

    @property
    def truth(self) -> FloatArray:
        """Of each class what is truly of it, (3, C)."""
        return self._margin(2)

    @property
    def predicted(self) -> FloatArray:
        """Of each class what was predicted to be of it, (3, C)."""
        return self._margin(1)

    @property
    def whole(self) -> FloatArray:
        """All, (3,)."""
        return np.asarray(self.cells.sum(axis=(1, 2)) + self.mixed, np.float64)

    def _margin(self, axis: int) -> FloatArray:
        found = np.asarray(self.cells.sum(axis=axis), np.float64)
        if len(self.classes):
            found[:, -1] += self.mixed
        return found

    def present(self) -> Table:
        """The table of the classes that occur, on either side."""
        there = (self.truth[0] > 0) | (self.predicted[0] > 0)
        names = tuple(name for name, kept in zip(self.classes, there.tolist(), strict=True) if kept)
        return Table(names, self.cells[:, there][:, :, there], self.mixed)


@dataclass(frozen=True, slots=True)
class ClassLayout:
    """Cells of these classes and of `<other>`. Raises ValueError for more than 20, or one that is there twice."""

    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if (
            len(self.classes) > MOST_CLASSES
            or len(set(self.classes)) < len(self.classes)
            or OTHER in self.classes
        ):
            raise ValueError(
                f"at most {MOST_CLASSES} different classes without {OTHER} expected, got {self.classes}"
            )

    @property
    def width(self) -> int:
        """Classes, `<other>` included."""
        return len(self.classes) + 1

    @property
    def size(self) -> int:
        return 3 * (self.width**2 + 1) + 1

    def judged(
        self, truth: Sequence[Any], predicted: Sequence[Any], weights: FloatArray | None = None
    ) -> Judged:
        """Rows by the names of their classes, in any form; what is missing has none."""
        places = {name: place for place, name in enumerate(self.classes)}
        sides = [[canonical(cell) for cell in side] for side in (truth, predicted)]
        codes = [
            np.array([-1 if name is None else places.get(name, len(places)) for name in side], np.int64)
            for side in sides
        ]
        alike = np.array([a == b for a, b in zip(*sides, strict=True)], np.bool_)
        return Judged(codes[0], codes[1], alike, weights)

    def sums(self, batch: Judged) -> FloatArray:
        weights, fit = usable(batch.weights, len(batch.truth))
        fit = fit & (batch.truth >= 0) & (batch.predicted >= 0)
        places = batch.truth * self.width + batch.predicted
        others = (places == self.width**2 - 1) & ~batch.alike
        places = np.where(others, self.width**2, places)
        found = planes(places[fit], weights[fit], self.width**2 + 1)
        return np.append(found.ravel(), float(len(fit) - fit.sum()))

    def table(self, sums: FloatArray) -> Table:
        """The cells of an account's sums."""
        found = settled(sums[:-1].reshape(3, -1))
        shape = (3, self.width, self.width)
        return Table((*self.classes, OTHER), found[:, :-1].reshape(shape), found[:, -1])

    def refused(self, sums: FloatArray) -> int:
        """Rows that could not be used."""
        return int(sums[-1])
