"""Mahalanobis distances against scipy and scikit-learn, and their yardsticks by simulation."""

import numpy as np
import pytest
from scipy.spatial import distance
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from exporter.stats.mahalanobis import Space, multivariate

RNG = np.random.default_rng(6)
MIX = RNG.normal(size=(5, 5))
ROWS = RNG.normal(size=(4000, 5)) @ MIX + 3.0
MODEL = EmpiricalCovariance().fit(ROWS)
SPACE = Space(MODEL.location_, MODEL.precision_)


def test_distances_are_those_of_scipy_and_scikit_learn() -> None:
    """d^2 of every row."""
    expected = MODEL.mahalanobis(ROWS[:50])
    assert SPACE.squared(ROWS[:50]) == pytest.approx(expected)
    assert expected[7] == pytest.approx(distance.mahalanobis(ROWS[7], SPACE.mean, SPACE.precision) ** 2)


def test_the_mean_is_one_per_feature_where_nothing_drifted() -> None:
    """The reference's own rows have exactly the number of features; parts add up."""
    sums = SPACE.sums(ROWS[:1000]) + SPACE.sums(ROWS[1000:])
    found = multivariate(sums, 5)
    assert found is not None
    assert (found.value, found.expected) == (pytest.approx(1.0), 1.0)
    assert not found.exceeds(0.0)
    assert sums == pytest.approx(SPACE.sums(ROWS))


def test_shifts_are_found() -> None:
    """Moved means, and correlations that broke with every column by itself as before."""
    fresh = RNG.normal(size=(500, 5)) @ MIX + 3.0
    broken = np.column_stack([RNG.permutation(column) for column in fresh.T])
    for rows in (fresh + 2.0, broken):
        found = multivariate(SPACE.sums(rows), 5)
        assert found is not None
        assert found.exceeds(0.1)


@pytest.mark.parametrize("rows", [20, 200])
def test_false_alarms(rows: int) -> None:
    """Of 2,000 windows without drift at most a few exceed the critical value, also with a shrunk matrix."""
    shrunk = LedoitWolf().fit(ROWS[:100])
    space = Space(shrunk.location_, shrunk.precision_)
    own = space.sums(ROWS)
    alarms = [0, 0]
    for _ in range(2000):
        fresh = RNG.normal(size=(rows, 5)) @ MIX + 3.0
        plain = multivariate(SPACE.sums(fresh), 5)
        held = multivariate(space.sums(fresh), 5, own)
        assert plain is not None
        assert held is not None
        alarms[0] += plain.exceeds(0.0)
        alarms[1] += held.exceeds(0.0)
    assert max(alarms) <= 10


def test_rows_with_gaps_are_left_out() -> None:
    """Rows with a NaN, an infinity or 1e200 take no part; too few rows give None."""
    rows = ROWS[:12].copy()
    rows[0, 0], rows[1, 1], rows[2, 2] = np.nan, np.inf, 1e200
    assert SPACE.sums(rows)[0] == 9
    assert multivariate(SPACE.sums(rows), 5) is None
    assert multivariate(SPACE.sums(ROWS), 5, effective_rows=9.0) is None
    assert SPACE.sums(rows[:0]).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("means", "matrix", "reason"),
    [
        (3, np.eye(2), "3 means and a square matrix expected"),
        (0, np.eye(0), "0 means and a square matrix expected"),
        (2, np.array([[1.0, np.nan], [np.nan, 1.0]]), "symmetric and finite"),
        (2, np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric and finite"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(means: int, matrix: np.ndarray, reason: str) -> None:
    """Another shape, gaps and an unsymmetric matrix raise ValueError."""
    with pytest.raises(ValueError, match=reason):
        Space(np.zeros(means), matrix)
