"""Memory and descriptors over time, and whether they are flat.

Flat is judged by a slope that single readings cannot bend (Theil and Sen: the median of the slopes between all pairs
of readings), over the second half of the run, and only between readings of the same process: one that was started
again begins anew.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

MIB = 1 << 20
# A process fills its caches and pools first; and a slope needs readings that lie apart.
WARM_SECONDS, APART_SECONDS, LEAST_SECONDS = 20.0, 20.0, 60.0
MOST_READINGS = 240
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one time (seconds): resident bytes and open descriptors."""

    at: float
    pid: int
    rss: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """By how much memory may grow over the second half: a fixed part for noise, and a rate, in bytes."""

    fixed: int
    per_hour: int

    def over(self, seconds: float) -> float:
        """Bytes."""
        return self.fixed + self.per_hour * seconds / HOUR


@dataclass(slots=True)
class Watch:
    """The readings of one role. `born` is when each of its processes was first seen."""

    role: str
    allowed: Allowed
    readings: list[Reading] = field(default_factory=list)
    born: dict[int, float] = field(default_factory=dict)

    def read(self, pid: int, now: float | None = None) -> Reading | None:
        """Take a reading; None if the process is gone."""
        at = monotonic() if now is None else now
        try:
            with open(f"/proc/{pid}/statm") as stream:
                rss = int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            reading = Reading(at, pid, rss, len(os.listdir(f"/proc/{pid}/fd")))
        except (OSError, IndexError):
            return None
        if rss:
            self.take(reading)
        return reading

    def take(self, reading: Reading) -> None:
        """Keep a reading; of a long run every second one is thrown away now and then."""
        self.born.setdefault(reading.pid, reading.at)
        self.readings.append(reading)
        if len(self.readings) >= 4 * MOST_READINGS:
            del self.readings[::2]

    @property
    def last(self) -> Reading | None:
        """The newest reading."""
        return self.readings[-1] if self.readings else None

    def judge(self) -> tuple[str, str]:
        """What there is to tell, and what is wrong with it or ""."""
        if not self.readings:
            return f"{self.role}: never seen", f"{self.role}: never seen"
        half = (self.readings[0].at + self.readings[-1].at) / 2
        judged = [r for r in self.readings if r.at >= max(half, self.born[r.pid] + WARM_SECONDS)]
        seconds = self.readings[-1].at - half
        now = (
            f"{self.role}: {self.readings[-1].rss / MIB:.1f} MiB, {self.readings[-1].descriptors} descriptors"
        )
        slope = theil_sen(judged)
        if slope is None or seconds < LEAST_SECONDS:
            return f"{now}; too short to judge", ""
        grown = slope * seconds
        told = (
            f"{now}; {grown / MIB:+.2f} MiB over the last {seconds:.0f} s ({slope * HOUR / MIB:+.1f} MiB/h)"
        )
        if grown > self.allowed.over(seconds):
            return told, f"{told}, allowed are {self.allowed.over(seconds) / MIB:.2f} MiB"
        return told, ""


def theil_sen(readings: Sequence[Reading]) -> float | None:
    """Bytes per second; None if no two readings of one process lie far enough apart."""
    step = max(1, len(readings) // MOST_READINGS)
    taken = readings[::step]
    slopes = [
        (later.rss - earlier.rss) / (later.at - earlier.at)
        for index, earlier in enumerate(taken)
        for later in taken[index + 1 :]
        if later.pid == earlier.pid and later.at - earlier.at >= APART_SECONDS
    ]
    return median(slopes) if slopes else None
