"""A body whose rows its format does not tell apart -> its possible readings; the other body decides between them.

[1, 2, 3] may be three rows or one row of three values, {"a": [1, 2]} two rows or one. Request and answer of one
exchange have the same number of rows, so the readings that agree are the right ones. Two that agree are as good as
none: then nothing is claimed.
"""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final

import msgspec

from exporter.decode.columns import MAX_COLUMNS, Role, checked, row_columns
from exporter.decode.payload import MAX_NAME
from exporter.records.observation import Columns, Observation, Undecodable

_SCALARS: Final = frozenset({str, int, float, bool})
_NUMBERS: Final = frozenset({int, float, bool, NoneType})


class Reading(msgspec.Struct, frozen=True):
    """One way to read a body: as so many rows. `columns` does the work, and may raise Undecodable."""

    rows: int
    columns: Callable[[], Columns]


def as_rows(name: str, rows: list[Any], role: Role) -> Reading:
    """Each value is a row: a scalar, a list or an object (`row_columns`)."""
    return Reading(len(rows), lambda: row_columns(name, rows, role) if rows else [])


def as_fields(fields: dict[str, list[Any]], role: Role) -> Reading:
    """Each field is a column, with a value per row; at least one field, all of one length."""
    return Reading(len(next(iter(fields.values()))), lambda: _field_columns(fields, role))


def readings(name: str, value: Any, role: Role) -> tuple[Reading, ...]:
    """How a JSON value can be read, the usual one first; `name` is what unnamed columns are called after.

    Raises Undecodable "missing_field" for null and "wrong_type" for what is no JSON value.
    """
    if type(value) is list:
        many = as_rows(name, value, role)
        # Lists of strings are batches of texts; a flat list of numbers may be one row as well.
        if len(value) > 1 and set(map(type, value)) <= _NUMBERS:
            return many, as_rows(name, [value], role)
        return (many,)
    one = as_rows(name, [value], role)
    if type(value) is dict:
        lengths = {len(cells) if type(cells) is list else -1 for cells in value.values()}
        if len(lengths) == 1 and -1 not in lengths and lengths != {1}:
            return as_fields(value, role), one
        return (one,)
    if value is None:
        raise Undecodable("missing_field")
    if type(value) not in _SCALARS:
        raise Undecodable("wrong_type")
    return (one,)


def agree(*sides: Sequence[Reading]) -> tuple[int, tuple[Columns, ...]]:
    """The number of rows that all sides can be read as, and each side's columns by that reading.

    Raises Undecodable "rows_differ" if there is no such number, "ambiguous_rows" if there are two.
    """
    numbers = set.intersection(*[{reading.rows for reading in side} for side in sides])
    if len(numbers) != 1:
        raise Undecodable("ambiguous_rows" if numbers else "rows_differ")
    (rows,) = numbers
    return rows, tuple([_read(side, rows) for side in sides])


def alone(protocol: str, side: Sequence[Reading], model_name: str = "") -> Observation:
    """What a request says without its answer, if there is one number of rows to read it as. Raises as `agree`."""
    rows, (columns,) = agree(side)
    return Observation(protocol, rows, checked(columns), (), model_name, answered=False)


def _read(side: Sequence[Reading], rows: int) -> Columns:
    return next(reading for reading in side if reading.rows == rows).columns()


def _field_columns(fields: dict[str, list[Any]], role: Role) -> Columns:
    if len(fields) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if "" in fields:
        raise Undecodable("bad_name")
    # Depth 1: an object among the cells belongs to the name of its field.
    return [
        column
        for name, cells in fields.items()
        for column in (row_columns(name[:MAX_NAME], cells, role, 1) if cells else ())
    ]
