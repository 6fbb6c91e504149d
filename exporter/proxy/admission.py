"""Admission: at most `limit` exchanges at the model at once, FIFO, waiting bounded in number and time.

A slot is held until the exchange is finished, streamed answers included. It knows tickets, not connections.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections import deque
from time import monotonic_ns
from typing import Protocol

from exporter.records.totals import Writer


class Ticket(Protocol):
    """One request that wants a slot. `admitted` is called at most once, from another exchange's `release`."""

    queued: int  # since when, in monotonic nanoseconds

    def admitted(self, now: int) -> None:
        """The slot is yours."""

    def expired(self, now: int) -> None:
        """It waited too long; it has left the queue."""

    def left(self) -> bool:
        """Whether the client is gone unseen; if so the ticket has left the queue by itself."""


class Admission:
    """`limit` 0 admits everything and keeps no count; `configure` may change every bound at any time."""

    def __init__(self, totals: Writer, loop: AbstractEventLoop) -> None:
        self.limit = 0
        self._max_queue = 0
        self._timeout = 0  # nanoseconds; 0: none
        self._used = 0
        self._queue: deque[Ticket] = deque()
        self._totals = totals
        self._loop = loop
        self._timer: TimerHandle | None = None

    def configure(self, limit: int, max_queue: int, timeout: float, now: int) -> None:
        """New bounds: a higher limit lets tickets in at once, a lower one holds as exchanges end."""
        self.limit = limit
        self._max_queue = max_queue
        self._timeout = round(timeout * 1e9)
        self._totals.set("admission_limit", limit)
        self._admit(now)
        self._expire(now)

    def ask(self, ticket: Ticket) -> bool | None:
        """True: go now. False: queued, `admitted` or `expired` will be called. None: the queue is full, shed it."""
        if self._used < self.limit and not self._queue:
            self._used += 1
            return True
        if len(self._queue) >= self._max_queue:
            return None
        self._queue.append(ticket)
        self._count()
        if self._timeout and self._timer is None:
            self._timer = self._loop.call_later(self._timeout / 1e9, self._time_is_over)
        return False

    def leave(self, ticket: Ticket) -> None:
        """A queued client gave up."""
        try:
            self._queue.remove(ticket)
        except ValueError:
            return
        self._count()

    def sweep(self) -> None:
        """A client that is not read, because so much waits behind its head, cannot be seen to leave: ask."""
        for ticket in list(self._queue):
            ticket.left()

    def release(self, now: int) -> None:
        """A slot is free: the longest waiting ticket gets it."""
        self._used -= 1
        self._admit(now)

    def _admit(self, now: int) -> None:
        # Without a limit any more, everybody who waits may go.
        while self._queue and (self._used < self.limit or not self.limit):
            self._used += 1
            ticket = self._queue.popleft()
            self._count()
            ticket.admitted(now)

    def _time_is_over(self) -> None:
        self._timer = None
        self._expire(monotonic_ns())

    def _expire(self, now: int) -> None:
        """FIFO and one timeout for all: only the front can be over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._timeout:
            return
        while self._queue:
            left = self._queue[0].queued + self._timeout - now
            if left > 0:
                self._timer = self._loop.call_later(left / 1e9, self._time_is_over)
                return
            ticket = self._queue.popleft()
            self._count()
            ticket.expired(now)

    def _count(self) -> None:
        self._totals.set("queue_length", len(self._queue))

    def close(self) -> None:
        """Nothing waits any more. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
