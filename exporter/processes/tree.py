"""Child processes of the root: spawn, watch, restart with back-off, end with the root.

Each child has one control socket (a socketpair of packets with descriptors attached) and runs in its own session;
it ends within a second of that socket closing, and at once if the root dies. Nothing lies on disk. A child that
cannot be started is one that died: the root never fails with it.
"""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger("modeltap")
FIRST_DELAY, LAST_DELAY = 0.1, 30.0
HEALTHY_SECONDS = 60.0  # a child that lived this long starts the back-off anew
PATIENCE_SECONDS = (
    1.0  # a longer delay is for what dies again and again: it gives way to traffic while it starts
)
CHECK_SECONDS = 1.0
STARVED_SHARE = 0.5  # of its silence spent waiting for a CPU
HUNG_SECONDS = 5.0  # without a beat
START_SECONDS = 60.0  # before the first beat: imports at the lowest priority of a busy machine
# What a loop that turns, or all imports, never take between two beats: who ran for longer spins, though it also waits.
SPIN_SECONDS, START_SPIN_SECONDS = 1.0, 15.0
STUCK_SECONDS = 30.0  # of CPU time without finishing anything that is waited for
MEMORY_EXIT = 75  # the child ended itself at its memory bound
_COLLECT_SECONDS = 0.01
_KILLED_SECONDS = 1.0
_PACKET = 1 << 16


def send(sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> bool:
    """One packet; False if the other side is gone or does not read."""
    try:
        socket.send_fds(sock, [json.dumps(message).encode()], fds or [])
    except OSError:
        return False
    return True


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """One packet, or None at the end of the other side. BlockingIOError if there is none yet."""
    data, fds, _, _ = socket.recv_fds(sock, _PACKET, 128)
    if not data:
        return None
    message: dict[str, Any] = json.loads(data)
    return message, list(fds)


def _command(role: str, fd: int, promptly: bool) -> list[str]:
    """The child runs the package that the root runs, and nothing that merely lies in the working directory."""
    try:
        at_home = Path.cwd() == Path(__file__).resolve().parents[1]
    except OSError:  # the directory was removed
        at_home = False
    flags = ["-I"] if sys.flags.isolated else [] if at_home else ["-P"]
    return [
        sys.executable,
        *flags,
        "-m",
        "exporter",
        "_child",
        role,
        str(fd),
        *(["promptly"] if promptly else []),
    ]


class Child:
    """One running process. `gone` is called once, with its exit status. OSError if it cannot be started."""

    def __init__(
        self,
        role: str,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[["Child", int], None],
        promptly: bool = False,
    ) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        self._loop = loop
        self._gone = gone
        try:
            self.process = subprocess.Popen(
                _command(role, theirs.fileno(), promptly),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            self.control.close()
            raise
        finally:
            theirs.close()
        self.started = self.beat = loop.time()
        self.ran = self.waited = 0.0
        self.beating = False
        self.killed = ""
        loop.add_reader(self.control, self.read)

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> bool:
        """To the child."""
        return send(self.control, message, fds)

    def read(self) -> None:
        """Take every beat that has come. The end of the socket is the end of the child."""
        while self.control.fileno() >= 0:
            try:
                found = receive(self.control)
            except BlockingIOError:
                return
            except OSError:
                found = None
            if found is None:
                self._loop.remove_reader(self.control)
                self.control.close()
                self._collect()
            elif found[0].get("kind") == "beat":
                self.beat = self._loop.time()
                self.ran, self.waited = scheduled(self.process.pid)
                self.beating = True

    def starved(self, now: float) -> bool:
        """Whether it has been ready to run for most of its silence: it yields to the data plane, it does not hang.

        A quota makes those wait who spin as well; they are told by what they did get.
        """
        ran, waited = scheduled(self.process.pid)
        spins = ran - self.ran > (SPIN_SECONDS if self.beating else START_SPIN_SECONDS)
        return not spins and waited - self.waited > STARVED_SHARE * (now - self.beat)

    def _collect(self) -> None:
        # The kernel closes a dying process's descriptors a moment before it can be waited for.
        status = self.process.poll()
        if status is None:
            self._loop.call_later(_COLLECT_SECONDS, self._collect)
        else:
            self._gone(self, status)

    def kill(self, reason: str) -> None:
        """SIGKILL; the reason is what the restart is counted under."""
        self.killed = self.killed or reason
        self.process.kill()


def scheduled(pid: int, proc: Path = Path("/proc")) -> tuple[float, float]:
    """Seconds for which a process' main thread ran and waited for a CPU; zeros where the kernel does not tell."""
    try:
        ran, waited = (proc / str(pid) / "schedstat").read_text().split()[:2]
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return 0.0, 0.0


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """CPU time of all threads of a process; 0 if it is gone."""
    try:
        # Behind the name, which may hold anything: state is the first field, utime and stime are 12th and 13th.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


class Progress:
    """Tells a process that works for ever on one thing, though it beats, from one that is slow. Pure."""

    def __init__(self) -> None:
        self._mark: tuple[int, int] | None = None
        self._cpu = 0.0

    def stuck(self, pid: int, done: int, waiting: bool, cpu: float) -> bool:
        """`done` counts what was finished, `waiting` whether more is waited for, `cpu` is the process' time so far."""
        mark = pid, done
        if not waiting or mark != self._mark:
            self._mark, self._cpu = mark, cpu
        return cpu - self._cpu > STUCK_SECONDS


class Backoff:
    """Seconds before the next start: doubled each time, anew after a healthy life."""

    def __init__(self, last: float = LAST_DELAY) -> None:
        self._last = last
        self._delay = FIRST_DELAY

    def delay(self, lived_seconds: float) -> float:
        """After a life of that length."""
        if lived_seconds > HEALTHY_SECONDS:
            self._delay = FIRST_DELAY
        delay, self._delay = self._delay, min(self._delay * 2, self._last)
        return delay


class Keeper:
    """Keeps one child alive.

    `prepare(child)` sends a new child what it needs and says whether it went out; `died(reason)` is told of every
    end that was not asked for. Neither may raise.
    """

    def __init__(
        self,
        role: str,
        loop: asyncio.AbstractEventLoop,
        prepare: Callable[[Child], bool],
        died: Callable[[str], None],
        last_delay: float = LAST_DELAY,
    ) -> None:
        self.role = role
        self.child: Child | None = None
        self._loop = loop
        self._prepare = prepare
        self._died = died
        self._backoff = Backoff(last_delay)
        self._timer: asyncio.TimerHandle | None = None
        self._checked = loop.time()
        self._stopping = False
        self._promptly = True
        self._over = asyncio.Event()

    def start(self) -> None:
        """Spawn now."""
        self._timer = None
        try:
            self.child = Child(self.role, self._loop, self._gone, self._promptly)
        except OSError as error:  # no process, no memory or no descriptor left
            log.error("the %s cannot be started: %s", self.role, error)
            self._again(0.0, "exit")
            return
        if not self._prepare(self.child):
            self.child.kill("exit")

    def check(self) -> None:
        """Kill a child that does not beat; call every CHECK_SECONDS."""
        now = self._loop.time()
        late, self._checked = now - self._checked > 2 * CHECK_SECONDS, now
        child = self.child
        if child is None:
            return
        if late:
            # The root did not run itself, and perhaps the whole pod was frozen: silence says nothing.
            child.beat = now
        child.read()
        if now - child.beat > (HUNG_SECONDS if child.beating else START_SECONDS) and not child.starved(now):
            child.kill("hung")

    def responsive(self) -> bool:
        """Whether there is a child that has begun to beat and still does, or would if it were given a CPU."""
        child, now = self.child, self._loop.time()
        if child is None or not child.beating:
            return False
        return now - child.beat < 2 * CHECK_SECONDS or child.starved(now)

    def _gone(self, child: Child, status: int) -> None:
        self.child = None
        if self._stopping:
            self._over.set()
            return
        reason = child.killed or ("memory" if status == MEMORY_EXIT else "signal" if status < 0 else "exit")
        self._again(self._loop.time() - child.started, reason)

    def _again(self, lived_seconds: float, reason: str) -> None:
        delay = self._backoff.delay(lived_seconds)
        self._promptly = delay < PATIENCE_SECONDS
        self._timer = self._loop.call_later(delay, self.start)
        self._died(reason)

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and make it end after that many seconds. Safe twice and without `start`."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        child = self.child
        if child is None:
            return
        child.send({"kind": "stop", "seconds": seconds})
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            child.kill("stop")
            with suppress(TimeoutError):  # the kernel may not let go of it; it is not waited for either
                await asyncio.wait_for(self._over.wait(), _KILLED_SECONDS)


def reap(own: set[int]) -> None:
    """As PID 1: collect the orphans that were left to us, but not our own children; those are waited for by name."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in own:
            return
        os.waitpid(found.si_pid, os.WNOHANG)
