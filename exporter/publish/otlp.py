"""Pusher: the latest Samples go to an OTLP collector, every interval, from a thread of its own.

Refuses to gather samples: they are offered, and the last offer wins, which loses nothing since all counts are
cumulative. Invariant: `offer` takes a lock for an assignment and nothing else. The SDK and gRPC are imported with
the first export.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from exporter.publish.sender import Connection, Sender
from exporter.publish.settings import OtlpConfig
from exporter.records.sample import Sample

Snapshot = tuple[Sequence[Sample], float]


class Pusher:
    """`created` is the unix time in seconds from which this publisher counts; `clock` is monotonic seconds."""

    def __init__(
        self, config: OtlpConfig, created: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._created = created
        self._clock = clock
        self._changed = threading.Condition()
        self._offered: Snapshot | None = None
        self._next = clock()
        self._stopping = False
        self._sender: Sender[Snapshot] = Sender(
            "metrics", created, self._connect, self._take, lambda *_: None
        )

    def start(self) -> None:
        """Start the thread."""
        self._sender.start()

    def stop(self, timeout: float) -> bool:
        """Export what was offered last, then end; False if the collector did not take it within `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        return self._sender.stop(timeout)

    def due(self) -> bool:
        """True when an interval has passed since the last export began: the time to gather samples and offer them."""
        return not self._stopping and self._offered is None and self._clock() >= self._next

    def offer(self, samples: Sequence[Sample], now: float | None = None) -> None:
        """Take these as the latest; `now` is the unix time in seconds at which they were gathered.

        They are exported as soon as the interval since the last export has passed, unless a later offer comes first.
        """
        with self._changed:
            if not self._stopping:
                self._offered = samples, time.time() if now is None else now
                self._changed.notify()

    def samples(self) -> Iterator[Sample]:
        """Exports by outcome, and what was rejected."""
        return self._sender.samples()

    def _take(self) -> Snapshot | None:
        with self._changed:
            while not self._stopping:
                wait = self._next - self._clock() if self._offered is not None else None
                if wait is not None and wait <= 0:
                    break
                self._changed.wait(wait)
            offered, self._offered = self._offered, None
            self._next = self._clock() + self._config.interval_seconds
            return offered

    def _connect(self) -> Connection[Snapshot]:
        from exporter.publish.exporters import connect_metrics

        return connect_metrics(self._config)
