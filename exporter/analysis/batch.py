"""Batch: one side of exchanges that are alike in names and kinds, joined once for all that count them.

Refuses to know bins and models. Invariant: a table holds what the columns hold, cell by cell, and floats of 32 bits
stay such; where that cannot be had there is none, and the columns are joined one by one.
"""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.fit import joined
from exporter.records.observation import Column, Columns, NumericTable

Members = list[Columns]
Form = tuple[tuple[str, ...], tuple[str, ...]]
# Asked of every column of every exchange: a loop within the interpreter would cost three times as much.
_NAME, _KIND = attrgetter("name"), attrgetter("kind")


def form(columns: Columns) -> Form:
    """Names and kinds: exchanges of one form are alike."""
    if isinstance(columns, NumericTable):
        return columns.names, ("numeric",) * len(columns.names)
    if len(columns) == 1:
        # Most outputs; two maps would cost three times as much.
        only = columns[0]
        return (only.name,), (only.kind,)
    return tuple(map(_NAME, columns)), tuple(map(_KIND, columns))


class Batch:
    """`names` of the columns, and the columns of each exchange."""

    def __init__(self, names: tuple[str, ...], members: Members) -> None:
        self.names = names
        self.members = members

    def renamed(self, names: tuple[str, ...]) -> Batch:
        """The same columns under other names."""
        found = Batch(names, self.members)
        found.table, found.sizes = self.table, self.sizes
        return found

    def columns(self, place: int) -> list[Column]:
        """One column of each exchange."""
        return [member[place] for member in self.members]

    @cached_property
    def table(self) -> NDArray[np.floating[Any]] | None:
        """Numbers alone, a row for each column; None where that would cost more than column by column."""
        first = self.members[0]
        if isinstance(first, NumericTable):
            rows = [member.values for member in self.members if isinstance(member, NumericTable)]
            if len(rows) < len(self.members):
                return None
            return np.ascontiguousarray(np.concatenate(rows).reshape(-1, len(first)).T)
        if len(first) != 1 or first[0].kind != "numeric":
            return None
        return joined([member[0] for member in self.members])[None]

    @cached_property
    def gapless(self) -> bool:
        """Whether there is a table and no cell of it is null or NaN; then no key was absent either."""
        return self.table is not None and not np.isnan(self.table).any()

    @cached_property
    def sizes(self) -> list[int] | None:
        """Rows of each exchange that has columns; None where each has one row."""
        found = [_rows(member) for member in self.members if member]
        return None if found.count(1) == len(self.members) else found

    @property
    def rows(self) -> int:
        """Of all exchanges; one that has no column at all is one row that says nothing."""
        if self.sizes is None:
            return len(self.members)
        return sum(self.sizes) + len(self.members) - len(self.sizes)

    @property
    def requests(self) -> NDArray[np.int64] | None:
        """Rows of each exchange; None where none has more than one."""
        return np.array(self.sizes, np.int64) if max(self.sizes or (0,)) > 1 else None


def _rows(columns: Columns) -> int:
    if isinstance(columns, NumericTable):
        return len(columns.values) // len(columns)
    return len(columns[0].values)
