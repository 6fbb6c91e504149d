"""Contests: the boundary, and what is said when."""

import math

import numpy as np
import pytest

from exporter.stats.performance.contest import (
    TUNED_ROWS,
    Paired,
    PairedLayout,
    apart,
    boundary,
    together,
)
from exporter.stats.performance.figures import Z_95, Basis, Figure, share_of

LAYOUT = PairedLayout()


def _share(name: str, hits: int, rows: int) -> Figure:
    figure = share_of(name, hits, (rows, rows), Basis(rows, rows))
    assert figure is not None
    return figure


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
    """A higher accuracy is better, a higher loss worse; few rows say nothing, the same says undecided."""
    assert apart(_share("accuracy", 8000, 10_000), _share("accuracy", 9000, 10_000)).verdict == "better"
    assert apart(_share("accuracy", 9000, 10_000), _share("accuracy", 8000, 10_000)).verdict == "worse"
    loss = [_share("hamming_loss", hits, 10_000) for hits in (1000, 2000)]
    assert apart(*loss).verdict == "worse"
    assert apart(_share("accuracy", 80, 100), _share("accuracy", 9000, 10_000)).verdict == "insufficient"
    assert apart(_share("accuracy", 800, 1000), _share("accuracy", 800, 1000)).verdict == "undecided"
    assert apart(_share("accuracy", 200, 200), _share("accuracy", 199, 200)).verdict == "undecided"
    with pytest.raises(ValueError, match=r"accuracy .*cannot be compared with brier"):
        apart(_share("accuracy", 1, 2), _share("brier", 1, 2))


def test_pairs_share_their_noise() -> None:
    """On the same rows a small difference shows that two accuracies alone do not."""
    rng = np.random.default_rng(1)
    champion = rng.random(5000) < 0.8
    challenger = champion | (rng.random(5000) < 0.1)
    found = together(LAYOUT.sums(Paired(challenger.astype(float) - champion)), lower_is_better=False)
    assert found is not None
    assert found.verdict == "better"
    assert found.difference == pytest.approx(challenger.mean() - champion.mean())
    alone = apart(_share("accuracy", champion.sum(), 5000), _share("accuracy", challenger.sum(), 5000))
    assert alone.high - alone.low > 1.5 * (found.high - found.low)


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
