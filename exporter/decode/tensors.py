"""Tensors of the Open Inference Protocol: the table of datatypes, and tensor -> columns.

Shared by every dialect that carries such tensors, whatever the encoding: JSON values, or the raw bytes of a binary
tensor (row-major, little-endian, strings behind their length in four bytes). Knows no message around a tensor.
Floats of a binary tensor are views of its bytes; what numpy cannot view, or not quickly, is converted once.
"""

from math import prod
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.decode.columns import (
    MAX_VECTOR,
    Role,
    categorical_columns,
    flatten,
    numeric_columns,
    positional,
    table_columns,
    text_columns,
    vector_column,
    wide_column,
)
from exporter.decode.images import image_columns
from exporter.records.observation import Columns, Undecodable

# Datatype -> numpy dtype, little-endian as on the wire. BYTES elements are str here.
# BF16 (Triton's) is missing: numpy has no such dtype.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BYTES": np.dtype(object),
}
_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_WORDED = frozenset({"BOOL", "BYTES"})
_KNOWN = frozenset(DTYPES) | {"BF16"}
# As the bytes lie there. BOOL is read as a number: a byte that is neither 0 nor 1 is no truth value.
_RAW: Final = {**DTYPES, "BOOL": np.dtype("u1"), "BF16": np.dtype("<u2"), "FP16": np.dtype("<u2")}
_WORDS: NDArray[Any] = np.array(["false", "true"], dtype=object)
_LENGTH = Struct("<I")
# Of an FP16 in an FP32: the bits that are its own, what they lack in the exponent, and what no finite one reaches.
_MOVED: Final = np.int32(-0x70002000)
_SHIFTED: Final = np.float32(2.0**112)
_LEAST_WRONG: Final = np.float32(2.0**16)
_BLOCK: Final = 1 << 16  # values, that fit the cache of a core
# Up to so many integers each gets a text of its own, which is quicker than to look for equal ones; and so many short
# floats are converted one by one, which is quicker than a block.
_FEW: Final = 1024


def check_shape(shape: list[Any]) -> tuple[int, int]:
    """(rows, values per row) of a tensor's shape; a shape without dimensions is one row.

    Undecodable "bad_shape" unless all are integers ≥ 0, and positive after the first: rows of no values could
    claim to be any number.
    """
    if len(shape) == 2:
        rows, width = shape  # the usual one, at half the price
        if type(rows) is int is type(width) and rows >= 0 < width:
            return rows, width
    for size in shape:
        if type(size) is not int or size < 0:
            raise Undecodable("bad_shape")
    if len(shape) < 2:
        return (shape[0], 1) if shape else (1, 1)
    if 0 in shape[1:]:
        raise Undecodable("bad_shape")
    return shape[0], prod(shape[1:])


def tensor_columns(
    name: str, datatype: str, shape: list[Any], data: list[Any], role: Role
) -> tuple[int, Columns]:
    """(rows, columns) of a tensor whose values are JSON, flat row-major or nested.

    [n] and [n, 1] are one column of that name, [n, k] are name_0 … name_(k-1) (the protocol has no names for them),
    more dimensions are flattened row-major; over MAX_VECTOR numbers per row are one vector, over MAX_VECTOR texts or
    truth values no column. FP* are numeric, BYTES and BOOL categorical, integers numeric as inputs and categorical,
    that is classes, as outputs. Raises Undecodable: unknown_datatype, bad_shape, ragged, shape_mismatch, wrong_type,
    number_range.
    """
    if datatype not in _KNOWN:
        raise Undecodable("unknown_datatype")
    rows, width = check_shape(shape)
    numeric = datatype in _FLOATS or (role == "input" and datatype not in _WORDED)
    if width > MAX_VECTOR:
        cells = _flat(data, rows * width)
        return rows, [] if datatype in _WORDED else wide_column(name, cells, rows)
    names = positional(name, width)
    if numeric:
        # A flat list is not looked through for lists within: they would be no numbers.
        flat = bool(data) and type(data[0]) is not list and len(data) == rows * width
        return rows, numeric_columns(names, data if flat else _flat(data, rows * width))
    values = _flat(data, rows * width)
    if datatype == "BOOL":
        values = [_truth(value) for value in values]
    return rows, categorical_columns(names, values)


def binary_columns(
    name: str, datatype: str, shape: list[Any], raw: memoryview, role: Role
) -> tuple[int, Columns]:
    """(rows, columns) of a tensor whose values are `raw`; columns and kinds as of `tensor_columns`.

    Numbers are float32 if the floats there are shorter than 64 bits, else float64. BYTES that are not UTF-8 have rows
    but no columns, unless they are one image a row. Raises Undecodable: unknown_datatype, bad_shape, shape_mismatch
    (`raw` has another size), and wrong_type (a BOOL that is neither 0 nor 1).
    """
    dtype = _RAW.get(datatype)
    if dtype is None:
        raise Undecodable("unknown_datatype")
    rows, width = check_shape(shape)
    if datatype == "BYTES":
        elements = _elements(raw, rows * width)
        texts = _texts(elements)
        if texts is None:
            return rows, image_columns(name, elements) if width == 1 else []
        return rows, categorical_columns(positional(name, width), texts) if width <= MAX_VECTOR else []
    if len(raw) != rows * width * dtype.itemsize:
        raise Undecodable("shape_mismatch")
    values = np.frombuffer(raw, dtype) if rows else np.zeros(0, dtype)
    if width > MAX_VECTOR:
        if datatype == "BOOL":
            return rows, []
        if datatype == "FP16" and role == "input":
            return rows, vector_column(name, values.view("<f2").reshape(rows, width))
        floats = _floats(values, datatype) if datatype in _FLOATS else values.astype(np.float64)
        return rows, vector_column(name, floats.reshape(rows, width))
    names = positional(name, width)
    if datatype in _FLOATS:
        return rows, table_columns(names, _floats(values, datatype))
    if datatype == "BOOL":
        if values.max(initial=0) > 1:
            raise Undecodable("wrong_type")
        return rows, text_columns(names, _WORDS[values])
    if role == "input":
        return rows, table_columns(names, values.astype(np.float64))
    return rows, text_columns(names, _integers(values))


def _flat(data: list[Any], count: int) -> list[Any]:
    flat = flatten(data)
    if flat is None:
        raise Undecodable("ragged")
    if len(flat) != count:
        raise Undecodable("shape_mismatch")
    return flat


def _truth(value: Any) -> Any:
    # Servers write BOOL as true and false or as 1 and 0.
    return bool(value) if type(value) in (int, float) and value in (0, 1) else value


def _floats(values: NDArray[Any], datatype: str) -> NDArray[Any]:
    if datatype == "FP16":
        return _halves(values)
    if datatype == "BF16":  # the upper half of an FP32
        wide = values.astype("<u4")
        wide <<= 16
        return wide.view("<f4")
    return values


def _halves(values: NDArray[Any]) -> NDArray[Any]:
    """FP16 as FP32, exactly; in half the time that numpy takes, which goes through them one by one.

    Sign, exponent and fraction move to their places in an FP32 whose exponent is then 112 too small, subnormal numbers
    included. Only infinity and NaN become numbers that no FP16 is; a block that has some is done by numpy.
    """
    if len(values) <= _FEW:
        return values.view("<f2").astype("<f4")
    bits = np.empty(len(values), "<i4")
    found: NDArray[Any] = bits.view("<f4")
    for start in range(0, len(values), _BLOCK):
        given, block = values[start : start + _BLOCK], bits[start : start + _BLOCK]
        np.left_shift(given.view("<i2"), 13, out=block, dtype="<i4")
        block &= _MOVED
        floats = found[start : start + _BLOCK]
        floats *= _SHIFTED
        if floats.max() >= _LEAST_WRONG or floats.min() <= -_LEAST_WRONG:
            floats[:] = given.view("<f2")
    return found


def _integers(values: NDArray[Any]) -> NDArray[Any]:
    """Each integer in decimal; equal ones of a long array share one text."""
    if len(values) <= _FEW:
        return np.array(list(map(str, values.tolist())), dtype=object)
    distinct, places = np.unique(values, return_inverse=True)
    found: NDArray[Any] = np.array(list(map(str, distinct.tolist())), dtype=object)[places]
    return found


def _elements(raw: memoryview, count: int) -> list[memoryview]:
    """The `count` BYTES elements; Undecodable "shape_mismatch" if there are more or fewer."""
    size = len(raw)
    # An element takes four bytes at least: a shape cannot ask for more work than there are bytes.
    if 4 * count > size:
        raise Undecodable("shape_mismatch")
    elements: list[memoryview] = []
    at = 0
    for _ in range(count):
        start = at + 4
        if start > size:
            raise Undecodable("shape_mismatch")
        at = start + _LENGTH.unpack_from(raw, at)[0]
        if at > size:
            raise Undecodable("shape_mismatch")
        elements.append(raw[start:at])
    if at != size:
        raise Undecodable("shape_mismatch")
    return elements


def _texts(elements: list[memoryview]) -> list[str] | None:
    """The elements as texts; None if one is not UTF-8, so that they are no texts."""
    try:
        return [str(element, "utf-8") for element in elements]
    except UnicodeDecodeError:
        return None
