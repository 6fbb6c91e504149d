"""The view's numbers, from stored scrapes."""

import math

import pytest

from exporter.demo.frame import Expected, bars, drift, expected, frame
from exporter.demo.scrape import parse
from tests.demo.test_scrape import EXPOSITION

LIMITS = {
    "1h": {"value": 0.7, "low": 0.6, "high": 0.8},
    "5m": {"value": 0.9, "low": 0.88, "high": 0.92, "bound": 0.01},
}


def test_a_frame_holds_the_difference_of_two_scrapes() -> None:
    """Rate, quantiles and histogram come from the increase; probes of the model's health are left out."""
    now = frame(parse(EXPOSITION, at=12.0), parse("", at=2.0), "probability")
    assert now.rate == pytest.approx(10.0)
    assert now.p50 == pytest.approx(0.006)
    assert (now.requests, now.in_flight, now.queue) == (100.0, 3.0, 2.0)
    assert now.errors == {"5xx": 5.0, "reset": 2.0}
    assert now.histogram == [(-math.inf, 0.25, 10.0), (0.25, 0.5, 0.0), (0.5, 1.0, 30.0)]


def test_a_frame_of_nothing_is_empty() -> None:
    """Scrapes without any family give a frame in which nothing is known."""
    now = frame(parse("", at=1.0), parse("", at=1.0), "probability")
    assert (now.rate, now.p50, now.requests, now.in_flight, now.queue) == (None,) * 5
    assert (now.errors, now.histogram, now.drift) == ({}, [], [])


def test_drift_is_psi_of_the_shortest_window_outputs_first() -> None:
    """Other windows, other statistics and NaN are left out; outputs come first, then the largest."""
    rows = drift(parse(EXPOSITION, at=1.0))
    assert [(row.column, row.window, row.psi) for row in rows] == [
        ("probability", "5m", 0.2),
        ("MedInc", "5m", 0.3),
        ("HouseAge", "5m", 0.12),
    ]


def test_drift_counts_only_above_effect_and_chance() -> None:
    """A column drifts above 0.1 and the critical value, or else three times the floor."""
    drifting = {row.column: row.drifting for row in drift(parse(EXPOSITION, at=1.0))}
    assert drifting == {"probability": False, "MedInc": True, "HouseAge": False}


def test_the_area_to_expect_is_the_shortest_windows() -> None:
    """With its limits; without any of them nothing is told."""
    head = 'model_expected_performance{{model_name="m",model_version="1",statistic="{}",window="{}",state="{}"}} {}'
    rows = [
        ("auc_roc", window, state, value)
        for window in ("1h", "5m")
        for state, value in LIMITS[window].items()
    ]
    lines = [head.format(*row) for row in (*rows, ("accuracy", "5m", "value", 0.8))]
    whole = "# TYPE model_expected_performance gauge\n{}\n"
    assert expected(parse(whole.format("\n".join(lines)), at=1.0)) == Expected("5m", 0.9, 0.88, 0.92)
    assert expected(parse(whole.format(lines[-1]), at=1.0)) is None
    assert expected(parse("", at=1.0)) is None


def test_bars_are_merged_to_fit() -> None:
    """Many bins become few, empty ones at the ends fall away, and no count is lost."""
    cumulative = {float(bound): float(min(max(bound - 3, 0), 30)) for bound in range(50)}
    merged = bars(cumulative, most=7)
    assert len(merged) <= 7
    assert sum(count for _, _, count in merged) == 30.0
    assert (merged[0][0], merged[-1][1]) == (3.0, 33.0)


def test_drift_leaves_out_the_rows_before_the_version_was_told() -> None:
    """Where a version is known, the same column of version `unknown` is not shown beside it."""
    lines = [
        f'model_drift{{model_name="m",model_version="{version}",output="y",window="5m",statistic="psi"}} {psi}'
        for version, psi in (("unknown", 0.5), ("1", 0.02))
    ]
    text = "# TYPE model_drift gauge\n" + "\n".join(lines) + "\n"
    assert [row.psi for row in drift(parse(text, at=1.0))] == [0.02]
    assert [row.psi for row in drift(parse(lines[0] + "\n", at=1.0))] == [0.5]
