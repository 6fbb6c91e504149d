"""Parquet, by pyarrow (the extra `parquet`), a batch at a time; nested columns are flattened as JSON's are."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.commands.late import count_late
from exporter.commands.reading import (
    NAMING_ROWS,
    PART_ROWS,
    DataError,
    Part,
    columns_of,
    flattened,
    names_of,
)
from exporter.stats.profiles.types import Cells

if TYPE_CHECKING:
    import pyarrow


@dataclass(slots=True)
class ParquetSource:
    """The rows of a Parquet file; cells are arrays where arrow's are, without nulls, else Python values."""

    path: str
    written: bool = False
    word: str = "row"
    _late: Counter[str] = field(default_factory=Counter)

    def names(self) -> list[str]:
        """The schema's names; nested ones as the first rows have them."""
        plain = [field.name for field in self._open().schema_arrow if not _is_nested(field.type)]
        nested = [field.name for field in self._open().schema_arrow if _is_nested(field.type)]
        if len(set(plain + nested)) != len(plain + nested):
            raise DataError(f"{self.path}: distinct column names were expected, some are repeated")
        found = list(plain)
        if nested:
            rows = itertools.chain.from_iterable(self._nested(batch) for batch in self._batches())
            found += [name for name in names_of(self.path, rows) if name not in plain]
        if not found:
            raise DataError(f"{self.path}: no columns; at least one was expected")
        return found

    def given(self) -> dict[str, str]:
        """None."""
        return {}

    def late(self) -> Mapping[str, int]:
        """Keys within nested columns, of rows after the first 100,000."""
        return self._late

    def parts(self) -> Iterator[Part]:
        """All rows."""
        names = self.names()
        start = 1
        self._late = Counter()
        for batch in self._batches():
            cells: dict[str, Cells] = {
                field.name: _cells(batch.column(place))
                for place, field in enumerate(batch.schema)
                if not _is_nested(field.type)
            }
            missing = [name for name in names if name not in cells]
            if missing:
                rows = list(self._nested(batch))
                if start + len(rows) > NAMING_ROWS:
                    count_late(self._late, rows, frozenset(names))
                cells |= columns_of(rows, missing)
            if batch.num_rows:
                yield Part({name: cells[name] for name in names}, range(start, start + batch.num_rows))
            start += batch.num_rows

    def _batches(self) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow

        try:
            yield from self._open().iter_batches(batch_size=PART_ROWS)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: not readable as Parquet: {error}") from error

    def _open(self) -> Any:
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError as error:
            raise DataError(f"{self.path}: {error}; get it with  pip install 'modeltap[parquet]'") from None
        try:
            return pyarrow.parquet.ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: not readable as Parquet: {error}") from error

    @staticmethod
    def _nested(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any]]:
        nested = [field.name for field in batch.schema if _is_nested(field.type)]
        for values in batch.select(nested).to_pylist():
            row: dict[str, Any] = {}
            flattened("", values, row)
            yield row


def _is_nested(kind: Any) -> bool:
    return bool(kind.num_fields)


def _cells(array: Any) -> Cells:
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_decimal(array.type):
        array = array.cast(pyarrow.float64())
    kind = array.type
    whole = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    if whole and not array.null_count:
        return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    if types.is_timestamp(kind) or types.is_date(kind):
        return array.to_numpy(zero_copy_only=False).astype("datetime64[us]")  # type: ignore[no-any-return]
    return array.to_pylist()  # type: ignore[no-any-return]
