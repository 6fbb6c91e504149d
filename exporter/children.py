"""Entry of child processes: a data-plane worker or the analysis, told apart by the first argument.

A child gets everything over its control socket and ends when that closes.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import uvloop

from exporter.processes import logs, priority
from exporter.processes.tree import receive, send

if TYPE_CHECKING:
    from exporter.proxy.settings import Settings
    from exporter.proxy.worker import Worker  # the analysis has no use for the data plane in its memory

log = logging.getLogger("modeltap")
_BEAT_SECONDS = 1.0
SETTLE_SECONDS = 0.25
LOG_FORMAT = "MODELTAP_LOG_FORMAT"  # inherited: a child logs before it is told anything


class Role(Protocol):
    """What a child does with the messages of the root."""

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """One message of the root, with its descriptors."""

    async def stop(self, seconds: float) -> None:
        """End in an orderly way, killed after so long."""


async def serve(control: socket.socket, role: Role, started: Callable[[], None] = lambda: None) -> None:
    """Feed the role with messages and beat, until told to stop or the root is gone; `started` is called once."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()
    timer: asyncio.TimerHandle | None = None

    def readable() -> None:
        try:
            found = receive(control)
        except BlockingIOError:
            return
        except OSError:
            found = None
        if found is None:
            # The root is gone: nothing is left to be exported to.
            os._exit(1)
        queue.put_nowait(found)

    def beat() -> None:
        nonlocal timer
        send(control, {"kind": "beat"})
        timer = loop.call_later(_BEAT_SECONDS, beat)

    loop.add_reader(control, readable)
    while True:
        message, fds = await queue.get()
        if message["kind"] == "stop":
            break
        if message["kind"] == "log_level":
            logging.getLogger().setLevel(message["level"].upper())
            continue
        await role.message(message, fds)
        if timer is None:
            # From here on the loop has no reason to stand still; what came before may take its time.
            started()
            beat()
    await role.stop(message["seconds"])
    loop.remove_reader(control)
    if timer is not None:
        timer.cancel()


async def settled(worker: "Worker") -> None:
    """Wait a moment until the analysis acknowledged all that a drained worker sent; it may be gone or slow."""
    totals = worker.plane.totals
    slot = totals.scalar("unacknowledged")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_SECONDS
    while totals.slots[slot] and loop.time() < deadline:
        await asyncio.sleep(0.005)


class WorkerRole:
    """A data-plane worker in a process of its own."""

    def __init__(self) -> None:
        from exporter.proxy.worker import Worker

        self._make = Worker
        self._worker: Worker | None = None

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """start: settings, totals and listeners. configure: other settings. link: the channel to a new analysis."""
        if message["kind"] == "start":
            await self._start(message, fds)
        elif message["kind"] == "configure" and self._worker is not None:
            self._worker.configure(self._settings(message))
        elif message["kind"] == "link" and self._worker is not None:
            sock = socket.socket(fileno=fds[0])
            sock.setblocking(False)
            await self._worker.attach(sock)

    @staticmethod
    def _settings(message: dict[str, Any]) -> "Settings":
        import msgspec

        from exporter.proxy.settings import Settings

        return msgspec.convert(message["settings"], Settings)

    async def _start(self, message: dict[str, Any], fds: list[int]) -> None:
        logging.getLogger().setLevel(message["log_level"].upper())
        self._worker = self._make(self._settings(message), fds[0], asyncio.get_running_loop())
        await self._worker.start([socket.socket(fileno=fd) for fd in fds[1:]])

    async def stop(self, seconds: float) -> None:
        """Drain; the settings' grace is the bound."""
        if self._worker is not None:
            await self._worker.drain()
            await settled(self._worker)
            self._worker.stop()


def _analysis() -> Role:
    from exporter.processes import memory

    memory.prepare()
    from exporter.telemetry import Telemetry

    return Telemetry()


ROLES: dict[str, Callable[[], Role]] = {"worker": WorkerRole, "analysis": _analysis}


def main(role: str, fd: int, promptly: bool) -> int:
    """Run as a child on the control socket `fd`; `promptly` if its start may be like anybody else's."""
    logs.configure(form=os.environ.get(LOG_FORMAT, "text"))
    control = socket.socket(fileno=fd)
    control.setblocking(False)
    started: Callable[[], None] = lambda: None  # noqa: E731
    if role == "analysis":
        priority.first_to_go()
        if promptly:
            priority.yield_later()
        else:
            priority.yield_to_all()
        started = priority.yield_to_all
    made = ROLES[role]()

    async def run() -> None:
        await serve(control, made, started)
        # The loop's own end would wait for threads, and what they still do is for nobody.
        os._exit(0)

    uvloop.run(run())
    return 0
