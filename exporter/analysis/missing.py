"""Cells that say nothing, and why: values that the owner declared to mean so, and keys that were not there.

What JSON null, NaN and an empty text are, bins tell already. Refuses to know bins. Invariant: a cell is missing for one
reason, and `nulls` of a column counts all but NaN and the empty text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np

from exporter.records.observation import Column

_ABSENT: Final = attrgetter("absent")


@dataclass(slots=True)
class Missing:
    """Counts by column; `declared`: how values are written that mean nothing, whatever the column."""

    declared: tuple[str, ...] = ()
    absent: dict[str, int] = field(default_factory=dict)
    sentinels: dict[str, int] = field(default_factory=dict)
    _numbers: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = tuple([number for number in map(_number, self.declared) if number is not None])

    def cleared(self, columns: list[Column]) -> list[Column]:
        """The columns, with nulls in place of what is declared to be missing."""
        return list(map(self._cleared, columns)) if self.declared else columns

    def count(self, name: str, before: Sequence[Column], after: Sequence[Column]) -> None:
        """Columns of one name that were counted, as they came and as they were cleared."""
        absent = sum(map(_ABSENT, before))
        if absent:
            self.absent[name] = self.absent.get(name, 0) + absent
        if self.declared:
            more = sum([one.nulls for one in after]) - sum([one.nulls for one in before])
            if more:
                self.sentinels[name] = self.sentinels.get(name, 0) + more

    def _cleared(self, column: Column) -> Column:
        if column.kind == "vector":
            return column
        if column.kind == "numeric":
            wrong = np.isin(column.values, self._numbers)
        else:
            wrong = np.array([cell in self.declared for cell in column.values.tolist()], np.bool_)
        count = int(np.count_nonzero(wrong))
        if not count:
            return column
        values = column.values.copy()
        values[wrong] = np.nan if column.kind == "numeric" else None
        return msgspec.structs.replace(column, values=values, nulls=column.nulls + count)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
