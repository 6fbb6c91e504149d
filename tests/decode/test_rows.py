"""Bodies of rows: which field holds them, how many there are, and their bounds."""

from typing import Any

import pytest

from exporter.decode.columns import MAX_COLUMNS
from exporter.decode.rows import either, named_columns, paired, row_table
from exporter.records.observation import Undecodable


@pytest.mark.parametrize(
    ("fields", "found"),
    [({"a": 1}, 1), ({"b": 0}, 0), ({"a": None, "b": []}, []), ({"a": False, "b": None}, False)],
)
def test_either(fields: dict[str, Any], found: Any) -> None:
    """The field that is there; null is not there, but empty values are."""
    assert either(fields, "a", "b") is found or either(fields, "a", "b") == found


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({}, "missing_field"), ({"a": None}, "missing_field"), ({"a": 0, "b": ""}, "ambiguous_field")],
)
def test_neither_or_both(fields: dict[str, Any], reason: str) -> None:
    """None of the two, and both of them, are refused."""
    with pytest.raises(Undecodable, match=reason):
        either(fields, "a", "b")


@pytest.mark.parametrize(
    ("value", "rows", "names"),
    [
        ([], 0, []),
        ([1, 2], 2, ["input"]),
        ([[1, 2]], 1, ["input_0", "input_1"]),
        (7, 1, ["input"]),
        ({"a": 1, "b": "x"}, 1, ["a", "b"]),
        ({"a": [1, 2], "b": [3, 4]}, 2, ["a", "b"]),
        ({"a": [1, 2], "b": 3}, 1, ["a_0", "a_1", "b"]),
    ],
)
def test_row_table(value: Any, rows: int, names: list[str]) -> None:
    """A list holds rows, anything else is one; an object of lists alone holds columns."""
    found, columns = row_table(value, "input")
    assert (found, [column.name for column in columns]) == (rows, names)


def test_columns_of_unequal_length_and_none() -> None:
    """Columns without rows in common, and no columns, are refused; two tables too."""
    for value, reason in (({"a": [1], "b": [1, 2]}, "rows_differ"), ({}, "missing_field")):
        with pytest.raises(Undecodable, match=reason):
            row_table(value, "input")
    with pytest.raises(Undecodable, match="rows_differ"):
        paired("p", (1, ()), (2, ()))


def test_names_are_bounded() -> None:
    """More named columns than the bound are refused before any is made; so is a name that is empty."""
    with pytest.raises(Undecodable, match="too_many_columns"):
        named_columns({str(index): [1] for index in range(MAX_COLUMNS + 1)}, "input")
    with pytest.raises(Undecodable, match="bad_name"):
        named_columns({"": [1]}, "input")
