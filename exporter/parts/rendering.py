"""What a scrape or a push shows: the samples of every source, gathered, held back where they are new, and rendered.

A source is whatever has samples of its own; `Telemetry` names them once. The engine's snapshot and the exemplars are
copied on the event loop and come as arguments: what is counted changes there only.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from exporter.analysis.engine import Snapshot
from exporter.analysis.exemplars import Found
from exporter.analysis.hold import Hold
from exporter.analysis.traffic import Traffic
from exporter.collect import grouped
from exporter.publish.prometheus import Caches, render
from exporter.records.sample import Sample

Source = Callable[[], Iterable[Sample]]


class Rendering:
    """Used by any thread, one at a time where a state of its own is touched."""

    def __init__(self, traffic: Traffic, hold: Hold) -> None:
        self._traffic, self._hold = traffic, hold
        self._sources: list[Source] = []
        self._caches = Caches()
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._shown = 0

    def add(self, *sources: Source) -> None:
        """Ask these too, after those that are there."""
        self._sources += sources

    def gather(self, snapshot: Snapshot, found: Found) -> list[Sample]:
        """Everything as it is now, families together."""
        with self._lock:
            samples = list(self._traffic.samples(found))
            samples += snapshot.samples()
        for source in self._sources:
            samples += source()
        samples += self._own()
        return grouped(samples)

    def render(
        self, snapshot: Snapshot, found: Found, accept: str, names: frozenset[str]
    ) -> tuple[bytes, str]:
        """The body and its content type; of the families in `names` only, if there are any."""
        started = time.perf_counter()
        samples = self.gather(snapshot, found)
        with self._lock:
            # A filtered scrape shows a part only: what it leaves out would count as shown.
            shown = samples if names else list(self._hold.apply(samples, time.time()))
            body, kind = render(shown, accept, names, self._caches)
            self._shown = len(samples)
            self._seconds = time.perf_counter() - started
        return body, kind

    def notice(self, snapshot: Snapshot) -> None:
        """New series are held from the moment at which they came to be, scraped or not."""
        with self._lock:
            samples = [*self._traffic.samples({}), *snapshot.samples()]
            self._hold.keep(samples)
            self._hold.notice(samples, time.time())

    def _own(self) -> Iterator[Sample]:
        yield Sample("modeltap.series", (), self._shown)
        yield Sample("modeltap.scrape.duration", (), self._seconds)
