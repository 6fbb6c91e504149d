"""Intervals against scipy, and what they are at the ends of a range."""

import math

import numpy as np
import pytest
from scipy import stats as oracle

from exporter.stats.performance.figures import (
    Basis,
    around,
    combined,
    fisher,
    logit,
    mean_of,
    share_mean,
    share_of,
    standard_error,
    wilson,
)

BASIS = Basis(10, 10.0)


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 1000), (1, 1)])
def test_shares_have_the_limits_of_wilson(hits: int, rows: int) -> None:
    """scipy's, to rounding."""
    expected = oracle.binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson(hits / rows, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_means_have_the_errors_of_scipy() -> None:
    """The standard error of a mean; its limits at the logarithm hold it between them."""
    values = np.random.default_rng(1).exponential(size=50)
    figure = mean_of("x", values.sum(), values @ values, (50.0, 50.0), BASIS)
    assert figure is not None
    assert figure.value == pytest.approx(values.mean())
    assert figure.error == pytest.approx(oracle.sem(values))
    assert figure.low * figure.high == pytest.approx(figure.value**2)


def test_limits_are_symmetric_where_they_are_formed() -> None:
    """At the logit, at the inverse tangent, or as they are."""
    low, high = logit(0.9, 0.05)
    middle = math.log(9.0)
    assert math.log(high / (1 - high)) - middle == pytest.approx(middle - math.log(low / (1 - low)))
    low, high = fisher(0.5, 0.1)
    assert math.atanh(high) - math.atanh(0.5) == pytest.approx(math.atanh(0.5) - math.atanh(low))
    assert around(1.0, 0.5) == pytest.approx((1.0 - 0.98, 1.0 + 0.98), abs=1e-4)
    assert logit(0.5, 1e9) == pytest.approx((0.0, 1.0))


def test_one_part_alone_keeps_its_limits() -> None:
    """And the mean of two has narrower ones than either."""
    one = wilson(0.7, 50)
    assert combined(0.7, [(0.7, one)], 1.0) == pytest.approx(one)
    both = combined(0.7, [(0.7, one), (0.7, one)], 0.5)
    assert both.high - both.low == pytest.approx((one.high - one.low) / math.sqrt(2.0))


def test_a_mean_of_shares_is_a_share() -> None:
    """Its upper limit is 1 at most; without any scatter it has the limits of a share."""
    figure = share_mean("x", 9.5, 9.26, (10.0, 10.0), BASIS)
    assert figure is not None
    assert 0.8 < figure.low < 0.95 < figure.high == 1.0
    for value in (0.0, 0.25, 1.0):
        figure = share_mean("x", 10.0 * value, 10.0 * value**2, (10.0, 10.0), BASIS)
        assert figure is not None
        assert (figure.low, figure.high) == pytest.approx(wilson(value, 10.0))


def test_nothing_has_no_figure_and_one_row_no_error() -> None:
    """A mean of one row may be anything."""
    assert share_of("x", 0.0, (0.0, 0.0), BASIS) is None
    assert mean_of("x", 0.0, 0.0, (0.0, 0.0), BASIS) is None
    assert standard_error(1.0, 1.0, 1.0) == math.inf
    figure = mean_of("x", 2.0, 4.0, (1.0, 1.0), BASIS)
    assert figure is not None
    assert figure.low < 1e-300
    assert figure.high > 1e300
