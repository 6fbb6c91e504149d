"""fit.py: columns of several exchanges as one array of the kind wanted."""

import numpy as np
import pytest

from exporter.analysis.fit import categorical, numeric
from tests.analysis.world import column


def test_numbers_are_joined_and_nulls_told_from_nan() -> None:
    """Values of all exchanges stay in order; as many NaN as there are nulls are marked, true NaN are not."""
    fitted = numeric([column([1.0, float("nan"), float("nan")], nulls=1), column([2.0])])
    assert np.asarray(fitted.nulls).tolist() == [False, True, False, False]
    np.testing.assert_array_equal(fitted.values, [1.0, float("nan"), float("nan"), 2.0])
    assert not fitted.misfits


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-0.5", -0.5), ("1e3", 1000.0), ("true", 1.0), ("false", 0.0), ("inf", float("inf"))],
)
def test_text_that_writes_a_number_is_read(text: str, number: float) -> None:
    """Classes and texts become the numbers that they write."""
    assert numeric([column([text])]).values.tolist() == [number]


@pytest.mark.parametrize("text", ["", "rome", "1_000", "0x10", "<null>"])
def test_other_text_is_the_misfit_of_its_exchange(text: str) -> None:
    """A text that is no number is left out and its exchange named, the others are kept."""
    fitted = numeric([column(["1", "2"]), column([text, text]), column(["3"])])
    assert fitted.values.tolist() == [1.0, 2.0, 3.0]
    assert fitted.misfits == {1}


def test_null_in_text_is_a_null() -> None:
    """None is marked, and is no misfit."""
    fitted = numeric([column(["1", None], nulls=1)])
    assert (fitted.values[0], np.asarray(fitted.nulls).tolist()) == (1.0, [False, True])
    assert fitted.misfits == frozenset()


def test_nan_of_a_decoder_stays_nan() -> None:
    """The decoders write NaN among texts as <nan>; it is a value, not a null."""
    fitted = numeric([column(["<nan>", "1"])])
    assert np.isnan(fitted.values[0])
    assert fitted.nulls == 0


def test_categories_are_left_as_they_are() -> None:
    """Nulls stay in place, where the bins count them; none is counted a second time."""
    fitted = categorical([column(["a", None], nulls=1), column(["b"])])
    assert (fitted.values.tolist(), fitted.nulls) == (["a", None, "b"], 0)
