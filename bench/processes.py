"""Processes of one run: started pinned, watched, and all ended, whatever ends the run.

Refuses to know what it starts. Every process is started with setsid, so that Ctrl-C reaches the
benchmark alone and it ends them in order; should the benchmark be killed outright, the kernel sends them
SIGTERM (PR_SET_PDEATHSIG).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import procfs
from bench.errors import MeasureError, SetupError

LOOPBACK = "127.0.0.1"
READY_SECONDS = 20.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.002
# The servers of the benchmark are started as modules and found from here, whatever the caller's folder is.
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port on loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something accepts connections on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure the sidecar or its exporters."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "MODELTAP_"))}


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command on one core, ended by the kernel when the benchmark is gone.

    By util-linux's programs, which replace themselves with the command: the process id stays the same.
    """
    return ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core), *command]


@dataclass(frozen=True, slots=True)
class Running:
    """A started process and where its output went."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ready_seconds: float = 0.0

    def check(self) -> None:
        """Raises MeasureError when the process has ended."""
        status = self.process.poll()
        if status is not None:
            raise MeasureError(f"{self.name} ended with status {status}{self.last_words()}")

    def pids(self) -> list[int]:
        """The process and its descendants, itself first."""
        self.check()
        return procfs.descendants(self.process.pid)

    def last_words(self, limit: int = 400) -> str:
        """The end of what it wrote, for a message."""
        text = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        return f": …{text[-limit:]}" if text else " and wrote nothing"


@dataclass(slots=True)
class Processes:
    """Everything that this run started; `with` ends it all."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], core: int, port: int, folder: Path = ROOT) -> Running:
        """Start in `folder`, pinned to one core, and wait until `port` accepts.

        Raises SetupError when it cannot be executed, and MeasureError when it ends or stays deaf for 20 s.
        """
        log = self.folder / f"{name}.log"
        began = time.perf_counter()
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    pinned(core, command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=clean_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            raise SetupError(
                f"cannot start {name}: {error} (setpriv and taskset are in util-linux)"
            ) from error
        running = Running(name, process, log)
        self.running.append(running)
        while not accepts(port):
            running.check()
            if time.perf_counter() - began > READY_SECONDS:
                raise MeasureError(f"{name} accepts nothing on port {port} after {READY_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        return Running(name, process, log, time.perf_counter() - began)

    def stop(self) -> None:
        """End every process and its descendants; safe twice. SIGTERM first, SIGKILL after five seconds."""
        self._end(self.running)
        self.running.clear()

    def stop_one(self, name: str) -> None:
        """End the process of that name and its descendants, if there is one."""
        self._end([running for running in self.running if running.name == name])
        self.running = [running for running in self.running if running.name != name]

    @staticmethod
    def _end(ending: Sequence[Running]) -> None:
        stats = procfs.all_stats()
        trees = {r.process.pid: procfs.tree(stats, r.process.pid) for r in ending}
        born = {stat.pid: stat.start_ticks for stat in stats}
        for running in ending:
            if running.process.poll() is None:
                running.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for running in ending:
            _reap(running.process, deadline)
        left = [pid for pids in trees.values() for pid in pids[1:]]
        _end(left, born, deadline)


def _reap(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _alive(pids: Sequence[int], born: dict[int, int]) -> list[int]:
    """Those of `pids` that are still the processes they were: an id may have been given to another."""
    now = {stat.pid: stat.start_ticks for stat in procfs.all_stats() if stat.state not in "ZX"}
    return [pid for pid in pids if pid in born and now.get(pid) == born[pid]]


def _end(pids: Sequence[int], born: dict[int, int], deadline: float) -> None:
    while pids := _alive(pids, born):
        if time.monotonic() > deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)
