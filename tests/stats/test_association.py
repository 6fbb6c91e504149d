"""Association and its ranking against scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle
from scipy.stats.contingency import association
from sklearn.metrics import ndcg_score

from exporter.stats.association import (
    AssociationShift,
    cramer_shift,
    cramers_v,
    joint_counts,
    ndcg,
    rank_correlation,
    rank_shifts,
)

sizes = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7]), st.sampled_from([0.0, 0.2, 0.5])), min_size=2, max_size=8
)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(2, 80), st.integers(0, 1000))
def test_both_are_those_of_scipy(left: int, right: int, rows: int, seed: int) -> None:
    """Spearman's rho with ties, and Cramer's V, from counts of pairs of bins."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, left, rows)
    y = (x + rng.integers(0, right, rows)) % right
    joint = joint_counts(x, y, (left, right))
    assert joint.sum() == rows
    if len(set(x.tolist())) < 2 or len(set(y.tolist())) < 2:
        assert rank_correlation(joint) is cramers_v(joint) is None
        return
    assert rank_correlation(joint) == pytest.approx(oracle.spearmanr(x, y).statistic, abs=1e-9)
    occupied = joint[np.ix_(joint.sum(axis=1) > 0, joint.sum(axis=0) > 0)]
    assert cramers_v(joint) == pytest.approx(association(occupied, "cramer"), abs=1e-9)


def test_known_answers() -> None:
    """Known answers D16, Spearman 0.8, and D14, NDCG 0.6876396241."""
    joint = np.zeros((5, 5), np.int64)
    joint[np.arange(5), [1, 0, 3, 2, 4]] = 1
    assert rank_correlation(joint) == pytest.approx(0.8)
    assert ndcg(np.array([0.7, 0.5, 0.05]), np.array([0.1, 0.2, 0.7])) == pytest.approx(
        0.6876396241, abs=5e-11
    )


@given(sizes)
def test_ndcg_is_that_of_scikit_learn(cells: list[tuple[float, float]]) -> None:
    """With ties on either side; the reference's own order has 1."""
    reference, live = (np.array(side) for side in zip(*cells, strict=True))
    if not reference.sum():
        assert ndcg(reference, live) is None
        return
    assert ndcg(reference, live) == pytest.approx(ndcg_score([reference], [live]), abs=1e-9)
    assert ndcg(reference, -reference) == pytest.approx(1.0)


def test_parts_add_up_and_wrong_cells_are_left_out() -> None:
    """Joint counts of two batches are those of both; a cell that was no value on a side has no pair."""
    x, y = np.array([0, 1, -1, 2]), np.array([0, -1, 1, 1])
    whole = joint_counts(x, y, (3, 2))
    assert whole.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert (
        joint_counts(x[:2], y[:2], (3, 2)) + joint_counts(x[2:], y[2:], (3, 2))
    ).tolist() == whole.tolist()
    assert rank_correlation(np.zeros((3, 2), np.int64)) is None


EDGES = np.array([-1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28])


def rank_shift(joint: np.ndarray, own: float, rows: float, effective: float) -> AssociationShift | None:
    """Of one table."""
    (found,) = rank_shifts(joint[None], np.array([own]), np.array([rows]), np.array([effective]))
    return found


def _table(rng: np.random.Generator, kind: str, rows: int) -> np.ndarray:
    """Bins of x and of an answer that follows it not at all, some, or by its square alone."""
    x, noise = rng.normal(size=(2, rows))
    y = {"none": noise, "some": 0.45 * x + 0.9 * noise, "square": 0.6 * (x * x - 1) + 0.5 * noise}[kind]
    return joint_counts(np.searchsorted(EDGES, x), np.searchsorted(EDGES, y), (10, 10))


@pytest.mark.parametrize("kind", ["none", "some", "square"])
def test_false_alarms_of_associations(kind: str) -> None:
    """Of 1,000 windows without drift about one is above the critical value, by either measure."""
    rng = np.random.default_rng(12)
    reference = _table(rng, kind, 20_000)
    rho, v = rank_correlation(reference), cramers_v(reference)
    assert rho is not None
    assert v is not None
    alarms = [0, 0]
    for _ in range(1000):
        table = _table(rng, kind, 800)
        found = rank_shift(table, rho, 20_000, 800), cramer_shift(table, v, 20_000, 800)
        for place, one in enumerate(found):
            assert one is not None
            assert 0.0 < one.floor < one.critical
            alarms[place] += one.change > one.critical
    assert max(alarms) <= 6


def test_a_lost_association_is_found() -> None:
    """Both measures see that an answer no longer follows a feature; fewer independent rows see less."""
    rng = np.random.default_rng(13)
    reference, live = _table(rng, "some", 20_000), _table(rng, "none", 500)
    for measure, own in ((rank_shift, rank_correlation(reference)), (cramer_shift, cramers_v(reference))):
        assert own is not None
        found = measure(live, own, 20_000, 500)
        assert found is not None
        assert found.change > max(found.critical, 0.1)
        less = measure(live, own, 20_000, 420)
        assert less is not None
        assert less.critical > found.critical
        assert measure(live, own, 20_000, 40) is None
        assert measure(live, own, 40, 500) is None
        assert measure(np.diag([500, 0]), own, 20_000, 500) is None


def test_many_tables_say_what_each_says() -> None:
    """A stack of tables, one without variety and one of few rows among them: rho is that of each by itself."""
    rng = np.random.default_rng(14)
    tables = np.stack([*(_table(rng, "some", rows) for rows in (300, 40, 900)), np.diag([500] + [0] * 9)])
    found = rank_shifts(tables, np.full(4, 0.4), np.full(4, 9999.0), tables.sum(axis=(1, 2)) * 0.9)
    assert [one is None for one in found] == [False, True, False, True]
    for one, table in zip(found, tables, strict=True):
        if one is not None:
            assert one.value == pytest.approx(rank_correlation(table))
            assert (one.rows, one.effective_rows) == (table.sum(), pytest.approx(0.9 * table.sum()))
