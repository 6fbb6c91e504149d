"""Location: shifts of mean and median with their chance, and modes."""

import numpy as np
import pytest

from exporter.stats.bins import CategoricalBins, FloatArray, NumericBins, fine_bins
from exporter.stats.location import Known, Shift, densities, mean_shift, median_shift, mode, peaks
from exporter.stats.moments import Summary, moments_of, summarize

REFERENCE = Known(10.0, 10.0, 2.0, 5000)


def summary(values: FloatArray) -> Summary:
    block, _ = moments_of(values, np.array([len(values)]))
    return summarize(fine_bins(), fine_bins().count(values), block[:, 0])


def test_shifts_are_in_deviations_of_the_reference() -> None:
    """A move by half a deviation is found by both with 500 rows; not with an effect above it."""
    live = summary(np.random.default_rng(1).normal(11.0, 2.0, 500))
    for measure in (mean_shift, median_shift):
        found = measure(live, REFERENCE)
        assert found is not None
        assert found.value == pytest.approx(0.5, abs=0.15)
        assert found.exceeds(0.1)
        assert not found.exceeds(0.9)
        assert not measure(live, REFERENCE, 5.0).exceeds(0.1)  # type: ignore[union-attr]


def test_false_alarms_of_the_mean() -> None:
    """Over 2,000 windows without drift about two exceed the critical value."""
    rng = np.random.default_rng(2)
    found = [mean_shift(summary(rng.normal(10.0, 2.0, 100)), REFERENCE) for _ in range(2000)]
    assert sum(one is not None and one.exceeds(0.0) for one in found) <= 9


def test_without_rows_or_deviation_there_is_none() -> None:
    """Too few rows and a constant reference have no shift, never NaN."""
    live = summary(np.arange(20.0))
    for one, reference, rows in (
        (summary(np.arange(4.0)), REFERENCE, None),
        (live, Known(10.0, 10.0, 0.0, 5000), None),
        (live, REFERENCE, 4.0),
        (Summary(5, 5, 0), REFERENCE, None),
    ):
        assert mean_shift(one, reference, rows) is None
        assert median_shift(one, reference, rows) is None
    assert Shift(-0.5, 0.1, 9).exceeds(0.2)


def test_modes_are_where_rows_are_dense() -> None:
    """Equally full bins have their mode where they are narrow; categories and values where they are many."""
    values = np.concatenate(
        (np.random.default_rng(3).normal(0, 1, 5000), np.random.default_rng(4).normal(9, 1, 4000))
    )
    bins = NumericBins(tuple(np.quantile(values, np.arange(1, 20) / 20).tolist()))
    counts = bins.count(values)
    found = densities(bins, counts, (float(values.min()), float(values.max())))
    place = mode(found)
    assert place is not None
    assert abs(bins.edges[place]) < 1.0
    assert peaks(found) == 2
    assert mode(densities(CategoricalBins(("a", "b")), np.array([1, 7, 2, 99]))) == 1
    assert mode(densities(NumericBins((0.0, 1.0), discrete=True), np.array([0, 5, 2, 9, 9]))) == 1


@pytest.mark.parametrize(
    ("density", "expected"),
    [
        ([0, 0], 0),
        ([5], 1),
        ([1, 1, 1], 1),
        ([9, 1, 1, 1, 9], 2),
        ([0, 9, 0, 0, 0, 9, 9, 9], 2),
        ([1, 2, 3, 4], 1),
    ],
)
def test_peaks(density: list[int], expected: int) -> None:
    """Ends and plateaus count once, nothing has none."""
    assert peaks(np.array(density, np.float64)) == expected
    assert (mode(np.array(density, np.float64)) is None) == (expected == 0)
