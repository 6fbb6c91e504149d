"""Fairness against the known answers of fairlearn."""

import numpy as np
import pytest

from exporter.stats.performance.classes import ClassLayout, Table
from exporter.stats.performance.fairness import fairness, group_rates

# D13
TRUTH = [1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1]
LABEL = [1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0]


def _groups() -> dict[str, Table]:
    layout = ClassLayout(("0", "1"))
    parts = {"A": slice(0, 8), "B": slice(8, 16)}
    return {name: layout.table(layout.sums(layout.judged(TRUTH[p], LABEL[p]))) for name, p in parts.items()}


def test_the_known_answers() -> None:
    """D13: rates of both groups, differences and ratios."""
    groups = _groups()
    rates = {
        name: {key: f.value for key, f in group_rates(table, "1").items()} for name, table in groups.items()
    }
    assert rates["A"] == pytest.approx(
        {"selection_rate": 0.5, "true_positive_rate": 0.75, "false_positive_rate": 0.25}
    )
    assert rates["B"] == pytest.approx(
        {"selection_rate": 0.25, "true_positive_rate": 1 / 3, "false_positive_rate": 0.2}
    )
    found = fairness(groups, "1", least=1)
    assert found is not None
    values = (found.parity_difference, found.parity_ratio, found.odds_difference, found.odds_ratio)
    assert values == pytest.approx((0.25, 0.5, 0.4166667, 0.4444444), abs=5e-8)
    assert found.groups == 2


def test_small_groups_take_no_part() -> None:
    """Eight rows are no group to judge; positives alone may be too few for the odds."""
    groups = _groups()
    assert fairness(groups, "1") is None
    found = fairness(groups, "1", least=6)
    assert found is not None
    assert found.odds_difference is None
    assert found.odds_ratio is None


def test_groups_that_are_never_selected_are_equal() -> None:
    """A ratio of nothing to nothing is 1."""
    layout = ClassLayout(("0", "1"))
    table = layout.table(layout.sums(layout.judged([0, 1] * 50, [0] * 100)))
    found = fairness({"A": table, "B": table}, "1")
    assert found is not None
    assert (found.parity_difference, found.parity_ratio, found.odds_ratio) == (0.0, 1.0, 1.0)
    assert np.isfinite(group_rates(table, "1")["selection_rate"].high)
