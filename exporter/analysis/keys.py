"""The keys of an exchange's rows: by which a label that comes later finds the row it belongs to. Pure.

A key is (source, id, number): the id may be a row's own (a payload column) or the exchange's (the dialect's id, the
caller's x-request-id, the trace), and the number tells rows of one id apart. Ids that no caller can know join nothing:
one that the sidecar made counts only where the answer has it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from exporter.analysis.known import JOIN_KEYS
from exporter.records.exchange import Exchange, header
from exporter.records.observation import Columns, NumericTable, Observation

# Longer ids are no keys: a cut one would join wrongly.
MAX_ID: Final = 256
_TRACE_ID: Final = slice(3, 35)
_HEX: Final = frozenset("0123456789abcdef")


class Key(NamedTuple):
    """One key of one row."""

    source: str
    id: str
    number: int


def row_keys(
    exchange: Exchange,
    found: Observation,
    id_columns: Sequence[str] = (),
    join_keys: Sequence[str] = JOIN_KEYS,
) -> list[tuple[Key, ...]]:
    """The keys of each row, in the order of `join_keys`; a source that has none for a row gives none."""
    rows: list[list[Key]] = [[] for _ in range(found.rows)]
    for source in join_keys:
        if source == "column":
            for name in id_columns:
                for row, key in zip(rows, _column_keys(found, name), strict=True):
                    row += key
            continue
        told = _EXCHANGE[source](exchange, found)
        if 0 < len(told) <= MAX_ID:
            for number, row in enumerate(rows):
                row.append(Key(source, told, number))
    return [tuple(row) for row in rows]


def without_ids(columns: Columns, id_columns: Sequence[str]) -> Columns:
    """The columns that are features: ids are none."""
    if isinstance(columns, NumericTable) and not any(name in id_columns for name in columns.names):
        return columns
    return tuple([column for column in columns if column.name not in id_columns]) if id_columns else columns


def caller_id(exchange: Exchange) -> str:
    """The request id that the caller knows: its own, or one that the sidecar made and the answer carries."""
    own = header(exchange.request_head, b"x-request-id").decode("latin-1")
    if own or not exchange.request_id:
        return own
    echoed = header(exchange.response_head, b"x-request-id").decode("latin-1")
    return echoed if echoed == exchange.request_id else ""


def _column_keys(found: Observation, name: str) -> list[tuple[Key, ...]]:
    for column in (*found.inputs, *found.outputs):
        if column.name == name and column.kind != "vector":
            return _numbered([_written(cell) for cell in column.values.tolist()])
    return [()] * found.rows


def _numbered(ids: list[str]) -> list[tuple[Key, ...]]:
    """A number per id: rows that share one are told apart by their order."""
    seen: dict[str, int] = {}
    keys: list[tuple[Key, ...]] = []
    for one in ids:
        if not 0 < len(one) <= MAX_ID:
            keys.append(())
            continue
        number = seen[one] = seen.get(one, -1) + 1
        keys.append((Key("column", one, number),))
    return keys


def _written(cell: object) -> str:
    """An id as a caller writes it: whole numbers without a point, "" for what is missing or no number."""
    if isinstance(cell, float):
        if not np.isfinite(cell):
            return ""
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return "" if cell is None else str(cell)


def _trace_id(exchange: Exchange, _: Observation) -> str:
    if exchange.trace is not None:
        return exchange.trace.trace_id
    sent = header(exchange.request_head, b"traceparent").decode("latin-1")[_TRACE_ID]
    return sent if len(sent) == 32 and set(sent) <= _HEX and set(sent) != {"0"} else ""


_EXCHANGE: Final[dict[str, Callable[[Exchange, Observation], str]]] = {
    "dialect": lambda _, found: found.request_id,
    "request_id": lambda exchange, _: caller_id(exchange),
    "trace_id": _trace_id,
}


# The ids that key an exchange's rows: one for all of them, numbered, "" for none; or one and its number for each row.
Ids = str | tuple[tuple[str, int], ...]


class FirstIds:
    """What `row_keys` says first of each row; made without a key for every source."""

    def __init__(self, id_columns: Sequence[str], join_keys: Sequence[str]) -> None:
        self._id_columns = id_columns if "column" in join_keys else ()
        self._join_keys = join_keys
        self._told = [_EXCHANGE[source] for source in join_keys if source != "column"]

    def of(self, exchange: Exchange, found: Observation) -> Ids:
        """Of an exchange's rows."""
        if self._id_columns:
            listed = row_keys(exchange, found, self._id_columns, self._join_keys)
            return tuple([(keys[0].id, keys[0].number) if keys else ("", 0) for keys in listed])
        for tell in self._told:
            told = tell(exchange, found)
            if 0 < len(told) <= MAX_ID:
                return told
        return ""
