"""Costs: realised from labels, expected from scores, and the threshold that costs least."""

import math

import numpy as np
import pytest

from exporter.stats.performance.classes import ClassLayout, Table
from exporter.stats.performance.costs import by_threshold, cheapest, cost_per_row
from exporter.stats.performance.scores import Scored, ScoreLayout
from exporter.stats.profiles.performance import SCORE_EDGES

MATRIX = np.array([[0.0, 1.0], [10.0, -2.0]])  # a missed positive costs ten false alarms


def test_cost_is_the_mean_over_rows() -> None:
    """And its error that of a mean, weights included."""
    rng = np.random.default_rng(1)
    truth, predicted, w = rng.integers(0, 2, 500), rng.integers(0, 2, 500), rng.exponential(size=500)
    layout = ClassLayout(("0", "1"))
    table = layout.table(layout.sums(layout.judged(truth.tolist(), predicted.tolist(), w))).present()
    found = cost_per_row(table, MATRIX)
    assert found is not None
    each = MATRIX[truth, predicted]
    mean = np.average(each, weights=w)
    assert found.value == pytest.approx(mean)
    assert found.error == pytest.approx(math.sqrt(w**2 @ (each - mean) ** 2) / w.sum())
    assert found.low < mean < found.high


def test_costs_add_up_and_others_have_their_own() -> None:
    """Rows of `<other>` that are mixed up have a cost of their own."""
    layout = ClassLayout(("a",))
    table = layout.table(layout.sums(layout.judged(["d", "d"], ["d", "e"])))
    found = cost_per_row(table, np.zeros((2, 2)), mixed=4.0)
    assert found is not None
    assert found.value == 2.0


def test_expected_cost_is_the_realised_of_calibrated_scores() -> None:
    """On 200,000 calibrated rows both agree at every edge, and the cheapest threshold is near 1 in 13."""
    rng = np.random.default_rng(2)
    score = rng.beta(1.0, 3.0, 200_000)
    layout = ScoreLayout(SCORE_EDGES[:-1])
    bins = layout.read(layout.sums(Scored((rng.random(len(score)) < score).astype(float), score)))
    realised, expected = by_threshold(bins, MATRIX), by_threshold(bins, MATRIX, expected=True)
    assert [choice.threshold for choice in realised] == [-math.inf, *SCORE_EDGES[:-1]]
    assert [c.cost.value for c in expected] == pytest.approx([c.cost.value for c in realised], abs=0.03)
    for choice in (cheapest(bins, MATRIX), cheapest(bins, MATRIX, expected=True)):
        assert choice is not None
        assert choice.threshold in (0.05, 0.1)  # 1 / (1 + 12) = .077


def test_wrong_matrices_are_refused() -> None:
    """With what was expected; no rows have no cost."""
    empty = Table(("a", "b"), np.zeros((3, 2, 2)), np.zeros(3))
    with pytest.raises(
        ValueError, match=r"shape \(3, 3\), expected 2 rows of 2 finite costs, one for each of a, b"
    ):
        cost_per_row(empty, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="finite costs"):
        cost_per_row(empty, np.full((2, 2), np.nan))
    assert cost_per_row(empty, MATRIX) is None
    layout = ScoreLayout((0.5,))
    assert cheapest(layout.read(np.zeros(layout.size)), MATRIX) is None
