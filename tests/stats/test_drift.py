"""Thresholds that depend on n, and the frame of comparisons."""

import numpy as np
import pytest

from exporter.stats.bins import CategoricalBins, NumericBins
from exporter.stats.drift import Drift, Pair


def test_only_occupied_bins_take_part() -> None:
    """Bins that are empty on both sides are left out, on one side are kept."""
    bins = NumericBins((0.0, 1.0))
    counts = Pair(bins, np.array([3, 0, 1, 0, 0]), np.array([0, 0, 2, 0, 4])).table().every
    assert counts.occupied.tolist() == [[True, False, True, False, True]]
    assert counts.smooth[1][0, 1] == 0.0
    assert counts.smooth[1].sum() == pytest.approx(1.0)


def test_counts_over_other_bins_are_refused() -> None:
    """Both sides, and sums where there are any, must have one per bin."""
    bins, four = CategoricalBins(("a", "b")), np.array([1, 2, 3, 4])
    with pytest.raises(ValueError, match="4 bins"):
        Pair(bins, four, np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="4, 4, 2"):
        Pair(bins, four, four, None, np.zeros(2))


def drift(value: float, level: float | None = None) -> Drift:
    return Drift("psi", value, 0.02, 0.11, 200, 1000, 5, 200.0, None, level)


def test_drift_is_judged_against_all_yardsticks_and_effect() -> None:
    """Drifted is what is above the critical value, above the reference's own level if known, and above the effect."""
    assert drift(0.15).excess == pytest.approx(0.13)
    assert drift(0.01).excess == 0.0
    assert drift(0.15).exceeds(0.1)
    assert not drift(0.15).exceeds(0.2)
    assert not drift(0.10).exceeds(0.05)
    assert not drift(0.15, level=0.16).exceeds(0.1)
    assert drift(0.15, level=0.14).exceeds(0.1)
