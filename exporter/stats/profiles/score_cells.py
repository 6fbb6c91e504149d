"""Test rows per bin in which live scores are counted: how many, and how many positive, by whether they were called so.

Live traffic exports exactly these bins, so what is expected of it follows from counts that add up. Refuses to know
files. Invariant: every test row with a truth and a finite score (and a prediction, where there are any) is in one cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from exporter.stats.bins import (
    Bins,
    BoolArray,
    FloatArray,
    IntArray,
    NumericBins,
    Values,
    as_numbers,
    canonical,
)
from exporter.stats.profiles.performance import MAX_CLASSES, POSITIVE, ScoreCells
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import Typed
from exporter.stats.profiles.weights import Weighed, apportioned

# Per truth and prediction: rows; the loss, and its square, of a row that is negative, and of one that is positive.
SUMS: Final = 5


class CellsTally:
    """Adds up test rows; none where the score has no bins. `positive`: what the owner calls so."""

    def __init__(
        self, plans: Sequence[Plan], bins: Mapping[str, Bins], positive: str | None, weighted: bool
    ) -> None:
        self._target, self._prediction = _first(plans, "target"), _first(plans, "prediction")
        self.output = _first(plans, "score") or ""
        own = bins.get(self.output)
        self._bins = own if isinstance(own, NumericBins) else None
        self._positive = positive
        self._weighed = Weighed() if weighted else None
        self._sums: dict[tuple[str, str], FloatArray] = {}
        self._many = False
        self._unfit = False  # a score is no probability

    def update(
        self,
        chunk: Mapping[str, Typed],
        rows: BoolArray | None,
        weights: FloatArray | None,
    ) -> None:
        """Add the declared rows of a chunk, all by default."""
        if self._bins is None or self._target is None or self._many:
            return
        cells = chunk[self.output]
        if cells.values.dtype.kind != "f":
            return
        codes, scores = self._bins.locate(as_numbers(cells.values, cells.missing)), cells.values
        fit = np.flatnonzero((codes >= 0) & (codes < self._bins.ranges))
        fit = fit if rows is None else fit[rows[fit]]
        truth = _names(chunk[self._target].values[fit])
        called: list[str | None] = [""] * len(fit)
        if self._prediction is not None:
            called = _names(chunk[self._prediction].values[fit])
        there = [t is not None and c is not None for t, c in zip(truth, called, strict=True)]
        pairs = [pair for pair, known in zip(zip(truth, called, strict=True), there, strict=True) if known]
        fit = fit[np.array(there, np.bool_)]
        own = np.ones(len(fit)) if weights is None else weights[fit]
        if self._weighed is not None:
            self._weighed.update(own)
        self._unfit = self._unfit or bool(((scores[fit] < 0.0) | (scores[fit] > 1.0)).any())
        self._add(pairs, codes[fit], scores[fit], own)

    def _add(self, pairs: list[Any], codes: IntArray, scores: FloatArray, weights: FloatArray) -> None:
        assert self._bins is not None
        places = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
        self._many = len({name for pair in (*self._sums, *places) for name in pair}) > MAX_CLASSES
        if self._many:
            self._sums.clear()
            return
        which, size = np.array([places[pair] for pair in pairs], np.int64), self._bins.ranges
        for pair, place in places.items():
            own = which == place
            sums, score = self._sums.setdefault(pair, np.zeros((SUMS, size))), scores[own]
            score = np.zeros_like(score) if self._unfit else score
            parts = (np.ones_like(score), score**2, score**4, (1.0 - score) ** 2, (1.0 - score) ** 4)
            for row, part in enumerate(parts):
                sums[row] += np.bincount(codes[own], weights[own] * part, minlength=size)

    def result(self) -> ScoreCells | None:
        """The cells; None without scores and truths, or where it is not told what is positive and nothing predicts."""
        if not self._sums or self._bins is None:
            return None
        truths = sorted({truth for truth, _ in self._sums})
        names = {name for pair in self._sums for name in pair} - {""}
        told = [self._positive] if self._positive is not None else list(POSITIVE)
        positive = next((name for name in told if name in truths), "")
        if len(names) > 2 and self._positive is None:
            positive = ""
        if not positive and self._prediction is None:
            return None
        sums = np.zeros((2, 2, SUMS, self._bins.ranges))
        for (truth, called), own in self._sums.items():
            right = truth == (positive or called)
            sums[int(not positive or called == positive), int(right)] += own
        return self._cells(positive, sums)

    def _cells(self, positive: str, sums: FloatArray) -> ScoreCells:
        scale = 1.0 if self._weighed is None else self._weighed.scale
        rows = sums[:, :, 0]
        counts = apportioned(rows, scale)
        # Sums are of as many rows as are counted.
        worth = np.divide(counts, rows, out=np.zeros(rows.shape), where=rows > 0.0)
        losses = (sums * worth[:, :, None]).sum(axis=0)
        loss, squares = losses[0, 1:3] + losses[1, 3:5]
        return ScoreCells(
            *(self.output, self._prediction or "", positive),
            rest=tuple(counts[0].sum(axis=0).tolist()),
            rest_positives=tuple(counts[0, 1].tolist()),
            called=tuple(counts[1].sum(axis=0).tolist()),
            called_positives=tuple(counts[1, 1].tolist()),
            loss=() if self._unfit else tuple(loss.tolist()),
            loss_squares=() if self._unfit else tuple(squares.tolist()),
        )


def _first(plans: Sequence[Plan], role: str) -> str | None:
    return next((plan.name for plan in plans if plan.role == role), None)


def _names(values: Values) -> list[str | None]:
    return [canonical(cell) for cell in values.tolist()]
