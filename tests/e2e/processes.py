"""Processes under test: start with a log file, wait until ready, stop on every path.

Knows nothing of what it starts. Invariant: whoever enters `running` leaves it with the process and all of its
process group gone, and a failure within shows the end of the log.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

READY_SECONDS = 60.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.05
TAIL_BYTES = 4000
LOOPBACK = "127.0.0.1"
T = TypeVar("T")


class NotReady(AssertionError):
    """A condition did not come true before its deadline, or a process ended where it should have lived."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: `name` names the log file; `environment` is added to this process's own."""

    name: str
    command: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]


class Running:
    """A started process; `log` is where its standard output and error go."""

    def __init__(self, program: Program) -> None:
        self.name = program.name
        self.log = program.folder / f"{program.name}.log"
        # The kernel kills it if the test run itself is killed: no test may leave a process behind.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, program.command)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=program.folder,
                env={**os.environ, **program.environment},
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def tail(self) -> str:
        """The last lines of the log, for a person."""
        text = self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
        return f"--- {self.name} (pid {self.pid}, status {self.status}) ends its log with:\n{text}"

    def kill(self) -> None:
        """End it at once, as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end, insist after a while; the exit status. Safe twice."""
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        finally:
            self._end_group()
        return status

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)


@contextmanager
def running(program: Program, ready_url: str) -> Iterator[Running]:
    """Start it, wait until `ready_url` answers 2xx, stop it at the end; failures carry the log's tail."""
    process = Running(program)
    try:
        wait_until(lambda: answers(ready_url), f"{program.name} answers {ready_url}", process=process)
        yield process
    except Exception as error:
        error.add_note(process.tail())
        raise
    finally:
        process.stop()


def wait_until(
    check: Callable[[], T | None],
    what: str,
    seconds: float = READY_SECONDS,
    process: Running | None = None,
    progress: Callable[[], object] | None = None,
) -> T:
    """Poll `check` until it gives something true and return that; NotReady after `seconds`.

    `progress` is shown in the failure: what was seen instead.
    """
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if process is not None and process.status is not None:
            raise NotReady(f"{process.name} ended before: {what}\n{process.tail()}")
        if time.monotonic() > deadline:
            seen = f"; last seen: {progress()}" if progress else ""
            raise NotReady(f"not within {seconds:g} s: {what}{seen}")
        time.sleep(POLL_SECONDS)
    return found


def answers(url: str) -> bool:
    """True if that address answers 2xx now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            status: int = response.status
            return 200 <= status < 300
    except (urllib.error.URLError, OSError):
        return False


def free_ports(count: int) -> list[int]:
    """That many different loopback ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
