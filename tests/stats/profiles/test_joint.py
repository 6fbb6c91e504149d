"""Pairs, precision matrix and associations of a reference, against scikit-learn."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer, load_wine

from exporter.stats.association import joint_counts
from exporter.stats.mahalanobis import multivariate
from exporter.stats.profiles.joint import association_of, ledoit_wolf, precision_of, strongest_pairs

RNG = np.random.default_rng(11)


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
    distances = peer.mahalanobis(standard)
    assert found.space().squared(data) == pytest.approx(distances, rel=1e-6)
    assert found.sums == pytest.approx([len(data), distances.sum(), distances @ distances], rel=1e-6)


def test_a_weighted_covariance_is_numpys() -> None:
    """Without shrinkage; equal weights change nothing, the scale of weights neither."""
    table = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4))
    weights = RNG.random(500) + 0.1
    shrunk, shrinkage = ledoit_wolf(table, weights)
    covariance = np.cov(table.T, aweights=weights, ddof=0)
    mu = np.trace(covariance) / 4
    assert shrunk == pytest.approx((1.0 - shrinkage) * covariance + shrinkage * mu * np.eye(4))
    for other in (np.full(500, 3.0), None):
        assert ledoit_wolf(table, other)[1] == pytest.approx(ledoit_wolf(table)[1])
    assert ledoit_wolf(table, weights * 1e6)[1] == pytest.approx(shrinkage)


def test_weighted_shrinkage_is_best_for_what_weights_are_worth() -> None:
    """Nearest to the truth in mean square among its neighbours, over many samples of unequal weights."""
    rng = np.random.default_rng(5)
    mixing = np.diag([1.0, 1.2, 0.8, 1.1, 0.9])
    truth, errors = mixing @ mixing.T, dict.fromkeys((0.0, 1.0, 3.0), 0.0)
    for _ in range(200):
        table = rng.normal(size=(60, 5)) @ mixing
        weights = rng.choice([1.0, 10.0], 60, p=[0.8, 0.2])
        _, shrinkage = ledoit_wolf(table, weights)
        covariance = np.cov(table.T, aweights=weights, ddof=0)
        target = np.trace(covariance) / 5 * np.eye(5)
        for times in errors:
            s = min(1.0, times * shrinkage)
            errors[times] += float(np.square((1 - s) * covariance + s * target - truth).sum())
    assert errors[1.0] < min(errors[0.0], errors[3.0])
    # Whoever takes the rows for equal shrinks less, and errs more.
    assert ledoit_wolf(table, weights)[1] > ledoit_wolf(table)[1]


def test_weighted_distances_are_of_effective_rows() -> None:
    """Live rows like those of large weight are as expected; those of small weight are not."""
    own, other = RNG.normal(size=(1500, 3)), RNG.normal(4.0, 1.0, size=(1500, 3))
    weights = np.repeat([1.0, 1e-6], 1500)
    found = precision_of("abc", np.concatenate((own, other)), weights)
    assert found is not None
    assert found.rows == 1500
    space, live = found.space(), RNG.normal(size=(500, 3))
    same, moved = (multivariate(space.sums(rows), 3, found.sums) for rows in (live, live + 4.0))
    assert same is not None
    assert moved is not None
    assert same.value < same.critical
    assert moved.value > moved.critical
    assert precision_of("abc", own, np.repeat([1e6, 1.0], [50, 1450])) is None  # worth 50 rows


def test_live_rows_are_compared_with_the_references_own_distances() -> None:
    """Rows of the same kind are near what is expected, shifted ones beyond the critical value."""
    base = RNG.normal(size=(3000, 5)) @ RNG.normal(size=(5, 5))
    found = precision_of("abcde", base[:2000])
    assert found is not None
    space = found.space()
    same = multivariate(space.sums(base[2000:]), 5, found.sums)
    moved = multivariate(space.sums(base[2000:] + base.std(axis=0)), 5, found.sums)
    assert same is not None
    assert moved is not None
    assert same.value < same.critical
    assert moved.value > moved.critical


def test_incomplete_rows_and_constants_take_no_part() -> None:
    """A constant has no scale, and a copied column no inverse without shrinkage: never NaN."""
    table = RNG.normal(size=(400, 4))
    table[:, 3] = 7.0
    table[:5, 0] = np.nan
    found = precision_of("abcd", table)
    assert found is not None
    assert found.names == ("a", "b", "c")
    assert found.rows == 395
    assert found.space().sums(table[:, :3])[0] == 395
    copied = precision_of("ab", np.repeat(RNG.normal(size=(400, 1)), 2, axis=1))
    assert copied is None or np.isfinite(copied.matrix).all()
    assert precision_of("ab", table[:99, 1:3]) is None
    assert precision_of("a", table[:, 1:2]) is None


def test_special_bins_have_no_rank() -> None:
    """Null and NaN count in Cramer's V only."""
    table = joint_counts(np.array([0, 1, 2, 3] * 30), np.array([0, 1, 2, 0] * 30), (4, 4))
    found = association_of("x", "y", table, (3, 3))
    assert found is not None
    assert found.rank == pytest.approx(1.0)
    assert found.cramer == pytest.approx(1.0)
    assert association_of("x", "y", table, None).rank is None  # type: ignore[union-attr]
    assert association_of("x", "y", table[:1], None) is None
