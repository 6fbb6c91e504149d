"""Which reader a file of rows gets: told by its first bytes, and by its name where these do not say."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from exporter.commands.read_csv import CsvSource
from exporter.commands.read_json import JsonSource
from exporter.commands.read_numpy import NumpySource
from exporter.commands.read_parquet import ParquetSource
from exporter.commands.read_traffic import TrafficSource
from exporter.commands.reading import DataError, Source, open_bytes


def open_source(path: str) -> Source:
    """The reader for a file, told by its first bytes. Raises DataError and OSError."""
    if not Path(path).is_file():
        raise DataError(f"{path}: not a file; a file that can be read several times was expected")
    with Path(path).open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        return ParquetSource(path)
    if start.startswith(b"\x93NUMPY") or path.endswith(".npz"):
        return NumpySource(path)
    first = _first_line(path)
    if first.lstrip().startswith(b"{") and not path.endswith((".csv", ".csv.gz")):
        return TrafficSource(path) if b'"specversion"' in first else JsonSource(path)
    return CsvSource(path)


def _first_line(path: str) -> bytes:
    try:
        with open_bytes(path) as file:
            return next((line for line in iter(lambda: file.readline(1 << 20), b"") if line.strip()), b"")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip data: {error}") from error
