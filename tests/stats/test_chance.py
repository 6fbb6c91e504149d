"""Chance: closed forms against scipy and simulation."""

import numpy as np
import pytest
from scipy import stats as oracle

from exporter.stats.chance import (
    KOLMOGOROV_999,
    KOLMOGOROV_MEAN,
    MOST_ALIKE,
    MOST_UNITED,
    chi_square_tail,
    critical_value,
    kolmogorov_tail,
    largest_of,
    noise_floor,
    skewed,
    sufficient,
    union_quantiles,
)


def test_floor_and_critical_value_of_the_worked_example() -> None:
    """N = 200, M = 1000, B = 5: floor 0.024, critical value 0.1123."""
    assert noise_floor(5, 200, 1000) == pytest.approx(0.024)
    assert critical_value(5, 200, 1000) == pytest.approx(0.1123, abs=5e-5)


@pytest.mark.parametrize("bins", [2, 3, 5, 10, 20, 30])
def test_critical_value_is_close_to_the_chi_square_quantile(bins: int) -> None:
    """Above the exact 99.9 % quantile of chi-square times 1/N + 1/M, by 3.1 % at most: it errs quietly."""
    exact = oracle.chi2.ppf(0.999, bins - 1) * (1 / 500 + 1 / 10_000)
    assert critical_value(bins, 500, 10_000) == pytest.approx(exact, rel=0.031)
    assert critical_value(bins, 500, 10_000) >= exact


@pytest.mark.parametrize(
    ("bins", "rows", "expected"),
    [(10, 100, 0.283), (10, 200, 0.143), (10, 500, 0.0589), (10, 1000, 0.0309), (20, 100, 0.444)],
)
def test_critical_values_of_the_published_table(bins: int, rows: int, expected: float) -> None:
    """The closed form gives the tabled values for M = 10,000."""
    assert critical_value(bins, rows, 10_000) == pytest.approx(expected, rel=0.01)


def test_one_bin_has_no_noise() -> None:
    """Where there is one bin, floor and critical value are 0."""
    assert noise_floor(1, 10, 10) == 0.0
    assert critical_value(1, 10, 10) == 0.0


@pytest.mark.parametrize(
    ("bins", "rows", "reference_rows", "expected"),
    [(0, 0, 0, False), (1, 0, 9, False), (1, 5, 5, True), (10, 49, 1000, False), (10, 1000, 49, False)],
)
def test_too_few_rows_are_insufficient(bins: int, rows: int, reference_rows: int, expected: bool) -> None:
    """Five rows per occupied bin are needed on both sides."""
    assert bool(sufficient(bins, rows, reference_rows)) is expected


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 19, 22, 41, 200])
def test_tail_of_chi_square_is_exact(degrees: int) -> None:
    """Within 1e-12 of scipy, from the middle to where float64 ends; all at once with other degrees too."""
    values = np.array([0.0, 1e-12, 0.1, 1.0, 3.0, 10.0, 50.0, 400.0, 1400.0])
    assert chi_square_tail(values, degrees) == pytest.approx(
        oracle.chi2.sf(values, degrees), rel=1e-12, abs=1e-300
    )
    mixed = chi_square_tail(np.array([3.0, 3.0]), np.array([degrees, 2]))
    assert mixed == pytest.approx(oracle.chi2.sf(3.0, [degrees, 2]), rel=1e-12)


def test_no_degrees_have_no_surprise() -> None:
    """One bin can only be equal: p is 1."""
    assert chi_square_tail(0.0, 0) == 1.0


def test_tail_of_kolmogorov_is_exact() -> None:
    """Within 1e-13 of scipy over the whole range, 0 included; mean and 99.9 % quantile are its."""
    values = np.linspace(0.0, 6.0, 500)
    assert kolmogorov_tail(values) == pytest.approx(oracle.kstwobign.sf(values), abs=1e-13)
    assert oracle.kstwobign.isf(0.001) == pytest.approx(KOLMOGOROV_999, abs=5e-5)
    assert oracle.kstwobign.mean() == pytest.approx(KOLMOGOROV_MEAN, abs=1e-8)


def test_largest_of_many_deviations() -> None:
    """Means agree with simulation within 1 %; the union quantile is exceeded in 0.1 % at most, and hardly less."""
    rng = np.random.default_rng(3)
    for bins in (1, 3, 20):
        largest = np.abs(rng.normal(size=(200_000, bins))).max(axis=1)
        assert largest_of(np.array([float(bins)])) == pytest.approx(largest.mean(), rel=0.01)
        assert 0.0007 < (largest > union_quantiles(bins)).mean() < 0.0013


def test_closed_forms_of_many_bins() -> None:
    """Quantiles within 1.3e-5 of scipy's and means within 1e-4 of the integral, from one bin to the most."""
    bins = np.arange(1, MOST_UNITED + 1)
    assert union_quantiles(bins) == pytest.approx(oracle.norm.isf(0.0005 / bins), abs=1.3e-5)
    assert union_quantiles(10 * MOST_UNITED) == union_quantiles(MOST_UNITED)
    steps = np.linspace(0.0, 9.0, 9001)
    for count in (1.0, 1.5, 2.0, 3.3, 10.0, 30.5, MOST_ALIKE):
        mean = np.trapezoid(1.0 - (2.0 * oracle.norm.cdf(steps) - 1.0) ** count, steps)
        assert largest_of(count) == pytest.approx(mean, abs=1e-4)


def test_skewed_quantiles() -> None:
    """The corrected z of a gamma distribution is within 3 % of its quantile."""
    for shape in (10.0, 50.0, 1000.0):
        z = float(skewed(3.0902, 2 / np.sqrt(shape)))
        exact = (oracle.gamma.ppf(0.999, shape) - shape) / np.sqrt(shape)
        assert z == pytest.approx(exact, rel=0.03)
