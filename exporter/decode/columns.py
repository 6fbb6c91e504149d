"""JSON values -> columns: the rules by which every dialect names columns, chooses kinds and shapes rows.

Knows no dialect. Invariant: every column of one call has as many values as there are rows, and the work is
proportional to what the payload really holds, however sparse or deep it is made to look.

Kinds, where the payload declares none. Any string makes a column categorical; so do booleans alone. Among
outputs integers and booleans alone are classes, so categorical; a single float makes an output numeric.
Everything else is numeric, with true as 1; so is a column of nulls alone. Rows of more than MAX_VECTOR numbers without
names are one vector; texts that are base64 images give what can be told of those (`images`).
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from math import isinf, isnan
from operator import is_, itemgetter
from struct import Struct
from struct import error as StructError
from types import NoneType
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from exporter.decode.images import base64_columns, looks_base64
from exporter.decode.payload import MAX_NAME
from exporter.records.observation import Column, ColumnKind, Columns, NumericTable, Undecodable

MAX_COLUMNS = 4096
# Wider unnamed tensors are vectors (embeddings, pixels, tokens): their single places mean nothing.
MAX_VECTOR = 64
MAX_DEPTH = 8
# Cells per value present, and slack for small tables, up to which unequal rows are filled with nulls.
_SPARSITY, _SLACK = 4, 1024
_EXACT = 2.0**53
# For `map`, which makes a dozen columns in half the time of a loop.
_NUMERIC: "repeat[ColumnKind]" = repeat("numeric")
_CATEGORICAL: "repeat[ColumnKind]" = repeat("categorical")
_NO_NULLS = repeat(0)

Role = Literal["input", "output"]
_NUMBERS = frozenset({int, float})
_PLACES = frozenset({int, float, bool, NoneType})  # of a vector
# A few numbers are written as bytes and viewed in two thirds of the time that numpy takes to read a list, and what
# is no number is seen on the way.
_PACK = tuple([Struct(f"{count}d").pack for count in range(MAX_VECTOR + 1)])
# Values that alone make a column categorical.
_CLASSES: dict[Role, frozenset[type]] = {"input": frozenset({bool}), "output": frozenset({bool, int})}


def canonical(value: Any) -> str | None:
    """The category that a JSON scalar stands for; None for null.

    1, 1.0 and "1" are the category "1", true is "true", strings are trimmed. NaN is "<nan>".
    """
    kind = type(value)
    if kind is str:
        return str(value).strip()
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
    return str(value)


def positional(name: str, width: int) -> tuple[str, ...]:
    """Names of the columns of an unnamed table: the name itself for one column, else name_0, name_1, …

    Cut so that no name, suffix included, is longer than MAX_NAME.
    """
    return _positional(name[:MAX_NAME], width)


# A model is asked with the same names over and over. Bounded: so many tables of MAX_VECTOR short names.
@lru_cache(maxsize=256)
def _positional(name: str, width: int) -> tuple[str, ...]:
    if width == 1:
        return (name,)
    base = name[: MAX_NAME - len(str(width)) - 1]
    return tuple([f"{base}_{index}" for index in range(width)])


def numeric_columns(names: tuple[str, ...], flat: list[Any]) -> Columns:
    """Numeric columns of a row-major table of scalars; strings are read as numbers: protobuf writes them so.

    Raises Undecodable "wrong_type" for a string that is no number, "number_range" for an integer beyond
    float64.
    """
    if 0 < len(flat) <= MAX_VECTOR:
        try:
            return table_columns(names, np.frombuffer(_PACK[len(flat)](*flat)))
        except (StructError, OverflowError):
            pass  # a null or a text is among them
    values = _numbers(flat)
    nulls = _nulls(flat, len(names)) if np.isnan(values).any() else ()
    return table_columns(names, values, nulls)


def table_columns(
    names: tuple[str, ...], values: NDArray[np.floating[Any]], nulls: Sequence[int] = ()
) -> Columns:
    """Numeric columns of a flat row-major table, as views of it; `nulls` per column, () for none."""
    width = len(names)
    if width == 1:
        return [Column(names[0], "numeric", values, nulls[0] if nulls else 0)]
    if not nulls:
        return NumericTable(names, values)
    return list(map(Column, names, _NUMERIC, values.reshape(-1, width).T, nulls))


def categorical_columns(names: tuple[str, ...], flat: list[Any]) -> Columns:
    """Categorical columns of a row-major table of scalars (see `canonical`)."""
    columns = _categories(names, flat, set(map(type, flat)))
    return _pictured(columns) if any(map(looks_base64, flat[: len(names)])) else columns


def text_columns(names: tuple[str, ...], texts: NDArray[Any], nulls: Sequence[int] = ()) -> Columns:
    """Categorical columns of a row-major table, as views of it; see `table_columns`.

    `texts`: objects, each a category in canonical form or None.
    """
    if len(names) == 1:
        return [Column(names[0], "categorical", texts, nulls[0] if nulls else 0)]
    table = texts.reshape(-1, len(names)).T
    return list(map(Column, names, _CATEGORICAL, table, nulls or _NO_NULLS))


def scalar_columns(names: tuple[str, ...], flat: list[Any], role: Role) -> Columns:
    """Columns of a row-major table of scalars whose kinds the payload does not declare (see the module)."""
    return _scalars(names, flat, set(map(type, flat)), role)


def row_columns(name: str, rows: list[Any], role: Role, depth: int = 0) -> Columns:
    """Columns of a list of rows: scalars, lists (nested ones too), or objects with one column per key.

    A list of width k becomes k columns named by place (`positional`), or one vector if k > MAX_VECTOR (none, if such
    rows differ in length or hold texts); shorter rows are filled with nulls, as are keys that a row lacks: those are
    `absent` as well. Keys of nested objects are joined with a dot. {"b64": …} alone is one binary value: an image has
    columns, anything else none. Raises Undecodable "mixed_rows", "too_deep", "too_sparse", "too_many_columns" or
    "wrong_type".
    """
    if depth > MAX_DEPTH:
        raise Undecodable("too_deep")
    kinds = set(map(type, rows))
    if dict in kinds:
        return _named(name, rows, kinds, role, depth)
    if list in kinds:
        return _listed(name, rows, kinds, role, depth)
    return _scalars((name[:MAX_NAME],), rows, kinds, role)


def flatten(values: list[Any]) -> list[Any] | None:
    """The leaves of nested lists, row-major; None if the lists are ragged or hold objects.

    Raises Undecodable "too_deep" beyond MAX_DEPTH levels.
    """
    leaves = _leaves(values)
    return None if leaves is None else leaves[0]


def checked(columns: Iterable[Column]) -> Columns:
    """The columns as an Observation takes them; Undecodable "too_many_columns" or "duplicate_column"."""
    whole = frozen(columns)
    if len(whole) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    names = whole.names if isinstance(whole, NumericTable) else [column.name for column in whole]
    if len(names) > 1 and len(set(names)) != len(names):
        raise Undecodable("duplicate_column")
    return whole


def frozen(columns: Iterable[Column]) -> NumericTable | tuple[Column, ...]:
    """The columns, whatever they came in; a table stays one."""
    return columns if isinstance(columns, NumericTable) else tuple(columns)


def _numbers(flat: list[Any]) -> NDArray[np.float64]:
    try:
        return np.fromiter(flat, np.float64, len(flat))
    except OverflowError as error:
        raise Undecodable("number_range") from error
    except (TypeError, ValueError) as error:
        raise Undecodable("wrong_type") from error


def _categories(names: tuple[str, ...], flat: list[Any], kinds: set[type]) -> Columns:
    texts = list(map(str, flat)) if kinds == {int} else [canonical(value) for value in flat]
    cells = np.array(texts, dtype=object)
    return text_columns(names, cells, _nulls(flat, len(names)) if NoneType in kinds else ())


def _pictured(columns: Columns) -> Columns:
    """The columns, with what can be told of images in place of their texts."""
    found: list[Column] = []
    for column in columns:
        cells = column.values.tolist() if column.kind == "categorical" else []
        found += (base64_columns(column.name, cells) if cells and looks_base64(cells[0]) else []) or [column]
    return found


def vector_column(name: str, table: NDArray[np.floating[Any]], nulls: int = 0) -> Columns:
    """The vector of a table of shape (rows, width); of `nulls` rows nothing is known, and they are NaN throughout."""
    return [Column(name[:MAX_NAME], "vector", table, nulls)]


def wide_column(name: str, flat: list[Any], rows: int) -> Columns:
    """The vector of a row-major table of more than MAX_VECTOR scalars a row; Undecodable where they are no numbers."""
    return vector_column(name, _numbers(flat).reshape(rows, -1)) if rows else []


def _scalars(names: tuple[str, ...], flat: list[Any], kinds: set[type], role: Role) -> Columns:
    """The columns; `kinds` are the types of the values."""
    if str in kinds and any(map(looks_base64, flat[: len(names)])):
        return _pictured(_alike(names, flat, kinds, role))
    return _alike(names, flat, kinds, role)


def _alike(names: tuple[str, ...], flat: list[Any], kinds: set[type], role: Role) -> Columns:
    known = kinds - {NoneType} if NoneType in kinds else kinds
    kind = _kind(known, role)
    if len(names) > 1:
        alike = len(known) <= 1 or (role == "input" and known <= _NUMBERS)
        # Among texts, a column of nulls alone is still numeric.
        if not alike or (kind == "categorical" and known is not kinds):
            return _mixed(names, flat, role)
    if kind == "categorical":
        return _categories(names, flat, kinds)
    return numeric_columns(names, flat)


def _mixed(names: tuple[str, ...], flat: list[Any], role: Role) -> Columns:
    """Columns that differ in kind: those of one kind are one table."""
    width = len(names)
    cells = [flat[at::width] for at in range(width)]
    places: dict[ColumnKind, list[int]] = {"numeric": [], "categorical": []}
    for at, column in enumerate(cells):
        places[_kind(set(map(type, column)) - {NoneType}, role)].append(at)
    found: dict[int, Column] = {}
    for kind, chosen in places.items():
        if chosen:
            table = list(chain.from_iterable(zip(*[cells[at] for at in chosen], strict=True)))
            some = tuple([names[at] for at in chosen])
            made = (
                numeric_columns(some, table)
                if kind == "numeric"
                else _categories(some, table, set(map(type, table)))
            )
            found |= zip(chosen, made, strict=True)
    return [found[at] for at in range(width)]


def _leaves(values: list[Any]) -> tuple[list[Any], set[type]] | None:
    """The leaves and their types, which cost a look at each; None if there are none such (see `flatten`)."""
    for _ in range(MAX_DEPTH):
        if len(values) == 1 and type(values[0]) is list:
            values = values[0]  # nothing to compare, nothing to join
            continue
        kinds = set(map(type, values))
        if list not in kinds:
            return None if dict in kinds else (values, kinds)
        if len(kinds) > 1 or len(set(map(len, values))) > 1:
            return None
        values = list(chain.from_iterable(values))
    raise Undecodable("too_deep")


def _kind(kinds: set[type], role: Role) -> ColumnKind:
    if str in kinds:
        return "categorical"
    return "categorical" if kinds and kinds <= _CLASSES[role] else "numeric"


def _nulls(flat: list[Any], width: int) -> Sequence[int]:
    if None not in flat:
        return ()
    places: NDArray[np.bool_] = np.fromiter(map(is_, flat, repeat(None)), np.bool_, len(flat))
    counts: list[int] = places.reshape(-1, width).sum(axis=0).tolist()
    return counts


def _listed(name: str, rows: list[Any], kinds: set[type], role: Role, depth: int) -> Columns:
    if not kinds <= {list, NoneType}:
        raise Undecodable("mixed_rows")
    leaves = _leaves(rows)
    if leaves is not None:
        width = len(leaves[0]) // len(rows)
        if width > MAX_VECTOR:
            return _vector(name, rows, leaves, 0)
        return _scalars(positional(name, width), *leaves, role) if width else []
    sizes = [len(row) for row in rows if row is not None]
    width = max(sizes)
    if width > MAX_VECTOR:
        present = [row for row in rows if row is not None]
        return _vector(name, rows, _leaves(present), len(rows) - len(present))
    _refuse_sparse(len(rows) * width, sum(sizes))
    columns: list[Column] = []
    for at, column in enumerate(positional(name, width)):
        cells = [row[at] if row is not None and at < len(row) else None for row in rows]
        _extend(columns, row_columns(column, cells, role, depth + 1))
    return columns


def _vector(name: str, rows: list[Any], leaves: tuple[list[Any], set[type]] | None, nulls: int) -> Columns:
    """The vector of rows, of which so many are null; `leaves` are those of the others."""
    if leaves is None or not leaves[1] <= _PLACES:
        return []
    table = _numbers(leaves[0]).reshape(len(rows) - nulls, -1)
    if nulls:
        whole = np.full((len(rows), table.shape[1]), np.nan)
        whole[[place for place, row in enumerate(rows) if row is not None]] = table
        table = whole
    return vector_column(name, table, nulls)


def _named(name: str, rows: list[Any], kinds: set[type], role: Role, depth: int) -> Columns:
    if not kinds <= {dict, NoneType}:
        raise Undecodable("mixed_rows")
    objects = [{} if row is None else row for row in rows] if NoneType in kinds else rows
    keys = dict.fromkeys(chain.from_iterable(objects))
    if keys.keys() == {"b64"}:  # one binary value, written as TensorFlow Serving writes it
        return base64_columns(name[:MAX_NAME], [one.get("b64") for one in objects])
    if len(keys) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if "" in keys:
        raise Undecodable("bad_name")
    _refuse_sparse(len(objects) * len(keys), sum(map(len, objects)))
    names = [(key if depth == 0 else f"{name}.{key}")[:MAX_NAME] for key in keys]
    flat, absent = _cells(objects, list(keys))
    kinds = set(map(type, flat))
    if dict not in kinds and list not in kinds and not absent:
        return _scalars(tuple(names), flat, kinds, role) if names else []
    columns: list[Column] = []
    if dict not in kinds and list not in kinds:
        flat_columns = _scalars(tuple(names), flat, kinds, role)
        if len(flat_columns) == len(names):
            return [_lacking(column, count) for column, count in zip(flat_columns, absent, strict=True)]
    for at, full in enumerate(names):
        more = row_columns(full, flat[at :: len(names)], role, depth + 1)
        _extend(columns, [_lacking(one, absent[at]) for one in more] if absent else more)
    return columns


def _cells(objects: list[dict[str, Any]], keys: list[str]) -> tuple[list[Any], Sequence[int]]:
    """Row-major values of those keys, None where an object lacks one; and how many lack each, () for none."""
    if len(objects) == 1:
        return list(objects[0].values()), ()
    if len(keys) > 1:
        try:
            return list(chain.from_iterable(map(itemgetter(*keys), objects))), ()
        except KeyError:
            pass  # a row lacks a key
    flat = [row.get(key) for row in objects for key in keys]
    absent = [sum([key not in row for row in objects]) for key in keys] if None in flat else []
    return flat, absent if any(absent) else ()


def _lacking(column: Column, absent: int) -> Column:
    """The column, of whose cells at least so many were not written at all."""
    return msgspec.structs.replace(column, absent=absent) if absent > column.absent else column


def _refuse_sparse(cells: int, present: int) -> None:
    if cells > _SPARSITY * present + _SLACK:
        raise Undecodable("too_sparse")


def _extend(columns: list[Column], more: Columns) -> None:
    columns.extend(more)
    if len(columns) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
