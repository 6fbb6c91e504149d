"""Entry of child processes: a data-plane worker or the analysis, told apart by the first argument.

A child gets everything over its control socket and ends when that closes.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import uvloop

from exporter.tree import bind_to_parent, receive, send

_BEAT_SECONDS = 1.0


class Role(Protocol):
    """What a child does with the messages of the root."""

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """One message of the root, with its descriptors."""

    async def stop(self) -> None:
        """End in an orderly way."""


async def serve(control: socket.socket, role: Role) -> None:
    """Feed the role with messages and beat, until told to stop or the root is gone."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[dict[str, Any], list[int]] | None] = asyncio.Queue()

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
        send(control, {"kind": "beat"})
        loop.call_later(_BEAT_SECONDS, beat)

    loop.add_reader(control, readable)
    beat()
    while True:
        found = await queue.get()
        assert found is not None
        if found[0]["kind"] == "stop":
            break
        await role.message(*found)
    await role.stop()


class WorkerRole:
    """A data-plane worker in a process of its own."""

    def __init__(self) -> None:
        from exporter.proxy.worker import Worker

        self._make = Worker
        self._worker: Worker | None = None

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """start: settings, totals and listener. link: the channel to a new analysis."""
        import msgspec

        from exporter.proxy.settings import Settings

        if message["kind"] == "start":
            settings = msgspec.convert(message["settings"], Settings)
            self._worker = self._make(settings, fds[0], asyncio.get_running_loop())
            await self._worker.start([socket.socket(fileno=fds[1])])
        elif message["kind"] == "link" and self._worker is not None:
            sock = socket.socket(fileno=fds[0])
            sock.setblocking(False)
            await self._worker.attach(sock)

    async def stop(self) -> None:
        """Drain."""
        if self._worker is not None:
            await self._worker.drain()
            self._worker.stop()


def _analysis() -> Role:
    # The one that yields: lowest priority, first to go when memory is short.
    os.nice(19)
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")
    except OSError:
        pass
    from exporter.telemetry import Telemetry

    return Telemetry()


ROLES: dict[str, Callable[[], Role]] = {"worker": WorkerRole, "analysis": _analysis}


def main(role: str, fd: int) -> int:
    """Run as a child on the control socket `fd`."""
    bind_to_parent()
    control = socket.socket(fileno=fd)
    control.setblocking(False)
    made = ROLES[role]()
    work: Callable[[], Awaitable[None]] = lambda: serve(control, made)  # noqa: E731

    async def run() -> None:
        await work()

    uvloop.run(run())
    return 0
