"""exponential.py: each value in the bucket whose bounds hold it, judged by exact powers and the SDK's mapping."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import (
    LogarithmMapping,
)

from exporter.stats.exponential import BUCKETS, LOWEST, SCALE, ZERO_THRESHOLD, Exponentials, places

VALUES = st.floats(allow_nan=True, allow_infinity=True)
WITHIN = st.floats(2.0**-39, 2.0**39)


def counted(*values: float) -> Exponentials:
    """A column that saw these at once."""
    found = Exponentials()
    found.update(np.array(values, np.float64))
    return found


@given(WITHIN)
def test_a_value_lies_in_its_bucket(value: float) -> None:
    """base^i < value <= base^(i+1), and as OpenTelemetry's SDK maps it, but for what its logarithm rounds."""
    index = int(places(np.array([value]))[0]) + LOWEST
    low, high = 2.0 ** (index / 8), 2.0 ** ((index + 1) / 8)
    assert low * (1 - 1e-15) < value <= high * (1 + 1e-15)
    theirs = LogarithmMapping(SCALE).map_to_index(value)
    assert index == theirs or (abs(index - theirs) == 1 and math.isclose(value, (low, high)[theirs > index]))


@pytest.mark.parametrize("exponent", range(-39, 40))
def test_powers_of_two_are_upper_bounds(exponent: int) -> None:
    """Exactly, where a logarithm might round."""
    index = int(places(np.array([2.0**exponent]))[0]) + LOWEST
    assert index == exponent * 8 - 1
    above = int(places(np.array([math.nextafter(2.0**exponent, math.inf)]))[0]) + LOWEST
    assert above == exponent * 8


@given(st.lists(VALUES, max_size=30))
def test_each_value_but_nan_is_counted_once(values: list[float]) -> None:
    """Zero, tiny, huge and infinite ones included."""
    found = counted(*values)
    assert found.zero + int(found.counts.sum()) == sum(not math.isnan(value) for value in values)
    assert found.zero == sum(abs(value) <= ZERO_THRESHOLD for value in values)
    assert int(found.counts[1].sum()) == sum(value < -ZERO_THRESHOLD for value in values)


@given(st.lists(VALUES, max_size=20), st.lists(VALUES, max_size=20))
def test_merge_is_all_of_one_then_all_of_the_other(one: list[float], other: list[float]) -> None:
    """Exactly, and so is a stream in two batches."""
    whole, merged, twice = counted(*one, *other), counted(*one), counted(*one)
    merged.merge(counted(*other))
    twice.update(np.array(other, np.float64))
    for found in (merged, twice):
        assert found.zero == whole.zero
        assert np.array_equal(found.counts, whole.counts)


def test_what_is_used() -> None:
    """From the first bucket that counted to the last, by sign; nothing where nothing was counted."""
    found = counted(1.0, 1.0, 2.0 ** (3 / 8), -8.0, 0.0)
    assert found.used(False) == (-1, (2, 0, 0, 1))
    assert found.used(True) == (23, (1,))
    assert Exponentials().used(False) == (0, ())
    ends = counted(math.inf, 2.0**41, 2.0**-39.999)
    first, counts = ends.used(False)
    assert (first, counts[0], counts[-1], len(counts)) == (LOWEST, 1, 2, BUCKETS)
