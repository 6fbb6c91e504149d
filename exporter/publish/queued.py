"""Queued: a bounded queue that a sender's thread empties by the batch; what spans and logs have in common.

Invariant: everything offered is exported, dropped with a reason, or in the queue; `offer` never waits. The SDK and gRPC
are imported with the first export.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from exporter.publish.sender import Connection, Sender, Tally
from exporter.publish.settings import Limits
from exporter.records.sample import Sample

DROP_REASONS = ("queue_full", "export_failed", "shutdown")
# Signal -> what counts its exported and its dropped items.
_COUNTERS = {
    "traces": ("modeltap.spans.exported", "modeltap.spans.dropped"),
    "logs": ("modeltap.events.exported", "modeltap.events.dropped"),
}

Item = TypeVar("Item")


class Queued(Generic[Item]):
    """`connect` is called in the thread. `created` is the unix time in seconds from which this publisher counts;
    `clock` is monotonic seconds.
    """

    def __init__(
        self,
        signal: str,
        limits: Limits,
        created: float,
        connect: Callable[[], Connection[list[Item]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[Item] = deque()
        self._stopping = False
        exported, dropped = _COUNTERS[signal]
        self._exported = Tally(exported, ((),), created)
        self._dropped = Tally(dropped, tuple((reason,) for reason in DROP_REASONS), created)
        self._sender: Sender[list[Item]] = Sender(signal, created, connect, self._take, self._done)

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

    def offer(self, item: Item) -> bool:
        """Queue it; False if it was dropped, which is counted."""
        with self._changed:
            if not self._stopping and len(self._queue) < self._limits.queue:
                self._queue.append(item)
                if len(self._queue) in (1, self._limits.batch):
                    self._changed.notify()
                return True
            reason = "shutdown" if self._stopping else "queue_full"
        self._dropped.add((reason,))
        return False

    def samples(self) -> Iterator[Sample]:
        """Items exported and dropped by reason, exports by outcome, what was rejected."""
        yield from self._exported.samples()
        yield from self._dropped.samples()
        yield from self._sender.samples()

    def _take(self) -> list[Item] | None:
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            deadline = self._clock() + self._limits.delay_seconds
            while len(self._queue) < self._limits.batch and not self._stopping:
                remaining = deadline - self._clock()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            size = min(len(self._queue), self._limits.batch)
            return [self._queue.popleft() for _ in range(size)] or None

    def _done(self, batch: list[Item], delivered: bool) -> None:
        if delivered:
            self._exported.add((), len(batch))
        else:
            self._dropped.add(("export_failed",), len(batch))
