"""Location: shifts of mean and median with their chance, and modes."""

import numpy as np
import pytest

from exporter.stats.bins import CategoricalBins, FloatArray, NumericBins, fine_bins
from exporter.stats.location import Known, Shift, densities, mean_shift, median_shift, mode_shift, peaks
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
    place = int(found.argmax())
    assert abs(bins.edges[place]) < 1.0
    assert peaks(found) == 2
    assert densities(CategoricalBins(("a", "b")), np.array([1, 7, 2, 99])).tolist() == [1, 7, 2]
    assert densities(NumericBins((0.0, 1.0), discrete=True), np.array([0, 5, 2, 9, 9])).tolist() == [0, 5, 2]
    assert peaks(np.zeros(3)) == 0


def test_a_mode_moves_only_beyond_chance() -> None:
    """From one of two peaks to the other it does, by their distance; without drift it never leaves its place."""
    rng = np.random.default_rng(5)

    def drawn(share: float, rows: int) -> FloatArray:
        return np.where(rng.random(rows) < share, rng.normal(0.0, 1.0, rows), rng.normal(8.0, 1.0, rows))

    values = drawn(0.55, 20_000)
    bins = NumericBins(tuple(np.quantile(values, np.arange(1, 20) / 20).tolist()))
    ends, std = (float(values.min()), float(values.max())), float(values.std())

    def moved(share: float, rows: int, effective: float = 1e9) -> float | None:
        found = mode_shift(bins, (bins.count(values), bins.count(drawn(share, rows))), effective, ends, std)
        return None if found is None else found.value

    assert moved(0.1, 2000) == pytest.approx(8.0 / std, abs=0.5)
    assert all(moved(0.55, 400) == 0.0 for _ in range(300))
    assert moved(0.1, 2000, 60.0) == 0.0
    assert moved(0.1, 40) is moved(0.1, 2000, 40.0) is None
    discrete = NumericBins((-0.5, 0.0, 1.0), discrete=True)
    counts = np.array([0, 900, 100, 0, 0, 0]), np.array([0, 100, 900, 0, 0, 0])
    one = mode_shift(discrete, counts, 1000.0, (0.0, 1.0), 0.5)
    assert one is not None
    assert one.value == 2.0


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
