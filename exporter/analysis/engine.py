"""Exchanges -> observations -> the series of each model version. Pure but for the status page it marks.

Bounded: so many model versions, so many outcomes; what is over is counted under `<other>`. A decoder that raises what
it may not is our fault: logged once, counted, and the exchange is done with.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from exporter.analysis.hold import Hold
from exporter.analysis.series import Key, Series
from exporter.decode import DIALECTS, observe
from exporter.records.exchange import NO_CODE, OTHER, UNKNOWN, Exchange
from exporter.records.observation import Observation, Undecodable
from exporter.records.sample import Exemplar, Sample
from exporter.stats import Profile

log = logging.getLogger(__name__)
MAX_SERIES = 32
MAX_NAME = 128


class Engine:
    """`take` gets every exchange, `flush` ends a batch; `now` is unix seconds throughout."""

    def __init__(
        self, profiles: Sequence[Profile], windows: tuple[float, ...], bounds: tuple[float, ...], now: float
    ) -> None:
        self._profiles = tuple(profiles)
        self._windows = windows
        self._bounds = bounds
        self._created = now
        self._series: dict[tuple[str, str], Series] = {}
        self._outcomes: dict[tuple[str, str, str], int] = {}
        self._mismatches: dict[tuple[str, str], int] = {}
        self._touched: set[Series] = set()
        self._failed: set[str] = set()
        self._gauges: list[Sample] = []
        self.dialects = DIALECTS
        self.learned: dict[str, str] = {}
        self.exemplars: dict[tuple[str, ...], dict[int, Exemplar]] = {}
        for profile in self._profiles:
            if not set("*?[") & set(profile.model_name + profile.model_version):
                self._make(profile.model_name, profile.model_version, "", now)

    def switch_off(self, protocols: Sequence[str]) -> None:
        """Dialects that killed an analysis before."""
        self.dialects = tuple(dialect for dialect in DIALECTS if dialect.NAME not in protocols)

    def take(self, exchange: Exchange, now: float) -> int:
        """One exchange; returns how many rows it predicted, 0 if it was not decoded."""
        if exchange.trace is not None:
            self._exemplar(exchange)
        protocol = exchange.protocol or UNKNOWN
        try:
            observation = observe(exchange, self.dialects)
        except Undecodable as reason:
            self._outcome(exchange.model_name, protocol, reason.reason)
            return 0
        except Exception:
            if protocol not in self._failed:
                self._failed.add(protocol)
                log.exception(
                    "the decoder of %s failed; its exchanges are counted as decoder_failed", protocol
                )
            self._outcome(exchange.model_name, protocol, "decoder_failed")
            return 0
        self._observe(exchange, observation, now)
        return observation.rows

    def _observe(self, exchange: Exchange, observation: Observation, now: float) -> None:
        name = exchange.model_name if exchange.model_name != UNKNOWN else observation.model_name or UNKNOWN
        version = exchange.model_version
        if version == UNKNOWN and observation.model_version:
            version = observation.model_version[:MAX_NAME]
            if len(self.learned) < MAX_NAME or name in self.learned:
                self.learned[name] = version
        elif observation.model_version and self.learned.get(name, version) == version:
            self._changed(name, observation.model_version[:MAX_NAME])
        series = self._find(name[:MAX_NAME], version, observation.protocol, now)
        self._outcome(series.key.model_name, observation.protocol, "decoded")
        series.add(observation)
        self._touched.add(series)

    def flush(self, now: float) -> None:
        """Count what was taken since the last flush; call at the end of each batch."""
        touched, self._touched = self._touched, set()
        for series in touched:
            for reason, count in series.flush(now).items():
                cell = (series.key.model_name, reason)
                self._mismatches[cell] = self._mismatches.get(cell, 0) + count

    def _changed(self, name: str, version: str) -> None:
        """An answer tells another version than the one that was learned: the model was replaced."""
        if name in self.learned and self.learned[name] != version:
            self.learned[name] = version

    def _find(self, name: str, version: str, protocol: str, now: float) -> Series:
        found = self._series.get((name, version))
        if found is None:
            if len(self._series) >= MAX_SERIES:
                name = version = OTHER
            found = self._series.get((name, version)) or self._make(name, version, protocol, now)
        elif not found.key.protocol:
            found.key = Key(name, version, protocol, found.key.match)
        return found

    def _make(self, name: str, version: str, protocol: str, now: float) -> Series:
        exact = [p for p in self._profiles if p.matches(name, version)]
        inherited = [p for p in self._profiles if p.matches(name, p.model_version) and not exact]
        # The most specific pattern wins: the longest, as wildcards only shorten it.
        chosen = max(exact or inherited, key=lambda p: len(p.model_name) + len(p.model_version), default=None)
        match = "exact" if exact else "inherited" if inherited else "none"
        made = Series(Key(name, version, protocol, match), chosen, self._windows, now)
        self._series[name, version] = made
        return made

    def _outcome(self, name: str, protocol: str, outcome: str) -> None:
        cell = (name, protocol, outcome)
        if cell not in self._outcomes and len(self._outcomes) >= 8 * MAX_SERIES:
            cell = (OTHER, OTHER, outcome)
        self._outcomes[cell] = self._outcomes.get(cell, 0) + 1

    def _exemplar(self, exchange: Exchange) -> None:
        assert exchange.trace is not None
        code = str(exchange.status) if exchange.status else NO_CODE
        labels = (
            *(exchange.model_name, exchange.model_version, exchange.operation),
            *(exchange.protocol or UNKNOWN, code),
        )
        buckets = self.exemplars.get(labels)
        if buckets is None:
            if len(self.exemplars) >= 8 * MAX_SERIES:
                return
            buckets = self.exemplars[labels] = {}
        seconds = exchange.duration / 1e9
        ended = (exchange.start + exchange.duration) / 1e9
        found = Exemplar(exchange.trace.trace_id, exchange.trace.span_id, seconds, ended)
        buckets[bisect_left(self._bounds, seconds)] = found

    # ---------------------------------------------------------------- what is exported

    def tick(self, now: float) -> None:
        """Compare all windows with their references."""
        self._gauges = [sample for series in self._series.values() for sample in series.tick(now)]

    def samples(self, hold: Hold, now: float, scrape: bool) -> Iterator[Sample]:
        """Counters as they are now, gauges of the last tick."""
        for (name, protocol, outcome), count in self._outcomes.items():
            yield Sample("model.exchanges.decoded", (name, protocol, outcome), count, self._created)
        for (name, reason), count in self._mismatches.items():
            yield Sample("model.profile.mismatches", (name, reason), count, self._created)
        for series in self._series.values():
            for sample in series.counters():
                yield _held(sample, hold, now, scrape)
            yield from series.reference_samples()
        yield from self._gauges


def _held(sample: Sample, hold: Hold, now: float, scrape: bool) -> Sample:
    """The sample, at 0 if its series is new."""
    if sample.name == "model.info" or not hold.shows_zero((sample.name, sample.labels), now, scrape):
        return sample
    if isinstance(sample.value, int):
        return Sample(sample.name, sample.labels, 0, sample.created)
    if isinstance(sample.value, float):
        return Sample(sample.name, sample.labels, 0.0, sample.created)
    value = type(sample.value)(sample.value.bounds, (0,) * len(sample.value.counts), sample.value.sum and 0.0)
    return Sample(sample.name, sample.labels, value, sample.created)
