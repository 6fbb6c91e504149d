"""When the model server was started, and how long it took until it was ready; how often it was started again.

A start is known by the process behind the upstream's socket where that may be looked into, otherwise by the start time
in the server's own metrics. Refuses to guess: a start that nobody watched has no duration, another process is a restart
only if the one before has ended. `now` and start times are unix seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from exporter.collect.contract import Finder
from exporter.records.durations import Durations
from exporter.records.life_metrics import START_BUCKETS
from exporter.records.sample import Sample

SOURCES: Final = ("process", "metrics", "sidecar")
# A walk over all descriptors of the host; right after the server came up it is worth more than now and then.
SEARCH_SECONDS: Final = 10.0
# What a server calculates from the boot time of its host may waver.
_SLACK_SECONDS: Final = 2.0
_MOST_SECONDS: Final = 86_400.0  # a clock that was set, and no start


@dataclass(frozen=True, slots=True)
class Start:
    """`source` is process or metrics, `at` when; `pid` tells two of one hundredth of a second apart, 0 for none."""

    source: str
    at: float
    pid: int = 0


class Process:
    """`start` of the process that a finder finds; blocking, for a thread."""

    def __init__(self, find: Finder, process_of: Callable[[int], psutil.Process] = psutil.Process) -> None:
        self._find = find
        self._process_of = process_of
        self._root: psutil.Process | None = None
        self._at = 0.0
        self._next = float("-inf")

    def start(self, now: float, at_once: bool) -> Start | None:
        """None while no process can be seen. `at_once` searches, whenever the last search was."""
        if self._root is not None and _lives(self._root):
            return self._told()
        self._root = None
        if at_once or not self._next - SEARCH_SECONDS <= now < self._next:
            self._next = now + SEARCH_SECONDS
            self._search()
        return self._told()

    def _told(self) -> Start | None:
        return None if self._root is None else Start("process", self._at, self._root.pid)

    def _search(self) -> None:
        pid = self._find()
        if pid is None:
            return
        try:
            root = self._process_of(pid)
            self._at = root.create_time()
        except psutil.Error:
            return  # it ended just now
        self._root = root


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look told: a restart, and the seconds that a start took until it was ready."""

    restarted: bool = False
    ready_seconds: float | None = None


class Starts:
    """`see` after every probe. `watched` is when probing began, `sidecar` when the sidecar was started, if just now."""

    def __init__(self, watched: float, sidecar: float | None) -> None:
        self._watched = watched
        self._sidecar = sidecar
        self._start: Start | None = None
        self._by_process = False
        self._missed = False  # a probe failed before the first one that succeeded
        self._first_up: float | None = None
        self._up_since: float | None = None
        self._counted = False
        self.restarts = {"process": 0, "metrics": 0}
        self._durations = {source: Durations(START_BUCKETS) for source in SOURCES}

    def see(self, now: float, up: bool, start: Start | None) -> Seen:
        """A look at `now`: whether it is up, and its start as far as it is known."""
        if not up:
            self._missed = self._missed or self._first_up is None
            self._up_since = None
        elif self._up_since is None:
            self._up_since = now
            self._first_up = self._first_up or now
        restarted = start is not None and self._started(start)
        seconds = self._ready(now) if up else None
        return Seen(restarted, seconds)

    def _started(self, start: Start) -> bool:
        """Take over another start; whether it is a restart."""
        before = self._start
        if self._by_process and start.source != "process":
            return False  # the process tells it better
        if before is not None and before.source == start.source:
            later = start.at - before.at
            if start == before or later < 0 or (start.source == "metrics" and later <= _SLACK_SECONDS):
                return False
            self.restarts[start.source] += 1
            self._start, self._counted = start, False
            return True
        # The same start, told by a better source, is no other one.
        self._by_process = start.source == "process"
        self._start = start
        return False

    def _ready(self, now: float) -> float | None:
        """Seconds from the start until the first success, once for each start, if it was watched."""
        found = None if self._counted else self._took(now)
        if found is None:
            return None
        source, seconds = found
        self._counted = True
        if not 0.0 <= seconds <= _MOST_SECONDS:
            return None
        self._durations[source].add(seconds)
        return seconds

    def _took(self, now: float) -> tuple[str, float] | None:
        assert self._up_since is not None and self._first_up is not None
        start = self._start
        if start is None:
            # Nobody tells when it was started: it was with the sidecar, or is not known.
            if self._missed and self._sidecar is not None:
                return "sidecar", self._first_up - self._sidecar
            return None
        if start.at < self._watched:
            return (start.source, self._first_up - start.at) if self._missed else None
        if self._up_since >= start.at:
            return start.source, self._up_since - start.at
        # It was up, and is another: between two probes. Metrics tell that too late to know when it was ready.
        return ("process", now - start.at) if start.source == "process" else None

    def samples(self, created: float) -> Iterator[Sample]:
        """Restarts by who told them, and durations of starts."""
        for source, count in self.restarts.items():
            yield Sample("model.restarts", (source,), count, created)
        for source, durations in self._durations.items():
            yield Sample("model.cold_start.duration", (source,), durations.histogram(), created)
