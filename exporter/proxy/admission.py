"""Admission: at most `limit` exchanges at the model at once, FIFO, bounded waiting.

A slot is held until the exchange is finished, streamed answers included. It knows tickets, not connections.
"""

from collections import deque
from typing import Protocol

from exporter.records.totals import Writer


class Ticket(Protocol):
    """One request that wants a slot. `admitted` is called at most once, from another exchange's `release`."""

    def admitted(self, now: int) -> None:
        """The slot is yours."""

    def left(self) -> bool:
        """Whether the client is gone unseen; if so the ticket has left the queue by itself."""


class Admission:
    """`limit` 0 admits everything and keeps no count."""

    def __init__(self, limit: int, max_queue: int, totals: Writer) -> None:
        self.limit = limit
        self._max_queue = max_queue
        self._used = 0
        self._queue: deque[Ticket] = deque()
        self._totals = totals
        totals.set("admission_limit", limit)

    def ask(self, ticket: Ticket) -> bool | None:
        """True: go now. False: queued, `admitted` will be called. None: the queue is full, shed it."""
        if self._used < self.limit and not self._queue:
            self._used += 1
            return True
        if len(self._queue) >= self._max_queue:
            return None
        self._queue.append(ticket)
        self._totals.set("queue_length", len(self._queue))
        return False

    def leave(self, ticket: Ticket) -> None:
        """A queued client gave up."""
        try:
            self._queue.remove(ticket)
        except ValueError:
            return
        self._totals.set("queue_length", len(self._queue))

    def sweep(self) -> None:
        """A client that is not read, because so much waits behind its head, cannot be seen to leave: ask."""
        for ticket in list(self._queue):
            ticket.left()

    def release(self, now: int) -> None:
        """A slot is free: the longest waiting ticket gets it."""
        self._used -= 1
        while self._queue and self._used < self.limit:
            self._used += 1
            ticket = self._queue.popleft()
            self._totals.set("queue_length", len(self._queue))
            ticket.admitted(now)
