"""NumPy files: .npy (structured, one or two dimensions) and .npz (an array per column). Nothing is unpickled.

A table without names has the names that live tensors get: `input_0`, `input_1`, …; over 64 columns wide it is one
column of vectors. An .npy is mapped, an .npz is in memory as a whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.commands.reading import MAX_POSITIONS, PART_ROWS, DataError, Part
from exporter.stats.bins import Values

UNNAMED = "input"


@dataclass(slots=True)
class NumpySource:
    """The rows of a NumPy file; cells are arrays."""

    path: str
    written: bool = False
    word: str = "row"

    def names(self) -> list[str]:
        """Names of fields or arrays, by place where a table has none."""
        return list(self._columns())

    def given(self) -> dict[str, str]:
        """None."""
        return {}

    def late(self) -> Mapping[str, int]:
        """None: arrays have their names."""
        return {}

    def parts(self) -> Iterator[Part]:
        """All rows."""
        columns = self._columns()
        rows = len(next(iter(columns.values())))
        for start in range(0, rows, PART_ROWS):
            end = min(rows, start + PART_ROWS)
            cells = {name: np.asarray(column[start:end]) for name, column in columns.items()}
            yield Part(cells, range(start + 1, end + 1))

    def _columns(self) -> dict[str, Values]:
        try:
            arrays = self._arrays()
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.path}: not readable as a NumPy file: {error}") from error
        found: dict[str, Values] = {}
        for name, array in arrays.items():
            for own, column in _split(name, array):
                if own in found:
                    raise DataError(f"{self.path}: two columns are named {own!r}, expected one")
                found[own] = column
        lengths = {len(column) for column in found.values()}
        if len(lengths) != 1:
            shown = ", ".join(f"{name} {len(column)}" for name, column in list(found.items())[:9])
            raise DataError(f"{self.path}: columns of one length expected, found {shown or 'none'}")
        return found

    def _arrays(self) -> dict[str, Values]:
        if self.path.endswith(".npz"):
            # Opened here: numpy leaves a file open that turns out to be no archive.
            with Path(self.path).open("rb") as file, np.load(file, allow_pickle=False) as loaded:
                return {name: loaded[name] for name in loaded.files}
        table = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if table.dtype.names:
            return {name: table[name] for name in table.dtype.names}
        return {UNNAMED: table}


def _split(name: str, array: Values) -> Iterator[tuple[str, Values]]:
    if array.dtype.kind not in "fiubUSM" or array.ndim not in (1, 2):
        found = f"{array.ndim} dimensions of {array.dtype}"
        raise DataError(f"{name}: {found}, expected one or two of numbers, texts or times")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.ndim == 1 or array.shape[1] > MAX_POSITIONS:
        yield name, array
    else:
        for place in range(array.shape[1]):
            yield name if array.shape[1] == 1 else f"{name}_{place}", array[:, place]
