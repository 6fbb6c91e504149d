"""Pairs: correlation and its shift against scipy."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from exporter.stats.bins import FloatArray
from exporter.stats.pairs import (
    Scale,
    co_moments,
    fourth_moments,
    live_moments,
    pearson,
    shift,
    spread,
    with_spread,
)
from exporter.stats.profiles.joint import CoMoments

PAIR = (("x", "y"),)
PLAIN = {"x": Scale(0.0, 1.0), "y": Scale(0.0, 1.0)}


def sums(x: object, y: object, scales: dict[str, Scale] = PLAIN) -> np.ndarray:
    return co_moments(PAIR, scales, {"x": np.array(x, np.float64), "y": np.array(y, np.float64)})[:, 0]


def test_known_answer() -> None:
    """Known answer D16: Pearson 0.8241633837."""
    assert pearson(sums([1, 2, 3, 4, 5], [2, 1, 4, 3, 7])) == pytest.approx(0.8241633837, abs=5e-11)


@given(st.integers(3, 60), st.floats(-1e6, 1e6), st.floats(-1, 1), st.integers(1, 40))
def test_parts_add_up_to_scipys_correlation(rows: int, mean: float, weight: float, cut: int) -> None:
    """Sums of two parts together give scipy's correlation of all rows, also far from zero."""
    rng = np.random.default_rng(rows)
    x = rng.normal(mean, 1, rows)
    y = weight * (x - mean) + rng.normal(size=rows) - mean
    scales = {"x": Scale(mean, 1.0), "y": Scale(-mean, 2.0)}
    both = sums(x[:cut], y[:cut], scales) + sums(x[cut:], y[cut:], scales)
    assert pearson(both) == pytest.approx(oracle.pearsonr(x, y).statistic, abs=1e-6)


def test_rows_with_a_gap_are_left_out() -> None:
    """A pair needs both: NaN, infinities, absent columns and other lengths add nothing."""
    x, y = [1.0, np.nan, 3.0, np.inf, 5.0], [1.0, 2.0, 3.0, 4.0, np.nan]
    assert sums(x, y).tolist() == [2, 4, 4, 10, 10, 10]
    assert co_moments(PAIR, PLAIN, {"x": np.ones(3)}).sum() == 0
    assert sums([1.0], [1.0, 2.0]).sum() == 0


def test_shift_is_fishers() -> None:
    """z and p agree with the definition; equal correlations have z 0."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 500))
    live, reference = sums(x[0], x[0] + x[1]), sums(x[1], 3 * x[0] + x[1])
    found = shift(live, reference)
    assert found is not None
    z = (np.arctanh(found.correlation) - np.arctanh(found.reference)) / np.sqrt(2 / 497)
    assert found.z == pytest.approx(z)
    assert found.p_value == pytest.approx(2 * oracle.norm.sf(abs(z)))
    assert found.exceeds(0.1)
    assert not found.exceeds(0.9)
    same = shift(live, live)
    assert same is not None
    assert (same.z, same.p_value, same.exceeds(0.0)) == (0.0, 1.0, False)


def test_critical_change_is_where_z_is_critical() -> None:
    """A change is above `critical` exactly where |z| is above 3.29; false alarms are 0.1 %."""
    rng = np.random.default_rng(4)
    reference = rng.normal(size=(2, 20_000))
    reference[1] += reference[0]
    own, alarms = sums(*reference), 0
    for _ in range(2000):
        x = rng.normal(size=(2, 100))
        found = shift(sums(x[0], x[0] + x[1]), own)
        assert found is not None
        assert (abs(found.z) > 3.2905) == (found.change > found.critical)
        alarms += found.exceeds(0.0)
    assert alarms <= 9


@pytest.mark.parametrize("y", [[1.0, 1.0, 1.0, 1.0], [1e9, 1e9, 1e9, 1e9]])
def test_what_does_not_vary_has_no_correlation(y: list[float]) -> None:
    """A constant, and too few rows, give None, never NaN."""
    varied = sums([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0])
    assert pearson(sums([1.0, 2.0, 3.0, 4.0], y)) is None
    assert shift(sums([1.0, 2.0, 3.0, 4.0], y), varied) is None
    assert pearson(np.zeros(6)) is None
    assert shift(varied, varied, 3.0) is None
    perfect = sums([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    found = shift(perfect, varied)
    assert found is not None
    assert np.isfinite([found.z, found.critical]).all()


def _heavy(rng: np.random.Generator, rows: int) -> FloatArray:
    x = rng.normal(size=(2, rows))
    x[1] += 0.7 * x[0]
    return x * np.sqrt(5.0 / rng.chisquare(5, rows))


def test_heavy_tails_are_no_drift() -> None:
    """By the seventh sum Student's t with five degrees alarms as seldom as normal rows; by six in one of thirty."""
    rng = np.random.default_rng(9)
    data = _heavy(rng, 50_000)
    scales = [(float(own.mean()), float(own.std())) for own in data]
    units = {name: Scale(*scale) for name, scale in zip("xy", scales, strict=True)}
    own = sums(*data, units)
    (mean_x, std_x), (mean_y, std_y) = scales
    one = CoMoments("x", "y", (mean_x, mean_y), (std_x, std_y), 50_000, *own[1:].tolist())
    alarms = [0, 0]
    for _ in range(1000):
        x, y = _heavy(rng, 500)
        live = live_moments([one], {"x": x, "y": y})[:, 0]
        assert spread(live, one.correlation or 0.0) >= 1.0
        for place, part in enumerate((live, live[:6])):
            found = shift(part, own)  # none, where one row outweighs nearly all others
            alarms[place] += found is not None and found.exceeds(0.0)
    assert alarms[0] <= 5 < 15 < alarms[1]


def _lognormal(rng: np.random.Generator, rows: int) -> FloatArray:
    z = rng.normal(size=(2, rows))
    z[1] = 0.7 * z[0] + np.sqrt(0.51) * z[1]
    return np.exp(z)


def _half(rng: np.random.Generator, rows: int) -> FloatArray:
    """One heavy tail, one normal column."""
    x = _lognormal(rng, rows)
    return np.stack([x[0], np.log(x[1])])


@pytest.mark.parametrize("drawn", [_lognormal, _half, _heavy], ids=lambda one: one.__name__)
@pytest.mark.parametrize(("rows", "windows"), [(200, 1000), (1000, 1000), (10_000, 300)])
def test_windows_that_lack_the_largest_values_are_no_drift(
    drawn: Callable[[np.random.Generator, int], FloatArray], rows: int, windows: int
) -> None:
    """With the reference's own spread no more alarms than stated: one of 1,000, by chance three."""
    rng, alarms = np.random.default_rng(11), 0
    for first in range(windows):
        if first % 25 == 0:
            data = drawn(rng, 20_000)
            units = {
                name: Scale(float(own.mean()), float(own.std())) for name, own in zip("xy", data, strict=True)
            }
            (mean_x, std_x), (mean_y, std_y) = ((own.mean, own.std) for own in units.values())
            own = sums(*data, units)
            fourths = fourth_moments(PAIR, units, dict(zip("xy", data, strict=True)))[:, 0]
            wide = spread(with_spread(own, fourths), pearson(own) or 0.0)
            one = CoMoments("x", "y", (mean_x, mean_y), (std_x, std_y), 20_000, *own[1:].tolist(), wide)
        x, y = drawn(rng, rows)
        found = shift(live_moments([one], {"x": x, "y": y})[:, 0], one.sums, None, one.spread)
        alarms += found is not None and found.exceeds(0.0)
    assert alarms <= 3


def test_fourth_moments_are_the_seventh_sum() -> None:
    """From the fourth moments of parts the same spread as from every row's influence; rows with a gap left out."""
    rng = np.random.default_rng(12)
    x, y = _lognormal(rng, 500)
    x[3] = np.nan
    batch = {"x": x, "y": y}
    parts = [{name: own[cut] for name, own in batch.items()} for cut in (slice(100), slice(100, None))]
    own = sum(co_moments(PAIR, PLAIN, part) for part in parts)[:, 0]
    fourths = sum(fourth_moments(PAIR, PLAIN, part) for part in parts)[:, 0]
    expected = live_moments([CoMoments("x", "y", (0.0, 0.0), (1.0, 1.0), *own.tolist())], batch)[:, 0]
    np.testing.assert_allclose(with_spread(own, fourths), expected)
    doubled = fourth_moments(PAIR, PLAIN, batch, np.full(500, 2.0))[:, 0]
    np.testing.assert_allclose(doubled, 2 * fourths)
    assert fourth_moments(PAIR, PLAIN, {"x": x}).sum() == 0


def test_live_sums_add_up() -> None:
    """Those of two parts are those of the whole; rows with a gap are left out of all seven."""
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(2, 40))
    x[3] = np.nan
    one = CoMoments("x", "y", (0.0, 0.0), (1.0, 1.0), 40, 0.0, 0.0, 40.0, 40.0, 10.0)
    whole = live_moments([one], {"x": x, "y": y})
    parts = [live_moments([one], {"x": x[cut], "y": y[cut]}) for cut in (slice(9), slice(9, None))]
    np.testing.assert_allclose(whole, parts[0] + parts[1])
    assert whole[0, 0] == 39
    assert live_moments([one], {"x": x}).sum() == 0
    assert spread(np.zeros(7), 0.0) == 1.0
