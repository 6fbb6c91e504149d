"""Contests: the boundary, and what is said when."""

import math

import numpy as np
import pytest

from exporter.stats.performance.contest import (
    TUNED_ROWS,
    Paired,
    PairedLayout,
    boundary,
    judged,
    together,
)
from exporter.stats.performance.figures import Z_95

LAYOUT = PairedLayout()


def test_the_boundary_is_the_published_formula() -> None:
    """Written out, at one place; it is wider than one look's at all rows, and narrowest near those it was tuned to."""
    square = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 1000
    t, tuning = 700.0, math.sqrt(square)
    inner = 2 * (t * tuning**2 + 1) / (t**2 * tuning**2) * math.log(math.sqrt(t * tuning**2 + 1) / 0.05)
    assert boundary(t, 1000) == pytest.approx(math.sqrt(inner))
    rows = np.geomspace(10, 1e7, 200)
    ratio = np.array([boundary(n) * math.sqrt(n) / Z_95 for n in rows])
    assert (ratio > 1.0).all()
    assert TUNED_ROWS / 2 < rows[ratio.argmin()] < TUNED_ROWS * 2
    assert (np.diff([boundary(n) for n in rows]) < 0.0).all()


def test_verdicts_follow_the_side_that_is_better() -> None:
    """A higher accuracy is better, a higher loss worse; few rows say nothing, an interval that holds 0 is undecided."""
    assert judged(0.3, 0.1, 500, (True, False)).verdict == "better"
    assert judged(-0.3, 0.1, 500, (True, False)).verdict == "worse"
    assert judged(0.3, 0.1, 500, (True, True)).verdict == "worse"
    assert judged(-0.3, 0.1, 500, (True, True)).verdict == "better"
    assert judged(0.3, 0.1, 500, (False, False)).verdict == "insufficient"
    assert judged(0.3, 0.3, 500, (True, False)).verdict == "undecided"


def test_pairs_share_their_noise() -> None:
    """On the same rows a small difference shows that two accuracies alone do not."""
    rng = np.random.default_rng(1)
    champion = rng.random(5000) < 0.8
    challenger = champion | (rng.random(5000) < 0.1)
    found = together(LAYOUT.sums(Paired(challenger.astype(float) - champion)), lower_is_better=False)
    assert found is not None
    assert found.verdict == "better"
    assert found.difference == pytest.approx(challenger.mean() - champion.mean())
    alone = math.sqrt(champion.var() + challenger.var()) * boundary(5000)
    assert 2.0 * alone > 1.5 * (found.high - found.low)


def test_pairs_that_say_nothing() -> None:
    """No rows, few rows, no difference at all."""
    assert together(np.zeros(LAYOUT.size), False) is None
    few = together(LAYOUT.sums(Paired(np.ones(199))), False)
    assert few is not None
    assert few.verdict == "insufficient"
    same = together(LAYOUT.sums(Paired(np.zeros(500))), False)
    assert same is not None
    assert same.verdict == "undecided"
    worse = together(LAYOUT.sums(Paired(np.random.default_rng(1).normal(1.0, 1.0, 500))), True)
    assert worse is not None
    assert worse.verdict == "worse"
