"""What all connections of one worker share: settings, totals, labels, sampler, admission, the way to the analysis."""

import asyncio
import socket
import time
from contextlib import suppress
from typing import Protocol

from exporter.proxy.admission import Admission
from exporter.proxy.labels import Labels
from exporter.proxy.settings import Settings
from exporter.proxy.trace import Sampler
from exporter.records.queue import Sender
from exporter.records.totals import Layout, Writer

FLUSH_SECONDS = 0.02
RESOLVE_SECONDS = 30.0


def nanosecond_bounds(bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Bounds in seconds as integers, so that one comparison does."""
    return tuple(round(bound * 1e9) for bound in bounds)


class Closable(Protocol):
    """A link, as far as the plane needs to know."""

    def close(self) -> None:
        """Drop it."""


class Plane:
    """Made once per worker. Holds no connection except in `pairs`, which a drain walks."""

    def __init__(self, settings: Settings, totals_fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        layout = Layout(settings.latency_buckets)
        self.totals = Writer(totals_fd, layout)
        self.slots = self.totals.slots
        # Asked for at every exchange or connection, and sums over the whole layout each.
        self.latency_bounds = nanosecond_bounds(layout.latency_bounds)
        self.overhead_at = layout.overhead_at
        self.overhead_sum = self.totals.scalar("overhead_sum")
        self.connections_at = layout.connections_at
        self.connections_open = self.totals.scalar("connections_open")
        self.labels = Labels(self.totals, settings.model_name, settings.model_version)
        self.sampler = Sampler(settings.sampler, settings.sampler_ratio, settings.root_spans_per_second)
        self.admission = Admission(settings.max_concurrency, settings.max_queue, self.totals)
        self.sender = Sender(self.totals)
        self.pairs: set[object] = set()
        self.link: Closable | None = None  # the channel to the analysis
        self.captured = 0  # bytes of bodies kept now, bounded by capture_total
        self.draining = False
        self.last_request = time.monotonic_ns()
        self.wall_offset = time.time_ns() - time.monotonic_ns()
        self._flush_due = False
        self._addresses: list[tuple[int, tuple[str, int]]] = []
        self._resolved = 0.0
        self._resolving: asyncio.Task[None] | None = None

    async def addresses(self) -> list[tuple[int, tuple[str, int]]]:
        """Where the upstream is now; asked anew every 30 s, the last good answer serves meanwhile. OSError if none."""
        now = self.loop.time()
        if not self._addresses:
            self._resolved = now
            await self._resolve()
        elif now - self._resolved > RESOLVE_SECONDS:
            self._resolved = now
            self._resolving = self.loop.create_task(self._refresh())
        return self._addresses

    async def _resolve(self) -> None:
        settings = self.settings
        found = await self.loop.getaddrinfo(
            settings.upstream_host, settings.upstream_port, type=socket.SOCK_STREAM
        )
        self._addresses = [(int(kind), (str(where[0]), int(where[1]))) for kind, _, _, _, where in found]

    async def _refresh(self) -> None:
        # The resolver is the operator's to watch; the last good answer serves on.
        with suppress(OSError):
            await self._resolve()

    def flush_soon(self) -> None:
        """A record waits in the sender; send it with its neighbours."""
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        self.sender.flush()

    def beat(self) -> None:
        """Twice a second: follow steps of the wall clock, and find clients that left the queue unseen."""
        self.wall_offset = time.time_ns() - time.monotonic_ns()
        self.admission.sweep()

    def close(self) -> None:
        """Nothing more is asked of anybody. Safe twice."""
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
