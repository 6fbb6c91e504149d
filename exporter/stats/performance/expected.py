"""Performance to expect of rows without labels: what the reference's test rows were in each bin of the score.

A place is a bin of the score and whether a row is called positive. Of a place with r test rows, p of them positive, a
row is positive with chance p / r; n live rows there give n p / r expected positives, and the cells of these give every
figure. So it adds up over replicas, as counts per bin do. The same as NannyML's confidence-based estimation, with the
calibration read from bins instead of from a fitted curve.

Chances rise with the score: where the plain shares do not, neighbours are pooled (isotonic regression by pooling
adjacent violators, weighted by test rows; Ayer and others, 1955), because a dip is chance far more often than not.
Pooling leaves the positives of the reference as many as they are. Shares of what is right, of several classes, stay.

Error: a label is drawn with the chance of its place, n c (1 - c); the chance itself is known from r rows only, n^2
c (1 - c) / r; by the delta method, with c = (p + 1/2) / (r + 1) (Jeffreys), so that no place is certain. Pooled places
count as if each were known from its own rows, which is never less. So the interval is of the figure that the labels of
these very rows will show.

Refuses to know time and models. Invariants: a figure that is not defined is absent; where the decision is taken within
a bin, what that leaves open is a bound beside the interval, 0 where it is known how many were called. What it cannot
see, by construction: that a score means something else than it did (concept drift).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from exporter.stats.bins import BoolArray, FloatArray
from exporter.stats.performance.figures import LEAST_ROWS, Basis, Figure, Interval, logit, share_mean, wilson

# Of a place known from fewer test rows a chance says little; too large a share of such rows says something else: these
# are scores that the reference hardly had.
LEAST_TEST_ROWS = 10
MOST_UNKNOWN = 0.05
# A threshold on the score lies in one bin, or two by rounding. What decides within more of them is no threshold.
MOST_MIXED = 4
STATES = ("ready", "insufficient", "extrapolated")
_REST, _CALLED = range(2)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of places, (2, bins) each: not called, called. `decided`: whether it is known who was called.

    `several`: of several classes, "positive" being right; then accuracy alone follows. `loss`: per bin mean of
    (score - truth)^2 and of its square, (2, bins); None where scores are no probabilities.
    """

    rows: FloatArray
    chances: FloatArray
    decided: bool = True
    several: bool = False
    loss: FloatArray | None = None

    @property
    def per_bin(self) -> FloatArray:
        """Test rows of either kind."""
        return np.asarray(self.rows.sum(axis=0), np.float64)

    @property
    def mixed(self) -> BoolArray:
        """Bins within which the decision is taken."""
        return np.asarray((self.rows > 0.0).all(axis=0), np.bool_)


class Cells(NamedTuple):
    """Expected rows by what was called and what is true."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @property
    def called(self) -> float:
        """Called positive."""
        return self.true_positive + self.false_positive

    @property
    def positives(self) -> float:
        """Truly positive."""
        return self.true_positive + self.false_negative

    @property
    def negatives(self) -> float:
        """Truly negative."""
        return self.false_positive + self.true_negative


class Gradient(NamedTuple):
    """A figure, and what it changes by if one more row of those called, or of the rest, is positive."""

    value: float
    called: float
    rest: float


@dataclass(frozen=True, slots=True)
class Expected:
    """`unknown`: share of the rows in bins of which the reference has too few test rows."""

    figures: tuple[Figure, ...]
    rows: float
    unknown: float

    @property
    def state(self) -> str:
        """Figures are there in the first two; `insufficient`: below 200 rows."""
        if self.unknown > MOST_UNKNOWN:
            return "extrapolated"
        return "ready" if self.rows >= LEAST_ROWS else "insufficient"


def known_of(
    rows: FloatArray, positives: FloatArray, *, several: bool = False, losses: FloatArray | None = None
) -> Known:
    """From test rows by place, (2, bins), rest first; `losses`: per bin sums of the loss and its square, (2, bins)."""
    whole = rows.sum(axis=0)
    decided = int((rows[_CALLED] > 0.0).sum()) > 0 and int((rows > 0.0).all(axis=0).sum()) <= MOST_MIXED
    if not decided:
        rows, positives = (np.stack((side.sum(axis=0), np.zeros_like(whole))) for side in (rows, positives))
    chances = isotonic(positives.T.ravel(), rows.T.ravel()).reshape(-1, 2).T
    if several:
        # Being right need not rise with a score, which may be that of one class.
        chances = np.divide(positives, rows, out=np.zeros_like(rows), where=rows > 0.0)
    loss = None
    if losses is not None:
        loss = np.divide(losses, whole, out=np.zeros_like(losses), where=whole > 0.0)
    return Known(rows, chances, decided, several, loss)


def isotonic(positives: FloatArray, rows: FloatArray) -> FloatArray:
    """Shares that do not fall, nearest to positives / rows; a place without rows has that of the block before it."""
    blocks: list[list[float]] = []  # positives, rows, places
    for own, whole in zip(positives.tolist(), rows.tolist(), strict=True):
        blocks.append([own, whole, 1.0])
        while len(blocks) > 1 and _falls(blocks[-2], blocks[-1]):
            own, whole, places = blocks.pop()
            for place, value in enumerate((own, whole, places)):
                blocks[-1][place] += value
    shares = [own / whole if whole else 0.0 for own, whole, _ in blocks]
    return np.repeat(np.array(shares), [int(places) for _, _, places in blocks])


def _falls(before: list[float], after: list[float]) -> bool:
    return before[1] == 0.0 or after[1] == 0.0 or before[0] * after[1] > after[0] * before[1]


def expected(known: Known, live: FloatArray, called: float | None = None) -> Expected:
    """Of live rows per bin; `called`: how many of them were called positive, where that is counted."""
    total = float(live.sum())
    few = known.per_bin < LEAST_TEST_ROWS
    unknown = float(live[few].sum()) / total if total > 0.0 else 0.0
    # Of a bin without any test row nothing is expected.
    counted = np.where(known.per_bin > 0.0, live, 0.0)
    rows = float(counted.sum())
    if rows <= 0.0 or unknown > MOST_UNKNOWN:
        return Expected((), total, unknown)
    split, told = _split(known, counted, called)
    figures = [*_figures(known, split, told), *_loss(known, counted)]
    return Expected(tuple(figures), total, unknown)


def _split(known: Known, live: FloatArray, called: float | None) -> tuple[FloatArray, bool]:
    """Live rows by place; whether their split is known, and not as it was in the reference."""
    share = np.divide(known.rows[_CALLED], known.per_bin, out=np.zeros(len(live)), where=known.per_bin > 0.0)
    (within,) = np.nonzero(known.mixed & (live > 0.0))
    told = len(within) == 0
    if called is not None and len(within) == 1:
        (place,) = within.tolist()
        others = float((live * share).sum() - live[place] * share[place])
        share[place] = min(1.0, max(0.0, (called - others) / float(live[place])))
        told = True
    return np.stack((live * (1.0 - share), live * share)), told


def _figures(known: Known, split: FloatArray, told: bool) -> Iterator[Figure]:
    variances = _variances(known, split)
    cells = cells_of(known, split)
    rarest = min(cells.positives, cells.negatives)
    basis = Basis(round(split.sum()), float(split.sum()), None if known.several else round(rarest))
    if not known.several:
        area = _area(known, split, variances, basis)
        if area is not None:
            yield area
        yield _figure("positive_rate", positive_rate(cells), variances, basis)
    if not known.decided:
        return
    others = [cells] if told else list(_otherwise(known, split))
    for name, formula in _OF_ALL if known.several else _OF_CLASSES:
        found = formula(cells)
        if found is None:
            continue
        each = [one.value for one in map(formula, others) if one is not None]
        bound = max((abs(value - found.value) for value in each), default=0.0)
        yield replace(_figure(name, found, variances, basis), bound=bound)


def _variances(known: Known, split: FloatArray) -> FloatArray:
    """Of the positives of each place."""
    rows = np.maximum(known.rows, 1.0)
    chance = (known.chances * rows + 0.5) / (rows + 1.0)
    return np.asarray(chance * (1.0 - chance) * (split + split * split / rows), np.float64)


def cells_of(known: Known, split: FloatArray) -> Cells:
    """The cells that are expected of live rows by place."""
    positives = split * known.chances
    rest, called = positives.sum(axis=1).tolist()
    others = split.sum(axis=1).tolist()
    return Cells(called, others[_CALLED] - called, rest, others[_REST] - rest)


def _otherwise(known: Known, split: FloatArray) -> Iterator[Cells]:
    """The cells if within its bin the decision took all, or none, of the rows.

    Figures are linear in the rows of a bin, or ratios of what is, so that none is beyond these.
    """
    live, within = split.sum(axis=0), np.flatnonzero(known.mixed)
    for sides in product((_REST, _CALLED), repeat=len(within)):
        other = split.copy()
        for side, place in zip(sides, within.tolist(), strict=True):
            other[side, place], other[1 - side, place] = live[place], 0.0
        yield cells_of(known, other)


def _figure(name: str, found: Gradient, variances: FloatArray, basis: Basis) -> Figure:
    rest, called = variances.sum(axis=1).tolist()
    error = math.sqrt(found.rest**2 * rest + found.called**2 * called)
    return Figure(name, found.value, *_limits(found.value, error, basis.effective_rows), error, basis)


def _limits(value: float, error: float, rows: float) -> Interval:
    if error <= 0.0 or not 1e-9 < value < 1.0 - 1e-9:
        return wilson(min(1.0, max(0.0, value)), rows)
    return logit(value, error)


def positive_rate(cells: Cells) -> Gradient:
    """Share of rows that are truly positive."""
    rows = cells.positives + cells.negatives
    return Gradient(cells.positives / rows, 1.0 / rows, 1.0 / rows)


def accuracy(cells: Cells) -> Gradient:
    """Share of rows that are right."""
    rows = cells.positives + cells.negatives
    return Gradient((cells.true_positive + cells.true_negative) / rows, 1.0 / rows, -1.0 / rows)


def precision(cells: Cells) -> Gradient | None:
    """Of rows called positive, those that are."""
    return Gradient(cells.true_positive / cells.called, 1.0 / cells.called, 0.0) if cells.called else None


def recall(cells: Cells) -> Gradient | None:
    """Of positive rows, those called so."""
    true = cells.positives
    if not true:
        return None
    square = true * true
    return Gradient(cells.true_positive / true, cells.false_negative / square, -cells.true_positive / square)


def f1(cells: Cells) -> Gradient | None:
    """Harmonic mean of precision and recall."""
    both = cells.called + cells.positives
    if not both:
        return None
    value = 2.0 * cells.true_positive / both
    return Gradient(value, (2.0 - value) / both, -value / both)


def balanced_accuracy(cells: Cells) -> Gradient | None:
    """Mean of the shares of positive and of negative rows that are right."""
    true, false = cells.positives, cells.negatives
    if not true or not false:
        return None
    value = (cells.true_positive / true + cells.true_negative / false) / 2.0
    called = (cells.false_negative / true**2 + cells.true_negative / false**2) / 2.0
    rest = -(cells.true_positive / true**2 + cells.false_positive / false**2) / 2.0
    return Gradient(value, called, rest)


_Formula = Callable[[Cells], Gradient | None]
_OF_ALL: tuple[tuple[str, _Formula], ...] = (("accuracy", accuracy),)
_OF_CLASSES: tuple[tuple[str, _Formula], ...] = (
    *_OF_ALL,
    ("precision", precision),
    ("recall", recall),
    ("f1", f1),
    ("balanced_accuracy", balanced_accuracy),
)
NAMES = ("auc_roc", "positive_rate", *(name for name, _ in _OF_CLASSES), "brier")


def _area(known: Known, split: FloatArray, variances: FloatArray, basis: Basis) -> Figure | None:
    """Positives of a bin above the negatives of lower bins, and half of those of their own."""
    positives = (split * known.chances).sum(axis=0)
    negatives = split.sum(axis=0) - positives
    true, false = float(positives.sum()), float(negatives.sum())
    if not true or not false:
        return None
    below = np.cumsum(negatives) - negatives / 2.0
    above = true - np.cumsum(positives) + positives / 2.0
    value = float((positives * below).sum()) / (true * false)
    slope = (below - above) / (true * false) - value * (1.0 / true - 1.0 / false)
    error = math.sqrt(float((slope * slope * variances.sum(axis=0)).sum()))
    limits = _limits(value, error, basis.effective_rows)
    bound = float((positives * negatives).sum()) / (2.0 * true * false)
    return Figure("auc_roc", value, *limits, error, basis, bound=bound)


def _loss(known: Known, live: FloatArray) -> Iterator[Figure]:
    """The Brier score: what the test rows of a bin lost, weighted by live rows."""
    if known.loss is None:
        return
    mean, square = known.loss
    rows, test = float(live.sum()), np.maximum(known.per_bin, 1.0)
    found = share_mean(
        "brier", float(live @ mean), float(live @ square), (rows, rows), Basis(round(rows), rows)
    )
    if found is None:
        return
    # Beside the scatter of the labels: the mean of each bin is known from so many test rows.
    scatter = np.maximum(square - mean * mean, 0.0)
    error = math.sqrt(float((scatter * (live + live * live / test)).sum())) / rows
    half = min(700.0, 1.959963984540054 * error / found.value) if found.value > 0.0 else 0.0
    low, high = found.value * math.exp(-half), min(1.0, found.value * math.exp(half))
    yield replace(found, error=error, low=min(found.value, low), high=max(found.value, high))
