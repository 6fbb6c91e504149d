"""Costs: what right and wrong answers cost, from confusion cells and a matrix of costs per row.

Refuses to know currencies. Invariant: a cost is linear in the cells, so costs of parts add up; the realised one needs
labels, the expected one only scores that are calibrated (`ScoreBins.expected_at`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import Table
from exporter.stats.performance.figures import Basis, Figure, around
from exporter.stats.performance.scores import ScoreBins
from exporter.stats.performance.sums import ROWS, SQUARES, WEIGHT, effective


class Choice(NamedTuple):
    """A threshold, "positive above it" (-inf: always), and what it would have cost per row."""

    threshold: float
    cost: Figure


def cost_per_row(table: Table, matrix: FloatArray, mixed: float = 0.0) -> Figure | None:
    """Mean cost, negative for a gain; `matrix[i][j]`: of a row of class i that was taken for j. None without rows.

    `mixed`: of a row whose two classes are different ones of `<other>`. Raises ValueError for a matrix that is not as
    wide as the table, or has what is no number. The limits are those of a weighted mean (delta method).
    """
    matrix = np.asarray(matrix, np.float64)
    width = len(table.classes)
    if matrix.shape != (width, width) or not np.isfinite([*matrix.ravel(), mixed]).all():
        expected = f"{width} rows of {width} finite costs, one for each of {', '.join(table.classes)}"
        raise ValueError(f"costs: shape {matrix.shape}, expected {expected}")
    whole = table.whole
    if whole[ROWS] <= 0.0:
        return None
    total = float((table.cells[WEIGHT] * matrix).sum() + table.mixed[WEIGHT] * mixed)
    mean = total / float(whole[WEIGHT])
    spread = table.cells[SQUARES] * (matrix - mean) ** 2
    away = float(spread.sum() + table.mixed[SQUARES] * (mixed - mean) ** 2)
    error = math.sqrt(away) / float(whole[WEIGHT])
    basis = Basis(int(whole[ROWS]), effective(float(whole[WEIGHT]), float(whole[SQUARES])))
    return Figure("cost", mean, *around(mean, error), error, basis)


def by_threshold(bins: ScoreBins, matrix: FloatArray, expected: bool = False) -> list[Choice]:
    """Cost per row at every edge, and of calling everything positive; from labels, or as scores let expect."""
    found = []
    for edge in range(-1, len(bins.edges)):
        table = bins.expected_at(edge) if expected else bins.at(edge)
        cost = cost_per_row(table, matrix)
        if cost is not None:
            found.append(Choice(bins.edges[edge] if edge >= 0 else -math.inf, cost))
    return found


def cheapest(bins: ScoreBins, matrix: FloatArray, expected: bool = False) -> Choice | None:
    """The threshold that costs least, the lowest of several; None without rows."""
    return min(by_threshold(bins, matrix, expected), key=lambda choice: choice.cost.value, default=None)
