"""CSV: rows under a header line, UTF-8, comma separated, plain or gzip. Strict: a short row is an error."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from exporter.commands.reading import PART_ROWS, DataError, Part, open_bytes

Row = list[str]


@dataclass(slots=True)
class CsvSource:
    """The rows of a CSV file; every cell is text."""

    path: str
    written: bool = True
    word: str = "line"

    def names(self) -> list[str]:
        """The header's names, trimmed. Raises DataError for none, and for repeated ones."""
        with contextlib.closing(self._rows()) as rows:
            _, header = next(rows, (0, []))
        if not header:
            raise DataError(f"{self.path}: empty; a header line with column names was expected")
        names = [name.strip() for name in header]
        repeated = [repr(name) for name, times in Counter(names).items() if times > 1]
        if repeated:
            expected = "distinct column names were expected"
            raise DataError(f"{self.path}, line 1: {expected}, repeated: {', '.join(repeated)}")
        return names

    def given(self) -> dict[str, str]:
        """None."""
        return {}

    def late(self) -> Mapping[str, int]:
        """None: a row that is longer than the header is an error."""
        return {}

    def parts(self) -> Iterator[Part]:
        """Data rows. Raises DataError for a row whose length is not the header's."""
        names = self.names()
        rows = itertools.islice(self._rows(), 1, None)
        while chunk := list(itertools.islice(rows, PART_ROWS)):
            for line, row in chunk:
                if len(row) != len(names):
                    found = f"{len(row)} field{'s' if len(row) != 1 else ''}"
                    raise DataError(
                        f"{self.path}, line {line}: {found}, expected {len(names)} as in the header"
                    )
            columns = zip(*[row for _, row in chunk], strict=True)
            yield Part(dict(zip(names, columns, strict=True)), [line for line, _ in chunk])

    def _rows(self) -> Generator[tuple[int, Row], None, None]:
        """(line number, cells) of every record, the header first; blank lines are passed over."""
        line = 0
        try:
            with open_bytes(self.path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                reader = csv.reader(text, strict=True)
                for row in reader:
                    line = reader.line_num
                    if row:
                        yield line, row
        except csv.Error as error:
            raise DataError(f"{self.path}, line {line + 1}: not CSV: {error}; CSV was expected") from error
        except UnicodeDecodeError as error:
            # The decoder reads ahead by blocks, so no more can be said than which lines were fine.
            raise DataError(
                f"{self.path}, after line {line}: {error.reason}; UTF-8 text was expected"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self.path}, after line {line}: damaged gzip data: {error}") from error
