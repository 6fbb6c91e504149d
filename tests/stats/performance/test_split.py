"""Split traffic: strata against the formula written out, what adds up, and when nothing is said."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exporter.stats.performance.contest import boundary
from exporter.stats.performance.split import ARM, SPLIT, TUNED_PAIRS, advantage, arm_of, compared


def arm(losses: list[float], weights: list[float] | None = None) -> np.ndarray:
    values = np.array(losses, float)
    return arm_of(values, values > 0.5, None if weights is None else np.array(weights, float))


def strata(*pairs: tuple[list[float], list[float]]) -> np.ndarray:
    found = [compared(arm(ours), arm(theirs)) for ours, theirs in pairs]
    return np.sum([one for one in found if one is not None], axis=0)


def test_one_stratum_is_welchs_difference() -> None:
    """Difference and standard error of scipy's test of means whose variances differ; rows and events are counted."""
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(1.0, 2.0, 400), rng.normal(0.5, 1.0, 90)
    sums = dict(zip(SPLIT, strata((ours.tolist(), theirs.tolist())), strict=True))
    pairs = 400 * 90 / 490
    assert sums["pairs"] == pytest.approx(pairs)
    t, _ = stats.ttest_ind(ours, theirs, equal_var=False)
    assert (sums["above"] - sums["below"]) / math.sqrt(sums["variance"]) == pytest.approx(t)
    assert (sums["strata"], sums["champion"], sums["challenger"]) == (1, 400, 90)
    assert sums["events"] == (ours > 0.5).sum() + (theirs > 0.5).sum()


def test_known_answer() -> None:
    """Two hours, written out: 3 and 6 pairs' worth, the differences .25 and -.5."""
    first = [1.0, 0.0, 0.0, 1.0] * 3, [0.0, 1.0, 0.0, 0.0]
    second = [0.0, 0.0, 1.0, 0.0] * 3, [1.0, 1.0, 0.0, 1.0] * 3
    sums = strata(first, second)
    assert sums[:4].tolist() == pytest.approx([2.0, 9.0, 0.75, 3.0])
    variance = 9 * (3 / 11 / 12 + 0.25 / 4) + 36 * (2.25 / 11 / 12 + 2.25 / 11 / 12)
    assert sums[4] == pytest.approx(variance)
    found = advantage(sums, rare=True)
    assert found is not None
    assert found.difference == pytest.approx(-0.25)
    half = math.sqrt(variance / 9) * boundary(9, TUNED_PAIRS)
    assert (found.low, found.high) == pytest.approx((-0.25 - half, -0.25 + half))
    assert (found.rows, found.verdict) == (40, "insufficient")


def test_weights() -> None:
    """A weight that all rows have says nothing; one that differs makes fewer effective rows."""
    losses = [0.0, 1.0, 1.0, 0.0, 1.0]
    plain, heavy = compared(arm(losses), arm(losses[:3])), compared(arm(losses, [4.0] * 5), arm(losses[:3]))
    assert plain is not None
    assert heavy == pytest.approx(plain)
    uneven = compared(arm(losses, [1, 1, 1, 1, 9]), arm(losses[:3]))
    assert uneven is not None
    assert uneven[1] < plain[1]
    assert compared(arm([1.0, 0.0], [1.0, 1e-12]), arm(losses)) is None


def test_rows_that_cannot_be_used() -> None:
    """No number, beyond what adds up, a weight of 0: left out, and what is left is as if they were never there."""
    found = arm([0.5, math.nan, math.inf, 1e61, 1.0, 1.0], [1, 1, 1, 1, 0, 1])
    assert dict(zip(ARM, found, strict=True)) == {
        "rows": 2,
        "weight": 2,
        "weight_squares": 2,
        "losses": 1.5,
        "squares": 1.25,
        "events": 1,
    }


@pytest.mark.parametrize("few", [[], [1.0]])
def test_an_hour_with_too_few_rows_is_not_compared(few: list[float]) -> None:
    """One row tells of no scatter; whose it is does not matter."""
    assert compared(arm(few), arm([0.0, 1.0])) is None
    assert compared(arm([0.0, 1.0]), arm(few)) is None
    assert advantage(np.zeros(len(SPLIT)), rare=True) is None


def hits(rows: int, wrong: int) -> list[float]:
    return [1.0] * wrong + [0.0] * (rows - wrong)


@pytest.mark.parametrize(
    ("ours", "theirs", "rare", "verdict"),
    [
        (hits(2000, 400), hits(199, 0), True, "insufficient"),
        (hits(199, 100), hits(2000, 0), True, "insufficient"),
        # As few as it could have had by chance: 4 failures are to be expected of 200 rows, and 20 of 1,000.
        (hits(4000, 80), hits(200, 0), True, "insufficient"),
        (hits(4000, 80), hits(200, 0), False, "better"),
        (hits(5000, 120), hits(1000, 0), True, "better"),
        (hits(2000, 400), hits(200, 0), True, "better"),
        (hits(2000, 100), hits(400, 200), True, "worse"),
        (hits(2000, 400), hits(400, 80), True, "undecided"),
        (hits(2000, 2000), hits(400, 400), True, "insufficient"),
    ],
)
def test_verdicts(ours: list[float], theirs: list[float], rare: bool, verdict: str) -> None:
    """What is said of one hour."""
    found = advantage(strata((ours, theirs)), rare)
    assert found is not None
    assert found.verdict == verdict
    assert found.low <= found.difference <= found.high


LOSSES = st.lists(st.floats(0.0, 100.0), max_size=12)


@given(st.lists(st.tuples(LOSSES, LOSSES), max_size=6), st.integers(0, 6))
def test_merge_is_concatenation(pairs: list[tuple[list[float], list[float]]], cut: int) -> None:
    """Arms of parts add up to that of the whole; strata of two replicas to those of both; nothing is below 0."""
    for ours, theirs in pairs:
        assert arm(ours) + arm(theirs) == pytest.approx(arm(ours + theirs))
    zero = np.zeros(len(SPLIT))
    parts = [strata(*pairs[:cut]) + zero, strata(*pairs[cut:]) + zero]
    assert parts[0] + parts[1] == pytest.approx(strata(*pairs) + zero)
    assert (strata(*pairs) + zero >= 0.0).all()
