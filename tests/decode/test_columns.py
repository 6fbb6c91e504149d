"""Columns: canonical categories, kinds, names, shapes and bounds."""

import base64
import math
from typing import Any

import numpy as np
import pytest

from exporter.decode.columns import (
    MAX_COLUMNS,
    MAX_DEPTH,
    MAX_VECTOR,
    canonical,
    checked,
    flatten,
    numeric_columns,
    positional,
    row_columns,
    scalar_columns,
    table_columns,
)
from exporter.records.observation import Column, Undecodable

# A PNG of 3 x 2 pixels as far as its header tells.
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0dIHDR" + b"\0\0\0\3\0\0\0\2" + bytes(32)


@pytest.mark.parametrize(
    ("value", "category"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (" 1\n", "1"),
        (-0.0, "0"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
        (math.nan, "<nan>"),
        (None, None),
        ("x" * 1000, "x" * 1000),
        (10**1000, str(10**1000)),
    ],
)
def test_canonical(value: Any, category: str | None) -> None:
    """Equal values are one category however they are written."""
    assert canonical(value) == category


def test_positional_names_are_bounded_and_distinct() -> None:
    """Names of a table's columns fit into 128 characters and stay distinct."""
    names = positional("n" * 500, 64)
    assert len(set(names)) == 64
    assert max(map(len, names)) <= 128
    assert positional("y", 1) == ("y",)


@pytest.mark.parametrize(
    ("values", "role", "kind"),
    [
        ([1, 2], "input", "numeric"),
        ([1, 2], "output", "categorical"),
        ([1, 2.5], "output", "numeric"),
        ([True, False], "input", "categorical"),
        ([True, 2], "input", "numeric"),
        ([True, 2], "output", "categorical"),
        ([1, "a"], "input", "categorical"),
        ([None, None], "output", "numeric"),
        ([None, "a"], "output", "categorical"),
    ],
)
def test_kind(values: list[Any], role: Any, kind: str) -> None:
    """The kind of an undeclared column follows from the types in it and from its role."""
    (column,) = scalar_columns(("x",), values, role)
    assert column.kind == kind
    assert column.nulls == values.count(None)


def test_columns_of_one_table_differ_in_kind() -> None:
    """A label beside its probability: each column of the table has its own kind."""
    label, probability = scalar_columns(("l", "p"), [1, 0.9, 0, 0.8], "output")
    assert (label.kind, probability.kind) == ("categorical", "numeric")
    assert label.values.tolist() == ["1", "0"]
    assert probability.values.tolist() == [0.9, 0.8]


def test_nulls_and_nan_are_told_apart() -> None:
    """A null is NaN and counted in `nulls`; a NaN is NaN and not counted."""
    (column,) = numeric_columns(("x",), [None, math.nan, 1.0])
    assert column.nulls == 1
    assert np.isnan(column.values).tolist() == [True, True, False]


def test_flatten() -> None:
    """Even nested lists give their leaves row-major; ragged ones and objects give None."""
    assert flatten([[1, 2], [3, 4]]) == [1, 2, 3, 4]
    assert flatten([[1, 2], [3]]) is None
    assert flatten([1, [2]]) is None
    assert flatten([[{}]]) is None
    assert flatten([]) == []


def nested(depth: int) -> list[Any]:
    value: list[Any] = [1.0]
    for _ in range(depth - 1):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    """Nesting up to the bound is read, one level more is refused."""
    assert flatten(nested(MAX_DEPTH - 1)) == [1.0]
    with pytest.raises(Undecodable, match="too_deep"):
        flatten(nested(MAX_DEPTH + 1))


def test_vector_limit() -> None:
    """A row of MAX_VECTOR values has that many columns; one value more makes it a vector."""
    assert len(row_columns("x", [[0.5] * MAX_VECTOR], "input")) == MAX_VECTOR
    (vector,) = row_columns("x", [[0.5] * (MAX_VECTOR + 1)] * 2, "input")
    assert (vector.name, vector.kind, vector.values.shape) == ("x", "vector", (2, MAX_VECTOR + 1))


def test_vectors_have_null_rows_and_null_places() -> None:
    """A row that is null is NaN throughout and counted; a null within a row is NaN and not counted."""
    (vector,) = row_columns("x", [[1] * 70, None, [None, True] * 35], "input")
    assert vector.nulls == 1
    assert np.isnan(vector.values).sum(axis=1).tolist() == [0, 70, 35]
    assert vector.values[2, 1] == 1.0


@pytest.mark.parametrize(
    "rows",
    [[[1.0] * 70, [1.0] * 71], [["a"] * 70], [[{}] * 70], [[1.0] * 70, []]],
)
def test_wide_rows_that_are_no_vectors(rows: list[Any]) -> None:
    """Wide rows that differ in length, or hold texts, give no column."""
    assert row_columns("x", rows, "input") == []


def test_absent_keys_are_told_from_nulls() -> None:
    """A key that a row does not write is a null and absent; a key that is written as null is a null only."""
    rows: list[Any] = [{"a": 1, "b": None, "c": [1, 2], "d": {"e": 1}}, {"b": 2}, None, {"a": 3, "d": {}}]
    found = {column.name: (column.nulls, column.absent) for column in row_columns("input", rows, "input")}
    assert found == {"a": (2, 2), "b": (3, 2), "c_0": (3, 3), "c_1": (3, 3), "d.e": (3, 3)}


def test_images_in_texts_stand_in_place_of_them() -> None:
    """A column of base64 images gives their aspects, beside columns that have absent keys or other kinds."""
    image = base64.b64encode(PNG).decode()
    rows = [{"id": 1.5, "data": image, "tag": "a"}, {"data": image, "tag": "b"}]
    found = {column.name: column for column in row_columns("input", rows, "input")}
    assert set(found) >= {"id", "data:format", "data:width", "data:height", "data:bytes", "tag"}
    assert found["data:format"].values.tolist() == ["png", "png"]
    assert (found["id"].nulls, found["id"].absent) == (1, 1)
    assert "data" not in found


def test_column_limit() -> None:
    """MAX_COLUMNS columns are taken, one more is refused, and so is a name that occurs twice."""
    one = np.zeros(1)
    columns = [Column(str(index), "numeric", one) for index in range(MAX_COLUMNS + 1)]
    assert len(checked(columns[:-1])) == MAX_COLUMNS
    with pytest.raises(Undecodable, match="too_many_columns"):
        checked(columns)
    with pytest.raises(Undecodable, match="duplicate_column"):
        checked([columns[0], columns[0]])


def test_long_keys_are_cut() -> None:
    """A key over 128 characters names its column by its first 128."""
    (column,) = row_columns("input", [{"k" * 200: 1}], "input")
    assert column.name == "k" * 128


def test_dense_numbers_are_converted_as_one_table() -> None:
    """All columns of a dense numeric table are views of one array: no cell is touched in Python."""
    columns = row_columns("x", [[float(row), 2.0] for row in range(50)], "input")
    assert columns[0].values.base is columns[1].values.base is not None
    assert columns[0].values.tolist() == list(range(50))


@pytest.mark.parametrize("rows", [[["a", None]], [{"x_0": "a", "x_1": None}], [["a", None], ["b", None]]])
def test_nulls_alone_are_numeric_among_texts(rows: list[Any]) -> None:
    """A column of nulls alone has one kind, whatever stands beside it and whether rows are lists or objects."""
    text, nothing = row_columns("x", rows, "input")
    assert (text.kind, nothing.kind, nothing.nulls) == ("categorical", "numeric", len(rows))


def test_columns_of_mixed_rows_keep_their_order() -> None:
    """Columns of one kind are converted together, and stand where the payload has them."""
    row = {"a": 1.5, "b": "x", "c": True, "d": 2, "e": None, "f": " y"}
    columns = row_columns("input", [row, row | {"b": None, "d": None}], "input")
    assert [(column.name, column.kind, column.nulls) for column in columns] == [
        ("a", "numeric", 0),
        ("b", "categorical", 1),
        ("c", "categorical", 0),
        ("d", "numeric", 1),
        ("e", "numeric", 2),
        ("f", "categorical", 0),
    ]
    assert [column.values.tolist()[0] for column in columns[:4]] == [1.5, "x", "true", 2.0]
    assert columns[5].values.tolist() == ["y", "y"]


def test_rows_of_objects_in_any_order_of_keys() -> None:
    """The key, not its place, says which column a value belongs to."""
    columns = row_columns("input", [{"a": 1, "b": 2}, {"b": 4, "a": 3}, {"b": 6}], "input")
    assert [(column.name, column.values.tolist()[:2], column.nulls) for column in columns] == [
        ("a", [1.0, 3.0], 1),
        ("b", [2.0, 4.0], 0),
    ]


def test_table_columns_copy_nothing() -> None:
    """A row-major table becomes columns that are views of it, in rows and alone."""
    for shape in ((1, 3), (4, 3), (4, 1), (0, 3)):
        table = np.arange(shape[0] * shape[1], dtype=np.float32)
        columns = table_columns(tuple("abc"[: shape[1]]), table)
        for at, column in enumerate(columns):
            assert column.values.tolist() == table.reshape(shape)[:, at].tolist()
            assert column.values.dtype == np.float32
            assert not table.size or np.shares_memory(column.values, table)


def test_long_tables_tell_null_from_nan() -> None:
    """Beyond the few values that are asked one by one, nulls are counted all the same."""
    flat = [math.nan, None, 1.0, 2.0] * 50
    assert [column.nulls for column in numeric_columns(("a", "b"), flat)] == [0, 50]
    assert [column.nulls for column in numeric_columns(("a",), flat)] == [50]
