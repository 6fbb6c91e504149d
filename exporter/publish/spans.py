"""SpanPusher: the bounded queue that brings spans to an OTLP collector from a thread of its own.

Refuses to make spans. Invariant: every span offered is exported, dropped with a reason, or in the queue; `offer` never
waits. The SDK and gRPC are imported with the first export.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from exporter.publish.sender import Connection, Sender, Tally
from exporter.publish.server_span import Span
from exporter.publish.settings import OtlpConfig
from exporter.records.sample import Sample

DROP_REASONS = ("queue_full", "export_failed", "shutdown")


class SpanPusher:
    """`created` is the unix time in seconds from which this publisher counts; `clock` is monotonic seconds."""

    def __init__(
        self, config: OtlpConfig, created: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[Span] = deque()
        self._stopping = False
        self._exported = Tally("modeltap.spans.exported", ((),), created)
        self._dropped = Tally("modeltap.spans.dropped", tuple((reason,) for reason in DROP_REASONS), created)
        self._sender: Sender[list[Span]] = Sender("traces", created, self._connect, self._take, self._done)

    def start(self) -> None:
        """Start the thread."""
        self._sender.start()

    def stop(self, timeout: float) -> bool:
        """Export what is queued, then end; what the collector did not take within `timeout` seconds is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        finished = self._sender.stop(timeout)
        with self._changed:
            left = len(self._queue)
            self._queue.clear()
        self._dropped.add(("shutdown",), left)
        return finished

    def offer(self, span: Span) -> bool:
        """Queue a span; False if it was dropped, which is counted."""
        with self._changed:
            if not self._stopping and len(self._queue) < self._config.span_queue:
                self._queue.append(span)
                if len(self._queue) in (1, self._config.span_batch):
                    self._changed.notify()
                return True
            reason = "shutdown" if self._stopping else "queue_full"
        self._dropped.add((reason,))
        return False

    def samples(self) -> Iterator[Sample]:
        """Spans exported and dropped by reason, exports by outcome."""
        yield from self._exported.samples()
        yield from self._dropped.samples()
        yield from self._sender.outcomes.samples()

    def _take(self) -> list[Span] | None:
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            deadline = self._clock() + self._config.span_delay_seconds
            while len(self._queue) < self._config.span_batch and not self._stopping:
                remaining = deadline - self._clock()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            size = min(len(self._queue), self._config.span_batch)
            return [self._queue.popleft() for _ in range(size)] or None

    def _done(self, batch: list[Span], delivered: bool) -> None:
        if delivered:
            self._exported.add((), len(batch))
        else:
            self._dropped.add(("export_failed",), len(batch))

    def _connect(self) -> Connection[list[Span]]:
        from exporter.publish.exporters import connect_spans

        return connect_spans(self._config)
