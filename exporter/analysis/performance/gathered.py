"""Gathered: the rows of exchanges that are alike, until they are keyed and packed together: that costs by the call.

Refuses to know stores, and what a row says. Invariants: rows stay in the order in which they were added, and what
comes of many that were added together is what would come of each alone.
"""

import numpy as np

from exporter.analysis.batch import Members
from exporter.analysis.keys import Ids
from exporter.analysis.performance.segments import Places
from exporter.pending.row import FIRST, RowArray, blank, digests_of, key, keys
from exporter.records.observation import Columns


class Gathered:
    """`add` exchanges whose outputs have the same names and kinds; `keys` and `blank` tell of all their rows."""

    def __init__(self) -> None:
        self.members: Members = []
        self._ids: list[Ids] = []
        self._sizes: list[int] = []
        self._times: list[float] = []
        self._groups: list[Places] = []

    def add(self, columns: Columns, rows: int, ids: Ids, time: float, groups: Places | None = None) -> None:
        """One exchange's."""
        self.members.append(columns)
        self._sizes.append(rows)
        self._ids.append(ids)
        self._times.append(time)
        if groups is not None:
            self._groups.append(groups)

    @property
    def rows(self) -> int:
        """Of all."""
        return sum(self._sizes)

    def keys(self, output: str) -> list[bytes]:
        """The key of each row, b"" without one."""
        digest = digests_of(output)
        found: list[bytes] = []
        for ids, rows in zip(self._ids, self._sizes, strict=True):
            if isinstance(ids, tuple):
                found += [key(digest(one), number) if one else b"" for one, number in ids]
            elif not ids:
                found += [b""] * rows
            elif rows == 1:
                found.append(digest(ids) + FIRST)
            else:
                found += keys(digest(ids), range(rows))
        return found

    def ids(self, output: str) -> dict[bytes, str]:
        """The id of which each digest was made."""
        digest = digests_of(output)
        texts = {ids for ids in self._ids if isinstance(ids, str)}
        texts |= {one for ids in self._ids if isinstance(ids, tuple) for one, _ in ids}
        return {digest(text): text for text in texts}

    def blank(self) -> RowArray:
        """Rows that say when they were predicted, their numbers within their requests, and their groups."""
        times, rows = np.array(self._times), self.rows
        if rows == len(times):  # one each, as most are
            made = blank(rows, times)
            made["row"] = 0
        else:
            sizes = np.array(self._sizes)
            made = blank(rows, np.repeat(times, sizes))
            made["row"] -= np.repeat(np.cumsum(sizes) - sizes, sizes).astype(np.uint32)
        if self._groups:
            made["groups"] = np.concatenate(self._groups)
        return made
