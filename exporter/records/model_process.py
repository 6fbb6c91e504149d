"""A page shared by the root and the analysis: what became of the model that `modeltap wrap` runs.

Each slot has one writer: a thread of the root. It outlives the analysis, so no count goes back. Knows no process.
"""

import mmap
import os
from collections.abc import Iterator
from typing import Final

STREAMS: Final = ("stdout", "stderr")
PHASES: Final = ("listening", "ready")
RESTARTS: Final = ("exit", "signal", "oom", "spawn")
LEVELS: Final = ("debug", "info", "warning", "error", "critical", "<other>")
LOSSES: Final = ("queue_full", "closed", "shutdown")
EXIT_CODES, SIGNALS = 256, 65
_MICRO: Final = 1_000_000
_PER_STREAM: Final = 2 + len(LOSSES) + len(LEVELS)
# The slots, one after another.
_PID, _CREATED, _STARTS, _RESTARTS = 0, 1, 2, 3
_PHASES: Final = _RESTARTS + len(RESTARTS)
_EXITS: Final = _PHASES + len(PHASES)
_KILLED: Final = _EXITS + EXIT_CODES
_OOM: Final = _KILLED + SIGNALS
_STREAMS: Final = _OOM + 1
_SLOTS: Final = _STREAMS + _PER_STREAM * len(STREAMS)
_SIZE: Final = -(-_SLOTS * 8 // mmap.PAGESIZE) * mmap.PAGESIZE


def create(now: float) -> int:
    """A new page; `now` is the unix time from which it counts. The caller owns the descriptor."""
    fd = os.memfd_create("modeltap-model", os.MFD_CLOEXEC)
    os.ftruncate(fd, _SIZE)
    Page(fd)._slots[_CREATED] = int(now * _MICRO)
    return fd


class Stream:
    """Counts of one stream's output."""

    def __init__(self, slots: memoryview, first: int) -> None:
        self._slots = slots
        self._first = first

    def copied(self, count: int) -> None:
        """Bytes that reached our own stream."""
        self._slots[self._first] += count

    def skipped(self, count: int) -> None:
        """Lines that nobody looked at."""
        self._slots[self._first + 1] += count

    def lost(self, reason: str, count: int) -> None:
        """Bytes that were not copied."""
        self._slots[self._first + 2 + LOSSES.index(reason)] += count

    def line(self, level: str) -> None:
        """A line of that level."""
        self._slots[self._first + 2 + len(LOSSES) + LEVELS.index(level)] += 1

    def counts(self) -> tuple[int, int, dict[str, int], dict[str, int]]:
        """Bytes copied, lines skipped, bytes lost by reason, lines by level."""
        found = [int(slot) for slot in self._slots[self._first : self._first + _PER_STREAM]]
        losses, levels = found[2 : 2 + len(LOSSES)], found[2 + len(LOSSES) :]
        return (
            found[0],
            found[1],
            dict(zip(LOSSES, losses, strict=True)),
            dict(zip(LEVELS, levels, strict=True)),
        )


class Page:
    """Either side's view."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _SIZE)
        self._slots = memoryview(self._map).cast("Q")
        places = range(_STREAMS, _SLOTS, _PER_STREAM)
        self.streams = {name: Stream(self._slots, first) for name, first in zip(STREAMS, places, strict=True)}

    @property
    def created(self) -> float:
        """Unix seconds."""
        return self._slots[_CREATED] / _MICRO

    @property
    def pid(self) -> int:
        """Of the process that runs; 0 while none does."""
        return int(self._slots[_PID])

    @property
    def starts(self) -> int:
        """So far."""
        return int(self._slots[_STARTS])

    def started(self, pid: int) -> None:
        """A process runs; its phases begin anew."""
        for place in range(len(PHASES)):
            self._slots[_PHASES + place] = 0
        self._slots[_PID] = pid
        self._slots[_STARTS] += 1

    def reached(self, phase: str, seconds: float) -> None:
        """That long after its start."""
        self._slots[_PHASES + PHASES.index(phase)] = max(1, int(seconds * _MICRO))

    def phases(self) -> dict[str, float]:
        """Seconds from the start, of those that the process has reached."""
        found = {phase: self._slots[_PHASES + place] / _MICRO for place, phase in enumerate(PHASES)}
        return {phase: seconds for phase, seconds in found.items() if seconds}

    def exited(self, status: int, oom: bool) -> None:
        """It ended; `status` is negative for a signal."""
        self._slots[_PID] = 0
        place = _OOM if oom else _EXITS + status if status >= 0 else _KILLED - status
        self._slots[place] += 1

    def exits(self) -> Iterator[tuple[str, int, int]]:
        """(exit, code, count), (signal, number, count) and (oom, 0, count); zeros too."""
        for code in range(EXIT_CODES):
            yield "exit", code, int(self._slots[_EXITS + code])
        for number in range(1, SIGNALS):
            yield "signal", number, int(self._slots[_KILLED + number])
        yield "oom", 0, int(self._slots[_OOM])

    def restarted(self, reason: str) -> None:
        """ValueError for a reason that is not in RESTARTS."""
        self._slots[_RESTARTS + RESTARTS.index(reason)] += 1

    def restarts(self) -> dict[str, int]:
        """By reason."""
        return {reason: int(self._slots[_RESTARTS + place]) for place, reason in enumerate(RESTARTS)}
