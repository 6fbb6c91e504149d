"""Figures of confusion cells: per class, and over all of them, each with its interval.

Refuses to know where cells come from. Invariants: figures are scikit-learn's, and where a figure is not defined it is
absent, never 0 or NaN; an average over classes is over those that occur, and takes an undefined one as 0.

Per class, with r rows of the class, c predicted to be, d both: precision d/c, recall d/r, false negative rate 1 - d/r,
false positive rate (c - d)/(n - r): shares, with Wilson's limits. F1 = 2d/(r + c) = 2J/(1 + J), J = d/(r + c - d), a
share too: its limits are those of J. Balanced accuracy and the averages of precision and recall join Wilson's limits.
The others have the delta method: every row of a cell has the same influence, so with weights w of the cells

    var f = sum over cells of (sum of w^2) (df/dcell)^2

where the derivative is by a complex step, exact to rounding, from the formula itself. Source: Squire and Trapp, "Using
complex variables to estimate derivatives of real functions" (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import Table
from exporter.stats.performance.figures import (
    Basis,
    Figure,
    Interval,
    combined,
    fisher,
    logit,
    share_of,
    wilson,
)
from exporter.stats.performance.sums import ROWS, SQUARES, WEIGHT, effective

Complex = NDArray[np.complex128]
# Of what was right, truth and predicted, (..., C) each.
Formula = Callable[[Complex, Complex, Complex], Complex]
_STEP = 1e-20


def class_figures(table: Table) -> list[Figure]:
    """All that can be said of all classes together."""
    table = table.present()
    if table.whole[ROWS] <= 0:
        return []
    rarest = _rarest(table)
    accuracy = _share("accuracy", table.right.sum(axis=1), table.whole, Basis(int(table.whole[ROWS]), 0.0))
    found = [accuracy, *_averages(table, rarest)]
    for name, formula, limits in _FORMULAS:
        found.append(_smooth(name, formula, table, (rarest, limits)))
    return [figure for figure in found if figure is not None]


def each_class(table: Table) -> list[Figure]:
    """Precision, recall, F1, false positive and false negative rate of every class that occurs."""
    table = table.present()
    found: list[Figure | None] = []
    for place, name in enumerate(table.classes):
        found += _of_class(table, place, name)
    return [figure for figure in found if figure is not None]


def _of_class(table: Table, place: int, name: str) -> Iterator[Figure | None]:
    right, truth, predicted = (side[:, place] for side in (table.right, table.truth, table.predicted))
    others = table.whole - truth
    basis = Basis(int(table.whole[ROWS]), 0.0, int(truth[ROWS]))
    yield _share("precision", right, predicted, basis, name)
    yield _share("recall", right, truth, basis, name)
    yield _f1(right, truth + predicted - right, basis, name)
    rest = basis._replace(rarest=int(others[ROWS]))
    yield _share("false_positive_rate", predicted - right, others, rest, name)
    yield _share("false_negative_rate", truth - right, truth, basis, name)


def _share(name: str, hits: FloatArray, whole: FloatArray, basis: Basis, of: str = "") -> Figure | None:
    return share_of(name, float(hits[WEIGHT]), (float(whole[WEIGHT]), float(whole[SQUARES])), basis, of)


def _f1(right: FloatArray, union: FloatArray, basis: Basis, of: str) -> Figure | None:
    overlap = _share("f1", right, union, basis, of)
    if overlap is None:
        return None
    value, low, high = (2.0 * j / (1.0 + j) for j in (overlap.value, overlap.low, overlap.high))
    error = overlap.error * 2.0 / (1.0 + overlap.value) ** 2
    return Figure("f1", value, low, high, error, overlap.basis, of)


def _rarest(table: Table) -> int:
    counts = table.truth[ROWS]
    return int(counts[counts > 0].min())


def _averages(table: Table, rarest: int) -> Iterator[Figure | None]:
    """Balanced accuracy and the averages whose parts are independent."""
    recalls, precisions = _parts(table.right, table.truth), _parts(table.right, table.predicted)
    basis = Basis(
        int(table.whole[ROWS]), effective(float(table.whole[WEIGHT]), float(table.whole[SQUARES])), rarest
    )
    for name, parts, count in (
        ("balanced_accuracy", recalls, len(recalls)),
        ("recall_macro", recalls, len(table.classes)),
        ("precision_macro", precisions, len(table.classes)),
    ):
        value = sum(share for share, _, _ in parts) / count
        limits = combined(value, [(share, interval) for share, interval, _ in parts], 1.0 / count)
        error = math.sqrt(sum(error**2 for _, _, error in parts)) / count
        yield Figure(name, value, *limits, error, basis)


def _parts(right: FloatArray, whole: FloatArray) -> list[tuple[float, Interval, float]]:
    found = []
    for place in np.flatnonzero(whole[ROWS] > 0).tolist():
        rows = effective(float(whole[WEIGHT, place]), float(whole[SQUARES, place]))
        share = min(1.0, float(right[WEIGHT, place] / whole[WEIGHT, place]))
        found.append((share, wilson(share, rows), math.sqrt(share * (1.0 - share) / rows)))
    return found


def _ratio(over: Complex, under: Complex) -> Complex:
    return np.divide(over, under, out=np.zeros_like(over), where=under.real != 0.0)


def _f1s(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    return _ratio(2.0 * right, truth + predicted)


def _f1_macro(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    return np.asarray(_f1s(right, truth, predicted).mean(axis=-1))


def _f1_weighted(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    return np.asarray((_f1s(right, truth, predicted) * truth).sum(axis=-1) / truth.sum(axis=-1))


def _precision_weighted(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    return np.asarray((_ratio(right, predicted) * truth).sum(axis=-1) / truth.sum(axis=-1))


def _kappa(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    """Cohen, "A coefficient of agreement for nominal scales" (1960)."""
    n, chance = truth.sum(axis=-1), (truth * predicted).sum(axis=-1)
    return _ratio(n * right.sum(axis=-1) - chance, n * n - chance)


def _matthews(right: Complex, truth: Complex, predicted: Complex) -> Complex:
    """Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient" (2004)."""
    n, chance = truth.sum(axis=-1), (truth * predicted).sum(axis=-1)
    spread = (n * n - (truth * truth).sum(axis=-1)) * (n * n - (predicted * predicted).sum(axis=-1))
    return _ratio(n * right.sum(axis=-1) - chance, np.sqrt(spread))


# Name, formula, and how its limits are formed.
_FORMULAS: tuple[tuple[str, Formula, Callable[[float, float], Interval]], ...] = (
    ("f1_macro", _f1_macro, logit),
    ("f1_weighted", _f1_weighted, logit),
    ("precision_weighted", _precision_weighted, logit),
    ("kappa", _kappa, fisher),
    ("matthews", _matthews, fisher),
)


def _smooth(
    name: str, formula: Formula, table: Table, how: tuple[int, Callable[[float, float], Interval]]
) -> Figure | None:
    rarest, limits = how
    if limits is fisher and min(np.count_nonzero(side[ROWS]) for side in (table.truth, table.predicted)) < 2:
        return None  # one class on a side: agreement beyond chance has no meaning
    value, error = _delta(formula, table)
    rows = effective(float(table.whole[WEIGHT]), float(table.whole[SQUARES]))
    least = -1.0 if limits is fisher else 0.0
    if least + 1e-9 < value < 1.0 - 1e-9:
        found = limits(value, error)
    else:  # at an end of its range the derivative says nothing; as few rows as these may show no exception
        found = Interval(*(least + (1.0 - least) * end for end in wilson(float(value > 0.0), rows)))
    low, high = min(found.low, value), max(found.high, value)
    return Figure(name, value, low, high, error, Basis(int(table.whole[ROWS]), rows, rarest))


def _delta(formula: Formula, table: Table) -> tuple[float, float]:
    """Value and standard error."""
    sides = np.concatenate([side[WEIGHT] for side in (table.right, table.truth, table.predicted)])
    count = len(table.classes)
    steps = sides + 1j * _STEP * np.eye(len(sides))
    slopes = formula(*(steps[:, at : at + count] for at in (0, count, 2 * count))).imag / _STEP
    right, truth, predicted = slopes[:count], slopes[count : 2 * count], slopes[2 * count :]
    influence = truth[:, None] + predicted[None, :] + np.diag(right)
    variance = float((table.cells[SQUARES] * influence**2).sum())
    variance += float(table.mixed[SQUARES] * (truth[-1] + predicted[-1]) ** 2)
    whole = sides.astype(np.complex128)
    value = formula(*(whole[at : at + count] for at in (0, count, 2 * count)))
    return float(value.real), math.sqrt(variance)
