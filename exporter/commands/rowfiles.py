"""Files of rows -> columns, batch by batch: CSV, JSON lines, Parquet; the first two may be packed with gzip.

Knows no roles and no sidecar. CSV cells have no types, so a CSV is read twice and a column's cells decide together, by
the rules of `modeltap profile` and of the decoders: whole numbers, numbers or truth values if all cells are (then NA,
null and their like are missing), else text. Bad input is a FileError: where, what was found, what was expected.
"""

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, cast

Columns = dict[str, list[Any]]
_MISSING: Final = frozenset(("", "null", "NULL", "None", "NA", "N/A"))
_TRUTH: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# `float` reads 1_000, and reads 01234 as 1234; both are codes, not numbers.
_CODE: Final = re.compile(r"_|[+-]?0\d")
_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
_SCAN_ROWS: Final = 8192
_LINE_BYTES: Final = 1 << 20
_FORMS: Final = "expected .csv, .jsonl, .ndjson (each with .gz or without) or .parquet"


class FileError(ValueError):
    """A file that cannot be used; the message says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """`names`: the columns, () where only the rows tell; `batches(size)`: columns of up to so many rows, in order."""

    names: tuple[str, ...]
    batches: Callable[[int], Iterator[Columns]]


def open_rows(path: str) -> RowFile:
    """The rows of a file, by the end of its name. FileError or OSError."""
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return _parquet(path)
    if name.endswith((".jsonl", ".ndjson")):
        return RowFile((), lambda size: _json_batches(path, size))
    if name.endswith(".csv"):
        names = _header(path)
        kinds = _kinds(path, names)
        return RowFile(names, lambda size: _csv_batches(path, names, kinds, size))
    raise FileError(f"{path}: unknown kind of file; {_FORMS}")


def _open(path: str) -> IO[bytes]:
    if not Path(path).is_file():
        raise FileError(f"{path}: not a file; {_FORMS}")
    with Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else Path(path).open("rb")


# ---------------------------------------------------------------- CSV


def _records(path: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every record, the header first; blank lines are passed over."""
    line = 0
    try:
        with _open(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            for row in reader:
                line = reader.line_num
                if row:
                    yield line, row
    except csv.Error as error:
        raise FileError(f"{path}, line {line + 1}: not CSV: {error}; expected CSV") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}, after line {line}: {error.reason}; expected text in UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}, after line {line}: damaged gzip data: {error}") from error


def _header(path: str) -> tuple[str, ...]:
    with closing(_records(path)) as records:  # type: ignore[type-var]
        _, row = next(records, (0, []))
    names = tuple([name.strip() for name in row])
    if not names:
        raise FileError(f"{path}: empty; expected a header line with the names of the columns")
    if "" in names or len(set(names)) < len(names):
        raise FileError(f"{path}, line 1: expected distinct names of columns, none of them empty")
    return names


def _rows(path: str, width: int) -> Iterator[list[str]]:
    for line, row in itertools.islice(_records(path), 1, None):
        if len(row) != width:
            raise FileError(f"{path}, line {line}: {len(row)} cells, expected {width} as in the header")
        yield row


def _csv_batches(
    path: str, names: tuple[str, ...], kinds: list[Callable[[str], Any]], size: int
) -> Iterator[Columns]:
    rows = _rows(path, len(names))
    while chunk := list(itertools.islice(rows, size)):
        cells = zip(*chunk, strict=True)
        yield {name: list(map(kind, each)) for name, kind, each in zip(names, kinds, cells, strict=True)}


def _kinds(path: str, names: tuple[str, ...]) -> list[Callable[[str], Any]]:
    """How the cells of each column are read: the narrowest way that fits them all."""
    left = [list(_WAYS) for _ in names]
    rows = _rows(path, len(names))
    while chunk := list(itertools.islice(rows, _SCAN_ROWS)):
        for ways, cells in zip(left, zip(*chunk, strict=True), strict=True):
            words = set(map(str.strip, cells)) - _MISSING
            while len(ways) > 1 and not all(map(_WAYS[ways[0]][0], words)):
                ways.pop(0)
    return [_WAYS[ways[0]][1] for ways in left]


def _is_number(word: str) -> bool:
    if _CODE.match(word) or "_" in word:
        return False
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_whole(word: str) -> bool:
    return _WHOLE.fullmatch(word) is not None and _CODE.match(word) is None


def _present(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def cell(text: str) -> Any:
        word = text.strip()
        return None if word in _MISSING else read(word)

    return cell


# Narrowest first: whether a word fits, and how a cell is read. In text only the empty cell is missing.
_WAYS: Final[dict[str, tuple[Callable[[str], bool], Callable[[str], Any]]]] = {
    "whole": (_is_whole, _present(int)),
    "number": (_is_number, _present(float)),
    "truth": (_TRUTH.__contains__, _present(_TRUTH.__getitem__)),
    "text": (lambda _: True, lambda text: text.strip() or None),
}


# ---------------------------------------------------------------- JSON lines, Parquet


def _json_batches(path: str, size: int) -> Iterator[Columns]:
    rows = _objects(path)
    while chunk := list(itertools.islice(rows, size)):
        names = dict.fromkeys(itertools.chain.from_iterable(chunk))
        yield {name: [row.get(name) for row in chunk] for name in names}


def _objects(path: str) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with _open(path) as raw:
            while line := raw.readline(_LINE_BYTES + 1):
                number += 1
                if len(line) > _LINE_BYTES:
                    raise FileError(
                        f"{path}, line {number}: over {_LINE_BYTES} bytes, expected shorter lines"
                    )
                if line.strip():
                    yield _object(path, number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}, after line {number}: damaged gzip data: {error}") from error


def _object(path: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FileError(f"{path}, line {number}: expected a JSON object")
    return found


def _parquet(path: str) -> RowFile:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise FileError(f"{path}: Parquet is read by pyarrow: pip install 'modeltap[parquet]'") from None
    try:
        names = tuple(parquet.read_schema(path).names)
    except pyarrow.ArrowException as error:
        raise FileError(f"{path}: not Parquet: {str(error).splitlines()[0]}") from error

    def batches(size: int) -> Iterator[Columns]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=size):
                    yield {name: list(map(_plain, cells)) for name, cells in batch.to_pydict().items()}
        except pyarrow.ArrowException as error:
            raise FileError(f"{path}: damaged Parquet: {str(error).splitlines()[0]}") from error

    return RowFile(names, batches)


def _plain(cell: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return float(cell)
    return cell.hex() if isinstance(cell, bytes) else cell
