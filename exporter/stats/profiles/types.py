"""Types of payload columns: what cells can be read as, and reading them so.

Cells are a list of Python values, or an array of one or (vectors) two dimensions; where they are `written` (CSV),
numbers, booleans and times stand there as text. Refuses to know files and bins. Invariants: what can be read as a
type does not depend on how rows are cut into chunks; reading raises nothing but WrongCell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import BoolArray, FloatArray, Values, as_numbers, canonical

Cells = Sequence[Any] | NDArray[Any]

UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
# Spellings of a missing number. In a text column only the empty cell is missing: `NA` may be a country there.
MISSING_NUMBERS: Final = frozenset(("", "null", "NULL", "None", "NA", "N/A"))
# Longer cells, or so many words a cell, are text and no categories: the rule by which live columns are told too.
LONGEST_WORD: Final = 256
WORDS: Final = 5.0
# `float` reads 1_000, and reads 01234 as 1234; both are codes, not numbers.
_CODE = re.compile(r"_|^\s*[+-]?0\d", re.MULTILINE)
_BOOLEANS: Final = {"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false"} | {
    "FALSE": "false"
}
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?")


class WrongCell(ValueError):
    """A cell that cannot be read as its column's type: its row within the chunk, what it is, what was expected."""

    def __init__(self, row: int, cell: Any, expected: str) -> None:
        shown = repr(cell)
        self.row = row
        self.shown = shown if len(shown) <= 40 else shown[:37] + "..."
        self.expected = expected
        super().__init__(f"{self.shown}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Typed:
    """Cells as one array: float64 (numeric; datetime in unix seconds), objects of str and None (boolean, categorical,
    text), or float64 of shape (rows, width). `missing`: mask of the cells that are null; of these, and of NaN, how
    many there are by form."""

    values: Values
    missing: BoolArray
    null: int = 0
    nan: int = 0
    empty: int = 0


def typed(cells: Cells, kind: str, written: bool, unit: str | None = None) -> Typed:
    """The cells as that type. Raises WrongCell for the first that is none, or for vectors of several widths."""
    if kind == "numeric":
        return _numeric(cells, written)
    if kind == "vector":
        return _vectors(cells)
    if kind == "datetime":
        return _datetimes(cells, written, unit)
    if kind == "boolean":
        return _booleans(cells, written)
    return _texts(cells, written, kind == "text")


def guessed(cells: Cells, written: bool, but: frozenset[str] = frozenset()) -> str | None:
    """The narrowest type, none of `but`, that all cells can be read as; None if no cell holds anything."""
    if not _holds_something(cells, written):
        return None
    for kind in ("boolean", "numeric", "datetime", "vector"):
        if kind not in but and _reads(cells, kind, written):
            return kind
    # A list or an object among them is one odd word.
    texts = [cell if isinstance(cell, str) else "" for cell in cells if cell is not None]
    return "text" if is_text(sum(map(word_count, texts)), len(texts), max(map(len, texts))) else "categorical"


def is_text(words: int, cells: int, longest: int) -> bool:
    """Whether strings are free text and no categories: a cell of over 256 characters, or five words on average."""
    return longest > LONGEST_WORD or words >= WORDS * max(1, cells)


def word_count(text: str) -> int:
    """Words of a text, by white space."""
    return text.count(" ") + 1 if text.isascii() and "  " not in text else len(text.split())


def _reads(cells: Cells, kind: str, written: bool) -> bool:
    try:
        typed(cells, kind, written)
    except WrongCell:
        return False
    return True


def _holds_something(cells: Cells, written: bool) -> bool:
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        return len(cells) > 0
    if written:
        return any(cell.strip() not in MISSING_NUMBERS for cell in cells)
    return any(cell is not None for cell in cells)


def _numeric(cells: Cells, written: bool) -> Typed:
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiub" and cells.ndim == 1:
        values = cells.astype(np.float64)
        return Typed(values, np.zeros(len(values), np.bool_), nan=int(np.isnan(values).sum()))
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        raise WrongCell(0, cells[0] if len(cells) else None, "a number")
    return _written_numbers(cells) if written else _object_numbers(cells)


def _written_numbers(cells: Cells) -> Typed:
    try:  # the usual column has no gaps
        values = np.array(list(map(float, cells)), np.float64)
        missing = np.zeros(len(values), np.bool_)
        empty = 0
    except ValueError:
        stripped = [cell.strip() for cell in cells]
        missing = np.array([cell in MISSING_NUMBERS for cell in stripped], np.bool_)
        empty = stripped.count("")
        values = np.array([_read_number(row, cell) for row, cell in enumerate(stripped)], np.float64)
    if _CODE.search("\n".join(cells)):
        row = next(row for row, cell in enumerate(cells) if _CODE.search(cell))
        if not missing[row]:
            raise WrongCell(row, cells[row], "a number (this is a code)")
    null = int(missing.sum())
    return Typed(values, missing, null - empty, int(np.isnan(values).sum()) - null, empty)


def _read_number(row: int, cell: str) -> float:
    if cell in MISSING_NUMBERS:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise WrongCell(row, cell, "a number") from None


def _object_numbers(cells: Cells) -> Typed:
    listed = cells if isinstance(cells, np.ndarray) else _object_array(cells)
    ready = as_numbers(listed)
    if ready.wrong is not None and ready.wrong.any():
        row = int(ready.wrong.argmax())
        raise WrongCell(row, cells[row], "a number")
    values = ready.values.astype(np.float64, copy=False)
    missing = ready.null if ready.null is not None else np.zeros(len(values), np.bool_)
    null = int(missing.sum())
    return Typed(values, missing, null, int(np.isnan(values).sum()) - null)


def _booleans(cells: Cells, written: bool) -> Typed:
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "b" and cells.ndim == 1:
        words = np.array(["false", "true"], object)[cells.astype(np.int64)]
        return Typed(words, np.zeros(len(words), np.bool_))
    found: list[str | None] = []
    empty = 0
    for row, cell in enumerate(cells):
        text = cell.strip() if written else cell
        if text is None or (written and text in MISSING_NUMBERS):
            empty += text == ""
            found.append(None)
        elif isinstance(text, (bool, np.bool_)):
            found.append("true" if text else "false")
        elif written and text in _BOOLEANS:
            found.append(_BOOLEANS[text])
        else:
            raise WrongCell(row, cell, "true or false")
    missing = np.array([cell is None for cell in found], np.bool_)
    return Typed(_object_array(found), missing, int(missing.sum()) - empty, 0, empty)


def _datetimes(cells: Cells, written: bool, unit: str | None) -> Typed:
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        missing = np.isnat(cells)
        seconds = np.where(missing, np.nan, cells.astype("datetime64[us]").astype(np.int64) / 1e6)
        return Typed(seconds, missing, int(missing.sum()))
    if unit in UNITS:
        numbers = _numeric(cells, written)
        return Typed(numbers.values / UNITS[unit], numbers.missing, numbers.null, numbers.nan, numbers.empty)
    found = np.full(len(cells), math.nan)
    empty = null = 0
    for row, cell in enumerate(cells):
        text = cell.strip() if isinstance(cell, str) else cell
        if text is None or (written and text in MISSING_NUMBERS):
            empty, null = empty + (text == ""), null + (text != "")
        else:
            found[row] = unix_seconds(row, text)
    return Typed(found, np.isnan(found), null, 0, empty)


def unix_seconds(row: int, cell: Any) -> float:
    """The unix time of an ISO 8601 date or time (naive is UTC), or of a datetime. Raises WrongCell."""
    expected = "an ISO 8601 date or time"
    if isinstance(cell, datetime):
        moment = cell
    elif isinstance(cell, str) and _ISO.fullmatch(cell):
        try:
            moment = datetime.fromisoformat(cell.replace(" Z", "Z").replace(",", "."))
        except ValueError:
            raise WrongCell(row, cell, expected) from None
    else:
        raise WrongCell(row, cell, expected)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _vectors(cells: Cells) -> Typed:
    if isinstance(cells, np.ndarray) and cells.ndim == 2 and cells.dtype.kind in "fiub":
        table = cells.astype(np.float64)
        return Typed(table, np.zeros(len(table), np.bool_), nan=int(np.isnan(table).any(axis=1).sum()))
    width = next((len(cell) for cell in cells if _is_list(cell)), 0)
    table = np.full((len(cells), width), math.nan)
    missing = np.zeros(len(cells), np.bool_)
    for row, cell in enumerate(cells):
        if cell is None:
            missing[row] = True
        elif not width or not _is_list(cell) or len(cell) != width:
            raise WrongCell(row, cell, f"a list of {width} numbers" if width else "a list of numbers")
        else:
            table[row] = _vector(row, cell)
    nan = int(np.isnan(table).any(axis=1).sum()) - int(missing.sum()) if width else 0
    return Typed(table, missing, int(missing.sum()), nan)


def _vector(row: int, cell: Any) -> FloatArray:
    try:
        found = np.array(cell, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise WrongCell(row, cell, "a list of numbers") from None
    if found.ndim != 1:
        raise WrongCell(row, cell, "a flat list of numbers")
    return found


def _is_list(cell: Any) -> bool:
    return isinstance(cell, (list, tuple)) or (isinstance(cell, np.ndarray) and cell.ndim == 1)


def _texts(cells: Cells, written: bool, whole: bool) -> Typed:
    listed = cells.tolist() if isinstance(cells, np.ndarray) else cells
    if written:
        found = [cell if cell.strip() else None for cell in listed]
        empty = found.count(None)
        null = 0
    else:
        form = _as_text if whole else canonical
        known = {cell: form(cell) for cell in set(listed)} if _hashable(listed) else {}
        found = [known[cell] for cell in listed] if known else [form(cell) for cell in listed]
        null = found.count(None)
        empty = sum(1 for cell in found if cell is not None and not cell.strip())
    missing = np.array([cell is None for cell in found], np.bool_)
    return Typed(_object_array(found), missing, null, 0, empty)


def _as_text(cell: Any) -> str | None:
    return None if cell is None else cell if isinstance(cell, str) else canonical(cell)


def _hashable(cells: Sequence[Any]) -> bool:
    # True == 1 == 1.0: one key would take the form of whichever came first.
    return {type(cell) for cell in cells} <= {str, type(None)}


def _object_array(cells: Sequence[Any]) -> NDArray[np.object_]:
    return np.fromiter(cells, object, len(cells))  # lists among the cells stay lists
