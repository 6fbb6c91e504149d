"""The command line as a user types it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import COMMANDS
from exporter.processes.sockets import address, bind
from exporter.records.catalogue import CATALOGUE, prometheus_name
from exporter.settings.options import SETTINGS
from tests.app.command import python_path
from tests.e2e.processes import Program, Running, wait_until

ENVIRONMENT = python_path()
HEAVY = {"numpy", "aiohttp", "prometheus_client", "opentelemetry", "psutil", "uvloop", "yaml"}


def modeltap(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The ended command."""
    return python("-m", "exporter", *arguments)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The ended interpreter."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **ENVIRONMENT},
    )


def test_version() -> None:
    """--version prints name and version."""
    assert modeltap("--version").stdout == f"modeltap {__version__}\n"


def test_help() -> None:
    """Help lists the commands, and of `run` every setting."""
    done = modeltap("--help")
    assert done.returncode == 0
    assert all(re.search(rf"^    {name}\s", done.stdout, re.MULTILINE) for name in COMMANDS)
    done = modeltap("run", "--help")
    assert done.returncode == 0
    assert all(f"{setting.flag} VALUE" in done.stdout for setting in SETTINGS)


WRONG = (
    ([], "arguments are required: COMMAND"),
    (["walk"], "invalid choice: 'walk'"),
    (["run", "--upstrem", "http://x"], "unrecognized arguments: --upstrem http://x"),
    (["run", "--up", "http://x"], "unrecognized arguments: --up http://x"),
    (["run"], "modeltap: --upstream (MODELTAP_UPSTREAM, upstream): missing; expected http://HOST:PORT"),
    (
        ["run", "--upstream", "http://x", "--workers", "none"],
        "modeltap: --workers: 'none': expected a whole number",
    ),
    (
        ["run", "--upstream", "http://x", "--config", "/nowhere.yaml"],
        "modeltap: /nowhere.yaml: cannot be read: ",
    ),
    (
        ["run", "--upstream", "http://x", "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"],
        "modeltap: --tls-cert /nowhere.pem: cannot be read: No such file or directory; expected a PEM file",
    ),
    (
        ["run", "--upstream", "http://x", "--payload-log-ca", "/nowhere.pem"],
        "modeltap: --payload-log-ca: /nowhere.pem: No such file or directory; expected certificates of authorities",
    ),
    (
        ["run", "--upstream", "http://x", "--payload-log-ca", __file__],
        "expected certificates of authorities (PEM)",
    ),
)


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_command_line(arguments: list[str], message: str) -> None:
    """What is wrong is said, without a traceback, and the exit status is 2."""
    done = modeltap(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_all_problems_at_once() -> None:
    """Every problem of a configuration has its line."""
    done = modeltap("run", "--upstream", "ftp://x", "--listen", "nowhere", "--workers", "0")
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        "--upstream",
        "--listen",
        "--workers",
    ]


@pytest.mark.parametrize("flag", ["listen", "admin", "health"])
def test_a_port_in_use(flag: str) -> None:
    """A port in use ends the command with 1 and one line that names flag and address."""
    ports = dict.fromkeys(("listen", "admin", "health"), "127.0.0.1:0")
    with bind("127.0.0.1:0", "taken") as taken:
        ports[flag] = address(taken)
        flags = [word for name, where in ports.items() for word in (f"--{name}", where)]
        done = modeltap("run", "--upstream", "http://127.0.0.1:1", *flags)
    assert done.returncode == 1
    expected = f"modeltap: --{flag} {ports[flag]}: cannot be bound: Address already in use; expected a free"
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_metrics() -> None:
    """`metrics` lists the whole catalogue."""
    done = modeltap("metrics")
    assert done.returncode == 0
    assert all(prometheus_name(row) in done.stdout for row in CATALOGUE)


LIGHT = (
    ("import exporter.cli", HEAVY | {"asyncio", "argparse", "msgspec", "logging"}),
    ("from exporter.cli import main; main(['metrics'])", HEAVY | {"asyncio"}),
    ("import exporter.commands.run", HEAVY - {"uvloop"}),
    ("import exporter.app", HEAVY - {"uvloop"}),
    ("import exporter.children", HEAVY - {"uvloop"}),
)


@pytest.mark.parametrize(("code", "absent"), LIGHT)
def test_imports_are_late(code: str, absent: set[str]) -> None:
    """Nothing is imported before it is needed: signals and sockets are in place first."""
    done = python("-c", f"import sys; {code}; print(*sys.modules, file=sys.stderr)")
    assert done.returncode == 0, done.stderr
    assert not absent & set(done.stderr.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_before_it_runs(tmp_path: Path, number: signal.Signals) -> None:
    """A signal that comes while the configuration is still read ends the command with 0."""
    assert stopped_while_reading(tmp_path, lambda process: os.kill(process.pid, number)) == 0


def stopped_while_reading(folder: Path, stop: Callable[[Running], None], *prefix: str) -> int:
    """The exit status of a command that was stopped while it waited for its configuration file."""
    pipe = folder / "config.yaml"
    os.mkfifo(pipe)
    command = [*prefix, sys.executable, "-m", "exporter", "run", "--config", str(pipe)]
    process = Running(Program("waiting", command, folder, ENVIRONMENT))
    try:
        writer = wait_until(lambda: _writer(pipe), "the configuration is read", 20, process)
        stop(process)
        wait_until(lambda: process.status is not None, "it ends", 20, progress=process.tail)
        os.close(writer)
        assert process.status is not None
        return process.status
    finally:
        process.stop()


def _writer(pipe: Path) -> int | None:
    """The writing end, once somebody reads."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
