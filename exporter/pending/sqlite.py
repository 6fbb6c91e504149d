"""SQLite: pending predictions in one file, which survives a restart. One transaction per batch.

Refuses to know what rows and labels mean. Invariants: a batch is in the file whole or not at all, the ledger with it;
several processes may use one file, each waits a while for the others. A file that cannot be read as ours is set aside
(`.bad`), counted, and a new one is begun. What the disk refuses is lost and counted, and nothing is raised.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from exporter.pending.contract import Counts, Label, Limits, Released, Rows, Taken
from exporter.pending.ledger import counts_of
from exporter.pending.slots import (
    Admitted,
    Ages,
    add,
    answer,
    parked,
    pending_in,
    released,
    rows_in,
    tail_of,
    until,
)
from exporter.pending.sqlite_cohorts import SqliteCohorts

_log = logging.getLogger(__name__)
LOST_REASONS: Final = ("busy", "disk", "corrupt")
_BUSY_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 0.005
_LAYOUT: Final = 1
# Of a key beside its rows: two trees whose pages are two thirds full.
_KEY_COST: Final = 90
_CHUNK: Final = 500
_TABLES: Final = """
CREATE TABLE slots (key BLOB PRIMARY KEY, bucket INTEGER NOT NULL, slot BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX by_bucket ON slots (bucket);
CREATE TABLE parked (key BLOB PRIMARY KEY, until INTEGER NOT NULL, slot BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX by_until ON parked (until);
CREATE TABLE ledger (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (number TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE hours (hour INTEGER PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL, settled INTEGER NOT NULL);
CREATE TABLE cells (hour INTEGER, name TEXT, value REAL NOT NULL, PRIMARY KEY (hour, name)) WITHOUT ROWID;
"""
Result = TypeVar("Result")


class Foreign(sqlite3.DatabaseError):
    """A database that something else wrote, or a later release."""


class Sqlite(SqliteCohorts):
    """See `Store`. `path` is created, its folder is not; a file of one owner, readable by nobody else."""

    name: Final = "sqlite"

    def __init__(self, path: str | Path, limits: Limits, busy_seconds: float = _BUSY_SECONDS) -> None:
        super().__init__(limits)
        self.lost: dict[str, int] = dict.fromkeys(LOST_REASONS, 0)
        self._path = Path(path)
        self._busy = busy_seconds
        self._ages = Ages(limits)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen_pending = 0
        self._well = True

    def put(self, rows: Rows, now: float) -> list[Released]:
        """See `Store`."""
        admitted = Admitted(rows, now, self._ages)

        def work(file: sqlite3.Connection) -> list[Released]:
            moved = Counter({"predictions": admitted.too_old, "expired": admitted.too_old})
            self._forget(file, now, moved)
            found: list[Released] = []
            for bucket, keys, values in admitted.groups():
                self._put(file, (bucket, keys, values), found, moved)
            self._evict(file, moved)
            self._move(file, moved)
            return found

        return self._transaction(work, len(rows.keys), [])

    def _put(
        self,
        file: sqlite3.Connection,
        group: tuple[int, Sequence[bytes], Sequence[bytes]],
        found: list[Released],
        moved: Counter[str],
    ) -> None:
        bucket, keys, values = group
        slots, waiting = _read(file, "slots", keys), _read(file, "parked", keys)
        changed: dict[bytes, bytes] = {}
        for key, row in zip(keys, values, strict=True):
            before = slots.get(key)
            if before is None:
                before = waiting.pop(key, b"")
                slot, what = add(before, row) if before else (row, "pending")
                moved.update(keys=1, released=bool(before))
            else:
                slot, what = add(before, row)
            moved[what if what != "pending" else "rows"] += 1
            moved["rows"] += what == "joined"
            moved["predictions"] += what != "repeated"
            if what == "joined":
                found.append(released(key, row, slot))
                file.execute("DELETE FROM parked WHERE key = ?", (key,))
            slots[key] = changed[key] = slot
        file.executemany(
            "INSERT INTO slots VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET slot = excluded.slot",
            [(key, bucket, slot) for key, slot in changed.items()],
        )

    def take(self, labels: Sequence[Label], now: float) -> list[Taken]:
        """See `Store`."""
        tails = [tail_of(label) for label in labels]

        def work(file: sqlite3.Connection) -> list[Taken]:
            moved: Counter[str] = Counter()
            self._forget(file, now, moved)
            keys = [label.key for label in labels]
            slots, changed, taken = _read(file, "slots", keys), {}, []
            for key, tail in zip(keys, tails, strict=True):
                if key not in slots:
                    taken.append(self._park(file, (key, tail), now, moved))
                    continue
                slots[key], one = answer(slots[key], tail)
                changed[key] = slots[key]
                moved["joined"] += rows_in(one.rows) if one.outcome == "joined" else 0
                taken.append(one)
            rows = [(slot, key) for key, slot in changed.items()]
            file.executemany("UPDATE slots SET slot = ? WHERE key = ?", rows)
            self._move(file, moved)
            return taken

        return self._transaction(work, len(labels), [Taken("lost")] * len(labels))

    def _park(
        self, file: sqlite3.Connection, label: tuple[bytes, bytes], now: float, moved: Counter[str]
    ) -> Taken:
        key, tail = label
        waiting = file.execute("SELECT slot FROM parked WHERE key = ?", (key,)).fetchone()
        if waiting is not None:
            slot, taken = answer(waiting[0], tail)
            file.execute("UPDATE parked SET slot = ? WHERE key = ?", (slot, key))
            return taken
        if file.execute("SELECT count(*) FROM parked").fetchone()[0] >= self._limits.parked:
            moved["refused_labels"] += 1
            return Taken("full")
        slot = parked(tail, now + self._limits.park_seconds)
        file.execute("INSERT INTO parked VALUES (?, ?, ?)", (key, until(slot), slot))
        moved["parked"] += 1
        return Taken("parked")

    def expire(self, now: float) -> None:
        """See `Store`."""

        def work(file: sqlite3.Connection) -> None:
            moved: Counter[str] = Counter()
            self._forget(file, now, moved)
            self._move(file, moved)
            self.forget_hours(file, now)

        self._transaction(work, 0, None)

    def _forget(self, file: sqlite3.Connection, now: float, moved: Counter[str]) -> None:
        """What is too old; costs two look-ups in an index while nothing is."""
        file.execute("DELETE FROM parked WHERE until <= ?", (now,))
        last = self._ages.last_due(now)
        oldest = file.execute("SELECT min(bucket) FROM slots").fetchone()[0]
        if oldest is not None and oldest <= last:
            gone = file.execute("SELECT slot FROM slots WHERE bucket <= ?", (last,))
            moved["expired"] += _leaving((slot for (slot,) in gone), moved)
            file.execute("DELETE FROM slots WHERE bucket <= ?", (last,))

    def _evict(self, file: sqlite3.Connection, moved: Counter[str]) -> None:
        """The oldest keys, until the rest is within both bounds."""
        kept = _kept(file)
        while True:
            rows, keys = kept["rows"] + moved["rows"], kept["keys"] + moved["keys"]
            over = counts_of({"rows": rows, "keys": keys}, _KEY_COST).held_bytes - self._limits.bytes
            surplus = max(rows - self._limits.rows, -(-over // (_KEY_COST + 40)))
            if surplus <= 0:
                return
            oldest = file.execute(
                "SELECT key, slot FROM slots ORDER BY bucket LIMIT ?", (min(surplus, _CHUNK),)
            ).fetchall()
            moved["evicted"] += _leaving((slot for _, slot in oldest), moved)
            file.executemany("DELETE FROM slots WHERE key = ?", [(key,) for key, _ in oldest])

    @staticmethod
    def _move(file: sqlite3.Connection, moved: Counter[str]) -> None:
        file.executemany(
            "INSERT INTO ledger VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            [(name, count) for name, count in moved.items() if count],
        )

    def counts(self) -> Counts | None:
        """See `Store`."""
        kept = self._transaction(lambda file: _kept(file), 0, None)
        if kept is None:
            return None
        found = counts_of(kept, _KEY_COST)
        self._seen_pending = found.pending
        return found

    def close(self) -> None:
        """See `Store`."""
        with self._lock:
            self._let_go()

    def _transaction(
        self, work: Callable[[sqlite3.Connection], Result], items: int, failed: Result
    ) -> Result:
        """All of `work`, or nothing of it and `failed`, its `items` counted as lost."""
        with self._lock:
            try:
                file = self._connection or self._open()
                with _whole(file):
                    found = work(file)
                self._told(True, "")
                return found
            except (sqlite3.Error, OSError) as error:
                self._failed(error, items)
                return failed

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        file = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(file)
        except (sqlite3.Error, OSError):
            file.close()
            raise
        self._connection = file
        return file

    def _prepare(self, file: sqlite3.Connection) -> None:
        self._write_ahead(file)
        # The log is synced when it is folded back: a crash of the machine, not of the process, may lose the last.
        file.execute("PRAGMA synchronous = NORMAL")
        with _whole(file):
            layout = file.execute("PRAGMA user_version").fetchone()[0]
            if layout not in (0, _LAYOUT):
                raise Foreign(f"layout {layout}; {_LAYOUT} was expected")
            if layout == 0:
                if file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise Foreign("tables of something else")
                for statement in _TABLES.strip().split(";\n"):
                    file.execute(statement)
                file.execute(f"PRAGMA user_version = {_LAYOUT}")

    def _write_ahead(self, file: sqlite3.Connection) -> None:
        """SQLite waits for no lock here: of two that open a new file at once, one is told at once that it is busy."""
        until = time.monotonic() + self._busy
        while True:
            try:
                file.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _reason(error) != "busy" or time.monotonic() >= until:
                    raise
            time.sleep(_RETRY_SECONDS)

    def _failed(self, error: sqlite3.Error | OSError, items: int) -> None:
        self._told(False, f"{error}")
        reason = _reason(error)
        self.lost[reason] += items
        if reason != "busy":
            self._let_go()
        if reason == "corrupt":
            self.lost[reason] += self._seen_pending
            self._seen_pending = 0
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.replace(f"{self._path}{end}", f"{self._path}.bad{end}")
            _log.warning("pending predictions: %s was set aside as %s.bad: %s", self._path, self._path, error)

    def _told(self, well: bool, text: str) -> None:
        """A line per change of state."""
        if well is not self._well:
            self._well = well
            state = "is used again" if well else f"fails: {text}"
            _log.warning("pending predictions: %s %s", self._path, state)

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


@contextlib.contextmanager
def _whole(file: sqlite3.Connection) -> Iterator[None]:
    """A transaction that writes, so that it reads nothing that another is about to change."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
        file.execute("COMMIT")
    finally:
        if file.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                file.execute("ROLLBACK")


def _reason(error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "busy"
    if isinstance(error, Foreign) or (
        code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    ):
        return "corrupt"
    return "disk"


def _read(file: sqlite3.Connection, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for at in range(0, len(keys), _CHUNK):
        some = keys[at : at + _CHUNK]
        marks = ",".join("?" * len(some))
        found.update(file.execute(f"SELECT key, slot FROM {table} WHERE key IN ({marks})", some))
    return found


def _kept(file: sqlite3.Connection) -> Counter[str]:
    return Counter(dict(file.execute("SELECT name, count FROM ledger")))


def _leaving(slots: Iterator[bytes], moved: Counter[str]) -> int:
    """Take slots out of what is held; how many of their rows were pending."""
    waited = 0
    for slot in slots:
        waited += pending_in(slot)
        moved["rows"] -= rows_in(slot)
        moved["keys"] -= 1
    return waited
