"""budget.py: what share of exchanges the analysis can afford."""

import pytest

from exporter.analysis.budget import MIN_RATE, Budget


def test_rate_stays_at_one_within_the_budget() -> None:
    """Under its cores the analysis takes every exchange; the first call only sets the mark."""
    budget = Budget(0.5)
    assert [budget.update(n, 0.4 * n) for n in range(5)] == [1.0] * 5


def test_rate_falls_at_once_and_recovers() -> None:
    """Over the budget the rate drops below the overrun's share, then rises step by step to 1."""
    budget = Budget(0.5)
    budget.update(0.0, 0.0)
    assert budget.update(1.0, 1.0) == pytest.approx(0.35)
    rates = [budget.update(2.0 + n, 1.0 + 0.1 * n) for n in range(10)]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0


def test_rate_has_a_floor() -> None:
    """However much is used, some exchanges are still taken."""
    budget = Budget(0.01)
    for n in range(50):
        budget.update(n, 4.0 * n)
    assert budget.rate == MIN_RATE


def test_clock_that_stands_still_changes_nothing() -> None:
    """Two calls at one time keep the rate."""
    budget = Budget(0.5)
    budget.update(1.0, 0.0)
    assert budget.update(1.0, 9.0) == 1.0
