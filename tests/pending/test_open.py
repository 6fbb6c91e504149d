"""Which store a text means, and what is said of one that means none."""

import importlib.util
from pathlib import Path

import pytest

from exporter.pending import BadStore, Limits, open_store


def test_each_store_has_its_text(tmp_path: Path) -> None:
    """Nothing is opened and nobody called before it is used."""
    places = ("memory", f"sqlite:{tmp_path}/pending.db", "redis://127.0.0.1:1/0", "unix:///none")
    stores = [open_store(where, Limits()) for where in places]
    assert [store.name for store in stores] == ["memory", "sqlite", "redis", "redis"]
    assert list(tmp_path.iterdir()) == []
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "expected memory, sqlite:PATH"),
        ("mongodb://user:secret@host", "begins with 'mongodb' .expected memory"),
        ("memory:here", "memory takes nothing"),
        ("sqlite:", "lacks its file"),
        ("redis://:secret@host:port/0", "no URL of a Redis server"),
    ],
)
def test_other_texts(where: str, said: str) -> None:
    """The message says what was expected, and no secret."""
    with pytest.raises(BadStore, match=said) as caught:
        open_store(where, Limits())
    assert "secret" not in str(caught.value)


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that has it is named."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadStore, match=r"modeltap\[redis\]"):
        open_store("redis://host", Limits())


def test_limits_tell_every_problem() -> None:
    """Each with its value and what was expected."""
    assert Limits().validate() == []
    problems = Limits(rows=0, bytes=1, parked=-1, age_seconds=0, park_seconds=float("nan")).validate()
    assert [problem.partition(":")[0] for problem in problems] == [
        *("rows", "bytes", "parked", "age_seconds", "park_seconds")
    ]
    assert all("expected" in problem for problem in problems)
