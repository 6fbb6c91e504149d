"""The SQLite store on files that were there before, are broken, busy or cannot be written."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from exporter.pending.contract import Limits
from exporter.pending.sqlite import Sqlite
from tests.pending.stores import HOUR, T0, V1, label, rows


def outcome(store: Sqlite, name: str) -> str:
    return store.take([label(name)], T0 + 60)[0].outcome


def test_it_survives_a_restart(tmp_path: Path) -> None:
    """Rows, parked labels, cohorts, names and the ledger are there again, without a goodbye."""
    path = tmp_path / "pending.db"
    first = Sqlite(path, Limits())
    first.put(rows("a", "b"), T0)
    assert outcome(first, "a") == "joined"
    assert outcome(first, "early") == "parked"
    first.add_cells(1, {"tp": 2}, HOUR)
    first.learn({V1: "churn 1"})
    second = Sqlite(path, Limits())
    found = second.counts()
    assert found is not None and found.balanced
    assert (found.predictions, found.joined, found.pending) == (2, 1, 1)
    assert outcome(second, "a") == "duplicate"
    assert outcome(second, "b") == "joined"
    assert len(second.put(rows("early"), T0 + 61)) == 1
    assert second.cohorts()[0].cells == {"tp": 2}
    assert second.versions() == {V1: "churn 1"}
    first.close()
    second.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """The file is made without rights for others, as are the log and the index beside it."""
    store = Sqlite(tmp_path / "pending.db", Limits())
    store.put(rows("a"), T0)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    store.close()


@pytest.mark.parametrize("content", [b"not a database, by far" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_none_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """What met it is lost and counted, the next goes into a new file, and the old one is kept for whoever looks."""
    path = tmp_path / "pending.db"
    path.write_bytes(content)
    store = Sqlite(path, Limits())
    assert store.put(rows("a", "b"), T0) == []
    assert store.lost == {"busy": 0, "disk": 0, "corrupt": 2}
    assert (tmp_path / "pending.db.bad").read_bytes() == content
    store.put(rows("c"), T0)
    assert outcome(store, "c") == "joined"
    assert store.lost["corrupt"] == 2
    store.close()


def test_a_file_that_breaks_while_it_is_used(tmp_path: Path) -> None:
    """Rows that waited in it are counted as lost too."""
    path = tmp_path / "pending.db"
    store = Sqlite(path, Limits())
    names = [f"id {number}" for number in range(3000)]
    store.put(rows(*names), T0)
    assert store.counts() is not None
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    taken = store.take([label(name) for name in names[:10]], T0)
    assert {one.outcome for one in taken} == {"lost"}
    assert store.lost["corrupt"] == 10 + 3000
    store.put(rows("a"), T0)
    assert outcome(store, "a") == "joined"
    store.close()


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 99"])
def test_a_database_of_something_else_is_not_touched(tmp_path: Path, statement: str) -> None:
    """It is set aside as it is."""
    path = tmp_path / "pending.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute(statement)
    theirs.close()
    store = Sqlite(path, Limits())
    store.put(rows("a"), T0)
    assert store.lost["corrupt"] == 1
    store.put(rows("a"), T0)
    assert outcome(store, "a") == "joined"
    assert (tmp_path / "pending.db.bad").exists()
    store.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """All is lost and counted until it appears."""
    store = Sqlite(tmp_path / "later" / "pending.db", Limits())
    assert store.put(rows("a"), T0) == []
    assert outcome(store, "a") == "lost"
    assert store.counts() is None
    assert not store.add_cells(1, {"a": 1, "b": 1}, HOUR)
    assert store.cohorts() == [] and store.versions() == {} and store.claim(1, "me", T0, T0) is None
    assert store.lost == {"busy": 0, "disk": 4, "corrupt": 0}
    (tmp_path / "later").mkdir()
    store.put(rows("a"), T0)
    assert outcome(store, "a") == "joined"
    store.close()


def test_a_file_that_another_holds(tmp_path: Path) -> None:
    """It is waited for as long as was said; then the batch is lost, and the next goes in."""
    path = tmp_path / "pending.db"
    store = Sqlite(path, Limits(), busy_seconds=0.01)
    store.put(rows("a"), T0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.put(rows("b", "c"), T0) == []
    assert store.lost == {"busy": 2, "disk": 0, "corrupt": 0}
    other.execute("ROLLBACK")
    other.close()
    store.put(rows("b"), T0)
    assert [outcome(store, name) for name in "abc"] == ["joined", "joined", "parked"]
    store.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """What does not fit is lost as a whole batch: the ledger still balances, and what was there joins."""
    store = Sqlite(tmp_path / "pending.db", Limits())
    store.put(rows("a"), T0)
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 30")
    store.put(rows(*(f"id {number}" for number in range(5000))), T0)
    assert store.lost["disk"] == 5000
    found = store.counts()
    assert found is not None and found.balanced and found.predictions == 1
    assert outcome(store, "a") == "joined"
    store.close()
