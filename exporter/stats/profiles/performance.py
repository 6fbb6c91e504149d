"""Reference performance: what the model got right on rows declared as test, as sums that add up.

Rows that the model was fitted on say nothing here, so nothing is taken from rows that were not declared. Refuses to
know files. Invariant: every row with both values is in every table that exists; a table that would outgrow its bound
is absent, with the reason. Tables of weighted rows are of effective ones (`weights.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exporter.stats.bins import FloatArray, Values, canonical
from exporter.stats.performance.band import Band
from exporter.stats.profiles.codec import LATER
from exporter.stats.profiles.levels import PeriodSet
from exporter.stats.profiles.weights import Weighed, apportioned

MAX_CLASSES = 64
SCORE_EDGES = tuple(step / 20 for step in range(1, 21))
POSITIVE = ("1", "true", "yes", "positive")


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[i][j]`: rows whose target is `classes[i]` and whose prediction is `classes[j]`."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Per bin of the score (upper edges, inclusive; the first from 0): rows, positive rows, sums of score and square.

    Brier score, expected calibration error and the area under the ROC curve are sums of these.
    """

    positive: str
    edges: tuple[float, ...]
    n: tuple[int, ...]
    positives: tuple[int, ...]
    score: tuple[float, ...]
    squares: tuple[float, ...]
    positive_score: tuple[float, ...]

    @property
    def brier(self) -> float:
        """Mean of (score - truth)^2: sum s^2 - 2 sum over positives of s + positives."""
        total = sum(self.squares) - 2.0 * sum(self.positive_score) + sum(self.positives)
        return total / sum(self.n)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of prediction - target: n, sum, sum of squares, sum of magnitudes; and sums of the target and its square."""

    n: int
    error: float
    squares: float
    magnitude: float
    target: float
    target_squares: float


@dataclass(frozen=True, slots=True)
class ScoreCells:
    """Per bin in which live values of the output `output` are counted, from the lowest: rows that were not called
    positive (`rest`), rows that were, and how many of either are. Where no `prediction` is known, "", none is called.

    `positive` "": of several classes, positive are rows that were right, and all are called. `loss`: sums of
    (score - truth)^2, and of its square; () where scores are no probabilities.
    """

    output: str
    prediction: str
    positive: str
    rest: tuple[int, ...]
    rest_positives: tuple[int, ...]
    called: tuple[int, ...]
    called_positives: tuple[int, ...]
    loss: tuple[float, ...]
    loss_squares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Performance:
    """What the test rows say; None where the columns do not allow it. `bands`: of figures over periods of them."""

    rows: int
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    errors: Errors | None = None
    periods: tuple[PeriodSet, ...] = field(default=(), metadata=LATER)
    bands: tuple[Band, ...] = field(default=(), metadata=LATER)
    cells: ScoreCells | None = field(default=None, metadata=LATER)


class PerformanceTally:
    """Adds up test rows. Columns are as they were typed: float64, or objects of str and None."""

    def __init__(self, positive: str | None = None) -> None:
        self.rows = 0
        self.positive = positive
        self._weighed = Weighed()
        self._cells: dict[tuple[str, str], float] = {}
        self._many = False
        self._by_class: dict[str, FloatArray] = {}
        self._unfit = False
        self._errors = np.zeros(6)

    def update(
        self,
        target: Values,
        prediction: Values | None,
        score: Values | None,
        weights: FloatArray | None = None,
    ) -> None:
        """Add rows of one chunk; `weights` above 0, or all weigh 1."""
        own = np.ones(len(target)) if weights is None else weights
        self.rows += len(target)
        self._weighed.update(own)
        truth = [canonical(cell) for cell in target.tolist()]
        if prediction is not None:
            self._confuse(truth, prediction, own)
            if target.dtype.kind == "f" and prediction.dtype.kind == "f":
                self._measure(target, prediction, own)
        if score is not None and score.dtype.kind == "f":
            self._calibrate(truth, score, own)

    def result(self) -> Performance | None:
        """The tables; None if no row was declared."""
        if not self.rows:
            return None
        return Performance(self.rows, self._confusion(), self._calibration(), self._error_sums())

    def _confuse(self, truth: list[str | None], prediction: Values, weights: FloatArray) -> None:
        if self._many:
            return
        answers = [canonical(cell) for cell in prediction.tolist()]
        for t, p, weight in zip(truth, answers, weights.tolist(), strict=True):
            if t is not None and p is not None:
                self._cells[t, p] = self._cells.get((t, p), 0.0) + weight
        self._many = len({name for pair in self._cells for name in pair}) > MAX_CLASSES
        if self._many:
            self._cells.clear()

    def _confusion(self) -> Confusion | None:
        classes = sorted({name for pair in self._cells for name in pair})
        if not classes:
            return None
        table = np.array([[self._cells.get((t, p), 0.0) for p in classes] for t in classes])
        counts = apportioned(table, self._weighed.scale).tolist()
        return Confusion(tuple(classes), tuple(tuple(row) for row in counts))

    def _calibrate(self, truth: list[str | None], score: FloatArray, weights: FloatArray) -> None:
        there = np.isfinite(score) & np.array([cell is not None for cell in truth], np.bool_)
        values = score[there]
        self._unfit = self._unfit or bool(((values < 0.0) | (values > 1.0)).any())
        places = np.minimum(np.searchsorted(SCORE_EDGES, values), len(SCORE_EDGES) - 1)
        names = np.array(truth, object)[there]
        for name in dict.fromkeys(names.tolist()):
            own = names == name
            if name not in self._by_class and len(self._by_class) >= MAX_CLASSES:
                self._unfit = True
                return
            sums = self._by_class.setdefault(name, np.zeros((3, len(SCORE_EDGES))))
            weighted = weights[there][own]
            for row, power in enumerate((1.0, values[own], values[own] ** 2)):
                sums[row] += np.bincount(places[own], weighted * power, minlength=len(SCORE_EDGES))

    def _calibration(self) -> Calibration | None:
        named = [self.positive] if self.positive is not None else list(POSITIVE)
        positive = next((name for name in named if name in self._by_class), None)
        if self._unfit or positive is None:
            return None
        others = (sums for name, sums in self._by_class.items() if name != positive)
        by_truth = np.stack([sum(others, np.zeros((3, len(SCORE_EDGES)))), self._by_class[positive]])
        counts = apportioned(by_truth[:, 0], self._weighed.scale)
        # Sums of a bin are of as many rows as it says, so that no figure of them leaves its range.
        worth = np.divide(counts, by_truth[:, 0], out=np.zeros(counts.shape), where=by_truth[:, 0] > 0.0)
        sums = by_truth * worth[:, None]
        return Calibration(
            positive,
            SCORE_EDGES,
            tuple(counts.sum(axis=0).tolist()),
            tuple(counts[1].tolist()),
            tuple(sums[:, 1].sum(axis=0).tolist()),
            tuple(sums[:, 2].sum(axis=0).tolist()),
            tuple(sums[1, 1].tolist()),
        )

    def _measure(self, target: FloatArray, prediction: FloatArray, weights: FloatArray) -> None:
        both = np.isfinite(target) & np.isfinite(prediction)
        y, error, w = target[both], prediction[both] - target[both], weights[both]
        with np.errstate(over="ignore"):
            sums = [w.sum(), w @ error, w @ error**2, w @ np.abs(error), w @ y, w @ y**2]
        self._errors += np.array(sums, np.float64)

    def _error_sums(self) -> Errors | None:
        few = 0 < len({name for pair in self._cells for name in pair}) <= 20
        if not self._errors[0] or few or not np.isfinite(self._errors).all():
            return None
        n = int(np.rint(self._errors[0] * self._weighed.scale))
        sums = self._errors * (n / self._errors[0])
        return Errors(n, *sums[1:].tolist()) if n else None
