"""Co-moments, precision matrix and associations, against numpy, scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer, load_wine

from exporter.stats.profile_joint import (
    CoMoments,
    association,
    co_moments,
    cramers_v,
    cross_counts,
    ledoit_wolf,
    precision_of,
    rank_correlation,
    strongest_pairs,
)

RNG = np.random.default_rng(11)


def _pair(x: np.ndarray, y: np.ndarray, origin: tuple[float, float] = (0.0, 0.0)) -> CoMoments:
    n, *sums = co_moments(x, y, origin).tolist()
    return CoMoments("x", "y", origin, int(n), *sums)


def test_correlation_from_sums() -> None:
    """Pearson's r as numpy has it, whatever the origin; a large mean takes no digits with its origin."""
    x = RNG.normal(size=500) + 1e9
    y = 0.5 * (x - 1e9) + RNG.normal(size=500)
    expected = np.corrcoef(x - 1e9, y)[0, 1]
    assert _pair(x, y, (1e9, 0.0)).correlation == pytest.approx(expected, rel=1e-7)
    assert _pair(x - 1e9, y).correlation == pytest.approx(expected)


def test_sums_add_up() -> None:
    """The six sums of two parts are those of the whole, and rows with a gap are left out."""
    x, y = RNG.normal(size=40), RNG.normal(size=40)
    x[3], y[4], y[5] = np.nan, np.inf, np.nan
    whole = co_moments(x, y, (0.1, 0.2))
    parts = co_moments(x[:17], y[:17], (0.1, 0.2)) + co_moments(x[17:], y[17:], (0.1, 0.2))
    assert parts == pytest.approx(whole)
    assert whole[0] == 37


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0]), ([1.0, 1.0], [1.0, 2.0]), ([], [])])
def test_no_correlation_without_spread(x: list[float], y: list[float]) -> None:
    """One row, none, or a constant."""
    assert _pair(np.array(x), np.array(y)).correlation is None


def test_the_strongest_pairs_come_first() -> None:
    """By |r|; constants and short columns have none."""
    x = RNG.normal(size=300)
    table = np.stack([x, -x + 0.01 * RNG.normal(size=300), RNG.normal(size=300), np.ones(300)], axis=1)
    assert strongest_pairs(("a", "b", "c", "d"), table, 1) == [("a", "b")]
    assert strongest_pairs(("a", "b", "c", "d"), table, 9) == [("a", "b")]
    assert strongest_pairs(("a", "b"), table[:50, :2]) == []


@pytest.mark.parametrize("rows", [30, 200, 2000])
def test_shrinkage_equals_scikit_learn(rows: int) -> None:
    """Covariance and shrinkage of Ledoit and Wolf."""
    table = RNG.normal(size=(rows, 8)) @ RNG.normal(size=(8, 8))
    own, shrinkage = ledoit_wolf(table)
    peer = LedoitWolf().fit(table)
    assert shrinkage == pytest.approx(peer.shrinkage_)
    assert own == pytest.approx(peer.covariance_)


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_precision_equals_scikit_learn_on_standardised_columns(load: object) -> None:
    """The matrix, and the squared distances of the rows, on real data."""
    data = load().data  # type: ignore[operator]
    names = [f"c{place}" for place in range(data.shape[1])]
    found = precision_of(names, data)
    assert found is not None
    standard = (data - data.mean(axis=0)) / data.std(axis=0)
    peer = LedoitWolf().fit(standard)
    assert np.array(found.matrix) == pytest.approx(peer.precision_, rel=1e-6, abs=1e-8)
    assert found.distances(data) == pytest.approx(peer.mahalanobis(standard), rel=1e-6)
    assert found.expected == pytest.approx(peer.mahalanobis(standard).mean())
    assert found.rows == len(data)


def test_incomplete_rows_and_constants_take_no_part() -> None:
    """A constant has no scale, and a copied column no inverse without shrinkage: never NaN."""
    table = RNG.normal(size=(400, 4))
    table[:, 3] = 7.0
    table[:5, 0] = np.nan
    found = precision_of("abcd", table)
    assert found is not None
    assert found.names == ("a", "b", "c")
    assert found.rows == 395
    assert np.isnan(found.distances(table[:, :3])[:5]).all()
    copied = precision_of("ab", np.repeat(RNG.normal(size=(400, 1)), 2, axis=1))
    assert copied is None or np.isfinite(copied.matrix).all()
    assert precision_of("ab", table[:99, 1:3]) is None
    assert precision_of("a", table[:, 1:2]) is None


def test_cramers_v_follows_bergsma() -> None:
    """From scipy's chi-square without correction; 1 for a copy, 0 for independence."""
    table = np.array([[30, 10, 5], [5, 40, 10]])
    n, rows, columns = 100, 2, 3
    phi = chi2_contingency(table, correction=False).statistic / n - (rows - 1) * (columns - 1) / (n - 1)
    expected = np.sqrt(phi / (min(rows - 1 / (n - 1), columns - 4 / (n - 1)) - 1))
    assert cramers_v(table) == pytest.approx(expected)
    assert cramers_v(np.diag([50, 50])) == pytest.approx(1.0, abs=0.02)
    assert cramers_v(np.full((3, 3), 20)) == 0.0
    assert cramers_v(np.array([[5, 5]])) is None
    assert cramers_v(np.array([[5, 0], [5, 0]])) is None


def test_rank_correlation_equals_scipy() -> None:
    """Spearman's, with ties, from a table of counts."""
    a = RNG.integers(0, 6, 500)
    b = np.clip(a + RNG.integers(-2, 3, 500), 0, 5)
    table = cross_counts(a, b, (6, 6))
    assert rank_correlation(table) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(table[:1]) is None
    assert rank_correlation(table * 0) is None


def test_special_bins_have_no_rank() -> None:
    """Null and NaN count in Cramer's V only."""
    table = cross_counts(np.array([0, 1, 2, 3] * 30), np.array([0, 1, 2, 0] * 30), (4, 4))
    found = association("x", "y", table, (3, 3))
    assert found is not None
    assert found.rank == pytest.approx(1.0)
    assert found.cramer < 1.0
    assert association("x", "y", table, None).rank is None  # type: ignore[union-attr]
