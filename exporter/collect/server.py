"""The model server's own signals, from its own metrics: queue, running, caches, batches, under one set of names.

What a scrape did not bring is not shown: after a failure there is nothing until the next success, and a reading older
than three intervals is not shown either. Where nothing was configured it looks in the usual places, gives up quietly,
and looks again rarely; what is not at the upstream's own port has to be a server of the table to be believed.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.collect.contract import OwnMetrics, Place, Unavailable, World
from exporter.collect.server_signals import NAMES, Signals
from exporter.collect.upstream import SCRAPED, TEXT_FIRST, Outcomes, Refused, scrape
from exporter.records.reading import Malformed, Reading
from exporter.records.sample import Sample

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 2.0
_RARELY_SECONDS = 300.0
_MISSES = 3  # failures after which what was found is looked for anew
_STALE_INTERVALS = 3
# Prometheus' clients tell it by themselves.
_STARTED = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class _Result:
    at: float
    samples: list[Sample]


def build(world: World) -> "ServerSignals":
    """The signals of this world's server."""
    return ServerSignals(world.own_metrics, time.time())


class ServerSignals:
    """Call `poll` at an interval from an event loop; `collect`, from any thread, tells what it saw last."""

    name = "server"

    def __init__(self, own: OwnMetrics, created: float, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._own = own
        self._timeout = timeout
        self._outcomes = Outcomes("signals", created)
        self._signals = Signals()
        self._place: Place | None = None  # where metrics were found
        self._last: _Result | None = None
        self._due = 0.0
        self._misses = 0
        self._rounds = 0  # of looking in vain
        self._told: str | None = None
        self.started: float | None = None  # unix time at which the server says that it was started

    @property
    def place(self) -> Place | None:
        """Where the server's metrics are, or are most likely to be; None if nowhere."""
        return self._place or next(iter(self._own.places), None)

    async def poll(self, now: float) -> None:
        """One scrape, if one is due; raises nothing but cancellation."""
        # A clock that was set back must not put it off for long.
        if self._due - _RARELY_SECONDS <= now < self._due:
            return
        self._due = now
        if self._own.configured or self._place is not None:
            await self._again(now)
        else:
            await self._look(now)

    def collect(self, now: float) -> Iterator[Sample]:
        """How scrapes ended, and the signals of the last one."""
        if not self._own.places:
            raise Unavailable("nowhere to look")
        yield from self._outcomes.samples()
        last = self._last
        if last is not None and now - last.at <= _STALE_INTERVALS * self._own.interval + self._timeout:
            yield from last.samples

    async def _again(self, now: float) -> None:
        place = self.place
        assert place is not None
        refused = await self._scrape(place, now)
        self._misses = self._misses + 1 if refused else 0
        if self._misses >= _MISSES:
            self._place = None
        self._tell(place, refused)

    async def _look(self, now: float) -> None:
        """In each place in turn. The upstream itself down: nothing is known about it, so the next time is soon."""
        for number, place in enumerate(self._own.places):
            refused = await self._scrape(place, now)
            last = self._last
            if refused is None and last is not None and (number == 0 or last.samples):
                self._place, self._misses, self._rounds = place, 0, 0
                self._tell(place, None)
                return
            self._last = None
            if number == 0 and refused is not None and refused.reason in ("unreachable", "timeout"):
                return
        self._rounds += 1
        self._due = now + min(self._own.interval * 2.0 ** min(self._rounds, 16), _RARELY_SECONDS)

    async def _scrape(self, place: Place, now: float) -> Refused | None:
        """Why there is nothing, None if there is."""
        self._last = self.started = None
        try:
            found = await scrape(place, TEXT_FIRST, self._timeout)
            names = NAMES | {_STARTED}
            readings = list(await asyncio.to_thread(self._own.read, found.body, found.content_type, names))
            self.started = _start_time(readings)
            self._last = _Result(now, self._signals.read(readings))
        except Refused as refused:
            self._outcomes.count(refused.reason)
            return refused
        except Malformed as error:
            reason = "malformed" if is_exposition(found.content_type) else "not_metrics"
            self._outcomes.count(reason)
            return Refused(reason, f"{place}: {error}")
        self._outcomes.count(SCRAPED)
        return None

    def _tell(self, place: Place, refused: Refused | None) -> None:
        """A change, and only a change."""
        reason = "" if refused is None else refused.reason
        if reason != self._told:
            if refused is not None:
                _log.warning("the server's own metrics cannot be read: %s", refused)
            else:
                _log.info("the server's own metrics are read: %s", place)
        self._told = reason


def _start_time(readings: Iterable[Reading]) -> float | None:
    """Of a server that is one process; of several nobody knows which of them was asked."""
    found = [reading.value for reading in readings if reading.name == _STARTED]
    return found[0] if len(found) == 1 and math.isfinite(found[0]) and found[0] > 0 else None


def is_exposition(content_type: str) -> bool:
    """Whether a body of that type claims to be one; what names no type is believed."""
    media = content_type.partition(";")[0].strip().lower()
    return media in ("", "text/plain", "application/openmetrics-text")
