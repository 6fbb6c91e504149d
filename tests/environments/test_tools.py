"""The tool fetcher: four commands, quick the second time, safe for two at once, clear when it cannot."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.environments import tools as fetcher
from tests.environments.tools import COMMANDS, Unavailable, tools, versions


def commands(folder: Path) -> Path:
    """A folder with stand-ins for the four commands, under Debian's names."""
    folder.mkdir()
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name}, version 1.2.3"\n')
        (folder / name).chmod(0o755)
    return folder


def test_all_commands_run() -> None:
    """The four commands tell their versions."""
    found = versions(tools())
    assert set(found) == set(COMMANDS)
    assert all("version" in line for line in found.values())


def test_script_prints_what_it_found() -> None:
    """Run as a script, outside of the repository, it prints a line for each command."""
    done = subprocess.run(
        [sys.executable, fetcher.__file__], cwd="/", capture_output=True, text=True, check=True, timeout=900
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(COMMANDS)


def test_second_call_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not fetched again, nor by two callers at once."""
    calls = []

    def source(root: Path) -> dict[str, Path]:
        calls.append(root)
        return fetcher._found_in([commands(root / "root")])

    monkeypatch.setattr(fetcher, "_first_source", source)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(tools, [tmp_path] * 4))
    assert folders == {tmp_path / "bin"}
    assert len(calls) == 1
    assert versions(tmp_path / "bin")["alertmanager"] == "prometheus-alertmanager, version 1.2.3"


def test_missing_apt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt and without installed tools the error names what is missing and every source tried."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetcher, "_search_path", lambda: [tmp_path])
    with pytest.raises(Unavailable) as caught:
        tools(tmp_path / "tools")
    said = str(caught.value)
    assert "forky: apt-get is missing" in said
    assert "this distribution: prometheus, promtool, alertmanager, amtool not found" in said
    assert not (tmp_path / "tools" / "bin").exists()


def test_older_suite_serves_where_the_newer_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the first suite cannot be had, the next is tried, and what is installed comes last."""
    tried = []

    def refuse(_work: Path, suite: str) -> dict[str, Path]:
        tried.append(suite)
        raise Unavailable("no network")

    installed = commands(tmp_path / "usr")
    monkeypatch.setattr(fetcher, "_from_suite", refuse)
    monkeypatch.setattr(fetcher, "_search_path", lambda: [installed])
    folder = tools(tmp_path / "tools")
    assert tried == ["forky", "trixie"]
    assert (folder / "promtool").resolve() == installed / "promtool"
