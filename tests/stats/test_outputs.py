"""outputs.py: judged by scipy and by laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from exporter.stats.outputs import TOLERANCE, certainty, distributions, in_unit, two_classes, widths

ANY = st.floats(width=64)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_certainty_by_scipy(classes: int, dtype: type) -> None:
    """Entropy is scipy's, in nats; confidence and margin are the sorted row's."""
    table = np.random.default_rng(classes).dirichlet(np.full(classes, 0.3), 200).astype(dtype)
    found = certainty(table)
    wide = table.astype(np.float64)
    ordered = np.sort(wide / wide.sum(axis=1, keepdims=True), axis=1)
    np.testing.assert_allclose(found["entropy"], entropy(wide, axis=1), atol=1e-12)
    np.testing.assert_allclose(found["confidence"], ordered[:, -1])
    np.testing.assert_allclose(found["margin"], ordered[:, -1] - ordered[:, -2], atol=1e-15)


def test_known_rows() -> None:
    """The certain row, the coin and the even dice."""
    found = certainty(np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert found["entropy"].tolist() == [0.0, pytest.approx(np.log(2.0))]
    assert found["confidence"].tolist() == [1.0, 0.5]
    assert found["margin"].tolist() == [1.0, 0.0]
    assert certainty(np.full((1, 6), 1 / 6))["entropy"][0] == pytest.approx(np.log(6.0))


def test_rows_that_are_no_distributions() -> None:
    """Outside [0, 1], a sum that is off, NaN: no number in any of the three."""
    table = np.array([[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [0.5, 0.5 + TOLERANCE / 2]])
    assert distributions(table).tolist() == [False, False, False, True]
    for values in certainty(table).values():
        assert np.isnan(values).tolist() == [True, True, True, False]


@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(1, 5)), elements=ANY))
def test_any_table(table: np.ndarray) -> None:
    """Nothing raises; what is no NaN lies within its bounds."""
    found = certainty(table)
    for name, most in (
        ("confidence", 1.0),
        ("margin", 1.0),
        ("entropy", np.log(max(table.shape[1], 1)) + 1e-9),
    ):
        values = found[name]
        assert values.shape == (len(table),)
        known = values[~np.isnan(values)]
        assert ((known >= 0.0) & (known <= most)).all()
    assert (np.isnan(found["entropy"]) == np.isnan(found["confidence"])).all()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_one_share_is_two_classes(shares: list[float]) -> None:
    """A positive share and its rest are a distribution; turning them round changes no certainty."""
    table = two_classes(np.array(shares))
    assert distributions(table).all()
    for one, other in zip(certainty(table).values(), certainty(table[:, ::-1]).values(), strict=True):
        np.testing.assert_allclose(one, other)


def test_unit_interval() -> None:
    """Both ends belong to it; NaN and infinities do not."""
    assert (
        in_unit(np.array([0.0, 1.0, -1e-300, 1.0000001, np.nan, np.inf])).tolist()
        == [True, True] + [False] * 4
    )
    assert in_unit(np.array([[0.0, 1.0], [0.0, 2.0]])).tolist() == [True, False]


@given(arrays(np.float64, 4, elements=ANY), arrays(np.float64, 4, elements=ANY))
def test_widths(lower: np.ndarray, upper: np.ndarray) -> None:
    """The difference where it is a finite number, else NaN."""
    with np.errstate(all="ignore"):
        expected = upper - lower
    np.testing.assert_array_equal(widths(lower, upper), np.where(np.isfinite(expected), expected, np.nan))
