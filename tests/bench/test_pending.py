"""The benchmark of pending predictions: every store is measured, and arguments that are none are told."""

import json
from pathlib import Path

import pytest

from bench import pending
from tests.receivers.redis import RedisServer


def test_table_and_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line per figure, the same in the file; every label that is measured joined a row."""
    monkeypatch.setattr(pending, "ROWS_IN_ROUND", 1000)
    file = tmp_path / "figures.json"
    with RedisServer(tmp_path / "r") as server:
        assert (
            pending.main(["--rounds", "1", "--rows", "5000", "--redis", server.url, "--json", str(file)]) == 0
        )
    lines, figures = capsys.readouterr().out.splitlines(), json.loads(file.read_text())
    assert len(lines) == len(figures)
    assert {figure["what"].partition(",")[0] for figure in figures} == {"memory", "keys", "sqlite", "redis"}
    assert all(figure["value"] > 0 for figure in figures if "RSS" not in figure["what"])


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rows", "5"]])
def test_arguments_that_are_none(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what was expected."""
    assert pending.main(arguments) == 2
    assert "expected" in capsys.readouterr().err
