"""Moments and quantiles against numpy and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from exporter.stats.bins import FloatArray, NumericBins, fine_bins, refined_bins
from exporter.stats.moments import (
    COUNT,
    CUBES,
    HIGH,
    LOW,
    MEAN,
    PROBABILITIES,
    SQUARES,
    combine,
    empty_moments,
    moments_of,
    quantiles,
    summarize,
)

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def _block(values: list[float]) -> FloatArray:
    return moments_of(np.array(values, np.float64), np.array([len(values)]))[0]


def _cube_error(block: FloatArray) -> float:
    """Cubes cancel: what rounding leaves is small beside the sum of their sizes, not beside their sum."""
    largest = float(np.abs(block[[LOW, HIGH]]).max())
    return 1e-12 * float(np.max(block[COUNT])) * largest**3 + 1e-12


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), min_size=1, max_size=5))
def test_many_columns_at_once_equal_each_alone(columns: list[list[float]]) -> None:
    """Moments of columns in one vector equal numpy's of each column; empty columns are allowed."""
    flat = np.array([value for column in columns for value in column], np.float64)
    block, signed = moments_of(flat, np.array([len(column) for column in columns]))
    for place, column in enumerate(columns):
        assert block[COUNT, place] == len(column)
        assert signed[0, place] == pytest.approx(sum(v for v in column if v > 0))
        assert signed[1, place] == pytest.approx(-sum(v for v in column if v < 0))
        if column:
            assert block[MEAN, place] == pytest.approx(np.mean(column), abs=1e-6)
            assert block[SQUARES, place] == pytest.approx(np.var(column) * len(column), rel=1e-6, abs=1e-3)
            assert (block[LOW, place], block[HIGH, place]) == (min(column), max(column))
            cubes = sum((value - np.mean(column)) ** 3 for value in column)
            assert block[CUBES, place] == pytest.approx(cubes, rel=1e-6, abs=_cube_error(block[:, place]))


@given(st.lists(numbers, min_size=1, max_size=6))
def test_combining_parts_equals_the_whole(parts: list[list[float]]) -> None:
    """The block of the concatenation is the combination of the blocks."""
    whole = _block([value for part in parts for value in part])
    combined = combine(np.stack([_block(part) for part in parts] + [empty_moments(1)]))
    assert combined[:CUBES] == pytest.approx(whole[:CUBES], rel=1e-6, abs=1e-3)
    assert combined[CUBES] == pytest.approx(whole[CUBES], rel=1e-6, abs=_cube_error(whole))


def test_known_moments() -> None:
    """Known answer D15: split 3 / 5, mean 5, variance 4, sum of squared deviations 32, of cubed ones 42."""
    combined = combine(np.stack([_block([2, 4, 4]), _block([4, 5, 5, 7, 9])]))
    assert combined[:, 0].tolist() == pytest.approx([8, 5, 32, 2, 9, 42])


def test_a_large_mean_does_not_eat_the_variance() -> None:
    """Standard deviation 1 around 1e9 is found within 1e-6, over 1,000 batches."""
    values = np.random.default_rng(7).normal(1e9, 1.0, 20_000)
    block = combine(np.stack([_block(part.tolist()) for part in np.split(values, 1000)]))
    expected = oracle.describe(values - 1e9, ddof=0)
    assert block[SQUARES, 0] / block[COUNT, 0] == pytest.approx(expected.variance, rel=1e-6)
    assert block[MEAN, 0] - 1e9 == pytest.approx(expected.mean, abs=1e-6)


def test_values_that_would_overflow_are_left_out() -> None:
    """NaN, infinities and 1e308 do not enter the moments, and nothing becomes NaN."""
    block = _block([1.0, math.nan, math.inf, -math.inf, 1e308, 3.0])
    assert block[:, 0].tolist() == [2, 2, 2, 1, 3, 0]
    summary = summarize(NumericBins((2.0,)), np.array([0, 3, 0, 1]), _block([1e308, math.inf])[:, 0])
    assert (summary.rows, summary.count, summary.mean, summary.quantiles) == (4, 0, None, ())


def _bound(bins: NumericBins, values: FloatArray, probability: float) -> float:
    """The stated bound: width of the wider bin that holds a neighbouring order statistic."""
    ordered = np.sort(values)
    place = probability * (len(values) - 1)
    edges = np.clip(np.concatenate(([-np.inf], bins.array, [np.inf])), ordered[0], ordered[-1])
    widths = []
    for rank in (math.floor(place), math.ceil(place)):
        index = int(bins.array.searchsorted(ordered[rank], side="left"))
        widths.append(edges[index + 1] - edges[index])
    return float(max(widths))


@pytest.mark.parametrize("bins", [fine_bins(), NumericBins((-1.0, 0.0, 0.5, 3.0)), NumericBins(())])
@given(values=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=80))
def test_quantiles_keep_their_error_bound(bins: NumericBins, values: list[float]) -> None:
    """Every quantile is within the stated bound of numpy.quantile."""
    array = np.array(values, np.float64)
    found = quantiles(bins, bins.count(array), min(values), max(values))
    assert found is not None
    for probability, value in zip(PROBABILITIES, found, strict=True):
        error = abs(value - np.quantile(array, probability))
        assert error <= _bound(bins, array, probability) * (1 + 1e-9) + 1e-9


def test_quantiles_of_discrete_values_are_exact() -> None:
    """Where edges are the values, quantiles equal numpy's."""
    values = np.random.default_rng(3).integers(0, 5, 501).astype(np.float64)
    bins = NumericBins((-0.5, 0.0, 1.0, 2.0, 3.0, 4.0), discrete=True)
    found = quantiles(bins, bins.count(values), 0.0, 4.0)
    assert found == pytest.approx(np.quantile(values, PROBABILITIES))


def test_refined_bins_make_tail_quantiles_usable() -> None:
    """With the bins that a profile keeps, normal quantiles are within a tenth of a standard deviation."""
    values = np.random.default_rng(5).normal(0, 1, 20_000)
    deciles = NumericBins(tuple(np.quantile(values, np.arange(1, 10) / 10).tolist()))
    bins = refined_bins(deciles, float(values.min()), float(values.max()))
    found = quantiles(bins, bins.count(values), float(values.min()), float(values.max()))
    assert found == pytest.approx(oracle.norm.ppf(PROBABILITIES), abs=0.1)


def test_no_values_have_no_quantiles() -> None:
    """Without a finite number there is None, not NaN."""
    assert quantiles(fine_bins(), np.zeros(fine_bins().size, np.int64), math.inf, -math.inf) is None


@given(numbers, numbers)
def test_skew_is_that_of_scipy(first: list[float], second: list[float]) -> None:
    """Skewness of two parts together equals scipy's of all values; a constant has none."""
    values = np.round(np.array([*first, *second]), 3)
    parts = np.stack([_block(part.tolist()) for part in np.split(values, [len(first)])])
    found = summarize(fine_bins(), fine_bins().count(values), combine(parts)[:, 0]).skew
    if values.min() == values.max():
        assert found is None
    else:
        assert found == pytest.approx(oracle.skew(values), rel=1e-4, abs=1e-4)
