"""Samples."""

import pytest

from exporter.records.sample import Histogram, Sample


def test_a_histogram_counts_what_its_buckets_count() -> None:
    """There is no second count that could disagree."""
    assert Histogram((1.0, 2.0), (1, 2, 3), 7.5).count == 6
    assert Histogram((), (0,), None).count == 0


def test_samples_are_values() -> None:
    """Equal by content, and frozen."""
    assert Sample("model.up", (), 1) == Sample("model.up", (), 1)
    with pytest.raises(AttributeError):
        Sample("model.up", (), 1).value = 2  # type: ignore[misc]
