"""Exchanges -> observations -> the series of each model version, and how many were understood. `now` is unix seconds.

Refuses to know processes, time and formats. Bounded: so many model versions, so many names; what is over is counted
under `<other>`. A decoder that raises what it may not is our fault: logged once, counted, and the exchange is over.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from exporter.analysis.exemplars import Exemplars
from exporter.analysis.generation import Generated, Generations
from exporter.analysis.kept import KeptSide
from exporter.analysis.known import Known
from exporter.analysis.learning import Learning
from exporter.analysis.names import told_name
from exporter.analysis.performance.joining import Joining
from exporter.analysis.repeats import Repeats
from exporter.analysis.report import counters
from exporter.analysis.role import EXCLUSIONS, GENERATING, LIVE, Sorter
from exporter.analysis.series import Key, Series, State
from exporter.analysis.server_headers import ServerHeaders
from exporter.analysis.side import MISFITS
from exporter.analysis.speakers import Speakers
from exporter.decode import REASONS, failed, observe, observe_request, pushed
from exporter.decode.pushed import NAME as PUSHED
from exporter.decode.pushed import Record
from exporter.records.exchange import OTHER, UNKNOWN, Exchange
from exporter.records.observation import Observation, Undecodable
from exporter.records.sample import Sample
from exporter.stats import Profile, SnapshotError

log = logging.getLogger(__name__)
MAX_SERIES = 32
# Columns of all model versions, from which on new versions count those alone that have counters: some 100 MiB.
MAX_COUNTED = 4000
MAX_OUTCOMES = 64  # pairs of model and protocol
MAX_LEARNED = 128
MAX_NAME = 128
# A version that was used in this time is never retired: names that come and go cannot push out a model at work.
IDLE_SECONDS = 600.0
FAILED = "decoder_failed"
REQUEST_ONLY = "request_only"  # the exchange failed, and its request was read
# What can become of an exchange that no dialect claims.
_UNCLAIMED = ("not_captured", "not_2xx", "no_dialect")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of everything counted; `samples` may run in any thread."""

    created: float
    outcomes: dict[tuple[str, str, str], int]
    mismatches: dict[tuple[str, str], int]
    excluded: dict[str, int]
    repeated: int
    states: tuple[State, ...]
    generated: Generated
    server: tuple[Sample, ...] = ()

    def samples(self) -> Iterator[Sample]:
        """All counters, and the references."""
        for outcome, count in self.outcomes.items():
            yield Sample("model.exchanges.decoded", outcome, count, self.created)
        for mismatch, count in self.mismatches.items():
            yield Sample("model.profile.mismatches", mismatch, count, self.created)
        for reason, count in self.excluded.items():
            yield Sample("model.exchanges.excluded", (reason,), count, self.created)
        yield Sample("model.requests.repeated", (), self.repeated, self.created)
        yield from counters(self.states)
        yield from self.generated.samples()
        yield from self.server


class Engine:
    """`understand` an exchange (anywhere), `record` what came of it, `flush` to count; the latter two in one thread.

    A profile whose model is known by name has its bins at 0 from the start: under its version if that is literal or
    configured, else under `unknown`, which is what the data plane counts with too until an answer tells a version;
    the first version told takes the place of an `unknown` under which nothing was counted.
    """

    def __init__(
        self, profiles: Sequence[Profile], known: Known, bounds: tuple[float, ...], now: float
    ) -> None:
        self._profiles = tuple(profiles)
        self._known = known
        self._created = now
        self._sorter = Sorter(known)
        self._repeats = Repeats()
        self._excluded = dict.fromkeys(EXCLUSIONS, 0)
        self._series: dict[tuple[str, str, str], Series] = {}
        self._outcomes: dict[tuple[str, str, str], int] = {}
        self._pairs: set[tuple[str, str]] = set()
        self._mismatches: dict[tuple[str, str], int] = {}
        self._told: set[str] = set()
        self._contradicted: set[Key] = set()
        self._touched: set[Series] = set()
        self._failed: set[str] = set()
        self.learning: Learning | None = None
        self.joining: Joining | None = None
        self.speakers = Speakers()
        self.learned: dict[str, str] = {}
        self.exemplars = Exemplars(bounds)
        self.generations = Generations(now)
        self._headers = ServerHeaders(bounds, now)
        self._expect(now)

    def _expect(self, now: float) -> None:
        for profile in self._profiles:
            name = self._known.model_name or _literal(profile.model_name)
            if name and fnmatchcase(name, profile.model_name):
                version = self._known.model_version or _literal(profile.model_version) or UNKNOWN
                self._find((name, version, LIVE), "", now)

    def use(self, profiles: Sequence[Profile], now: float) -> None:
        """Compare with these from now on; where that is another reference, bins and windows begin anew."""
        self.flush(now)
        self._profiles = tuple(profiles)
        for (name, version, _), series in self._series.items():
            chosen, found = self._choose(name, version)
            series.key = replace(series.key, match=found)
            if (chosen and chosen.reference) != (series.profile and series.profile.reference):
                series.refer(chosen, now)
        self._expect(now)

    def understand(self, exchange: Exchange) -> Observation | str:
        """What the exchange says, or one word why nothing is or could be read.

        Any thread; raises only that memory is out.
        """
        excluded = self._sorter.exclusion(exchange)
        if excluded:
            return excluded
        try:
            read = observe_request if failed(exchange) else observe
            return read(exchange, self.speakers.dialects)
        except Undecodable as reason:
            return reason.reason
        except (MemoryError, SystemError):
            raise  # no fault of the decoder's: the bound of the whole process, see memory.py
        except Exception:
            protocol = self.speakers.protocol(exchange) or UNKNOWN
            if protocol not in self._failed:
                self._failed.add(protocol)
                log.exception("the decoder of %s failed; its exchanges count as %s", protocol, FAILED)
            return FAILED

    def record(self, exchange: Exchange, found: Observation | str, now: float) -> int:
        """Keep what was understood for the next `flush`; returns how many rows were predicted, 0 if none are known."""
        if exchange.trace is not None:
            self.exemplars.add(exchange)
        self._headers.add(exchange, now)
        self._repeats.see(exchange.request_id)
        if isinstance(found, str):
            if found in self._excluded:
                self._excluded[found] += 1
                return 0
            protocol = self.speakers.protocol(exchange) or UNKNOWN
            self._outcome(exchange.model_name or UNKNOWN, protocol, found)
            if self._sorter.role(exchange) in GENERATING:
                self.generations.unread(exchange)
            return 0
        name = exchange.model_name or UNKNOWN
        if name == UNKNOWN:
            name = told_name(exchange, found)[:MAX_NAME] or UNKNOWN
        role = self._sorter.role(exchange)
        if not found.answered:
            self._asked(exchange, found, (name, self._version(exchange, name, "", role), role))
            return 0
        version = self._version(exchange, name, found.model_version[:MAX_NAME], role)
        series = self._find((name, version, role), found.protocol, now)
        if series.seen < self._known.warm_up:
            series.seen += 1
            self._excluded["warm_up"] += 1
            return 0
        self._outcome(series.key.model_name, found.protocol, "decoded")
        if found.generation is not None and role in GENERATING:
            self.generations.add(
                exchange, found.generation, (series.key.model_name, series.key.model_version)
            )
        series.add(found)
        self._touched.add(series)
        if self.joining is not None:
            self.joining.add(series, exchange, found)
        if self.learning is not None and series.profile is None and role == LIVE:
            self.learning.add(series.key.model_name, found, now)
        return found.rows

    def _asked(self, exchange: Exchange, found: Observation, place: tuple[str, str, str]) -> None:
        """The request of a failed exchange is judged where its model is known: it makes no series and no name."""
        name, version, role = place
        if version == UNKNOWN:
            version = self.learned.get(name, UNKNOWN)
        series = self._series.get((name, version, role))
        if series is not None and series.seen >= self._known.warm_up:
            series.ask(found)
            self._touched.add(series)
        told = series.key.model_name if series is not None else exchange.model_name or UNKNOWN
        self._outcome(told, found.protocol, REQUEST_ONLY)
        if role in GENERATING:
            self.generations.unread(exchange)

    def push(self, found: Record | str, now: float) -> None:
        """Keep a record that did not cross the wire for the next `flush`, or count why it was refused.

        What it tells of model and version holds; the owner's configuration and what answers say stand in for the rest.
        """
        if isinstance(found, str):
            self._outcome(UNKNOWN, PUSHED, found)
            return
        for one in found.observations:
            name = one.model_name or self._known.model_name or UNKNOWN
            version = one.model_version or self._known.model_version or self.learned.get(name, UNKNOWN)
            series = self._find((name, version, LIVE), PUSHED, now)
            series.add(one)
            self._touched.add(series)
            if self.joining is not None:
                self.joining.push(series, one, found.ids, now)
        self._outcome(series.key.model_name, PUSHED, "decoded")

    def flush(self, now: float) -> None:
        """Count what was recorded since the last flush; call when a batch ends."""
        touched, self._touched = self._touched, set()
        for series in touched:
            problems = series.flush(now)
            for reason, exchanges in problems.items():
                cell = (series.key.model_name, reason)
                self._mismatches[cell] = self._mismatches.get(cell, 0) + exchanges
            if problems:
                self._tell(series, problems)
            if series.outputs.contradictions and series.key not in self._contradicted:
                self._contradict(series)
        if self.joining is not None:
            self.joining.flush(now)

    def snapshot(self, now: float = 0.0) -> Snapshot:
        """A copy for a scrape at `now`; without it, what servers reported is shown however old."""
        states = tuple(series.state() for series in self._series.values())
        counts = dict(self._outcomes), dict(self._mismatches), dict(self._excluded), self._repeats.count
        headers = tuple(self._headers.samples(now))
        return Snapshot(self._created, *counts, states, self.generations.copy(), headers)

    def windows(self, now: float) -> tuple[State, ...]:
        """A copy of the rolling windows as of `now`."""
        return tuple(series.state(now) for series in self._series.values())

    @property
    def keys(self) -> list[Key]:
        """Of everything that is counted."""
        return [series.key for series in self._series.values()]

    @property
    def shape(self) -> tuple[object, ...]:
        """Changes when there is a series more to export, or one less."""
        return (
            len(self._outcomes),
            self.generations.shape,
            *((name, series.shape) for name, series in self._series.items()),
        )

    def kept(self) -> Iterator[tuple[dict[str, Any], Callable[[], bytes]]]:
        """What writes the rolling windows of all, one copy at a time; what was let go of meanwhile is left out."""
        for place, series in list(self._series.items()):
            if not series.pristine and self._series.get(place) is series:
                yield from series.kept()

    def restore(self, kept: KeptSide, now: float) -> str:
        """Take over windows that an earlier analysis kept; the reason if they do not fit, else "".

        Those whose longest window is over are of no use to anybody, and are no problem.
        """
        place = kept.model_name, kept.model_version, kept.role
        if now - kept.used > max(self._known.windows):
            return ""
        if place not in self._series and len(self._series) >= MAX_SERIES:
            return f"more than {MAX_SERIES} model versions"
        series = self._find(place, kept.protocol, now)
        try:
            series.restore(kept)
        except SnapshotError as error:
            return f"model {kept.model_name} version {kept.model_version}: {error}"
        return ""

    # ---------------------------------------------------------------- which series

    def _version(self, exchange: Exchange, name: str, answered: str, role: str) -> str:
        """The version that an answer counts under: configured or in the path, else what the answer says.

        What the data plane labelled with the version learned last is no other source: a new one replaces it at once.
        """
        labelled = exchange.model_version or UNKNOWN
        if not answered or answered == labelled or self._known.model_version:
            return labelled
        if labelled != UNKNOWN and self.speakers.route(exchange).model_version:
            return labelled
        known = name in self.learned or len(self.learned) < MAX_LEARNED
        if name not in (UNKNOWN, OTHER) and known and role == LIVE:  # of a mirror the callers see nothing
            self.learned[name] = answered
        return answered

    def _find(self, place: tuple[str, str, str], protocol: str, now: float) -> Series:
        """The series of a model's name, its version and the role."""
        found = self._series.get(place)
        if found is None:
            name, _, role = place
            waiting = self._series.get((name, UNKNOWN, role))
            if waiting is not None and waiting.pristine and waiting not in self._touched:
                del self._series[name, UNKNOWN, role]
            if len(self._series) >= MAX_SERIES and not self._retire(now):
                place = OTHER, OTHER, role
            found = self._series.get(place) or self._make(place, protocol, now)
        elif not found.key.protocol and protocol:
            found.key = replace(found.key, protocol=protocol)
        return found

    def _retire(self, now: float) -> bool:
        """Let go of the version that was not used for longest, if that was long ago."""
        idle = {key: series for key, series in self._series.items() if series not in self._touched}
        oldest = min(idle, key=lambda key: idle[key].used, default=None)
        if oldest is None or now - idle[oldest].used < IDLE_SECONDS:
            return False
        del self._series[oldest]
        log.info("model %s version %s (%s) is no longer exported: others are in use", *oldest)
        return True

    def _choose(self, name: str, version: str) -> tuple[Profile | None, str]:
        """The profile of a model version, and how it was found."""
        exact = [p for p in self._profiles if p.matches(name, version)]
        inherited = [p for p in self._profiles if fnmatchcase(name, p.model_name)] if not exact else []
        chosen = max(exact or inherited, key=_specificity, default=None)
        found = "exact" if exact else "inherited" if inherited else "none"
        return chosen, found

    def _make(self, place: tuple[str, str, str], protocol: str, now: float) -> Series:
        name, version, role = place
        chosen, found = self._choose(name, version)
        key = Key(name, version, protocol, found, role)
        wide = sum([one.columns for one in self._series.values()]) < MAX_COUNTED
        made = self._series[place] = Series(key, chosen, self._known, now, wide)
        if chosen is not None:
            for reason in MISFITS:
                self._mismatches.setdefault((name, reason), 0)
        return made

    # ---------------------------------------------------------------- counts of exchanges

    def _outcome(self, name: str, protocol: str, outcome: str) -> None:
        cell = (name, protocol, outcome)
        if cell not in self._outcomes:
            cell = self._new_outcome(name, protocol, outcome)
        self._outcomes[cell] += 1

    def _new_outcome(self, name: str, protocol: str, outcome: str) -> tuple[str, str, str]:
        """All outcomes of a pair exist at 0 from its first exchange on."""
        if (name, protocol) not in self._pairs and len(self._pairs) >= MAX_OUTCOMES:
            name = protocol = OTHER
        self._pairs.add((name, protocol))
        for word in self._words(protocol):
            self._outcomes.setdefault((name, protocol, word), 0)
        self._outcomes.setdefault((name, protocol, outcome), 0)
        return name, protocol, outcome

    def _words(self, protocol: str) -> tuple[str, ...]:
        if protocol == PUSHED:
            return ("decoded", *pushed.REASONS, FAILED)
        return ("decoded", REQUEST_ONLY, *REASONS, FAILED) if self.speakers.knows(protocol) else _UNCLAIMED

    def _tell(self, series: Series, problems: dict[str, int]) -> None:
        name = series.key.model_name
        if name not in self._told and len(self._told) < MAX_SERIES:
            self._told.add(name)
            against = (
                f"its reference {series.profile.reference}" if series.profile is not None else "its past"
            )
            log.warning("model %s: exchanges do not fit %s: %s", name, against, ", ".join(sorted(problems)))

    def _contradict(self, series: Series) -> None:
        if len(self._contradicted) < MAX_SERIES:
            self._contradicted.add(series.key)
            key, outputs = series.key, series.outputs
            log.warning(
                "model %s version %s: outputs contradict the task %s (%s); it stays, and such rows are counted",
                *(key.model_name, key.model_version, outputs.task, outputs.source),
            )


def became(found: Observation | str) -> str:
    """What became of an exchange, in a word."""
    if isinstance(found, str):
        return found
    return "decoded" if found.answered else REQUEST_ONLY


def _literal(pattern: str) -> str:
    """The pattern if it stands for one name only, else ""."""
    return "" if set("*?[") & set(pattern) else pattern


def _specificity(profile: Profile) -> int:
    """The most specific pattern has the most literal characters."""
    return sum(character not in "*?[]" for character in profile.model_name + profile.model_version)
