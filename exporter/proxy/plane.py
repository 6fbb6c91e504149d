"""What all connections of one worker share: settings, totals, labels, sampler, admission, the way to the analysis."""

import asyncio
import time
from typing import Protocol

from exporter.proxy.admission import Admission
from exporter.proxy.deadlines import Deadlines, Timed
from exporter.proxy.destination import Destination
from exporter.proxy.labels import Labels
from exporter.proxy.settings import Settings
from exporter.proxy.tls import Contexts
from exporter.proxy.trace import Sampler
from exporter.records.queue import Sender
from exporter.records.routes import table
from exporter.records.totals import Layout, Writer

FLUSH_SECONDS = 0.02
STALL = 2_000_000_000  # nanoseconds between two beats; what is longer was no late timer


def nanosecond_bounds(bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Bounds in seconds as integers, so that one comparison does."""
    return tuple(round(bound * 1e9) for bound in bounds)


class Bounds:
    """The settings' bounds on time in nanoseconds; 0 for none."""

    def __init__(self, settings: Settings) -> None:
        self.header = round(settings.header_timeout * 1e9)
        self.idle = round(settings.idle_timeout * 1e9)
        self.half_closed = round(settings.half_closed_timeout * 1e9)
        self.write = round(settings.write_timeout * 1e9)
        self.tunnel = round(settings.tunnel_timeout * 1e9)
        # What may be over first on a connection that was just accepted.
        self.first = min((bound for bound in (self.header, self.idle) if bound), default=0)


class Closable(Protocol):
    """A link, as far as the plane needs to know."""

    def close(self) -> None:
        """Drop it."""


class Connection(Timed, Protocol):
    """A pair, as far as the plane needs to know."""

    def forgive(self, stood: int) -> None:
        """So many nanoseconds do not count."""

    def close_idle(self) -> bool:
        """For a drain: close if nothing is under way; whether it did."""

    def stop(self) -> None:
        """Close at once."""


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
        self.tls = Contexts(settings)
        self.destinations = tuple(Destination(upstream, loop) for upstream in settings.upstreams)
        self.tracing = settings.tracing
        self.every_exchange = settings.every_exchange
        self.labels = Labels(self.totals, settings.model_name, settings.model_version)
        self.sampler = Sampler(settings.sampler, settings.sampler_ratio, settings.root_spans_per_second)
        self.admission = Admission(self.totals, loop)
        self.deadlines = Deadlines(time.monotonic_ns())
        self.sender = Sender(self.totals)
        self.pairs: set[Connection] = set()
        self.link: Closable | None = None  # the channel to the analysis
        self.captured = 0  # bytes of bodies kept now, bounded by capture_total
        self.usage_proven = False  # the model took a request to which the wish for usage was added
        self.usage_off_until = 0
        self.last_request = time.monotonic_ns()
        self.wall_offset = time.time_ns() - time.monotonic_ns()
        self._flush_due = False
        self._beat_at = time.monotonic_ns()
        self.configure(settings)

    def start(self) -> None:
        """Ask for the upstreams' addresses; nobody waits for them."""
        for destination in self.destinations:
            destination.start()

    def configure(self, settings: Settings) -> None:
        """Bounds that may change while connections live; upstreams and layout are those of the start."""
        self.settings = settings
        self.bounds = Bounds(settings)
        self.capture_bytes = settings.capture_bytes
        self.capture_total = settings.capture_total
        self.edits = settings.mode != "observe"
        self.closed = settings.mode in ("gate", "strict")
        self.strict = settings.mode == "strict"
        self.forwarded_for = settings.forwarded_for
        self.include_usage = settings.include_usage and self.edits
        self.labels.use(table(settings.paths))
        self.admission.configure(
            settings.max_concurrency, settings.max_queue, settings.queue_timeout, time.monotonic_ns()
        )
        # A bound that is shorter now, or was none, holds for those who are here as well.
        for pair in self.pairs:
            self.deadlines.put(pair, 0)

    def flush_soon(self) -> None:
        """A record waits in the sender; send it with its neighbours."""
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        self.sender.flush()

    def beat(self, now: int) -> None:
        """Twice a second, `now` in monotonic nanoseconds: the wall clock's steps, bounds on time, clients unseen."""
        self.wall_offset = time.time_ns() - time.monotonic_ns()
        stood, self._beat_at = now - self._beat_at, now
        if stood > STALL:
            # This process stood still: nobody is late by what nobody could have read.
            for pair in list(self.pairs):
                pair.forgive(stood)
        self.deadlines.run(now)
        self.admission.sweep()
        for outcome in self.tls.refresh():
            self.totals.count("certificates", outcome)

    def close(self) -> None:
        """Nothing more is asked of anybody. Safe twice."""
        self.admission.close()
        for destination in self.destinations:
            destination.close()
