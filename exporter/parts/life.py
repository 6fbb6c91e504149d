"""The life of the model: probes at an interval, loads and versions as exchanges tell them, events of what changed.

It joins what `collect` finds with what `analysis` knows. Used on the event loop; `samples` copies what it yields.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping

from exporter.analysis import in_use
from exporter.analysis.history import History
from exporter.analysis.loads import OPERATION, Loads
from exporter.analysis.series import Key
from exporter.analysis.versions import Versions
from exporter.collect import HealthProbe
from exporter.collect.health import Change
from exporter.collect.starts import Starts
from exporter.records import event
from exporter.records.event import Event
from exporter.records.exchange import UNKNOWN, Exchange
from exporter.records.observation import Observation
from exporter.records.sample import Sample
from exporter.settings.config import Config

# Sidecars that were started together should not probe together.
JITTER = 0.1
_EVENTS = {
    "down": event.DOWN,
    "up": event.UP,
    "restarted": event.MODEL_RESTARTED,
    "started": event.MODEL_STARTED,
}


class Life:
    """`run` probes for good; `tell` gets each Event. `sidecar` is when the sidecar was started, if just now."""

    def __init__(
        self, config: Config, probe: HealthProbe, tell: Callable[[Event], object], sidecar: float | None
    ) -> None:
        now = time.time()
        self._interval = config.probe_interval
        self._version = config.model_version
        self._probe = probe
        self._tell = tell
        self._reason = ""
        probe.starts = Starts(now, sidecar)
        self.loads = Loads(now)
        self.versions = Versions(config.stable_after, config.ready_within, now)
        self.versions.begins(now)

    def starts_told_by(self, told: Callable[[], float | None]) -> None:
        """When the server says itself that it was started, for where its process cannot be seen."""
        self._probe.told = told

    def recall(self, history: History, hold: float, again: bool) -> None:
        """What was kept; `again`: the analysis alone was restarted. What changed is counted `hold` seconds later."""
        self.versions.recall(history.models, hold)
        if again:
            self.versions.resume(history.server)

    async def run(self) -> None:
        """A probe now, then one at every interval, give or take."""
        clock = asyncio.get_running_loop()
        spread = random.Random()
        while True:
            due = clock.time() + self._interval * (1.0 + JITTER * spread.uniform(-1.0, 1.0))
            await self.probe()
            await asyncio.sleep(max(0.0, due - clock.time()))

    async def probe(self) -> None:
        """One probe, and what it changed."""
        now = time.time()
        up = await self._probe.probe(now)
        for change in self._probe.take():
            self._changed(change)
        self.versions.health(up, self._reason, now)

    def passed(self, exchange: Exchange, found: Observation | str) -> None:
        """An exchange that was recorded, and what it said."""
        if not self.loads.waiting or isinstance(found, str) or not found.answered:
            return
        name = next((one for one in (exchange.model_name, found.model_name) if one not in ("", UNKNOWN)), "")
        version = self._version or found.model_version or exchange.model_version or UNKNOWN
        self.loads.answered(name or UNKNOWN, version, exchange.start / 1e9)

    def managed(self, exchange: Exchange) -> None:
        """An exchange that is no inference."""
        if exchange.operation == OPERATION:
            self.loads.managed(exchange)

    def second(self, keys: Collection[Key], learned: Mapping[str, str], now: float) -> None:
        """Once a second, with the keys of what is counted and the versions that answers told last."""
        self._probe.speaks(in_use.spoken(keys))
        versions = in_use.versions(keys, learned)
        for found in (*self.versions.learned(versions, now), *self.versions.tick(now)):
            self._tell(found)
        self.loads.expire(now)

    def samples(self) -> Iterator[Sample]:
        """Versions and loads; what probes found is the collector's."""
        yield from self.versions.samples()
        yield from self.loads.samples()

    def _changed(self, change: Change) -> None:
        if change.kind == "down":
            self._reason = change.reason
        if change.kind == "restarted":
            self.versions.restarted(change.at)
        if change.kind == "loaded":
            self.loads.ready(change.seconds, change.at)
            return
        told: dict[str, event.Value] = {"reason": change.reason} if change.reason else {}
        if change.seconds:
            told["seconds"] = round(change.seconds, 3)
        self._tell(Event(_EVENTS[change.kind], int(change.at * 1e9), told))
