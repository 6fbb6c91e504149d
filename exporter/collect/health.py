"""The model's health, probed from here: is it ready, since when, for how much of the time, and why not.

The probe goes to the upstream itself, not through the proxy: it is no traffic. What it asks is the owner's path, or one
of the dialect's that the server has (readiness.py). A result older than `stale_after` is not shown.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from exporter.collect.asking import REASONS, Asking, Failure, Times
from exporter.collect.availability import Availability
from exporter.collect.contract import Place, Unavailable, World
from exporter.collect.readiness import Readiness
from exporter.collect.starts import Process, Start, Starts
from exporter.records.durations import Durations
from exporter.records.life_metrics import CONNECT_BUCKETS
from exporter.records.sample import Sample

_MAX_CHANGES: Final = 64
# Nobody has to scrape in time, but what an analysis that stood still saw is no news.
_STALE_INTERVALS, _STALE_SECONDS = 3, 15.0
_LATE_SECONDS: Final = 0.1  # of a timer on a loop that has its CPU


@dataclass(frozen=True, slots=True)
class Change:
    """What a probe found to be another than before: `seconds` is how long it was down, loading, or starting."""

    kind: Literal["down", "up", "restarted", "started", "loaded"]
    at: float
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Result:
    at: float
    up: bool
    seconds: float
    times: Times


def build(world: World) -> "HealthProbe":
    """The probe of this world's upstream."""
    find = world.components.get("model")
    stale = max(_STALE_SECONDS, _STALE_INTERVALS * world.probe_interval + world.probe_timeout)
    place = world.probe or Place(world.upstream, "")
    found = HealthProbe(place, world.probe_timeout, stale)
    if callable(find):
        found.process = Process(find)
    return found


class HealthProbe:
    """Call `probe` at an interval from an event loop; `collect`, from any thread, tells what it saw last.

    The path of `place` (with query, percent-encoded) is the owner's, "" for none. `timeout` and `stale_after` are
    seconds. ValueError for a path that does not begin with a slash. `starts`, `process` and `told` may be set before
    the first probe: what is known of the server's starts.
    """

    name = "health"

    def __init__(
        self,
        place: Place,
        timeout: float = 2.0,
        stale_after: float = 60.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if place.path and not place.path.startswith("/"):
            raise ValueError(f"probe path {place.path!r}: expected a path that begins with /")
        self._place = place
        self._timeout = timeout
        self._stale_after = stale_after
        self._clock = clock
        self._asking = Asking(clock)
        self._readiness = Readiness(place.path)
        self._created = time.time()
        self._availability = Availability(stale_after)
        self._failures = dict.fromkeys(REASONS, 0)
        self._connects = Durations(CONNECT_BUCKETS)
        self._last: _Result | None = None
        self._down_since: float | None = None
        self._loading_since: float | None = None
        self._changes: list[Change] = []
        self.starts = Starts(self._created, None)
        self.process: Process | None = None
        self.told: Callable[[], float | None] = lambda: None

    def speaks(self, spoken: Iterable[tuple[str, str]]) -> None:
        """Dialects and names of models, by which an unconfigured path is chosen."""
        self._readiness.speaks(spoken)

    async def probe(self, now: float) -> bool:
        """Whether the upstream is ready; raises nothing but cancellation.

        It takes at most the timeout, and as much again where this process stood still meanwhile.
        """
        start, times = self._clock(), Times()
        failure = await self._asked(times)
        up = self._readiness.answered(failure)
        if failure is not None and not up:
            self._failures[failure.reason] += 1
        if times.connect is not None:
            self._connects.add(times.connect)
        before = self._last
        self._availability.see(self._clock(), up)
        self._last = _Result(now, up, self._clock() - start, times)
        self._compare(before, up, failure, now)
        seen = self.starts.see(now, up, await self._start(now, up and not (before and before.up)))
        if seen.restarted:
            self._say(Change("restarted", now))
        if seen.ready_seconds is not None:
            self._say(Change("started", now, seconds=seen.ready_seconds))
        return up

    def take(self) -> list[Change]:
        """What changed since the last call."""
        found, self._changes = self._changes, []
        return found

    @property
    def up(self) -> bool | None:
        """As of the last probe; None before the first."""
        return None if self._last is None else self._last.up

    def collect(self, now: float) -> Iterator[Sample]:
        """Everything of the last probe, if it is recent, and what was counted; Unavailable before the first."""
        last = self._last
        if last is None:
            raise Unavailable("no probe has ended yet")
        if abs(now - last.at) <= self._stale_after:
            yield from self._latest(last)
        for reason, count in self._failures.items():
            yield Sample("model.probe.failures", (reason,), count, self._created)
        yield Sample("model.probe.connect.duration", (), self._connects.histogram(), self._created)
        for state, seconds in self._availability.seconds.items():
            yield Sample("model.health.time", (state,), seconds, self._created)
        yield from self.starts.samples(self._created)

    def _latest(self, last: _Result) -> Iterator[Sample]:
        yield Sample("model.up", (), int(last.up))
        yield Sample("model.probe.duration", (), last.seconds)
        yield Sample("model.probe", (self._readiness.path, self._readiness.source), 1)
        if last.times.round_trip is not None:
            yield Sample("model.probe.round_trip", (), last.times.round_trip)
        for window, ratio in self._availability.ratios().items():
            yield Sample("model.availability", (window,), ratio)
        if (uptime := self._availability.up_for(self._clock())) is not None:
            yield Sample("model.uptime", (), max(0.0, uptime))

    async def _asked(self, times: Times) -> Failure | None:
        start = self._clock()
        failure = await self._once(times)
        late = self._clock() - start - self._timeout
        if failure is not None and failure.reason in ("timeout", "dns") and late > _LATE_SECONDS:
            # It was this process that had no CPU: the answer may have been there all the while.
            failure = await self._once(times)
        return failure

    async def _once(self, times: Times) -> Failure | None:
        place = Place(self._place.address, self._readiness.path, self._place.tls, self._place.server_name)
        try:
            async with asyncio.timeout(self._timeout):
                await self._asking.ask(place, times)
        except Failure as failure:
            return failure
        except TimeoutError:
            reason = "dns" if self._asking.searching else "timeout"
            return Failure(reason, f"{place}: no answer within {self._timeout:.3g} s")
        return None

    async def _start(self, now: float, came: bool) -> Start | None:
        found = None
        if self.process is not None:
            found = await asyncio.to_thread(self.process.start, now, came)
        if found is None and (at := self.told()) is not None:
            found = Start("metrics", at)
        return found

    def _compare(self, before: _Result | None, up: bool, failure: Failure | None, now: float) -> None:
        """Tell of what became of it, and for how long it was not so."""
        if up:
            if self._loading_since is not None:
                self._say(Change("loaded", now, seconds=now - self._loading_since))
            if self._down_since is not None:
                self._say(Change("up", now, seconds=now - self._down_since))
            self._down_since = self._loading_since = None
            return
        assert failure is not None
        # Only a server that says itself that it is not ready is loading; one that hangs or is away is not.
        if failure.reason == "status":
            self._loading_since = now if self._loading_since is None else self._loading_since
        else:
            self._loading_since = None
        if self._down_since is None:
            self._down_since = now
            if before is not None:
                self._say(Change("down", now, failure.reason))

    def _say(self, change: Change) -> None:
        if len(self._changes) < _MAX_CHANGES:
            self._changes.append(change)
