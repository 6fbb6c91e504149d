"""Sums: of every layout, the sums of parts are those of the whole, nothing falls, and what was withdrawn is gone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.performance.classes import ClassLayout
from exporter.stats.performance.contest import Paired, PairedLayout
from exporter.stats.performance.errors import ErrorLayout, Measured, QuantileLayout, Ranged, RangeLayout
from exporter.stats.performance.labels import LabelLayout, Labelled
from exporter.stats.performance.probabilities import Likely, ProbabilityLayout
from exporter.stats.performance.ranking import Ranked, RankingLayout
from exporter.stats.performance.scores import Scored, ScoreLayout
from exporter.stats.performance.sums import Account, named

CLASSES = ClassLayout(("a", "b", "c"))
LABELS = LabelLayout(("x", "y"))
Part = slice | np.ndarray


def _classes(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    names = np.array(["a", "b", "c", "d", "e", None], object)
    truth, predicted = rng.choice(names, n), rng.choice(names, n)
    return lambda rows: CLASSES.judged(truth[rows].tolist(), predicted[rows].tolist(), w[rows])


def _scores(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    truth, score = (
        rng.choice([0.0, 1.0, np.nan, 2.0], n),
        rng.choice([*rng.random(9), 0.0, 1.0, 1.5, np.nan], n),
    )
    return lambda rows: Scored(truth[rows], score[rows], w[rows])


def _numbers(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    odd = [np.nan, np.inf, 1e70, 0.0]
    truth, predicted = rng.choice([*rng.normal(size=9), *odd], n), rng.choice([*rng.normal(size=9), *odd], n)
    return lambda rows: Measured(truth[rows], predicted[rows], w[rows])


def _ranges(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    truth, low, high = rng.normal(size=(3, n)) + [[0.0], [-1.0], [1.0]]
    return lambda rows: Ranged(truth[rows], low[rows], high[rows], w[rows])


def _probabilities(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    truth, p = rng.integers(-1, 3, n), rng.dirichlet(np.ones(3), n)
    p[rng.random(n) < 0.1] = np.nan
    return lambda rows: Likely(truth[rows], p[rows], w[rows])


def _rankings(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    relevance = rng.choice([0.0, 0.0, 1.0, 3.0, np.nan, -1.0], (n, 6), p=[0.4, 0.3, 0.1, 0.1, 0.09, 0.01])
    return lambda rows: Ranked(relevance[rows], None, w[rows])


def _labels(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    truth, predicted = rng.choice([0.0, 1.0, np.nan], (2, n, 2), p=[0.5, 0.45, 0.05])
    return lambda rows: Labelled(truth[rows], predicted[rows], w[rows])


def _paired(rng: np.random.Generator, n: int, w: Any) -> Callable[[Part], Any]:
    difference = rng.choice([*rng.normal(size=9), np.nan], n)
    return lambda rows: Paired(difference[rows], w[rows])


KINDS = [
    (CLASSES, _classes),
    (ScoreLayout((0.2, 0.4, 0.6, 0.8)), _scores),
    (ScoreLayout((-1.0, 0.0, 1.0), probability=False), _scores),
    (ErrorLayout(0.3, (-1.0, 0.0, 1.0), 0.1), _numbers),
    (QuantileLayout(0.9), _numbers),
    (RangeLayout(), _ranges),
    (ProbabilityLayout(), _probabilities),
    (RankingLayout((1, 3)), _rankings),
    (LABELS, _labels),
    (PairedLayout(), _paired),
]
EVERY = pytest.mark.parametrize(("layout", "make"), KINDS, ids=lambda one: type(one).__name__)


def _stream(make: Any, seed: int, rows: int) -> Callable[[Part], Any]:
    rng = np.random.default_rng(seed)
    weights = rng.choice(
        [1.0, 0.5, 2.0, 0.0, -1.0, np.nan, 1e70], rows, p=[0.5, 0.2, 0.2, 0.04, 0.02, 0.02, 0.02]
    )
    return make(rng, rows, weights)


@EVERY
@given(seed=st.integers(0, 2**32), rows=st.integers(0, 60), cut=st.floats(0, 1))
def test_merged_parts_are_the_whole(layout: Any, make: Any, seed: int, rows: int, cut: float) -> None:
    """Two accounts of two parts merge to the account of all rows; no sum is negative."""
    part = _stream(make, seed, rows)
    middle = int(cut * rows)
    whole, one, other = Account(layout), Account(layout), Account(layout)
    whole.update(part(slice(None)))
    one.update(part(slice(None, middle)))
    other.update(part(slice(middle, None)))
    one.merge(other)
    assert one.net == pytest.approx(whole.net, rel=1e-9, abs=1e-12)
    assert np.isfinite(whole.added).all()
    assert (whole.added >= 0.0).all()
    assert whole.added.shape == (layout.size,)


@EVERY
@given(seed=st.integers(0, 2**32))
def test_a_correction_is_withdrawn_and_added(layout: Any, make: Any, seed: int) -> None:
    """What was taken back is in no figure, and neither side ever falls."""
    part = _stream(make, seed, 40)
    account, expected = Account(layout), Account(layout)
    account.update(part(slice(None)))
    before = account.added.copy()
    account.revert(part(slice(30, None)))
    expected.update(part(slice(None, 30)))
    assert (account.added == before).all()
    assert (account.withdrawn >= 0.0).all()
    assert account.net == pytest.approx(expected.net, rel=1e-9, abs=1e-9)


@EVERY
def test_every_row_is_counted_or_refused(layout: Any, make: Any) -> None:
    """Rows that are in and rows that are refused are all rows, whatever came."""
    rows = 500
    account = Account(layout)
    account.update(_stream(make, 7, rows)(slice(None)))
    sums = account.net
    if isinstance(layout, ClassLayout):
        found = layout.table(sums).whole[0] + layout.refused(sums)
    elif isinstance(layout, ScoreLayout):
        found = layout.read(sums).whole[0].sum() + layout.read(sums).losses.refused
    elif isinstance(layout, LabelLayout):
        found = sums[-7] + sums[-1]
    else:
        refused = {ErrorLayout: -1 - 4, RankingLayout: 6}.get(type(layout), -1)
        found = sums[0] + sums[refused]
    assert found == rows


def test_other_layouts_do_not_add() -> None:
    """Sums over other edges are refused, with both layouts."""
    one = Account(ScoreLayout((0.5,)))
    with pytest.raises(ValueError, match=r"edges=\(0.4,\)"):
        one.merge(Account(ScoreLayout((0.4,))))


def test_slots_have_names() -> None:
    """As many names as slots, or an error."""
    assert named(("a", "b"), np.array([1.0, 2.0])) == {"a": 1.0, "b": 2.0}
    with pytest.raises(ValueError):
        named(("a",), np.zeros(2))
