"""An Observation as text for a terminal: what it says of the exchange, its rows' keys, and a line for each column.

Counts and summaries; values only where they are asked for. What comes from a payload is escaped.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import sighted
from exporter.analysis.keys import row_keys
from exporter.analysis.known import Known
from exporter.analysis.names import told_name
from exporter.analysis.role import Sorter
from exporter.records.exchange import UNKNOWN, Exchange
from exporter.records.observation import Column, Columns, Generation, Observation

_KEYED: Final = 3  # rows whose keys are shown
SHOWN: Final = 20  # values of a column


def report(exchange: Exchange, found: Observation, known: Known, shown: bool) -> str:
    sorter = Sorter(known)
    lines = [
        f"operation   {exchange.operation}",
        f"dialect     {found.protocol}",
        f"model       {plain(exchange.model_name or told_name(exchange, found)) or UNKNOWN}",
        f"version     {plain(exchange.model_version or found.model_version) or UNKNOWN}",
        f"request id  {plain(found.request_id or exchange.request_id) or 'none'}",
        f"role        {sorter.role(exchange)}",
        f"task        {_task(found, known)}",
        f"rows        {found.rows}",
        *_keys(exchange, found, known),
    ]
    if found.generation is not None:
        lines += ["", *_generation(found.generation)]
    for side, columns in (("inputs", found.inputs), ("outputs", found.outputs)):
        lines += ["", *_table(side, columns, known.id_columns)]
        if shown:
            lines += [f"    {plain(column.name)}: {_first_values(column)}" for column in columns]
    return "\n".join(lines)


def _generation(made: Generation) -> list[str]:
    """What was told of a generation, one line each; names are a payload's."""
    fields = {name: getattr(made, name) for name in made.__struct_fields__ if name != "parameters"}
    shown = {name: value for name, value in fields.items() if value not in (None, "", ())}
    return ["generation", *[f"    {name:<22} {plain(str(value))}" for name, value in shown.items()]]


def _task(found: Observation, known: Known) -> str:
    if known.task:
        return f"{known.task}, as configured"
    return f"{found.task}, as the server tells" if found.task else "not told by the server; guessed from rows"


def _keys(exchange: Exchange, found: Observation, known: Known) -> list[str]:
    """The keys of the first rows, the sources of all: by these a label finds its row."""
    rows = row_keys(exchange, found, known.id_columns, known.join_keys)
    if not any(rows):
        return ["keys        none: a label that comes later finds no row of this exchange"]
    lines = [
        f"keys        row {number}: "
        + ", ".join(f"{key.source} {plain(key.id)} #{key.number}" for key in keys)
        for number, keys in enumerate(rows[:_KEYED])
    ]
    more = len(rows) - _KEYED
    return [*lines, f"            and those of {more} more rows"] if more > 0 else lines


def _table(side: str, columns: Columns, ids: tuple[str, ...]) -> list[str]:
    if not columns:
        return [f"{side}: no columns (bytes, no rows, or wide rows that are no numbers)"]
    head = (side, "kind", "counted as", "count", "nulls", "absent", "min", "mean", "max", "")
    table = [head, *[_row(column, column.name in ids) for column in columns]]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]


def _row(column: Column, identifies: bool) -> tuple[str, ...]:
    counted_as = "id" if identifies else sighted([column]).type
    counts = len(column.values), column.nulls, column.absent
    head = (plain(column.name), column.kind, counted_as, *map(str, counts))
    if column.kind == "categorical":
        distinct = len(set(column.values.tolist()) - {None})
        return *head, "", "", "", f"{distinct} distinct"
    numbers = cast("NDArray[np.float64]", column.values)
    width = numbers.shape[1] if column.kind == "vector" else 1
    there = numbers[~np.isnan(numbers)]
    nans = numbers.size - len(there) - column.nulls * width
    notes = [f"{width} wide"] * (column.kind == "vector") + [f"{nans} NaN"] * (nans > 0)
    if not len(there):
        return *head, "", "", "", ", ".join(notes)
    with np.errstate(all="ignore"):  # infinities have a mean too
        shown = tuple(f"{number:.6g}" for number in (there.min(), there.mean(), there.max()))
    return *head, *shown, ", ".join(notes)


def _first_values(column: Column) -> str:
    shown = ", ".join(_value(value) for value in column.values[:SHOWN].tolist())
    more = len(column.values) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _value(value: Any) -> str:
    return ascii(value) if isinstance(value, str) and not value.isprintable() else str(value)


def plain(text: str) -> str:
    """Text from a payload as it may go to a terminal."""
    return text if text.isprintable() else ascii(text)
