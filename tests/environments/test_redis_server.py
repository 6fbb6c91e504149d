"""Where a Redis or Valkey server is found, and what is said where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import redis_server as finder
from tests.environments.redis_server import Unavailable, redis_server


def test_the_server_runs() -> None:
    """It tells its version."""
    told = subprocess.run([redis_server(), "--version"], capture_output=True, text=True, check=True)
    assert "v=" in told.stdout


def test_script_prints_where_it_is() -> None:
    """Run as a script, outside of the repository."""
    done = subprocess.run(
        [sys.executable, finder.__file__], cwd="/", capture_output=True, text=True, check=True, timeout=600
    )
    assert Path(done.stdout.strip()) == redis_server()


def test_a_valkey_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its own name, where there is no Redis."""
    command = tmp_path / "valkey-server"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server() == command


def test_none_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it and without apt, or for a user who may not install: what is missing, and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="apt-get install redis-server"):
        redis_server()
    assert finder.main() == 1
    assert "redis-server, valkey-server was found" in capsys.readouterr().err
