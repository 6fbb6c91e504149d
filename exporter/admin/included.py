"""The upstream's own metrics on their way into a scrape of ours.

A scrape that wants them waits for them within its own time and gets our part in any case. The upstream is asked by one
of them at a time; so many wait, the others go without.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from exporter.collect import Place
from exporter.collect.server import is_exposition
from exporter.collect.upstream import (
    OPENMETRICS_FIRST,
    SCRAPED,
    TEXT_FIRST,
    Outcomes,
    Refused,
    Scraped,
    scrape,
)
from exporter.publish.exposition import decoded, is_openmetrics
from exporter.publish.merge import Formats, merge
from exporter.publish.negotiation import OPENMETRICS, negotiate
from exporter.records.reading import Malformed
from exporter.records.sample import Sample

MAX_WAITING = 4
_DEFAULT_SECONDS = 5.0
_MOST_SECONDS = 60.0
# Of a scraper's time, what is left for our part, the merge and the way back; half of it if it has little.
_MARGIN_SECONDS = 1.0
_log = logging.getLogger("modeltap.analysis")


def budget(header: str) -> float:
    """The seconds that the upstream gets of a scraper's `X-Prometheus-Scrape-Timeout-Seconds`."""
    try:
        seconds = float(header)
    except ValueError:
        return _DEFAULT_SECONDS
    if not seconds > 0:  # nor a number
        return _DEFAULT_SECONDS
    return min(max(seconds - _MARGIN_SECONDS, seconds / 2), _MOST_SECONDS)


def texts_only(accept: str) -> str:
    """The Accept header without protobuf, for two expositions are put together as text."""
    return ",".join(item for item in accept.split(",") if "protobuf" not in item.lower())


class Ours(NamedTuple):
    """A rendering of ours: its content type, and what the scraper asked for."""

    body: bytes
    kind: str
    accept: str
    names: frozenset[str]


class Included:
    """`fetch` on the event loop, `merged` in one thread at a time. `place` tells where the metrics are now."""

    def __init__(self, place: Callable[[], Place | None], always: bool, created: float) -> None:
        self.always = always
        self._place = place
        self._created = created
        self._outcomes = Outcomes("merge", created)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._series = self._renamed = self._duplicates = 0
        self._told = SCRAPED

    async def fetch(self, accept: str, seconds: float) -> Scraped | None:
        """The upstream's metrics for that Accept header, or None, counted; in `seconds` at most."""
        place = self._place()
        if place is None:
            self._ended("absent", "it is switched off")
            return None
        if self._waiting >= MAX_WAITING:
            self._ended("busy", f"{MAX_WAITING} scrapes wait for it already")
            return None
        end = time.monotonic() + seconds
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds), self._turn:
                wanted = OPENMETRICS_FIRST if negotiate(accept) == OPENMETRICS else TEXT_FIRST
                return await scrape(place, wanted, max(0.001, end - time.monotonic()))
        except Refused as refused:
            self._ended(refused.reason, str(refused))
        except TimeoutError:
            self._ended("timeout", f"{place}: others were waiting for it")
        finally:
            self._waiting -= 1
        return None

    def merged(self, ours: Ours, theirs: Scraped) -> bytes:
        """Our rendering with theirs behind it; just ours if theirs is no exposition."""
        quoted = "allow-utf-8" in ours.accept.lower()
        formats = Formats(ours.kind == OPENMETRICS, is_openmetrics(theirs.content_type), quoted)
        try:
            found = merge(ours.body.decode(), decoded(theirs.body), formats, ours.names)
        except Malformed as error:
            self._ended("malformed" if is_exposition(theirs.content_type) else "not_metrics", str(error))
            return ours.body
        self._ended(SCRAPED, "")
        self._series = found.series
        self._renamed += found.renamed
        self._duplicates += found.duplicates
        return found.text.encode()

    def samples(self) -> Iterator[Sample]:
        """From any thread."""
        yield from self._outcomes.samples()
        yield Sample("modeltap.upstream.series", (), self._series)
        for reason, count in (("name_clash", self._renamed), ("duplicate", self._duplicates)):
            yield Sample("modeltap.upstream.conflicts", (reason,), count, self._created)

    def _ended(self, outcome: str, text: str) -> None:
        self._outcomes.count(outcome)
        if outcome != SCRAPED:
            self._series = 0
        if outcome != self._told:
            if outcome != SCRAPED:
                _log.warning("a scrape goes without the upstream's metrics (%s): %s", outcome, text)
            else:
                _log.info("scrapes have the upstream's metrics again")
        self._told = outcome
