"""A data-plane worker: serves its listening sockets until told to drain.

Used by the root itself when there is one worker, and by a process of its own otherwise. It waits for nobody: neither
the model nor the analysis has to be there.
"""

import asyncio
import gc
import socket
import time

from exporter.proxy.destination import Destination
from exporter.proxy.link import attach
from exporter.proxy.pair import Pair
from exporter.proxy.plane import Plane
from exporter.proxy.settings import Settings
from exporter.proxy.sides import ClientSide

_LAG_SECONDS = 0.5
_BACKLOG = 1024


class Worker:
    """`start`, then `drain` or `stop`; `stop` is safe twice and without `start`."""

    def __init__(self, settings: Settings, totals_fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self.plane = Plane(settings, totals_fd, loop)
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def start(self, sockets: list[socket.socket]) -> None:
        """Accept on the bound sockets: the n-th leads to the n-th upstream of the settings."""
        plane = self.plane
        if not plane.slots[plane.totals.scalar("started")]:
            plane.totals.set("started", time.time_ns())
        for sock, destination in zip(sockets, plane.destinations, strict=True):
            await self._listen(sock, destination)
        self._schedule()
        # What lives now lives for good; a full collection should not walk it again and again.
        gc.collect()
        gc.freeze()

    async def _listen(self, sock: socket.socket, destination: Destination) -> None:
        plane = self.plane

        def accepted() -> ClientSide:
            return ClientSide(Pair(plane, destination))

        self._servers.append(await plane.loop.create_server(accepted, sock=sock, backlog=_BACKLOG))

    async def attach(self, sock: socket.socket) -> None:
        """Hand exchanges to the analysis behind this socket from now on."""
        await attach(self.plane, sock)

    def _schedule(self) -> None:
        self._due = self.plane.loop.time() + _LAG_SECONDS
        self._timer = self.plane.loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        late = max(0.0, self.plane.loop.time() - self._due)
        self.plane.totals.set("loop_lag", round(late * 1e9))
        self.plane.beat(time.monotonic_ns())
        self._schedule()

    async def drain(self) -> None:
        """Stop accepting after the quiet period, let what is under way end, at most `grace` seconds in all."""
        plane = self.plane
        plane.draining = True
        deadline = time.monotonic() + plane.settings.grace
        quiet = plane.settings.drain_quiet
        while quiet and time.monotonic() < deadline:
            left = quiet - (time.monotonic_ns() - plane.last_request) / 1e9
            if left <= 0:
                break
            await asyncio.sleep(min(left, deadline - time.monotonic(), 0.2))
        for server in self._servers:
            server.close()
        while plane.pairs and time.monotonic() < deadline:
            for pair in list(plane.pairs):
                pair.close_idle()
            await asyncio.sleep(0.02)
        plane.sender.flush()

    def stop(self) -> None:
        """Close whatever is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for server in self._servers:
            server.close()
        self._servers = []
        self.plane.close()
        for pair in list(self.plane.pairs):
            pair.stop()
