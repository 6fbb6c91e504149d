"""Tensors of the Open Inference Protocol: the table of datatypes, and tensor -> columns.

Shared by every dialect that carries such tensors, whatever the encoding. Knows no message around a tensor.
"""

from math import prod
from typing import Any

import numpy as np

from exporter.decode.columns import (
    MAX_VECTOR,
    Role,
    categorical_columns,
    flatten,
    numeric_columns,
    positional,
)
from exporter.records.observation import Column, Undecodable

# KServe V2 datatype -> numpy dtype, little-endian as on the wire. BYTES elements are str here.
# BF16 (Triton's) is missing: numpy has no such dtype.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BYTES": np.dtype(object),
}
_DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}
_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_KNOWN = frozenset(DTYPES) | {"BF16"}


def datatype_of(dtype: "np.dtype[Any]") -> str:
    """The KServe V2 datatype of a numpy dtype; KeyError for a dtype that has none."""
    return _DATATYPES[dtype.newbyteorder("<")]


def check_shape(shape: list[Any]) -> tuple[int, int]:
    """(rows, values per row) of a tensor's shape; a shape without dimensions is one row.

    Undecodable "bad_shape" unless all are integers ≥ 0, and positive after the first: rows of no values could
    claim to be any number.
    """
    if len(shape) == 1 and type(shape[0]) is int and shape[0] >= 0:
        return shape[0], 1  # the usual one, several times cheaper
    if any(type(size) is not int or size < 0 for size in shape) or 0 in shape[1:]:
        raise Undecodable("bad_shape")
    return (shape[0], prod(shape[1:])) if shape else (1, 1)


def tensor_columns(
    name: str, datatype: str, shape: list[Any], data: list[Any], role: Role
) -> tuple[int, list[Column]]:
    """(rows, columns) of a tensor whose values are JSON, flat row-major or nested.

    [n] and [n, 1] are one column of that name, [n, k] are name_0 … name_(k-1) (the protocol has no names for
    them), more dimensions are flattened row-major; over MAX_VECTOR values per row there are rows but no
    columns. FP* are numeric, BYTES and BOOL categorical, integers numeric as inputs and categorical, that is
    classes, as outputs. Raises Undecodable: unknown_datatype, bad_shape, ragged, shape_mismatch, wrong_type,
    number_range.
    """
    if datatype not in _KNOWN:
        raise Undecodable("unknown_datatype")
    rows, width = check_shape(shape)
    flat = flatten(data)
    if flat is None:
        raise Undecodable("ragged")
    if len(flat) != rows * width:
        raise Undecodable("shape_mismatch")
    if width > MAX_VECTOR:
        return rows, []
    names = positional(name, width)
    if datatype == "BOOL":
        return rows, categorical_columns(names, [_truth(value) for value in flat])
    if datatype in _FLOATS or (role == "input" and datatype != "BYTES"):
        return rows, numeric_columns(names, flat)
    return rows, categorical_columns(names, flat)


def _truth(value: Any) -> Any:
    # Servers write BOOL as true and false or as 1 and 0.
    return bool(value) if type(value) in (int, float) and value in (0, 1) else value
