"""Tensors: the datatype table, shapes, kinds by role."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.decode.tensors import binary_columns, check_shape, tensor_columns
from exporter.records.observation import Undecodable


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


def raw(*values: int, code: str = "<i8") -> memoryview:
    return memoryview(np.array(values, code).tobytes())


@pytest.mark.parametrize("count", [3, 5000])
def test_integral_outputs_of_a_binary_tensor(count: int) -> None:
    """Classes are texts, few or many; equal ones of many are one object."""
    values = [-(2**63), 7, 7] * (count // 3) + [7] * (count % 3)
    rows, (column,) = binary_columns("y", "INT64", [count], raw(*values), "output")
    assert rows == count
    assert column.values.tolist() == [str(value) for value in values]
    if count > 3:
        assert len(set(map(id, column.values))) == 2


def test_binary_numbers_of_little_width() -> None:
    """Integers are float64; floats of 32 bits or less are float32, for that is what the model saw."""
    for datatype, code, found in (("UINT8", "u1", "f8"), ("INT64", "<i8", "f8"), ("FP16", "<f2", "f4")):
        ((column,),) = binary_columns("x", datatype, [2], raw(1, 3, code=code), "input")[1:]
        assert (column.values.dtype, column.values.tolist()) == (np.dtype(found), [1, 3])


@pytest.mark.parametrize(
    ("datatype", "shape", "size", "reason"),
    [
        ("FP32", [2], 7, "shape_mismatch"),
        ("FP32", [2, 10**18], 8, "shape_mismatch"),
        ("FP32", [10**18, 10**18], 8, "shape_mismatch"),
        ("BYTES", [10**18], 8, "shape_mismatch"),
        ("BYTES", [2], 7, "shape_mismatch"),
        ("BYTES", [1], 5, "shape_mismatch"),
        ("BYTES", [3, 1000], 12_001, "shape_mismatch"),
        ("FP32", [2, 0], 0, "bad_shape"),
        ("FP8", [8], 8, "unknown_datatype"),
    ],
)
def test_binary_sizes(datatype: str, shape: list[int], size: int, reason: str) -> None:
    """Bytes that are not as many as datatype and shape say are refused, at no cost of the size that was promised."""
    with pytest.raises(Undecodable, match=reason):
        binary_columns("x", datatype, shape, memoryview(bytes(size)), "input")


def test_binary_strings_cost_what_they_weigh() -> None:
    """The most elements that bytes can hold: one each four of them."""
    rows, (column,) = binary_columns("x", "BYTES", [50_000], memoryview(bytes(200_000)), "input")
    assert rows == 50_000
    assert set(column.values) == {""}


def test_binary_strings_that_are_no_text() -> None:
    """One element that is not UTF-8 makes them pictures or the like: rows, but no categories; cut ones are refused."""
    bodies = b"\2\0\0\0hi", b"\1\0\0\0\xff", b"\0\0\0\0"
    assert binary_columns("x", "BYTES", [3], memoryview(b"".join(bodies)), "input") == (3, [])
    with pytest.raises(Undecodable, match="shape_mismatch"):
        binary_columns("x", "BYTES", [3], memoryview(b"".join(bodies[:2])), "input")


def test_lists_among_numbers() -> None:
    """A list where a number was promised is refused, wherever it stands."""
    for data in ([1.0, [2.0]], [[1.0], 2.0], [[1.0], [2.0, 3.0]], [1.0, {}]):
        for datatype in ("FP32", "BYTES", "BOOL"):
            with pytest.raises(Undecodable, match=r"wrong_type|ragged|shape_mismatch"):
                tensor_columns("x", datatype, [2], data, "input")
    with pytest.raises(Undecodable, match="ragged"):
        tensor_columns("x", "FP32", [1, 70], [*[1.0] * 69, [2.0]], "input")


HALVES = np.arange(1 << 16, dtype="<u2")


@pytest.mark.parametrize("order", [HALVES, HALVES[np.isfinite(HALVES.view("<f2"))], np.tile(HALVES, 3)[5:]])
@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_every_short_float_is_exact(order: NDArray[Any], datatype: str) -> None:
    """Each of the 65,536 has its own value as a column: zeros with sign, subnormal ones, infinities and NaN."""
    expected = (
        order.view("<f2").astype("<f4") if datatype == "FP16" else (order.astype("<u4") << 16).view("<f4")
    )
    _, (column,) = binary_columns("x", datatype, [len(order)], memoryview(order.tobytes()), "output")
    assert column.values.dtype == np.float32
    assert np.array_equal(column.values, expected, equal_nan=True)
    there = ~np.isnan(expected)
    assert np.array_equal(column.values[there].view("u4"), expected[there].view("u4"))


def test_a_wide_input_of_halves_is_a_view() -> None:
    """Its bytes are not copied; what a model answers is read as sums need it."""
    raw = memoryview(HALVES.tobytes())
    shape = [1 << 8, 1 << 8]
    (given,), (answered,) = (binary_columns("x", "FP16", shape, raw, role)[1] for role in ("input", "output"))
    assert np.shares_memory(given.values, np.frombuffer(raw, "<f2"))
    assert (given.values.dtype, answered.values.dtype) == (np.float16, np.float32)
    assert np.array_equal(given.values, answered.values, equal_nan=True)
