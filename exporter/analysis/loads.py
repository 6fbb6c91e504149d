"""Loads of models: how long they took, by the version that answered afterwards.

Told by requests to the V2 repository that passed through (Triton, MLServer: the answer comes when the model is loaded),
and by a readiness that was refused for a while. A load names no version: it waits for the next answer of its model, and
counts as `unknown` if none comes in time. Pure: `now` is unix seconds. Bounded in what waits and in names.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from exporter.records.durations import Durations
from exporter.records.exchange import OTHER, UNKNOWN, Exchange
from exporter.records.life_metrics import START_BUCKETS
from exporter.records.sample import Sample

MAX_WAITING: Final = 32
MAX_SERIES: Final = 128
MAX_NAMES: Final = 32
MAX_NAME: Final = 128
WAIT_SECONDS: Final = 600.0
OPERATION: Final = "management"
_REPOSITORY: Final = re.compile(r"/v2/repository/models/([^/?]+)/(load|unload)")
_KINDS: Final = ("load", "unload")
_OUTCOMES: Final = ("success", "failure")


class _Load(NamedTuple):
    """`name` is "" where nobody told which model it was."""

    name: str
    source: str
    end: float
    seconds: float


class Loads:
    """`managed` and `ready` add a load, `answered` gives it its version, `expire` gives up."""

    def __init__(self, created: float) -> None:
        self._created = created
        self._waiting: list[_Load] = []
        self._durations: dict[tuple[str, str, str], Durations] = {}
        self._requests: dict[tuple[str, str, str], int] = {}
        self._names: set[str] = set()

    @property
    def waiting(self) -> bool:
        """Whether an answer is of any use: asked of every exchange."""
        return bool(self._waiting)

    def managed(self, exchange: Exchange) -> None:
        """A request of the V2 repository; anything else is passed over."""
        found = _REPOSITORY.fullmatch(exchange.path) if exchange.method == "POST" else None
        if found is None:
            return
        name, kind = unquote(found[1])[:MAX_NAME], found[2]
        ok = 200 <= exchange.status < 300 and not exchange.error_type
        self._count(name, kind, ok)
        if ok and kind == "load":
            end = (exchange.start + exchange.duration) / 1e9
            self._wait(_Load(name, "repository", end, exchange.duration / 1e9))

    def ready(self, seconds: float, now: float) -> None:
        """The server is ready after it said for so long that it was not."""
        self._wait(_Load("", "readiness", now, seconds))

    def answered(self, name: str, version: str, start: float) -> None:
        """A model's answer to a request that began at `start`, with the version under which it counts."""
        left = []
        for load in self._waiting:
            if load.name in ("", name) and start >= load.end:
                self._add(name, version, load)
            else:
                left.append(load)
        self._waiting = left

    def expire(self, now: float) -> None:
        """Loads that no answer came for."""
        for load in [one for one in self._waiting if now - one.end >= WAIT_SECONDS]:
            self._waiting.remove(load)
            self._add(load.name or UNKNOWN, UNKNOWN, load)

    def samples(self) -> Iterator[Sample]:
        """Families together."""
        for labels, durations in list(self._durations.items()):
            yield Sample("model.load.duration", labels, durations.histogram(), self._created)
        for request, count in list(self._requests.items()):
            yield Sample("model.repository.requests", request, count, self._created)

    def _wait(self, load: _Load) -> None:
        if len(self._waiting) >= MAX_WAITING:
            oldest = self._waiting.pop(0)
            self._add(oldest.name or UNKNOWN, UNKNOWN, oldest)
        self._waiting.append(load)

    def _add(self, name: str, version: str, load: _Load) -> None:
        key = name, version, load.source
        if key not in self._durations and len(self._durations) >= MAX_SERIES:
            key = OTHER, OTHER, load.source
        self._durations.setdefault(key, Durations(START_BUCKETS)).add(load.seconds)

    def _count(self, name: str, kind: str, ok: bool) -> None:
        """A name is a label once a success confirmed it."""
        if name not in self._names:
            if not ok:
                name = UNKNOWN
            elif len(self._names) >= MAX_NAMES:
                name = OTHER
            else:
                self._names.add(name)
        for each in _KINDS:
            for outcome in _OUTCOMES:
                self._requests.setdefault((name, each, outcome), 0)
        self._requests[name, kind, "success" if ok else "failure"] += 1
