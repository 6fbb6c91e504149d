"""JSON lines: one object per row, plain or gzip; nested keys are joined with a dot, as the live decoders do."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.commands.late import count_late
from exporter.commands.reading import (
    NAMING_ROWS,
    PART_ROWS,
    DataError,
    Part,
    columns_of,
    flattened,
    names_of,
    open_bytes,
)

MAX_LINE = 16 << 20


@dataclass(slots=True)
class JsonSource:
    """The rows of a file of JSON lines; cells have JSON's own types, None where a row lacks the key."""

    path: str
    written: bool = False
    word: str = "line"
    _names: list[str] | None = None
    _late: Counter[str] = field(default_factory=Counter)

    def names(self) -> list[str]:
        """The keys of the first 100,000 rows."""
        if self._names is None:
            with contextlib.closing(self._rows()) as rows:
                self._names = names_of(self.path, (row for _, row in rows))
        return self._names

    def given(self) -> dict[str, str]:
        """None."""
        return {}

    def late(self) -> Mapping[str, int]:
        """Keys of rows after the first 100,000."""
        return self._late

    def parts(self) -> Iterator[Part]:
        """All rows."""
        names = self.names()
        rows, before = self._rows(), 0
        self._late = Counter()
        while chunk := list(itertools.islice(rows, PART_ROWS)):
            if before + len(chunk) > NAMING_ROWS:
                count_late(self._late, (row for _, row in chunk), frozenset(names))
            before += len(chunk)
            yield Part(columns_of([row for _, row in chunk], names), [line for line, _ in chunk])

    def _rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        for line, value in json_lines(self.path):
            if not isinstance(value, dict):
                found = type(value).__name__
                raise DataError(f"{self.path}, line {line}: a JSON {found}, expected an object for each row")
            row: dict[str, Any] = {}
            flattened("", value, row)
            yield line, row


def json_lines(path: str) -> Generator[tuple[int, Any], None, None]:
    """(line number, value) of every line that is not blank. Raises DataError."""
    line = 0
    try:
        with open_bytes(path) as file:
            for line, raw in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                if len(raw) > MAX_LINE:
                    raise DataError(f"{path}, line {line}: over {MAX_LINE >> 20} MiB, expected one row")
                if raw.strip():
                    yield line, json.loads(raw)
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}, line {line}: not JSON: {error}; a JSON object was expected") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}, after line {line}: damaged gzip data: {error}") from error
