"""The benchmark of labels: every store is measured, and every label that is measured joined its row."""

from pathlib import Path

import pytest

from bench import labels
from tests.receivers.redis import RedisServer


def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each store and size of a request; of a predicted row one for each size of a round."""
    monkeypatch.setattr(labels, "ROWS", 500)
    with RedisServer(tmp_path / "r") as server:
        assert labels.main(["--rounds", "1", "--redis", server.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        *("a predicted row", "a predicted row", "memory"),
        *("a predicted row", "a predicted row", "memory"),
        *("sqlite", "sqlite", "redis", "redis"),
    ]


def test_arguments_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what was expected."""
    assert labels.main(["--rounds", "0"]) == 2
    assert "expected" in capsys.readouterr().err
