"""A batch job as a child: run to its end, its rows and its use of the machine known at any moment.

It shares our terminal and our standard streams: a pipeline stays one. A signal of the terminal reaches it without us;
one that was sent to us alone is passed on. Its output is copied only where rows are looked for in it, and then nothing
is dropped: a slow reader slows the job down, as it would without us.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.host.oom import OomKills
from exporter.supervise.rows import Cut, Rows
from exporter.supervise.spawn import How, spawn
from exporter.supervise.usage import Usage, disk, of_children, of_tree

ROWS_FD: Final = "MODELTAP_ROWS_FD"
OUTCOMES: Final = ("success", "failure", "signal", "oom", "not_started")
_PASSED: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT),
)
_FROM_THE_KERNEL: Final = 0x80  # si_code SI_KERNEL: the terminal's signals, which the whole group got
_TURN_SECONDS: Final = 1.0
_CHUNK: Final = 1 << 16
_NOT_FOUND: Final = (126, 127)


@dataclass(frozen=True, slots=True)
class End:
    """`status` is what we exit with."""

    outcome: str
    status: int


class Job:
    """One run; `rows_in` is a pattern for its output, None to leave that alone."""

    def __init__(self, command: Sequence[str], rows_in: re.Pattern[bytes] | None = None) -> None:
        self.rows = Rows()
        self.started = 0.0  # unix seconds
        self.end: End | None = None
        self._command = command
        self._pattern = rows_in
        self._usage = Usage()
        self._began = self._ended = 0.0
        self._disk = (0, 0)
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """0 before it runs."""
        return self._process.pid if self._process is not None else 0

    def seconds(self) -> float:
        """How long it has run, or ran."""
        return (self._ended or time.monotonic()) - self._began

    def usage(self) -> Usage:
        """So far; no figure ever goes back."""
        if self._process is not None and self.end is None:
            self._usage = of_tree(self._process.pid).at_least(self._usage)
        return self._usage

    def run(self, limit: int, turn: Callable[[], None]) -> End:
        """Start it and wait for its end, `turn` called about once a second. From the main thread only."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED, signal.SIGCHLD))
        kills = OomKills()
        self._disk = disk()
        self.started, self._began = time.time(), time.monotonic()
        try:
            process = self._process = self._spawn(limit)
        except OSError:
            self._ended = time.monotonic()
            self.end = End("not_started", _NOT_FOUND[0])
            return self.end
        turn()
        while process.poll() is None:
            self._wait(process.pid)
            turn()
        self._ended = time.monotonic()
        for thread in self._threads:
            thread.join(_TURN_SECONDS)  # a descendant may hold the pipe for longer
        self._usage = of_children(self._disk).at_least(self._usage)
        self.end = ended(process.returncode, kills.look())
        return self.end

    def _wait(self, pid: int) -> None:
        """For a signal, a second at most."""
        told = signal.sigtimedwait((*_PASSED, signal.SIGCHLD), _TURN_SECONDS)
        if told is None or told.si_signo == signal.SIGCHLD:
            return
        if told.si_code != _FROM_THE_KERNEL:
            os.kill(pid, told.si_signo)

    # ---------------------------------------------------------------- what it says

    def _spawn(self, limit: int) -> subprocess.Popen[bytes]:
        reader, writer = os.pipe()
        copies: list[tuple[int, int, int]] = []
        if self._pattern is not None:
            copies = [(*os.pipe(), own) for own in (1, 2)]
        os.environ[ROWS_FD] = str(writer)
        out, err = (write for _, write, _ in copies) if copies else (None, None)
        try:
            process = spawn(self._command, How(limit, stdout=out, stderr=err, keep=(writer,)))
        finally:
            del os.environ[ROWS_FD]
            for end in (writer, *(write for _, write, _ in copies)):
                os.close(end)
        self._begin(self._told, reader)
        for read, _, own in copies:
            self._begin(self._copy, read, own)
        return process

    def _begin(self, work: Callable[..., None], *arguments: int) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _told(self, reader: int) -> None:
        cut = Cut()
        while data := os.read(reader, _CHUNK):
            for line in cut.lines(data):
                self.rows.told(line)
        self.rows.told(cut.rest())

    def _copy(self, reader: int, own: int) -> None:
        assert self._pattern is not None
        cut, taken = Cut(), True
        while data := os.read(reader, _CHUNK):
            taken = taken and written(own, data)
            if not taken:
                os.close(reader)  # nobody reads any more: the job learns it as it would without us
                return
            for line in cut.lines(data):
                self.rows.matched(self._pattern, line)
        self.rows.matched(self._pattern, cut.rest())


def written(fd: int, data: bytes) -> bool:
    """All of it, however long that takes; False if nobody takes it."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except BlockingIOError:
        os.set_blocking(fd, True)
        return written(fd, bytes(rest))
    except OSError:
        return False
    return True


def ended(status: int, oom: bool) -> End:
    """What a status means; a shell's 126 and 127 are a command that could not be run."""
    code = 128 - status if status < 0 else status
    if oom and code == 128 + signal.SIGKILL:
        return End("oom", code)
    if status < 0:
        return End("signal", code)
    return End("not_started" if status in _NOT_FOUND else "failure" if status else "success", code)
