"""Observations that are pushed: POST /v1/observations, as JSON or JSON lines -> Observations, record by record.

A record holds rows of one model version: `features` and `predictions` as columns ({"age": [31, 44]}), as rows
([{"age": 31}, …]) or as one row ({"age": 31}); `id` or `ids`, `time` or `times`, and `kinds` where a column's kind
should not be told by its values. A record that cannot be taken costs no other one. Whatever the bytes are, the outcome
is an Observation or one of REASONS; `docs/push.md` is the schema for a person.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from exporter.decode.columns import (
    MAX_COLUMNS,
    Role,
    categorical_columns,
    checked,
    numeric_columns,
    row_columns,
)
from exporter.decode.moments import moment
from exporter.decode.payload import MAX_ID, MAX_NAME, parse
from exporter.records.observation import Column, Columns, Observation, Undecodable

NAME: Final = "pushed"
MAX_RECORDS: Final = 10_000
MAX_ROWS: Final = 100_000
# Rows of one record are told apart in time by the minute, or by so many parts of what they span.
_MINUTE_SECONDS: Final = 60.0
_MOST_TIMES: Final = 256

# Every reason, with what was expected instead; words, never anything of the payload.
EXPECTED: Final[dict[str, str]] = {
    "not_json": "one JSON value in UTF-8, or one on each line with a content type of JSON lines",
    "too_many_records": f"at most {MAX_RECORDS} records",
    "too_many_rows": f"at most {MAX_ROWS} rows in a record",
    "too_many_values": "fewer lists and objects in one body",
    "too_many_columns": f"at most {MAX_COLUMNS} columns on a side",
    "too_deep": "values that are not nested so deep",
    "too_sparse": "rows that have their columns in common",
    "missing_field": "features or predictions",
    "unknown_field": "the fields of docs/push.md and no others",
    "ambiguous_field": "id or ids, and time or times, not both",
    "wrong_type": "the types of docs/push.md: numbers, texts, booleans or null as values",
    "mixed_rows": "rows that are all objects",
    "rows_differ": "as many values in each column, and as many ids and times, as there are rows",
    "bad_name": f"names of 1 to {MAX_NAME} printable characters, model_name among them",
    "bad_id": f"ids of at most {MAX_ID} characters",
    "bad_time": "unix seconds or RFC 3339 with a time zone, not in the future",
    "bad_kind": "kinds by column, each numeric or categorical, of columns that are there",
    "duplicate_column": "distinct columns",
    "number_range": "numbers that a 64-bit float holds",
}
REASONS: Final = tuple(EXPECTED)
_KINDS: Final = {"numeric": numeric_columns, "categorical": categorical_columns}
_NESTED: Final = frozenset({list, dict})
_BASES: Final[dict[Role, str]] = {"input": "feature", "output": "prediction"}


class Record(msgspec.Struct, frozen=True, eq=False):
    """What one record holds: its rows, apart by time where it tells one for each; `ids` is () or one per row."""

    rows: int
    observations: tuple[Observation, ...]
    ids: tuple[str, ...] = ()


class _Fields(msgspec.Struct):
    """A record as it is written."""

    features: Any = None
    predictions: Any = None
    model_name: Any = None
    model_version: Any = None
    id: Any = None
    ids: Any = None
    time: Any = None
    times: Any = None
    kinds: Any = None


FIELDS: Final = frozenset(_Fields.__struct_fields__)


def decode(body: bytes, lines: bool, now: float) -> list[Record | str]:
    """The records of a body in their order, each or why it is refused; Undecodable if the body holds none."""
    if not lines:
        value = parse(body)
        if type(value) is dict and value.keys() == {"observations"}:
            value = value["observations"]
        listed = value if type(value) is list else [value]
        _refuse_many(len(listed))
        return [_outcome(one, now) for one in listed]
    _refuse_many(body.count(b"\n"))
    return [_line(line, now) for line in body.split(b"\n") if line.strip()]


def _refuse_many(count: int) -> None:
    if count > MAX_RECORDS:
        raise Undecodable("too_many_records")


def _line(line: bytes, now: float) -> Record | str:
    try:
        value = parse(line)
    except Undecodable as refusal:
        return refusal.reason
    return _outcome(value, now)


def _outcome(value: Any, now: float) -> Record | str:
    try:
        return record(value, now)
    except Undecodable as refusal:
        return refusal.reason


def record(value: Any, now: float) -> Record:
    """The record in a JSON value; `now` in unix seconds. Raises Undecodable with one of REASONS."""
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    if not value.keys() <= FIELDS:
        raise Undecodable("unknown_field")
    fields = _Fields(**value)
    kinds = _kinds(fields.kinds)
    sides = (_side(fields.features, "input", kinds), _side(fields.predictions, "output", kinds))
    counts = {count for count, _ in sides if count >= 0}
    if len(counts) != 1:
        raise Undecodable("rows_differ" if counts else "missing_field")
    (rows,) = counts
    if kinds.keys() - {column.name for _, columns in sides for column in columns}:
        raise Undecodable("bad_kind")
    ids = _ids(fields, rows)
    whole = Observation(
        protocol=NAME,
        rows=rows,
        inputs=checked(sides[0][1]),
        outputs=checked(sides[1][1]),
        model_name=_name(fields.model_name),
        model_version=_name(fields.model_version),
        request_id=ids[0] if rows == 1 and ids else "",
    )
    return Record(rows, _timed(whole, fields, now), ids)


def _name(value: Any) -> str:
    """A model's name or version; "" where it is not told."""
    if value is None:
        return ""
    word = str(value) if type(value) is int else value
    if type(word) is not str:
        raise Undecodable("wrong_type")
    if not 0 < len(word) <= MAX_NAME or not word.isprintable():
        raise Undecodable("bad_name")
    return word


def _kinds(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if type(value) is not dict or not all(type(kind) is str and kind in _KINDS for kind in value.values()):
        raise Undecodable("bad_kind")
    return value


# ---------------------------------------------------------------- columns


def _side(value: Any, role: Role, kinds: dict[str, str]) -> tuple[int, Columns]:
    """(rows, columns) of one side; -1 rows where it is not there."""
    if value is None:
        return -1, []
    if type(value) is list:
        return _rows(value, role, kinds)
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    if not value:
        raise Undecodable("missing_field")
    if not _NESTED & set(map(type, value.values())):
        value = {name: [cell] for name, cell in value.items()}
    if set(map(type, value.values())) != {list}:
        raise Undecodable("wrong_type")
    counts = set(map(len, value.values()))
    if len(counts) != 1:
        raise Undecodable("rows_differ")
    return _bounded(counts.pop()), _columns(value, role, kinds)


def _bounded(rows: int) -> int:
    if rows > MAX_ROWS:
        raise Undecodable("too_many_rows")
    return rows


def _rows(listed: list[Any], role: Role, kinds: dict[str, str]) -> tuple[int, Columns]:
    """Objects are rows of named columns; anything else is a column of its own, called feature or prediction."""
    count = _bounded(len(listed))
    types = set(map(type, listed))
    if dict not in types:
        return count, _columns({_BASES[role]: listed}, role, kinds)
    if types != {dict}:
        raise Undecodable("mixed_rows")
    if not kinds:
        return count, row_columns(_BASES[role], listed, role)
    names = dict.fromkeys(name for row in listed for name in row)
    if len(names) * count > 4 * sum(map(len, listed)) + 1024:
        raise Undecodable("too_sparse")
    return count, _columns({name: [row.get(name) for row in listed] for name in names}, role, kinds)


def _columns(table: dict[str, list[Any]], role: Role, kinds: dict[str, str]) -> Columns:
    if len(table) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    found: list[Column] = []
    for name, cells in table.items():
        if not name:
            raise Undecodable("bad_name")
        kind = kinds.get(name)
        name = name[:MAX_NAME]
        if kind is None:
            # Depth 1: an object among the cells belongs to the name of its column.
            found += row_columns(name, cells, role, 1) if cells else ()
        elif _NESTED & set(map(type, cells)):
            raise Undecodable("wrong_type")
        elif cells:
            found += _KINDS[kind]((name,), cells)
    return found


# ---------------------------------------------------------------- ids and times


def _ids(fields: _Fields, rows: int) -> tuple[str, ...]:
    listed = _each(fields.id, fields.ids, rows)
    words = [str(one) if type(one) is int else one for one in listed]
    if not all(type(word) is str and 0 < len(word) <= MAX_ID for word in words):
        raise Undecodable("bad_id")
    return tuple(words)


def _each(one: Any, several: Any, rows: int) -> Sequence[Any]:
    """The values of a field that may be told once, for a single row, or for each row."""
    if one is not None and several is not None:
        raise Undecodable("ambiguous_field")
    if several is None:
        if one is not None and rows != 1:
            raise Undecodable("rows_differ")
        return () if one is None else (one,)
    if type(several) is not list:
        raise Undecodable("wrong_type")
    if len(several) != rows:
        raise Undecodable("rows_differ")
    return several


def _timed(whole: Observation, fields: _Fields, now: float) -> tuple[Observation, ...]:
    """The rows as one Observation, or as several that differ in time."""
    if fields.time is not None and fields.times is not None:
        raise Undecodable("ambiguous_field")
    if fields.time is not None:
        return (msgspec.structs.replace(whole, time=moment(fields.time, now)),)
    times = np.array([moment(one, now) for one in _each(None, fields.times, whole.rows)])
    if not len(times):
        return (whole,)
    width = max(_MINUTE_SECONDS, float(times.max() - times.min()) / _MOST_TIMES)
    places = np.floor(times / width)
    moments, parts = np.unique(places, return_inverse=True)
    order = np.argsort(parts, kind="stable")
    ends = np.cumsum(np.bincount(parts))
    cuts = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    inputs = _cut(whole.inputs, order, cuts)
    outputs = _cut(whole.outputs, order, cuts)
    return tuple(
        [
            msgspec.structs.replace(
                whole, rows=end - start, inputs=inputs[at], outputs=outputs[at], time=max(moment * width, 1.0)
            )
            for at, ((start, end), moment) in enumerate(zip(cuts, moments.tolist(), strict=True))
        ]
    )


def _cut(columns: Columns, order: NDArray[np.intp], cuts: list[tuple[int, int]]) -> list[tuple[Column, ...]]:
    """The columns of each part of the rows, which are put into that order first."""
    table = [_parts(column, column.values[order], cuts) for column in columns]
    return [tuple([parts[at] for parts in table]) for at in range(len(cuts))]


def _parts(column: Column, values: Any, cuts: list[tuple[int, int]]) -> Columns:
    """A null among numbers is a NaN like any other: where both are, the sum over the parts is right."""
    found, nulls = [], column.nulls
    for start, end in cuts:
        part = values[start:end]
        missing = 0
        if nulls and column.kind == "numeric":
            missing = min(nulls, int(np.isnan(part).sum()))
        elif nulls:
            missing = sum(cell is None for cell in part.tolist())
        nulls -= missing
        found.append(Column(column.name, column.kind, part, missing))
    return found
