"""Readings: what a JSON value may be as a table, and how two bodies settle it."""

from typing import Any

import pytest

from exporter.decode.columns import MAX_COLUMNS
from exporter.decode.readings import agree, as_fields, as_rows, readings
from exporter.records.observation import Undecodable


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        ([1, 2, None], [3, 1]),
        ([1], [1]),
        ([], [0]),
        (["a", "b"], [2]),
        ([[1], [2]], [2]),
        ([{"a": 1}, {"a": 2}], [2]),
        ({"a": [1, 2], "b": [3, 4]}, [2, 1]),
        ({"a": [1], "b": [3]}, [1]),
        ({"a": [1, 2], "b": [3]}, [1]),
        ({"a": [1, 2], "b": 3}, [1]),
        ({"a": []}, [0, 1]),
        ({}, [1]),
        (5, [1]),
        ("a", [1]),
        (False, [1]),
    ],
)
def test_how_a_value_can_be_read(value: Any, counts: list[int]) -> None:
    """Flat numbers are rows or one row, lists in fields columns or one row; everything else is certain."""
    assert [reading.rows for reading in readings("x", value, "input")] == counts


@pytest.mark.parametrize(("value", "reason"), [(None, "missing_field"), (object(), "wrong_type")])
def test_no_table(value: Any, reason: str) -> None:
    """Null is nothing; what no parser gives is refused."""
    with pytest.raises(Undecodable, match=reason):
        readings("x", value, "input")


def names(columns: list[Any]) -> list[tuple[str, list[Any]]]:
    return [(column.name, column.values.tolist()) for column in columns]


def test_the_other_side_decides() -> None:
    """Four numbers are one row beside one answer, and four rows beside four."""
    four = readings("x", [1.5, 2.5, 3.5, 4.5], "input")
    rows, (inputs, outputs) = agree(four, readings("y", ["a"], "output"))
    assert (rows, names(outputs)) == (1, [("y", ["a"])])
    assert names(inputs) == [("x_0", [1.5]), ("x_1", [2.5]), ("x_2", [3.5]), ("x_3", [4.5])]
    rows, (inputs, _) = agree(four, readings("y", [[0], [1], [2], [3]], "output"))
    assert (rows, names(inputs)) == (4, [("x", [1.5, 2.5, 3.5, 4.5])])


def test_fields_are_columns_or_one_row() -> None:
    """An object of lists has a column per field, or is one row with vectors."""
    fields = readings("x", {"a": [1.5, 2.5]}, "input")
    assert names(agree(fields, readings("y", ["p", "q"], "output"))[1][0]) == [("a", [1.5, 2.5])]
    assert names(agree(fields, readings("y", "p", "output"))[1][0]) == [("a_0", [1.5]), ("a_1", [2.5])]


def test_nothing_is_claimed_without_agreement() -> None:
    """No common number of rows, and two of them, are reasons."""
    flat = readings("x", [1, 2], "input")
    with pytest.raises(Undecodable, match="rows_differ"):
        agree(flat, readings("y", ["a", "b", "c"], "output"))
    with pytest.raises(Undecodable, match="ambiguous_rows"):
        agree(flat, readings("y", [0.5, 0.5], "output"))


def test_a_side_alone_is_read_the_only_way() -> None:
    """One side with one reading needs no other; empty tables have no columns."""
    assert agree([as_rows("x", [], "input")]) == (0, ([],))
    rows, (columns,) = agree([as_fields({"a": [], "b": []}, "input")])
    assert (rows, columns) == (0, [])


def test_fields_are_bounded() -> None:
    """Too many fields, and one without a name, are refused before any work."""
    with pytest.raises(Undecodable, match="too_many_columns"):
        as_fields({str(index): [1] for index in range(MAX_COLUMNS + 1)}, "input").columns()
    with pytest.raises(Undecodable, match="bad_name"):
        as_fields({"": [1]}, "input").columns()
