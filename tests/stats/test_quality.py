"""quality.py: limits from a reference, and counts beyond them against a plain loop."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from exporter.stats import ProfileColumn
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.quality import BIG, INFINITE, LIMITS, OUTLIER_IQR, OUTLIER_Z, SMALL, Judge, Limit, limits

NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, 2.0, math.inf, -math.inf, math.nan])


def profiled(values: Any) -> ProfileColumn:
    return build({"x": Column(np.asarray(values, np.float64))}, ProfileConfig()).column("x")


def beyond(value: float, limit: Limit) -> bool:
    return value < limit.low or value > limit.high


@pytest.mark.parametrize("draw", ["normal", "uniform", "exponential", "standard_t"])
def test_fences_and_their_share_are_those_of_the_raw_reference(draw: str) -> None:
    """Against scipy's MAD and numpy's quartiles of the rows themselves, which the profile no longer has."""
    rng = np.random.default_rng(11)
    rows = rng.standard_t(4, 50_000) if draw == "standard_t" else getattr(rng, draw)(size=50_000)
    found = limits(profiled(rows))
    low, high = np.quantile(rows, (0.25, 0.75))
    middle = np.median(rows)
    reach = 3.5 * oracle.median_abs_deviation(rows, scale="normal")
    expected = {
        OUTLIER_Z: (middle - reach, middle + reach),
        OUTLIER_IQR: (low - 1.5 * (high - low), high + 1.5 * (high - low)),
    }
    for reason, (low, high) in expected.items():
        limit = found[reason]
        assert limit.low == pytest.approx(low, abs=0.05 * (high - low))
        assert limit.high == pytest.approx(high, abs=0.05 * (high - low))
        share = float(np.mean((rows < limit.low) | (rows > limit.high)))
        assert limit.share == pytest.approx(share, abs=0.003 + 0.25 * share)
    assert found[SMALL].low <= rows.min()
    assert found[BIG].high >= rows.max()


def test_few_distinct_values_are_exact() -> None:
    """Value bins hold the reference whole: median 2, MAD 1, quartiles 1 and 3."""
    rows = np.repeat([1.0, 2.0, 3.0, 40.0], [300, 400, 290, 10])
    found = limits(profiled(rows))
    assert found[OUTLIER_Z] == Limit(2.0 - 3.5 * 1.4826, 2.0 + 3.5 * 1.4826, 0.01)
    assert found[OUTLIER_IQR] == Limit(-2.0, 6.0, 0.01)


def test_a_yardstick_that_would_be_nothing_is_absent() -> None:
    """Where half the rows are one value every other one would be an outlier; without a reference infinity remains."""
    assert set(limits(profiled(np.repeat([0.0, 5.0], [900, 100])))) == {SMALL, BIG, INFINITE}
    assert set(limits(None)) == {INFINITE}


@given(
    st.lists(st.lists(NUMBERS, max_size=12), max_size=4),
    st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=5, max_size=5),
    st.booleans(),
)
def test_counts_are_those_of_a_plain_loop(
    rows: list[list[float]], bounds: list[tuple[float, float]], single: bool
) -> None:
    """Any lengths, any values, float32 too; NaN is beyond nothing."""
    chosen = {reason: Limit(*pair) for reason, pair in zip(LIMITS, bounds, strict=True)}
    limits_of = {f"c{at}": dict(list(chosen.items())[at:]) for at in range(len(rows))}
    kind = np.float32 if single else np.float64
    batch = {f"c{at}": np.array(values, kind) for at, values in enumerate(rows)}
    expected = {
        (name, reason): sum(beyond(float(value), limit) for value in batch[name].tolist())
        for name, some in limits_of.items()
        for reason, limit in some.items()
    }
    assert Judge(limits_of).count(batch) == {cell: count for cell, count in expected.items() if count}


def test_columns_that_are_no_numbers_or_unknown_are_left_out() -> None:
    """Objects among the columns, and columns without limits, cost no error and no count."""
    judge = Judge({"x": {INFINITE: Limit(0.0, 1.0)}, "t": {INFINITE: Limit(0.0, 1.0)}})
    batch = {"x": np.array([2.0, 0.5]), "t": np.array(["a", None], object), "y": np.array([9.0])}
    assert judge.count(batch) == {("x", INFINITE): 1}
    assert judge.count({}) == {}


def test_layouts_seen_are_bounded() -> None:
    """Payloads of ever other columns leave no more than so many layouts behind."""
    judge = Judge({f"c{at}": {INFINITE: Limit(0.0, 1.0)} for at in range(100)})
    for at in range(100):
        assert judge.count({f"c{at}": np.array([2.0])}) == {(f"c{at}", INFINITE): 1}
    assert len(judge._boxes) <= 64
