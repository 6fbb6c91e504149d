"""Child processes of the root: spawn, watch, restart with back-off, end with the root.

Each child has one control socket (a socketpair of packets with descriptors attached) and runs in its own session;
it ends within a second of that socket closing, and at once if the root dies. Nothing lies on disk.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

FIRST_DELAY, LAST_DELAY = 0.1, 30.0
HEALTHY_SECONDS = 60.0  # a child that lived this long starts the back-off anew
HUNG_SECONDS = 5.0  # without a beat
START_SECONDS = 30.0  # before the first beat
MEMORY_EXIT = 75  # the child ended itself at its memory bound
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


class Child:
    """One running process. `gone` is called once, with its wait status."""

    def __init__(
        self, role: str, loop: asyncio.AbstractEventLoop, gone: Callable[["Child", int], None]
    ) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        self._loop = loop
        self._gone = gone
        command = [sys.executable, "-m", "exporter", "_child", role, str(theirs.fileno())]
        self.process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.started = self.beat = loop.time()
        self.beating = False
        self.killed = ""
        self._pidfd = os.pidfd_open(self.process.pid)
        loop.add_reader(self._pidfd, self._exited)
        loop.add_reader(self.control, self._message)

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> bool:
        """To the child."""
        return send(self.control, message, fds)

    def _message(self) -> None:
        try:
            found = receive(self.control)
        except BlockingIOError:
            return
        except OSError:
            found = None
        if found is None:
            self._loop.remove_reader(self.control)
        elif found[0].get("kind") == "beat":
            self.beat = self._loop.time()
            self.beating = True

    def _exited(self) -> None:
        try:
            status = self.process.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return
        self._loop.remove_reader(self._pidfd)
        self._loop.remove_reader(self.control)
        os.close(self._pidfd)
        self.control.close()
        self._gone(self, status)

    def kill(self, reason: str) -> None:
        """SIGKILL; the reason is what the restart is counted under."""
        self.killed = self.killed or reason
        self.process.kill()


class Keeper:
    """Keeps one child alive. `prepare(child)` sends it what it needs, each time it is started."""

    def __init__(
        self,
        role: str,
        loop: asyncio.AbstractEventLoop,
        prepare: Callable[[Child], None],
        died: Callable[[str], None],
    ) -> None:
        self.role = role
        self.child: Child | None = None
        self._loop = loop
        self._prepare = prepare
        self._died = died
        self._delay = FIRST_DELAY
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._over = asyncio.Event()

    def start(self) -> None:
        """Spawn now."""
        self._timer = None
        self.child = Child(self.role, self._loop, self._gone)
        self._prepare(self.child)

    def check(self) -> None:
        """Kill a child that does not beat; call about once a second."""
        child = self.child
        if child is None:
            return
        silent = self._loop.time() - child.beat
        if silent > (HUNG_SECONDS if child.beating else START_SECONDS):
            child.kill("hung")

    def _gone(self, child: Child, status: int) -> None:
        self.child = None
        if self._stopping:
            self._over.set()
            return
        reason = child.killed or ("memory" if status == MEMORY_EXIT else "signal" if status < 0 else "exit")
        self._died(reason)
        if self._loop.time() - child.started > HEALTHY_SECONDS:
            self._delay = FIRST_DELAY
        self._timer = self._loop.call_later(self._delay, self.start)
        self._delay = min(self._delay * 2, LAST_DELAY)

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and make it end after that many seconds. Safe twice and without `start`."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        child = self.child
        if child is None:
            return
        child.send({"kind": "stop"})
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            child.kill("stop")
            await self._over.wait()


def bind_to_parent() -> None:
    """For a child: die with the root, and leave the terminal's signals to it."""
    import ctypes

    parent_death = 1
    ctypes.CDLL(None, use_errno=True).prctl(parent_death, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
