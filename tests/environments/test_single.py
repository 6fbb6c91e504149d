"""A single command is fetched once, and what is missing is said where it cannot be had."""

from pathlib import Path

import pytest

from tests.environments import single as fetcher
from tests.environments.tools import Unavailable


def test_what_is_there_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is complete is returned as it is."""
    place = tmp_path / "victoria" / "victoria-metrics"
    place.parent.mkdir()
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    monkeypatch.setattr(fetcher, "downloaded", None)
    assert fetcher.single("victoria", tmp_path) == place


def test_a_command_may_have_another_name(tmp_path: Path) -> None:
    """One that goes by its name is kept under that."""
    place = tmp_path / "valkey" / "valkey-server"
    place.parent.mkdir()
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    assert fetcher.single("valkey", tmp_path) == place


def test_nothing_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No archive: a clear line and status 1, and nothing half made."""

    def refuse(*_: object) -> list[Path]:
        raise Unavailable("no archive")

    monkeypatch.setattr(fetcher, "downloaded", refuse)
    with pytest.raises(Unavailable):
        fetcher.single("victoria", tmp_path)
    assert not (tmp_path / "victoria" / "victoria-metrics").exists()
    place = tmp_path / "victoria" / "victoria-metrics"
    monkeypatch.setattr(fetcher, "single", lambda _: fetcher._fetch(place, fetcher.VICTORIA))
    assert fetcher.main() == 1
    assert capsys.readouterr().err == "single: no archive\n"


def test_a_package_without_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of something else is told as such."""

    def other(work: Path, *_: object) -> list[Path]:
        work.mkdir(parents=True)
        (work / "other.deb").write_bytes(b"no package")
        return [work / "other.deb"]

    monkeypatch.setattr(fetcher, "downloaded", other)
    with pytest.raises(Unavailable, match=r"has no \./usr/bin/victoria-metrics"):
        fetcher.single("victoria", tmp_path)
