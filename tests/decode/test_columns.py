"""Columns: canonical categories, kinds, names, shapes and bounds."""

import math
from typing import Any

import numpy as np
import pytest

from exporter.decode.columns import (
    MAX_CATEGORY,
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
)
from exporter.records.observation import Column, Undecodable


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
        ("x" * 1000, "x" * MAX_CATEGORY),
        (10**1000, str(10**1000)[:MAX_CATEGORY]),
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
    """A row of MAX_VECTOR values has that many columns; one value more is a vector and has none."""
    assert len(row_columns("x", [[0.5] * MAX_VECTOR], "input")) == MAX_VECTOR
    assert row_columns("x", [[0.5] * (MAX_VECTOR + 1)], "input") == []


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
