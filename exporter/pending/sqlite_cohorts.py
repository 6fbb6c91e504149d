"""The part of the SQLite store that keeps cohorts and what versions are called. Knows no rows.

Invariant: as `Cohorts` in memory, and one process of several gets the lease of an hour.
"""

import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeVar

from exporter.pending.cohorts import AGES_KEPT, fitting, gone
from exporter.pending.contract import MAX_VERSIONS, TEXT_BYTES, Cohort, Limits

Result = TypeVar("Result")
_REFUSED = (
    "INSERT INTO ledger VALUES ('refused_cells', ?)"
    " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count"
)


class SqliteCohorts:
    """Half of `Sqlite`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept_seconds = AGES_KEPT * limits.age_seconds

    @abstractmethod
    def _transaction(
        self, work: Callable[[sqlite3.Connection], Result], items: int, failed: Result
    ) -> Result: ...

    def learn(self, versions: Mapping[int, str]) -> None:
        """See `Store`."""
        given = [(str(number), text) for number, text in versions.items() if len(text.encode()) <= TEXT_BYTES]

        def work(file: sqlite3.Connection) -> None:
            room = MAX_VERSIONS - file.execute("SELECT count(*) FROM versions").fetchone()[0]
            file.executemany("INSERT OR IGNORE INTO versions VALUES (?, ?)", given[: max(room, 0)])

        self._transaction(work, 0, None)

    def versions(self) -> Mapping[int, str]:
        """See `Store`."""
        found: list[tuple[str, str]] = self._transaction(
            lambda file: file.execute("SELECT number, text FROM versions").fetchall(), 0, []
        )
        # As text: they have all 64 bits, and SQLite's whole numbers have a sign.
        return {int(number): text for number, text in found}

    def add_cells(self, hour: int, cells: Mapping[str, float], now: float) -> bool:
        """See `Store`."""
        given = fitting(cells)

        def work(file: sqlite3.Connection) -> bool:
            settled = file.execute("SELECT settled FROM hours WHERE hour = ?", (hour,)).fetchone()
            if gone(hour, now, self._kept_seconds) or (settled is not None and settled[0]):
                return False
            file.execute("INSERT OR IGNORE INTO hours VALUES (?, '', 0, 0)", (hour,))
            known = {name for (name,) in file.execute("SELECT name FROM cells WHERE hour = ?", (hour,))}
            fresh = [name for name in given if name not in known]
            room = self._limits.cells
            if fresh:
                room -= file.execute("SELECT count(*) FROM cells").fetchone()[0]
            fits = set(fresh[: max(room, 0)])
            file.executemany(
                "INSERT INTO cells VALUES (?, ?, ?) ON CONFLICT (hour, name)"
                " DO UPDATE SET value = value + excluded.value",
                [(hour, name, given[name]) for name in given if name in known or name in fits],
            )
            if refused := len(cells) - len(given) + len(fresh) - len(fits):
                file.execute(_REFUSED, (refused,))
            return True

        return self._transaction(work, len(cells), False)

    def cohorts(self) -> list[Cohort]:
        """See `Store`."""

        def work(file: sqlite3.Connection) -> list[Cohort]:
            hours = file.execute("SELECT hour FROM hours ORDER BY hour").fetchall()
            return [found for (hour,) in hours if (found := _cohort(file, hour)) is not None]

        return self._transaction(work, 0, [])

    def claim(self, hour: int, owner: str, until: float, now: float) -> Cohort | None:
        """See `Store`."""

        def work(file: sqlite3.Connection) -> Cohort | None:
            leased = file.execute(
                "UPDATE hours SET owner = ?, until = ?"
                " WHERE hour = ? AND NOT settled AND (until <= ? OR owner = ?)",
                (owner, until, hour, now, owner),
            )
            return _cohort(file, hour) if leased.rowcount else None

        return self._transaction(work, 0, None)

    def settle(self, hour: int, owner: str, now: float) -> bool:
        """See `Store`."""

        def work(file: sqlite3.Connection) -> bool:
            settled = file.execute(
                "UPDATE hours SET settled = 1, until = 0"
                " WHERE hour = ? AND NOT settled AND owner = ? AND until > ?",
                (hour, owner, now),
            )
            return settled.rowcount == 1

        return self._transaction(work, 0, False)

    def forget_hours(self, file: sqlite3.Connection, now: float) -> None:
        """Hours that are too old, within a transaction of the other half."""
        last = int((now - self._kept_seconds) // 3600) - 1
        file.execute("DELETE FROM cells WHERE hour <= ?", (last,))
        file.execute("DELETE FROM hours WHERE hour <= ?", (last,))


def _cohort(file: sqlite3.Connection, hour: int) -> Cohort | None:
    found = file.execute("SELECT until, settled FROM hours WHERE hour = ?", (hour,)).fetchone()
    if found is None:
        return None
    cells = dict(file.execute("SELECT name, value FROM cells WHERE hour = ?", (hour,)))
    return Cohort(hour, cells, found[0], bool(found[1]))
