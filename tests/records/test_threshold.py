"""Thresholds as owners write them: everything that is wrong is told at once."""

from typing import Any

import pytest

from exporter.records.problems import Problems
from exporter.records.threshold import MAX_THRESHOLDS, Threshold, parse


def test_forms() -> None:
    """Numbers may be texts, as a YAML file that is read as it is written has them."""
    listed = [
        {"name": "review", "value": "0.5"},
        {"name": "block", "value": 0.9, "band": 0, "output": "proba", "class": 1, "model": "fraud-*"},
        {"name": "block", "value": 7},
    ]
    assert parse(listed) == (
        Threshold("review", 0.5, 0.05),
        Threshold("block", 0.9, 0.0, "proba", "1", "fraud-*"),
        Threshold("block", 7.0, 0.05),
    )


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (3, "[0]: 3, expected a mapping"),
        ({"value": 1}, "[0].name: None, expected a-z, 0-9 and _, at most 64"),
        ({"name": "A", "value": 1}, "[0].name: 'A', expected a-z, 0-9 and _, at most 64"),
        ({"name": "a"}, "[0].value: None, expected a number up to 1e+300"),
        ({"name": "a", "value": "nan"}, "[0].value: 'nan', expected a number up to 1e+300"),
        (
            {"name": "a", "value": 1, "band": -0.1},
            "[0].band: -0.1, expected a number from 0 to 1e+300",
        ),
        (
            {"name": "a", "value": 1, "output": ["x"]},
            "[0].output: ['x'], expected a text of at most 128 characters",
        ),
        (
            {"name": "a", "value": 1, "delta": 2},
            "[0].delta: unknown key, expected one of name, value, band, output, class, model",
        ),
    ],
)
def test_bad_input(one: Any, problem: str) -> None:
    """One line for each mistake, with place, value and what was expected."""
    with pytest.raises(Problems) as caught:
        parse([one])
    assert caught.value.problems == (problem,)


def test_all_problems_at_once() -> None:
    """Too many, and the same name twice, beside what is wrong with each."""
    listed: list[Any] = [{"name": f"t{number}", "value": 1} for number in range(MAX_THRESHOLDS)]
    with pytest.raises(Problems) as caught:
        parse([*listed, {"name": "t0", "value": 2}, {"name": "x", "value": ""}])
    assert caught.value.problems == (
        ": 18 thresholds, expected at most 16",
        "[16].name: 't0', expected another name for each threshold",
        "[17].value: '', expected a number up to 1e+300",
    )
