"""What all connections of one worker share: settings, totals, labels, sampler, admission, the way to the analysis."""

import asyncio
import time
from typing import Protocol

from exporter.proxy.admission import Admission
from exporter.proxy.destination import Destination
from exporter.proxy.labels import Labels
from exporter.proxy.settings import Settings
from exporter.proxy.trace import Sampler
from exporter.records.queue import Sender
from exporter.records.totals import Layout, Writer

FLUSH_SECONDS = 0.02


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
        self.destinations = tuple(Destination(upstream, loop) for upstream in settings.upstreams)
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
        for destination in self.destinations:
            destination.close()
