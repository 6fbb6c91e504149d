"""Rows of reference data, whatever file holds them: the common form, and how a file is opened.

A source can be read as often as wanted, in parts of bounded size; what is in memory is a part. Refuses to know roles,
types and bins. Invariants: all cells of a part are equally many per column; input that cannot be used raises DataError
with file, place, what was found and what was expected.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from exporter.stats.profiles.types import Cells

PART_ROWS = 8192
MAX_COLUMNS = 4096
# Where no header names the columns, those of so many rows are all that there are.
NAMING_ROWS = 100_000
# Wider lists are vectors (embeddings, pixels): their single places mean nothing. As the decoders of live bodies do.
MAX_POSITIONS = 64
_GZIP = b"\x1f\x8b"
_BAR = 30


class DataError(ValueError):
    """Input that cannot be used; the message says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows: cells by column, and the line (or row) of each in the file."""

    cells: Mapping[str, Cells]
    lines: Sequence[int]


class Source(Protocol):
    """A file of rows. `names` may read it; `parts` starts anew each time. `written`: numbers stand there as text.

    `word`: what `lines` count, "line" or "row". Both methods raise DataError and OSError.
    """

    @property
    def path(self) -> str:
        """The file."""

    @property
    def written(self) -> bool:
        """Whether cells are text."""

    @property
    def word(self) -> str:
        """See above."""

    def names(self) -> list[str]:
        """The columns, in their order."""

    def given(self) -> dict[str, str]:
        """Roles that the source itself knows, by column: what a model answered is a prediction."""

    def parts(self) -> Iterator[Part]:
        """All rows."""

    def late(self) -> Mapping[str, int]:
        """Of the last pass over all parts: in how many rows there were keys that are no columns; see `late.py`."""


@dataclass(slots=True)
class Limited:
    """A source of which no more than `most` rows are read; `cut` says whether there were more."""

    source: Source
    most: int
    cut: bool = False

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def written(self) -> bool:
        return self.source.written

    @property
    def word(self) -> str:
        return self.source.word

    def names(self) -> list[str]:
        """Those of the source."""
        return self.source.names()

    def given(self) -> dict[str, str]:
        """Those of the source."""
        return self.source.given()

    def late(self) -> Mapping[str, int]:
        """Those of the source, as far as it was read."""
        return self.source.late()

    def parts(self) -> Iterator[Part]:
        """The first rows."""
        left = self.most
        with contextlib.closing(cast("Any", self.source.parts())) as parts:
            for part in parts:
                rows = len(part.lines)
                if rows > left:
                    self.cut = True
                    if left:
                        yield Part({name: c[:left] for name, c in part.cells.items()}, part.lines[:left])
                    return
                left -= rows
                yield part


def open_bytes(path: str) -> IO[bytes]:
    """The bytes of a file, unpacked if they are gzip; the progress of reading is shown on a terminal."""
    raw = Path(path).open("rb")  # noqa: SIM115 (closed by whoever reads it)
    packed = raw.read(2) == _GZIP
    raw.seek(0)
    shown = cast("IO[bytes]", Watched(raw, Path(path))) if sys.stderr.isatty() else raw
    return cast("IO[bytes]", Unpacked(shown)) if packed else shown


class Unpacked(gzip.GzipFile):
    """A gzip file that closes what it reads from."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        super().__init__(fileobj=packed)

    def close(self) -> None:
        """Close both."""
        super().close()
        self._packed.close()


class Watched:
    """A binary file that shows how far it was read, on stderr, from the second second on."""

    def __init__(self, raw: IO[bytes], path: Path) -> None:
        self._raw = raw
        self._name = path.name
        self._size = max(1, path.stat().st_size)
        self._next = time.monotonic() + 1.0
        self._shown = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def read(self, size: int = -1) -> bytes:
        """As the file does."""
        self._show()
        return self._raw.read(size)

    def read1(self, size: int = -1) -> bytes:
        """As the file does."""
        self._show()
        return cast("bytes", cast("Any", self._raw).read1(size))

    def readinto(self, buffer: Any) -> int:
        """As the file does."""
        self._show()
        return cast("int", cast("Any", self._raw).readinto(buffer))

    def readline(self, size: int = -1) -> bytes:
        """As the file does."""
        self._show()
        return self._raw.readline(size)

    def close(self) -> None:
        """Close the file and take the bar away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._raw.close()

    def _show(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + 0.2, True
        share = self._raw.tell() / self._size
        bar = "#" * int(share * _BAR)
        sys.stderr.write(f"\r{self._name} [{bar:<{_BAR}}] {100 * share:3.0f} %")
        sys.stderr.flush()


def flattened(name: str, value: Any, into: dict[str, Any]) -> None:
    """A nested value as columns: keys joined with a dot, short lists by place, longer ones whole."""
    if isinstance(value, dict):
        for key, item in value.items():
            flattened(f"{name}.{key}" if name else str(key), item, into)
    elif isinstance(value, (list, tuple)) and 0 < len(value) <= MAX_POSITIONS:
        for place, item in enumerate(value):
            flattened(name if len(value) == 1 else f"{name}_{place}", item, into)
    else:
        into[name] = value


def columns_of(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Cells]:
    """Cells by column; None where a row lacks one."""
    return {name: [row.get(name) for row in rows] for name in names}


def names_of(path: str, rows: Iterator[dict[str, Any]]) -> list[str]:
    """The keys of the first rows, in order of first sight. Raises DataError for none, and for too many."""
    found: dict[str, None] = {}
    for row in itertools.islice(rows, NAMING_ROWS):
        found.update(dict.fromkeys(row))
        if len(found) > MAX_COLUMNS:
            raise DataError(f"{path}: over {MAX_COLUMNS} columns, expected at most so many")
    if not found:
        raise DataError(f"{path}: no rows with columns; at least one was expected")
    return list(found)
