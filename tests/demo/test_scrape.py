"""Series and histograms: selected, summed, subtracted, and read as quantiles."""

import math
from pathlib import Path

import pytest

from exporter.demo.scrape import buckets, increase, parse, quantile, sums

EXPOSITION = (Path(__file__).parent / "exposition.txt").read_text(encoding="utf-8")


def test_series_are_selected_and_summed_by_label() -> None:
    """Series that hold the wanted labels are chosen, and summed by the values of one label."""
    snapshot = parse(EXPOSITION, at=1.0)
    chosen = snapshot.select("model_request_errors_total", {"operation": "predict"})
    assert sums(chosen, "error_type") == {"5xx": 5.0, "reset": 2.0, "timeout": 0.0}
    assert snapshot.total("model_requests_in_flight") == 3.0


def test_an_absent_family_is_none_not_zero() -> None:
    """A family that the scrape does not hold gives None, and empty buckets."""
    snapshot = parse("", at=1.0)
    assert snapshot.total("model_queue_length") is None
    assert buckets(snapshot.select("model_prediction_value_bucket")) == {}


def test_what_is_no_exposition_raises() -> None:
    """Text in another format raises ValueError."""
    with pytest.raises(ValueError):
        parse("<html>\n", at=1.0)


def test_increase_counts_a_new_bucket_from_zero() -> None:
    """A bucket that the older scrape did not hold counts in full; one that fell counts 0."""
    assert increase({1.0: 5.0, 2.0: 7.0, 3.0: 1.0}, {1.0: 2.0, 3.0: 4.0}) == {1.0: 3.0, 2.0: 7.0, 3.0: 0.0}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 0.006), (0.4, 0.005), (0.9, 0.01), (0.99, 0.01 + 0.24 * 0.9), (0.0, 0.0)]
)
def test_quantile_is_linear_within_a_bucket(share: float, expected: float) -> None:
    """Quantiles are interpolated as PromQL's histogram_quantile does."""
    cumulative = {0.005: 40.0, 0.01: 90.0, 0.25: 100.0, math.inf: 100.0}
    assert quantile(share, cumulative) == pytest.approx(expected)


def test_quantile_beyond_the_last_bound_is_that_bound() -> None:
    """The unbounded bucket's quantile is the highest bound; an empty histogram has none."""
    assert quantile(0.99, {1.0: 1.0, math.inf: 10.0}) == 1.0
    assert quantile(0.5, {1.0: 0.0, math.inf: 0.0}) is None
    assert quantile(0.5, {}) is None
