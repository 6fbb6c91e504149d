"""Tensors: the datatype table, shapes, kinds by role."""

from typing import Any

import numpy as np
import pytest

from exporter.decode.tensors import DTYPES, check_shape, datatype_of, tensor_columns
from exporter.records.observation import Undecodable


@pytest.mark.parametrize("datatype", DTYPES)
def test_table_is_two_way(datatype: str) -> None:
    """Each datatype has a numpy dtype that leads back to it, in either byte order."""
    assert datatype_of(DTYPES[datatype]) == datatype
    assert datatype_of(DTYPES[datatype].newbyteorder(">")) == datatype


def test_dtype_without_datatype() -> None:
    """A dtype that the protocol does not have is a KeyError."""
    with pytest.raises(KeyError):
        datatype_of(np.dtype("c8"))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([], (1, 1)), ([3], (3, 1)), ([0], (0, 1)), ([2, 1], (2, 1)), ([2, 3, 4], (2, 12)), ([0, 5], (0, 5))],
)
def test_shape(shape: list[int], expected: tuple[int, int]) -> None:
    """The first dimension is the rows, the product of the others the values per row."""
    assert check_shape(shape) == expected


@pytest.mark.parametrize("shape", [[-1], [2, -1], [2.0], [True], ["2"], [None], [[2]], [10**9, 0]])
def test_bad_shape(shape: list[Any]) -> None:
    """Sizes that are no counts, and rows of nothing, are refused."""
    with pytest.raises(Undecodable, match="bad_shape"):
        check_shape(shape)


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2], [3, 4], [5, 6]], [[1, 2, 3], [4, 5, 6]]])
def test_flat_and_nested_data_are_one(data: list[Any]) -> None:
    """The shape, not the nesting, places the values."""
    rows, columns = tensor_columns("x", "FP64", [3, 2], data, "input")
    assert rows == 3
    assert [(column.name, column.values.tolist()) for column in columns] == [
        ("x_0", [1, 3, 5]),
        ("x_1", [2, 4, 6]),
    ]


@pytest.mark.parametrize(
    ("datatype", "role", "kind"),
    [
        ("INT32", "input", "numeric"),
        ("INT32", "output", "categorical"),
        ("UINT8", "output", "categorical"),
        ("FP16", "output", "numeric"),
        ("BF16", "input", "numeric"),
        ("BOOL", "input", "categorical"),
        ("BYTES", "input", "categorical"),
    ],
)
def test_kind_follows_from_datatype_and_role(datatype: str, role: Any, kind: str) -> None:
    """Integers are measures on the way in and classes on the way out; the rest has one kind."""
    ((column,),) = tensor_columns("x", datatype, [2], [1, 0], role)[1:]
    assert column.kind == kind


def test_integral_outputs_are_canonical() -> None:
    """A class is the same category whether the server wrote 2 or 2.0."""
    ((column,),) = tensor_columns("y", "INT64", [2, 1], [2, 2.0], "output")[1:]
    assert column.values.tolist() == ["2", "2"]


def test_huge_shape_costs_nothing() -> None:
    """A shape that promises more than the data holds is refused without any allocation of its size."""
    with pytest.raises(Undecodable, match="shape_mismatch"):
        tensor_columns("x", "FP32", [10**18, 10**18], [1.0], "input")
