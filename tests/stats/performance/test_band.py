"""Bands: what is outside, and on which side."""

import numpy as np
import pytest

from exporter.stats.performance.band import Band, bands_of
from exporter.stats.performance.figures import Basis, Figure

BAND = Band("accuracy", "", 86_400, 10, 0.8, 0.02)


def _figure(name: str, low: float, high: float, rows: int = 1000) -> Figure:
    return Figure(name, (low + high) / 2, low, high, 0.01, Basis(rows, rows))


@pytest.mark.parametrize(
    ("low", "high", "rows", "expected"),
    [
        (0.78, 0.82, 1000, "inside"),
        (0.70, 0.75, 1000, "inside"),  # reaches into the band
        (0.70, 0.73, 1000, "worse"),
        (0.90, 0.95, 1000, "better"),
        (0.70, 0.73, 199, "insufficient"),
    ],
)
def test_only_a_whole_interval_is_outside(low: float, high: float, rows: int, expected: str) -> None:
    """Band .74 to .86."""
    assert (BAND.low, BAND.high) == pytest.approx((0.74, 0.86))
    assert BAND.judge(_figure("accuracy", low, high, rows)) == expected


def test_losses_are_worse_above() -> None:
    """And bias has no better side."""
    mse, bias = Band("mse", "", 60, 9, 1.0, 0.1), Band("bias", "", 60, 9, 0.0, 0.1)
    assert [mse.judge(_figure("mse", *pair)) for pair in ((2.0, 3.0), (0.1, 0.2))] == ["worse", "better"]
    assert [bias.judge(_figure("bias", *pair)) for pair in ((1.0, 2.0), (-2.0, -1.0))] == ["worse", "worse"]
    with pytest.raises(ValueError, match="a band of mse"):
        mse.judge(_figure("mae", 1.0, 2.0))


def test_a_band_needs_eight_periods() -> None:
    """Mean and deviation (ddof 1) of what the periods have; seven are too few."""
    values = np.random.default_rng(1).normal(size=8)
    periods = [{("accuracy", ""): float(value), ("recall", "a"): 1.0} for value in values]
    del periods[0]["recall", "a"]
    (band,) = bands_of(periods, 60)
    assert (band.figure, band.of, band.seconds, band.periods) == ("accuracy", "", 60, 8)
    assert (band.mean, band.std) == pytest.approx((values.mean(), values.std(ddof=1)))
