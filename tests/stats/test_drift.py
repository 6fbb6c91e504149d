"""Thresholds that depend on n, and the frame of comparisons."""

import numpy as np
import pytest
from scipy import stats as oracle

from exporter.stats.bins import CategoricalBins, NumericBins
from exporter.stats.drift import Drift, Pair, critical_value, noise_floor, sufficient


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
    assert sufficient(bins, rows, reference_rows) is expected


def test_only_occupied_bins_take_part() -> None:
    """Bins that are empty on both sides are left out, on one side are kept."""
    bins = NumericBins((0.0, 1.0))
    pair = Pair(bins, np.array([3, 0, 1, 0, 0]), np.array([0, 0, 2, 0, 4]))
    reference, live = pair.occupied()
    assert reference.tolist() == [3, 1, 0]
    assert live.tolist() == [0, 2, 4]


def test_counts_over_other_bins_are_refused() -> None:
    """Both sides must have a count per bin."""
    with pytest.raises(ValueError, match="4 bins"):
        Pair(CategoricalBins(("a", "b")), np.array([1, 2, 3, 4]), np.array([1, 2, 3]))


def test_drift_is_judged_against_chance_and_effect() -> None:
    """A value counts as drift only above the critical value and above the effect that matters."""
    drift = Drift("psi", 0.15, 0.02, 0.11, 200, 1000, 5)
    assert drift.excess == pytest.approx(0.13)
    assert drift.exceeds(0.1)
    assert not drift.exceeds(0.2)
    assert not Drift("psi", 0.10, 0.02, 0.11, 200, 1000, 5).exceeds(0.05)
    assert Drift("psi", 0.01, 0.02, 0.11, 200, 1000, 5).excess == 0.0
