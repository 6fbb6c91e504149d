"""What the payload log still has to deliver: bounded in bytes, refuses or forgets when full, and keeps the ledger.

An entry is one exchange and holds one event or two. Its bytes count until its last event is settled, whether it waits
or is being sent. The ledger holds at every moment, under one lock: selected = sent + dropped{reason} + queued.
"""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Final

from exporter.publish.cloudevents import Side
from exporter.records.catalogue import LATENCY_BUCKETS
from exporter.records.exchange import Exchange
from exporter.records.sample import Histogram, Sample

DROP_REASONS: Final = ("queue_full", "rejected", "retries_exhausted", "disk", "error", "shutdown")
_ENVELOPE: Final = 2048  # bytes that an entry takes beside heads and bodies, generously


class Entry:
    """One selected exchange; `sides` are the events that it gives, `taken` is when it was offered (monotonic)."""

    __slots__ = ("exchange", "identity", "left", "sides", "size", "taken")

    def __init__(self, exchange: Exchange, sides: tuple[Side, ...], taken: float) -> None:
        self.exchange = exchange
        self.sides = sides
        self.taken = taken
        self.identity = ""
        self.left = len(sides)
        # The request head twice: path and request id are parts of it that travelled a second time.
        self.size = _ENVELOPE + 2 * len(exchange.request_head) + len(exchange.response_head)
        self.size += len(exchange.request_body) + len(exchange.response_body)


class Backlog:
    """Any thread. `oldest_goes` forgets what waits longest to make room; otherwise what does not fit is refused."""

    def __init__(self, capacity: int, oldest_goes: bool, created: float) -> None:
        self._capacity = capacity
        self._oldest_goes = oldest_goes
        self._created = created
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._size = 0
        self._closed = False
        self._selected = self._sent = self._queued = 0
        self._dropped = dict.fromkeys(DROP_REASONS, 0)
        self._latencies = [0] * (len(LATENCY_BUCKETS) + 1)
        self._latency_sum = 0.0

    @property
    def waiting(self) -> int:
        """Entries that nobody has taken."""
        return len(self._waiting)

    def offer(self, entry: Entry) -> bool:
        """Take an entry; False if it was dropped, which is counted."""
        with self._lock:
            self._selected += entry.left
            if self._closed:
                self._dropped["shutdown"] += entry.left
                return False
            while self._oldest_goes and self._waiting and self._size + entry.size > self._capacity:
                self._drop(self._waiting.popleft())
            if self._size + entry.size > self._capacity:
                self._dropped["queue_full"] += entry.left
                return False
            self._waiting.append(entry)
            self._size += entry.size
            self._queued += entry.left
            return True

    def _drop(self, oldest: Entry) -> None:
        self._dropped["queue_full"] += oldest.left
        self._queued -= oldest.left
        self._size -= oldest.size

    def take(self, most_bytes: int) -> list[Entry]:
        """The next entry, and those behind it that fit into so many bytes with it; nothing if none waits."""
        found: list[Entry] = []
        with self._lock:
            size = 0
            while self._waiting and (not found or size + self._waiting[0].size <= most_bytes):
                found.append(self._waiting.popleft())
                size += found[-1].size
        return found

    def sent(self, entry: Entry, now: float) -> None:
        """One event of a taken entry arrived."""
        with self._lock:
            if self._settle(entry):
                self._sent += 1
                seconds = max(0.0, now - entry.taken)
                self._latencies[bisect_left(LATENCY_BUCKETS, seconds)] += 1
                self._latency_sum += seconds

    def dropped(self, entry: Entry, reason: str) -> None:
        """One event of a taken entry was given up; KeyError for an unknown reason."""
        with self._lock:
            if self._settle(entry):
                self._dropped[reason] += 1

    def _settle(self, entry: Entry) -> bool:
        if self._closed:
            return False  # counted when it was closed
        entry.left -= 1
        self._queued -= 1
        if not entry.left:
            self._size -= entry.size
        return True

    def close(self) -> int:
        """Count all that is left as lost at the end; returns how many events that are. Safe twice."""
        with self._lock:
            left, self._queued, self._size, self._closed = self._queued, 0, 0, True
            self._waiting.clear()
            self._dropped["shutdown"] += left
        return left

    def samples(self) -> Iterator[Sample]:
        """The ledger, all of it as of one moment."""
        with self._lock:
            selected, sent, queued, size = self._selected, self._sent, self._queued, self._size
            dropped = dict(self._dropped)
            latencies = Histogram(LATENCY_BUCKETS, tuple(self._latencies), self._latency_sum)
        created = self._created
        yield Sample("modeltap.payload_log.selected", (), selected, created)
        yield Sample("modeltap.payload_log.sent", (), sent, created)
        for reason, count in dropped.items():
            yield Sample("modeltap.payload_log.dropped", (reason,), count, created)
        yield Sample("modeltap.payload_log.queue.length", (), queued)
        yield Sample("modeltap.payload_log.queue.usage", (), size)
        yield Sample("modeltap.payload_log.delivery.duration", (), latencies, created)
