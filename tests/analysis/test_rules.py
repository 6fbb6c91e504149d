"""rules.py: rules judged on batches, against plain loops; what data does not fit, and what fails."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis import rules as module
from exporter.analysis.known import Known
from exporter.analysis.report import counters
from exporter.analysis.rules import MAX_TEXTS, Rules
from exporter.analysis.series import Key, Series
from exporter.records.observation import Column, Observation
from exporter.records.rule import parse
from tests.analysis.test_quality import cells
from tests.analysis.world import NOW, found


def observed(inputs: dict[str, list[Any]], outputs: dict[str, list[Any]] | None = None) -> Observation:
    sides = [tuple(cells(name, values) for name, values in side.items()) for side in (inputs, outputs or {})]
    rows = max(len(column.values) for side in sides for column in side)
    return Observation("kserve_v1", rows, *sides)


def judged(
    rule: dict[str, Any], *batches: list[Observation], missing: tuple[str, ...] = ()
) -> tuple[int, int]:
    """(checked, broken) of one rule."""
    made = Rules(parse([{"name": "r", **rule}]), missing)
    for batch in batches:
        made.update(batch, NOW)
    (state,) = made.states()
    assert state.failures == 0
    return state.checked, state.broken


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"range": [0, 10]}, [-1.0, 0.0, 10.0, 10.5, math.inf], (5, 3)),
        ({"range": [None, 10]}, [-math.inf, 11.0, None, math.nan], (2, 1)),
        ({"range": [0, 10]}, ["5", "11", "old", "1_0", "nan", None], (5, 4)),
        ({"set": ["1", "b", "true"]}, [1.0, 2.0, None], (2, 1)),
        ({"set": ["1", "b", "true"]}, ["1.0", " b ", "True", "c", ""], (5, 2)),
        ({"regex": "[A-Z]{3}"}, ["ABC", "ABCD", "abc", "", None], (4, 3)),
        ({"regex": "\\d+"}, [12.0, 1.5, -1.0], (3, 2)),
        ({"regex": ".*"}, ["a" * 256, "a" * 257], (2, 1)),
        ({"length": [2, 3]}, ["a", "ab", "äöü", "abcd"], (4, 2)),
        ({"length": [1, None]}, ["", "a"], (2, 1)),
        ({"date": "iso"}, ["2024-02-29", "2023-02-29", "2024-01-01T00:00:00Z", "x"], (4, 2)),
        ({"date": "%d.%m.%Y"}, ["29.02.2024", "2024-02-29", "1" * 65], (3, 2)),
        ({"not_null": True}, [1.0, None, math.nan], (3, 2)),
        ({"not_null": True}, ["a", None, "", " "], (4, 3)),
        ({"unique": True}, ["a", "b", "a", "a", None, None], (4, 2)),
        ({"unique": True}, [1.0, 1.0, None], (2, 1)),
    ],
)
def test_rules_of_one_column(rule: dict[str, Any], values: list[Any], expected: tuple[int, int]) -> None:
    """On inputs and on outputs; a missing value is judged by not_null alone."""
    assert judged({"column": "x", **rule}, [observed({"x": values})]) == expected
    output = {"column": "x", "side": "output", **rule}
    assert judged(output, [observed({"a": [1.0] * len(values)}, {"x": values})]) == expected
    assert judged(output, [observed({"x": values})])[0] == (len(values) if "not_null" in rule else 0)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("a <= b", (4, 1)),
        ("a < b < output.y", (4, 2)),
        ("output.y == a + b", (4, 1)),
        ("not a > b", (4, 1)),
        ("a <= b or t == 'x'", (4, 1)),
        ("a <= b and t != 'x'", (4, 3)),
        ("-a < 0 and b % 2 == 0", (4, 2)),
        ("b / (a - 1) < 100", (4, 1)),
        ("t < 'y'", (5, 3)),
        ("t < 1", (0, 0)),
        ("t + 1 < 2", (0, 0)),
        ("a < missing", (0, 0)),
    ],
)
def test_checks_over_columns(check: str, expected: tuple[int, int]) -> None:
    """Of rows that have all the values; where numbers meet texts nothing is judged, and the rule stays on."""
    inputs = {"a": [1.0, 2.0, 3.0, 4.0, None], "b": [2.0, 4.0, 3.0, 1.0, 1.0], "t": ["x", "y", "x", "y", "z"]}
    assert judged({"check": check}, [observed(inputs, {"y": [3.0, 6.0, 6.0, 6.0, 6.0]})]) == expected


NUMBERS = st.floats() | st.integers(-3, 3).map(float) | st.none()


@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6), max_size=5))
def test_batches_of_any_cut_are_a_plain_loop(exchanges: list[list[tuple[Any, Any]]]) -> None:
    """Rows of many exchanges together, with nulls and NaN: whatever the batch, the same counts."""
    observations = [observed({"a": [a for a, _ in rows], "b": [b for _, b in rows]}) for rows in exchanges]
    whole = [
        (a, b)
        for rows in exchanges
        for a, b in rows
        if a is not None and b is not None and not math.isnan(a) and not math.isnan(b)
    ]
    expected = len(whole), sum(not (a <= b and a - b < 2.0) for a, b in whole)
    rule = {"check": "a <= b and a - b < 2"}
    assert judged(rule, observations) == expected
    assert judged(rule, *[[one] for one in observations]) == expected


def test_a_column_that_is_not_there_breaks_not_null() -> None:
    """By the rows of its exchange; a declared value is missing too, in inputs."""
    batch = [observed({"y": [1.0, 2.0]}), observed({"x": [-999.0, 1.0]})]
    assert judged({"column": "x", "not_null": True}, batch, missing=("-999",)) == (4, 3)
    assert judged({"column": "x", "range": [0, 1]}, batch, missing=("-999",)) == (1, 0)


def test_hostile_payloads_are_judged_or_left() -> None:
    """Vectors, unequal lengths, a million rows, more texts than are read: no error, and bounded work."""
    vector = Observation("x", 1, (Column("x", "vector", np.zeros((1, 70))),), ())
    assert judged({"column": "x", "range": [0, 1]}, [vector]) == (0, 0)
    assert judged({"check": "x < y"}, [observed({"x": [1.0], "y": [1.0, 2.0]})]) == (0, 0)
    many = Observation("x", 10**6, (Column("x", "numeric", np.arange(1e6)),), ())
    assert judged({"column": "x", "range": [0, 9]}, [many]) == (10**6, 10**6 - 10)
    assert judged({"column": "x", "regex": "\\d"}, [many]) == (MAX_TEXTS, MAX_TEXTS - 10)


def test_a_rule_that_fails_is_switched_off_counted_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others go on."""

    def broken(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(module, "truth", broken)
    made = Rules(parse([{"name": "bad", "check": "x < 1"}, {"name": "good", "column": "x", "range": [0, 1]}]))
    for _ in range(3):
        made.update([observed({"x": [5.0]})], NOW)
    assert [(one.checked, one.broken, one.failures) for one in made.states()] == [(0, 0, 1), (3, 3, 0)]
    assert [record.getMessage() for record in caplog.records] == ["rule bad failed and is switched off"]


def test_what_rules_count_is_exported() -> None:
    """Under the rule's name, of its column and side, from 0 on; ids and times can have rules although no features."""
    rules = parse(
        [
            {"name": "age_range", "column": "age", "range": [0, 120]},
            {"name": "id_form", "column": "id", "regex": "[0-9]+"},
            {"name": "score_range", "column": "y", "side": "output", "range": [0, 1]},
            {"name": "order", "check": "age < 10 * output.y"},
        ]
    )
    made = Series(Key("m", "1", "x", "none"), None, Known(rules=rules, id_columns=("id",)), NOW)

    def exported(family: str) -> dict[str, Any]:
        samples = found(counters([made.state()]), family)
        return {labels[-2]: (labels[2:-2], n) for labels, n in samples.items()}

    assert exported("model.rules.checked")["order"][1] == 0
    made.add(observed({"age": [130.0, 5.0], "id": ["7", "x"]}, {"y": [2.0, 0.6]}))
    made.flush(NOW)
    broken = exported("model.data.violations")
    assert broken["age_range"] == (("", "age"), 1)
    assert broken["id_form"] == (("", "id"), 1)
    assert broken["score_range"] == (("y", ""), 1)
    assert broken["order"] == (("", ""), 1)
    assert {name: n for name, (_, n) in exported("model.rules.checked").items()} == dict.fromkeys(
        broken.keys() & {rule.name for rule in rules}, 2
    )
    assert {n for _, n in exported("model.rules.failures").values()} == {0}
