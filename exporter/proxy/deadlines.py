"""Bounds on time for all connections of a worker, in one coarse wheel: late by up to a tick, and nearly free.

A connection sits in at most one slot, at the earliest time at which one of its bounds may be over. It is asked then
what is due; what happened meanwhile moved no timer. Times are monotonic nanoseconds.
"""

from typing import Final, Protocol

TICK: Final = 500_000_000  # nanoseconds of one slot


class Timed(Protocol):
    """What sits in the wheel. `slot` is the wheel's own: 0 while it sits nowhere."""

    slot: int

    def due(self, now: int) -> int:
        """Act on what is over; returns when to ask again, 0 for never."""


class Deadlines:
    """`put` and `drop` cost a dictionary access each, whatever the number of connections."""

    def __init__(self, now: int) -> None:
        self._slots: dict[int, dict[Timed, None]] = {}
        self._last = now // TICK

    def put(self, item: Timed, due: int) -> None:
        """Ask `item` at that time; an earlier time that is set already stays."""
        slot = max(due // TICK + 1, self._last + 1)
        if item.slot:
            if item.slot <= slot:
                return
            self.drop(item)
        item.slot = slot
        row = self._slots.get(slot)
        if row is None:
            row = self._slots[slot] = {}
        row[item] = None

    def drop(self, item: Timed) -> None:
        """Ask it no more. Safe twice."""
        if item.slot:
            row = self._slots.get(item.slot)
            item.slot = 0
            if row is not None:
                row.pop(item, None)

    def run(self, now: int) -> None:
        """Ask all whose time has come."""
        slot = now // TICK
        while self._last < slot:
            self._last += 1
            row = self._slots.pop(self._last, None)
            for item in row or ():
                item.slot = 0
                again = item.due(now)
                if again:
                    self.put(item, again)
