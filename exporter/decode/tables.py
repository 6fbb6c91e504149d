"""Tables whose cells or names stand apart from the rows: CSV, JSON lines, rows beside a list of names.

Knows no dialect. CSV cells have no types, so a column's cells decide together, by the rules of `modeltap profile`:
numbers if all are (then NA, null and their like are missing), else truth values if all are, else text, where only the
empty cell is missing.
"""

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np

from exporter.decode.columns import (
    MAX_COLUMNS,
    MAX_VECTOR,
    Role,
    canonical,
    flatten,
    positional,
    row_columns,
    scalar_columns,
)
from exporter.decode.payload import MAX_NAME, parse, text
from exporter.records.observation import Column, Columns, Undecodable

_MISSING_NUMBERS: Final = frozenset(("", "null", "NULL", "None", "NA", "N/A"))
_TRUTH: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# `float` reads 1_000, and reads 01234 as 1234; both are codes, not numbers.
_CODE: Final = re.compile(r"_|^\s*[+-]?0\d", re.MULTILINE)
_INTEGERS: Final = re.compile(r"[\s0-9+-]*")
_NUMBERS: Final = re.compile(rb"[0-9eE+\-., \t\n]*+")
_MAX_DIGITS: Final = 20  # of an integer in 64 bits, with or without a sign
# Of one body, as far as its separators tell. A cell of two characters takes twenty times that in memory.
MAX_RECORDS: Final = 1 << 18
MAX_CELLS: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a CSV body, all of one length, apart from blank lines. Cells are text, or all of them numbers.

    `first` is the first record as text, since it may name the columns; () where there is none. `rows` are all records,
    the first too, unless that holds no number and all others hold nothing else.
    """

    first: tuple[str, ...]
    rows: list[list[Any]]
    count: int

    @property
    def has_header(self) -> bool:
        """Whether the first record names the columns for certain: it holds no number, and the second one does."""
        if len(self.rows) < self.count:
            return True
        return self.count > 1 and not any(map(_is_number, self.first)) and any(map(_is_number, self.rows[1]))

    def named(self, name: str, role: Role) -> Columns:
        """Columns of all records but the first, which names them; one without a name is called by place."""
        names = [cell.strip() for cell in self.first]
        if "" in names:
            names = [one or f"{name}_{place}" for place, one in enumerate(names)]
        return _cell_columns(column_names(names), self.rows[len(self.rows) - self.count + 1 :], role)

    def unnamed(self, name: str, role: Role) -> Columns:
        """Columns of all records, called by place; over MAX_VECTOR cells a record one vector, of numbers alone.

        Not where there is a header.
        """
        width = len(self.first)
        if width > MAX_VECTOR:
            return row_columns(name, list(self.rows), role) if type(self.rows[0][0]) is not str else []
        return _cell_columns(positional(name, width), self.rows, role) if width else []

    def turned(self) -> "Records":
        """Records of one cell each, from a single record."""
        return Records(self.first[:1], [[cell] for cell in self.rows[0]], len(self.rows[0]))


def csv_records(body: bytes) -> Records:
    """The records of a CSV body: UTF-8, commas, double quotes, any line end.

    Raises Undecodable "not_csv", "ragged", "too_many_values" over MAX_RECORDS or MAX_CELLS, or "too_many_columns" over
    MAX_COLUMNS cells in a record.
    """
    lines = body.count(b"\n") + body.count(b"\r")
    if lines > MAX_RECORDS or lines + body.count(b",") > MAX_CELLS:
        raise Undecodable("too_many_values")
    records = _numbers_alone(body) or _as_text(body)
    if len(records.first) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if set(map(len, records.rows)) - {len(records.first)}:
        raise Undecodable("ragged")
    return records


def json_lines(body: bytes) -> list[Any]:
    """The JSON values of a body that has one per line; Undecodable "not_json", "too_deep" or "too_many_values"."""
    if body.count(b"\n") > MAX_RECORDS:
        raise Undecodable("too_many_values")
    lines = [line for line in body.split(b"\n") if line.strip()]
    values = parse(b"[[" + b"],[".join(lines) + b"]]") if lines else []
    # Brackets around each line, so that a line of two values is told from two lines.
    if len(values) != len(lines) or set(map(len, values)) - {1}:
        raise Undecodable("not_json")
    return list(chain.from_iterable(values))


def _as_text(body: bytes) -> Records:
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        rows = [row for row in reader if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise Undecodable("not_csv") from error
    return Records(tuple(rows[0]) if rows else (), rows, len(rows))


def _numbers_alone(body: bytes) -> Records | None:
    """The records of a body of numbers as JSON writes them, under a header or not; None for any other body.

    Parsing them as JSON takes a fifth of the time. What JSON refuses, such as 007, +1 and an empty cell, is left to
    the slower way, and so is a blank line.
    """
    line, _, rest = body.partition(b"\n")
    line = line.removesuffix(b"\r")
    if b'"' in line or b"\r" in line or not line.strip():
        return None
    try:
        first = tuple(line.decode("utf-8-sig").split(","))
    except UnicodeDecodeError:
        return None
    header = not any(map(_is_number, first))
    numbers = (rest if header else body).replace(b"\r\n", b"\n").rstrip(b"\n")
    if _NUMBERS.fullmatch(numbers) is None:
        return None
    try:
        rows = parse(b"[[" + numbers.replace(b"\n", b"],[") + b"]]")
    except Undecodable:
        return None
    return Records(first, rows, len(rows) + header) if all(rows) else None


def _cell_columns(names: tuple[str, ...], rows: list[list[Any]], role: Role) -> Columns:
    flat, width = list(chain.from_iterable(rows)), len(names)
    if not flat:
        return []
    if type(flat[0]) is not str:
        return scalar_columns(names, flat, role)
    return [_cell_column(name, flat[place::width], role) for place, name in enumerate(names)]


def column_names(listed: list[Any]) -> tuple[str, ...]:
    """Names that stand beside rows, cut at MAX_NAME; Undecodable "bad_name" for one that is empty or no name."""
    names = tuple(listed if set(map(type, listed)) == {str} else map(text, listed))
    if "" in names:
        raise Undecodable("bad_name")
    return tuple([name[:MAX_NAME] for name in names]) if max(map(len, names), default=0) > MAX_NAME else names


def named_rows(names: tuple[str, ...], rows: list[Any], role: Role) -> Columns:
    """Columns of JSON rows whose names stand beside them; each row is a list of one value per name.

    Raises Undecodable "mixed_rows" for a row that is no list, "names_differ" for one of another length,
    "too_many_columns", and whatever `row_columns` raises for cells that are lists or objects.
    """
    if len(names) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if not rows:
        return []
    flat, width = flatten(rows), len(names)
    if (
        flat is not None
        and type(rows[0]) is list
        and len(rows[0]) == width
        and len(flat) == len(rows) * width
    ):
        return scalar_columns(names, flat, role)
    if set(map(type, rows)) - {list}:
        raise Undecodable("mixed_rows")
    if set(map(len, rows)) - {width}:
        raise Undecodable("names_differ")
    return [
        column
        for place, name in enumerate(names)
        for column in row_columns(name, [row[place] for row in rows], role, 1)
    ]


def _cell_column(name: str, cells: list[str], role: Role) -> Column:
    """The column of cells; each that occurs is looked at once."""
    words = {cell: cell.strip() for cell in set(cells)}
    numbers = _numbers({cell: word for cell, word in words.items() if word not in _MISSING_NUMBERS})
    if numbers is not None:
        meanings: dict[str, Any] = dict.fromkeys(words) | numbers
    elif all(word in _TRUTH or not word for word in words.values()):
        meanings = {cell: _TRUTH.get(word) for cell, word in words.items()}
    else:
        texts = {cell: canonical(word) or None for cell, word in words.items()}
        nulls = sum(cells.count(cell) for cell, word in words.items() if not word)
        return Column(name, "categorical", np.array(list(map(texts.__getitem__, cells)), dtype=object), nulls)
    (column,) = scalar_columns((name,), list(map(meanings.__getitem__, cells)), role)
    return column


def _numbers(present: dict[str, str]) -> dict[str, Any] | None:
    joined = "\n".join(present.values())
    if _CODE.search(joined):
        return None
    try:
        if _INTEGERS.fullmatch(joined) and max(map(len, present.values()), default=0) <= _MAX_DIGITS:
            whole = {cell: int(word) for cell, word in present.items()}
            if all(-(1 << 63) <= number < 1 << 64 for number in whole.values()):
                return whole
        return {cell: float(word) for cell, word in present.items()}
    except ValueError:
        return None


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
