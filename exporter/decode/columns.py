"""JSON values -> columns: the rules by which every dialect names columns, chooses kinds and shapes rows.

Knows no dialect. Invariant: every column of one call has as many values as there are rows, and the work is
proportional to what the payload really holds, however sparse or deep it is made to look.

Kinds, where the payload declares none. Any string makes a column categorical; so do booleans alone. Among
outputs integers and booleans alone are classes, so categorical; a single float makes an output numeric.
Everything else is numeric, with true as 1; so is a column of nulls alone.
"""

from collections.abc import Iterable
from itertools import chain, repeat
from math import isinf, isnan
from operator import is_
from types import NoneType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from exporter.decode.payload import MAX_NAME
from exporter.records.observation import Column, ColumnKind, Undecodable

MAX_COLUMNS = 4096
# Wider unnamed tensors are vectors (embeddings, pixels, tokens): their single places mean nothing.
MAX_VECTOR = 64
MAX_DEPTH = 8
# Longer strings are text rather than categories; their beginning tells them apart well enough to count.
MAX_CATEGORY = 256
# Cells per value present, and slack for small tables, up to which unequal rows are filled with nulls.
_SPARSITY, _SLACK = 4, 1024
_EXACT = 2.0**53

Role = Literal["input", "output"]


def canonical(value: Any) -> str | None:
    """The category that a JSON scalar stands for; None for null.

    1, 1.0 and "1" are the category "1", true is "true", strings are trimmed. NaN is "<nan>".
    """
    kind = type(value)
    if kind is str:
        return str(value).strip()[:MAX_CATEGORY]
    if value is None:
        return None
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        if isnan(value):
            return "<nan>"
        if not isinf(value) and value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        return repr(value)
    return str(value)[:MAX_CATEGORY]


def positional(name: str, width: int) -> tuple[str, ...]:
    """Names of the columns of an unnamed table: the name itself for one column, else name_0, name_1, …

    Cut so that no name, suffix included, is longer than MAX_NAME.
    """
    if width == 1:
        return (name[:MAX_NAME],)
    base = name[: MAX_NAME - len(str(width)) - 1]
    return tuple([f"{base}_{index}" for index in range(width)])


def numeric_columns(names: tuple[str, ...], flat: list[Any]) -> list[Column]:
    """Numeric columns of a row-major table of scalars; strings are read as numbers: protobuf writes them so.

    Raises Undecodable "wrong_type" for a string that is no number, "number_range" for an integer beyond
    float64.
    """
    try:
        values = np.array(flat, dtype=np.float64)
        if len(names) == 1:
            return [Column(names[0], "numeric", values, flat.count(None))]
        table = values.reshape(-1, len(names))
    except OverflowError as error:
        raise Undecodable("number_range") from error
    except (TypeError, ValueError) as error:
        raise Undecodable("wrong_type") from error
    by_column = np.ascontiguousarray(table.T)
    nulls = _nulls(flat, len(names)) if np.isnan(by_column).any() else [0] * len(names)
    return [
        Column(name, "numeric", cells, count)
        for name, cells, count in zip(names, by_column, nulls, strict=True)
    ]


def categorical_columns(names: tuple[str, ...], flat: list[Any]) -> list[Column]:
    """Categorical columns of a row-major table of scalars (see `canonical`)."""
    plain = set(map(type, flat)) == {int}
    texts = list(map(str, flat)) if plain else [canonical(value) for value in flat]
    by_column = np.array(texts, dtype=object).reshape(-1, len(names)).T
    nulls = [0] * len(names) if plain else _nulls(flat, len(names))
    return [
        Column(name, "categorical", cells, count)
        for name, cells, count in zip(names, by_column, nulls, strict=True)
    ]


def scalar_columns(names: tuple[str, ...], flat: list[Any], role: Role) -> list[Column]:
    """Columns of a row-major table of scalars whose kinds the payload does not declare (see the module)."""
    kinds = set(map(type, flat))
    kinds.discard(NoneType)
    alike = len(kinds) <= 1 or (role == "input" and kinds <= {int, float})
    if alike or len(names) == 1:
        make = numeric_columns if _kind(kinds, role) == "numeric" else categorical_columns
        return make(names, flat)
    width = len(names)
    return [
        column for at, name in enumerate(names) for column in scalar_columns((name,), flat[at::width], role)
    ]


def row_columns(name: str, rows: list[Any], role: Role, depth: int = 0) -> list[Column]:
    """Columns of a list of rows: scalars, lists (nested ones too), or objects with one column per key.

    A list of width k becomes k columns named by place (`positional`), or none if k > MAX_VECTOR; shorter
    rows are filled with nulls, as are keys that a row lacks. Keys of nested objects are joined with a dot.
    Raises Undecodable "mixed_rows", "too_deep", "too_sparse", "too_many_columns" or "wrong_type".
    """
    if depth > MAX_DEPTH:
        raise Undecodable("too_deep")
    kinds = set(map(type, rows))
    if dict in kinds:
        return _named(name, rows, kinds, role, depth)
    if list in kinds:
        return _listed(name, rows, kinds, role, depth)
    return scalar_columns((name[:MAX_NAME],), rows, role)


def flatten(values: list[Any]) -> list[Any] | None:
    """The leaves of nested lists, row-major; None if the lists are ragged or hold objects.

    Raises Undecodable "too_deep" beyond MAX_DEPTH levels.
    """
    for _ in range(MAX_DEPTH):
        kinds = set(map(type, values))
        if list not in kinds:
            return None if dict in kinds else values
        if len(kinds) > 1 or len(set(map(len, values))) > 1:
            return None
        values = list(chain.from_iterable(values))
    raise Undecodable("too_deep")


def checked(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns as an Observation takes them; Undecodable "too_many_columns" or "duplicate_column"."""
    whole = tuple(columns)
    if len(whole) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if len({column.name for column in whole}) != len(whole):
        raise Undecodable("duplicate_column")
    return whole


def _kind(kinds: set[type], role: Role) -> ColumnKind:
    if str in kinds:
        return "categorical"
    classes = {bool, int} if role == "output" else {bool}
    return "categorical" if kinds and kinds <= classes else "numeric"


def _nulls(flat: list[Any], width: int) -> list[int]:
    if None not in flat:
        return [0] * width
    places: NDArray[np.bool_] = np.fromiter(map(is_, flat, repeat(None)), np.bool_, len(flat))
    counts: list[int] = places.reshape(-1, width).sum(axis=0).tolist()
    return counts


def _listed(name: str, rows: list[Any], kinds: set[type], role: Role, depth: int) -> list[Column]:
    if not kinds <= {list, NoneType}:
        raise Undecodable("mixed_rows")
    flat = flatten(rows)
    if flat is not None:
        width = len(flat) // len(rows)
        return scalar_columns(positional(name, width), flat, role) if 0 < width <= MAX_VECTOR else []
    sizes = [len(row) for row in rows if row is not None]
    width = max(sizes)
    if width > MAX_VECTOR:
        return []
    _refuse_sparse(len(rows) * width, sum(sizes))
    columns: list[Column] = []
    for at, column in enumerate(positional(name, width)):
        cells = [row[at] if row is not None and at < len(row) else None for row in rows]
        _extend(columns, row_columns(column, cells, role, depth + 1))
    return columns


def _named(name: str, rows: list[Any], kinds: set[type], role: Role, depth: int) -> list[Column]:
    if not kinds <= {dict, NoneType}:
        raise Undecodable("mixed_rows")
    objects = [{} if row is None else row for row in rows] if NoneType in kinds else rows
    keys = dict.fromkeys(chain.from_iterable(objects))
    if keys.keys() == {"b64"}:
        return []  # one binary value, written as TensorFlow Serving writes it
    if len(keys) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if "" in keys:
        raise Undecodable("bad_name")
    _refuse_sparse(len(objects) * len(keys), sum(map(len, objects)))
    columns: list[Column] = []
    for key in keys:
        cells = [row.get(key) for row in objects]
        full = key if depth == 0 else f"{name}.{key}"
        _extend(columns, row_columns(full[:MAX_NAME], cells, role, depth + 1))
    return columns


def _refuse_sparse(cells: int, present: int) -> None:
    if cells > _SPARSITY * present + _SLACK:
        raise Undecodable("too_sparse")


def _extend(columns: list[Column], more: list[Column]) -> None:
    columns.extend(more)
    if len(columns) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
