"""A data-plane worker: serves its listening sockets until told to drain.

Used by the root itself when there is one worker, and by a process of its own otherwise. It waits for nobody: neither
the model nor the analysis has to be there.
"""

import asyncio
import gc
import socket
import time

from exporter.proxy.accept import Acceptor
from exporter.proxy.link import attach
from exporter.proxy.plane import Plane
from exporter.proxy.settings import Settings
from exporter.records.peak import Peak

_LAG_SECONDS = 0.5
# Requests under way when the listeners close: their connections look idle, and are not.
LATE_SECONDS = 0.25
# Clients that keep their connections never fall quiet: so much of the grace, half at most, is left to let them end.
_FINISH_SECONDS = 5.0
_POLL_SECONDS = 0.02
_WALK_SHARE = 10  # between two walks over the connections pass at least so many times the time that one takes


class Worker:
    """`start`, then `drain` or `stop`; `stop` is safe twice and without `start`."""

    def __init__(self, settings: Settings, totals_fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self.plane = Plane(settings, totals_fd, loop)
        self.acceptor = Acceptor(self.plane)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._lag = Peak()

    async def start(self, sockets: list[socket.socket]) -> None:
        """Accept on the bound sockets: the n-th leads to the n-th upstream of the settings."""
        plane = self.plane
        if not plane.slots[plane.totals.scalar("started")]:
            plane.totals.set("started", time.time_ns())
        plane.start()
        self.acceptor.start(dict(zip(sockets, plane.destinations, strict=True)))
        self._schedule()
        # What lives now lives for good; a full collection should not walk it again and again.
        gc.collect()
        gc.freeze()

    def configure(self, settings: Settings) -> None:
        """Other bounds from now on; upstreams, layout and mode must be those of the start."""
        self.plane.configure(settings)
        self.acceptor.configure()

    async def attach(self, sock: socket.socket) -> None:
        """Hand exchanges to the analysis behind this socket from now on."""
        await attach(self.plane, sock)

    def _schedule(self) -> None:
        self._due = self.plane.loop.time() + _LAG_SECONDS
        self._timer = self.plane.loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        now = self.plane.loop.time()
        self._lag.see(max(0.0, now - self._due), now)
        self.plane.totals.set("loop_lag", round(self._lag.largest(now) * 1e9))
        self.plane.beat(time.monotonic_ns())
        self._schedule()

    async def drain(self) -> None:
        """Stop accepting after the quiet period, let what is under way end, at most `grace` seconds in all."""
        plane = self.plane
        deadline = time.monotonic() + plane.settings.grace
        await self._quiet(deadline - min(_FINISH_SECONDS, plane.settings.grace / 2))
        # A grace that is nearly over leaves no time to be polite.
        polite = time.monotonic() + min(LATE_SECONDS, (deadline - time.monotonic()) / 2)
        late = False
        while (now := time.monotonic()) < deadline:
            if self.acceptor.finish() and not (plane.pairs or self.acceptor.opening):
                break
            if late:
                self._close_idle()
            # Known one turn before it matters: a loop that stood still reads what came meanwhile first.
            late = now > polite
            await asyncio.sleep(max(_POLL_SECONDS, _WALK_SHARE * (time.monotonic() - now)))
        self.acceptor.close()
        plane.sender.flush()

    async def _quiet(self, deadline: float) -> None:
        """Until so long no request came; those for health and metadata are none."""
        plane = self.plane
        while (quiet := plane.settings.drain_quiet) and time.monotonic() < deadline:
            left = quiet - (time.monotonic_ns() - plane.last_request) / 1e9
            if left <= 0:
                return
            await asyncio.sleep(min(left, deadline - time.monotonic(), 0.2))

    def _close_idle(self) -> None:
        self.acceptor.hang_up()
        for pair in list(self.plane.pairs):
            pair.close_idle()

    def stop(self) -> None:
        """Close whatever is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.acceptor.close()
        self.plane.close()
        for pair in list(self.plane.pairs):
            pair.stop()
