"""Several labels for a row: cells of every label, and how many labels of a row were wrong.

Refuses to know names beyond those given. Invariant: every row with a usable weight whose labels are all 0 or 1 on both
sides is in one cell of each label; all others are counted as refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from exporter.stats.bins import OTHER, FloatArray
from exporter.stats.performance.class_figures import each_class
from exporter.stats.performance.classes import MOST_CLASSES, Table
from exporter.stats.performance.figures import Basis, Figure, share_mean, share_of
from exporter.stats.performance.scores import NEGATIVE, POSITIVE
from exporter.stats.performance.sums import effective, planes, settled, usable

_REST = ("rows", "weight", "weight_squares", "all_right", "wrong", "wrong_squares", "refused")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row per row, a column per label: 1 or 0."""

    truth: FloatArray
    predicted: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class LabelLayout:
    """Cells of these labels. Raises ValueError for more than 20 and `<other>`."""

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.labels) <= MOST_CLASSES + (OTHER in self.labels):
            raise ValueError(f"1 to {MOST_CLASSES} labels and {OTHER} expected, got {len(self.labels)}")

    @property
    def size(self) -> int:
        return 12 * len(self.labels) + len(_REST)

    def sums(self, batch: Labelled) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.truth))
        for side in (batch.truth, batch.predicted):
            fit = fit & ((side == 0.0) | (side == 1.0)).all(axis=1)
        w, truth, predicted = w[fit], batch.truth[fit] == 1.0, batch.predicted[fit] == 1.0
        cells = 4 * np.arange(len(self.labels)) + 2 * truth + predicted
        each = np.repeat(w, len(self.labels))
        found = planes(cells.ravel().astype(np.int64), each, 4 * len(self.labels))
        wrong = (truth != predicted).mean(axis=1)
        rest = [float(len(w)), w.sum(), w @ w, w @ (wrong == 0.0), w @ wrong, w @ (wrong * wrong)]
        return np.concatenate((found.ravel(), rest, [float(len(fit) - fit.sum())]))

    def table(self, sums: FloatArray, label: int) -> Table:
        """The cells of one label."""
        found = settled(sums[: -len(_REST)].reshape(3, len(self.labels), 2, 2)[:, label])
        return Table((NEGATIVE, POSITIVE), found, np.zeros(3))


def label_figures(layout: LabelLayout, sums: FloatArray) -> list[Figure]:
    """Of each label precision, recall, F1 and the false rates; subset accuracy and Hamming loss over all."""
    rows, weight, squares, right, wrong, wrong_squares, _ = sums[-len(_REST) :].tolist()
    if rows <= 0.0:
        return []
    basis, whole = Basis(int(rows), effective(weight, squares)), (weight, squares)
    found = [
        share_of("subset_accuracy", right, whole, basis),
        share_mean("hamming_loss", wrong, wrong_squares, whole, basis),
        *_each(layout, sums),
    ]
    return [figure for figure in found if figure is not None]


def _each(layout: LabelLayout, sums: FloatArray) -> Iterator[Figure]:
    for place, name in enumerate(layout.labels):
        for figure in each_class(layout.table(sums, place)):
            if figure.of == POSITIVE:
                yield replace(figure, of=name)
