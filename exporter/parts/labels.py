"""Labels put together: a store of pending predictions behind its queue, the join before it, what is counted after it.

Everything here runs on the loop of the analysis, but for the store, which has a thread of its own: whatever becomes of
it, rows and labels are lost and counted, and nothing waits.
"""

import asyncio
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from exporter.admin.writes import Resource
from exporter.admin.writes import feedback as resource
from exporter.analysis.known import Known
from exporter.analysis.performance.cohorts import due, periods
from exporter.analysis.performance.given import EXPECTED as GIVEN_EXPECTED
from exporter.analysis.performance.given import value_of
from exporter.analysis.performance.joining import Joining
from exporter.analysis.performance.judged import told
from exporter.analysis.performance.kpis import Moment
from exporter.analysis.performance.margins import Margins
from exporter.analysis.performance.outcome import Joined, Performance
from exporter.analysis.performance.report import (
    band_samples,
    coverage_samples,
    label_samples,
    performance_samples,
    target_samples,
)
from exporter.analysis.performance.requests import Requests, Shares
from exporter.analysis.performance.table import Reading
from exporter.analysis.performance.truth_report import Truth
from exporter.analysis.performance.worth import Worth
from exporter.decode import feedback, seldon_feedback
from exporter.parts.label_store import limits_of, store_of
from exporter.parts.receipts import EXPECTED as RECEIPTS_EXPECTED
from exporter.parts.receipts import desk_of
from exporter.pending.contract import (
    DAY_SECONDS,
    OUTCOMES,
    Cohort,
    Counts,
    Label,
    Released,
    Store,
    Taken,
)
from exporter.pending.guarded import Guarded
from exporter.pending.row import key, request_digest
from exporter.pending.sampling import Sampler
from exporter.records.exchange import OTHER, Exchange
from exporter.records.feedback import Feedback
from exporter.records.observation import Undecodable
from exporter.records.sample import Sample
from exporter.settings.config import Config

log = logging.getLogger("modeltap.labels")
_TOGETHER: Final = 2000  # labels in one call of the store
_LEASE_SECONDS: Final = 120.0
_WAIT_SECONDS: Final = 15.0  # for a store; longer than the patience of the queue before it
_COUNTS_SECONDS, _EXPIRE_SECONDS, _MATURE_SECONDS = 5.0, 60.0, 300.0
_MOST_SOURCES: Final = 16
_MOST_PASSED: Final = 100_000
_STATES: Final = ("predictions", "joined", "pending", "expired", "evicted", "repeated", "parked", "released")
# What can become of a label, besides what stores say.
SAMPLED_OUT, INVALID = "sampled_out", "invalid"
EXPECTED: Final = GIVEN_EXPECTED | RECEIPTS_EXPECTED
Result = TypeVar("Result")
# What became of one item: of each of its labels; or why it was refused.
Answer = tuple[str, ...] | str


@dataclass(slots=True)
class _Due:
    """When each of the things that are done now and then is done again; monotonic seconds."""

    counts: float = 0.0
    expire: float = 0.0
    mature: float = 0.0


def labels_of(config: Config, known: Known, created: float) -> "Labels | None":
    """What the configuration wants; None for nothing."""
    store = store_of(config)
    if store is None:
        return None
    made = Labels(config, known, store, created)
    made.start()
    return made


class Labels:
    """`take` what comes in, `second` once a second, `samples` from any thread. `joining` is for the engine."""

    def __init__(self, config: Config, known: Known, store: Store, created: float) -> None:
        self.maturity = (config.label_maturity or config.label_age) * DAY_SECONDS
        self._limits = limits_of(config)
        self._created = created
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._released: deque[Released] = deque()
        self._guarded = Guarded(store, self._released.extend)
        self._worth = Worth(config.label_costs, config.kpis)
        self._margins = Margins(config.label_unlabelled, self._worth.costs)
        self._segments = known.label_groups
        self._sampler = Sampler(config.label_sample)
        shares = Shares(config.label_requests, config.label_requests_uncertain, config.label_requests_band)
        self.requests = Requests(shares, known.threshold) if shares else None
        self.receipts = desk_of(config)
        offer = self._guarded.offer if self.receipts is None else self.receipts.before(self._guarded.offer)
        self.joining = Joining(known, self._sampler, offer, self._margins, self.requests)
        self.joining.words.id(config.label_unlabelled or None)
        self._truth = Truth(self.joining.truths)
        self._performance = Performance(self.joining.whats, self.joining.words, self._margins, created)
        self._outcomes: Counter[tuple[str, str]] = Counter(
            {("", outcome): 0 for outcome in (*OUTCOMES, SAMPLED_OUT, INVALID)}
        )
        self._sources: set[str] = {""}
        self._passed: deque[Feedback] = deque()
        self._counts: Counts | None = None
        self._cohorts = {"open": 0, "settled": 0}
        self._late: deque[int] = deque()
        self._joined: list[Joined] = []
        self._due = _Due()

    def start(self) -> None:
        """Begin."""
        self._guarded.start()

    def resource(self) -> Resource:
        """What is written to."""

        async def take(body: bytes, form: str) -> list[Answer]:
            return await self.take(body, form, time.time())

        return resource(take, {**feedback.EXPECTED, **EXPECTED})

    async def settled(self) -> None:
        """When what was predicted until now is in the store."""
        await self.ask(lambda store: None, None)

    async def stop(self, seconds: float) -> None:
        """Hand over what is here, and close the store."""
        self._tell()
        self._add_cells(time.time())
        await asyncio.to_thread(self._guarded.stop, seconds)

    # ---------------------------------------------------------------- labels

    async def take(self, body: bytes, form: str, now: float) -> list[Answer]:
        """What became of each item. Undecodable for a body that holds none."""
        items = await asyncio.to_thread(feedback.decode, body, form, now)
        answers: list[Answer] = []
        for start in range(0, len(items), _TOGETHER):
            part = items[start : start + _TOGETHER]
            outcomes = iter(
                await self.join([label for item in part if isinstance(item, tuple) for label in item], now)
            )
            for item in part:
                if isinstance(item, str):
                    self._count("", INVALID)
                    answers.append(item)
                else:
                    answers.append(tuple(next(outcomes) for _ in item))
        return answers

    def passed(self, exchange: Exchange) -> None:
        """Feedback among the exchanges."""
        if seldon_feedback.claims(exchange):
            try:
                found = seldon_feedback.decode(exchange)
                if len(self._passed) + len(found) > _MOST_PASSED:
                    self._count("seldon", "full")
                else:
                    self._passed.extend(found)
            except Undecodable:
                self._count("seldon", INVALID)

    async def join(self, labels: Sequence[Feedback], now: float) -> list[str]:
        """What became of each label; what met rows is counted."""
        outcomes = [""] * len(labels)
        asked: list[tuple[int, Label]] = []
        for place, one in enumerate(labels):
            name = self._key(one, now)
            if isinstance(name, str):
                outcomes[place] = name
                continue
            value = value_of(one, self.joining.words, self._segments)
            if value is None:
                outcomes[place] = "too_many_classes"
                continue
            asked.append((place, Label(name, value, one.time)))
        taken = await self._taken([label for _, label in asked], now)
        if self.receipts is not None:
            given = [labels[place] for place, _ in asked], [label for _, label in asked]
            taken = self.receipts.redeemed(*given, taken, now)
        for (place, _), found in zip(asked, taken, strict=True):
            outcomes[place] = found.outcome
        await self._score(_met([label for _, label in asked], taken))
        for (place, label), found in zip(asked, taken, strict=True):
            self._outcomes_of(label, found, labels[place].outcomes)
            if self.requests is not None:
                self.requests.answered(label.key)
        for one, outcome in zip(labels, outcomes, strict=True):
            self._count(one.source, INVALID if outcome in EXPECTED else outcome)
        return outcomes

    def _key(self, one: Feedback, now: float) -> bytes | str:
        """Of the row that it is of; what becomes of it if there is none."""
        if one.receipt:
            return self.receipts.key(one, now) if self.receipts is not None else "no_receipts"
        name = key(request_digest(one.output, one.id), one.row)
        return name if self._sampler.keeps(name) else SAMPLED_OUT

    def _outcomes_of(self, label: Label, found: Taken, outcomes: Sequence[tuple[str, float]]) -> None:
        told = self._performance.told
        if found.outcome == "joined":
            told.joined(label.key, found.rows, outcomes)
        elif found.outcome == "corrected":
            told.corrected(label.key, found.rows, outcomes, found.before)
        elif found.outcome == "parked":
            told.parked(label.key, outcomes)

    async def _taken(self, labels: list[Label], now: float) -> list[Taken]:
        if not labels:
            return []
        future = asyncio.wrap_future(self._guarded.take(labels, now))
        if await _done(future):
            return future.result()
        # A store that hangs: whoever asks is told that it is lost, and what it hands out later still counts.
        future.add_done_callback(lambda done: self._joined.extend(_met(labels, done.result())))
        return [Taken("lost")] * len(labels)

    async def _score(self, joined: list[Joined]) -> None:
        if joined and self._performance.unknown(joined):
            await self._learn()
        self.joining.count()  # first, so that no more rows have met a label than began to wait
        self._performance.count(joined)

    def _count(self, source: str, outcome: str) -> None:
        """Anybody's word is a label value only among the first few."""
        if source not in self._sources and len(self._sources) >= _MOST_SOURCES:
            source = OTHER
        self._sources.add(source)
        self._outcomes[source, outcome] += 1

    # ---------------------------------------------------------------- now and then

    async def second(self, now: float) -> None:
        """Hand over what was gathered; count what came back."""
        self._tell()
        self._add_cells(now)
        found = [self._released.popleft() for _ in range(len(self._released))]
        self._joined += [Joined(one.row, one.value, one.time) for one in found]
        joined, self._joined = self._joined, []
        await self._score(joined)
        for one in found:
            self._performance.told.released(one.key, one.row, one.value)
        if self._passed:
            await self.join([self._passed.popleft() for _ in range(min(_TOGETHER, len(self._passed)))], now)
        while self._late:
            self._performance.losses["late"] += self._late.popleft()
        clock = time.monotonic()
        if clock >= self._due.counts:
            self._due.counts = clock + _COUNTS_SECONDS
            self._counts = await self.ask(lambda store: store.counts(), None)
        if clock >= self._due.expire:
            self._due.expire = clock + _EXPIRE_SECONDS
            await self.ask(lambda store: store.expire(now), None)
        if clock >= self._due.mature:
            self._due.mature = clock + min(_MATURE_SECONDS, max(1.0, self.maturity / 10))
            await self.mature(now)

    async def ask(self, call: Callable[[Store], Result], failed: Result) -> Result:
        """Anything of the store, in its turn."""
        future = asyncio.wrap_future(self._guarded.ask(call, failed))
        return future.result() if await _done(future) else failed

    def _tell(self) -> None:
        """Names that are new, before or soon after the rows that need them."""
        for fresh in (self.joining.fresh, self.joining.words.fresh):
            if fresh:
                names = dict(fresh)
                fresh.clear()
                self._guarded.ask(partial(_learned, names=names), None)

    async def _learn(self) -> None:
        names: Mapping[int, str] = await self.ask(lambda store: store.versions(), {})
        for number, text in names.items():
            what = told(text)
            if what is None:
                self.joining.words.learn({number: text})
            elif what.id == number:
                self.joining.whats.setdefault(number, what)

    def _add_cells(self, now: float) -> None:
        self.joining.count()
        for hour, cells, labelled in self._margins.drain():
            add = partial(_added, hour=hour, cells=cells, now=now)
            future = self._guarded.ask(add, None, len(cells))
            future.add_done_callback(partial(self._refused, labelled))

    def _refused(self, rows: int, done: "Future[bool | None]") -> None:
        """In the store's thread: a cohort that was released, or is too old, takes no more."""
        if done.result() is False:
            self._late.append(rows)

    async def mature(self, now: float) -> None:
        """Release the hours that are due: one replica each, once."""
        cohorts: list[Cohort] = await self.ask(lambda store: store.cohorts(), [])
        settled = sum(one.settled for one in cohorts)
        self._cohorts = {"open": len(cohorts) - settled, "settled": settled}
        ripe = list(due(cohorts, self.maturity, now))
        if ripe:
            await self._learn()
        for cohort in ripe:
            await self._release(cohort.hour, cohorts, now)
        await self._worth.read(cohorts, self.joining.whats, Moment(now, self.maturity))
        await self._truth.read(cohorts, self.joining.whats, (self.maturity, now))

    async def _release(self, hour: int, cohorts: Sequence[Cohort], now: float) -> None:
        owner, until = self._owner, now + _LEASE_SECONDS
        claimed = await self.ask(lambda store: store.claim(hour, owner, until, now), None)
        if claimed is not None and await self.ask(lambda store: store.settle(hour, owner, now), False):
            found = periods([claimed], self.joining.whats)
            self._performance.release({place: (one.whole(), one.asked) for place, one in found.items()})
            self._worth.contested.release(claimed, cohorts, self.joining.whats)

    # ---------------------------------------------------------------- out

    async def reading(self, now: float) -> Reading:
        """All cohorts that the store has, what was gathered here included, and what ids in them mean."""
        self._add_cells(now)
        await self._learn()
        found: list[Cohort] = await self.ask(lambda store: store.cohorts(), [])
        joining = self.joining
        names = joining.words.names()
        known = dict(joining.whats), names, self.maturity, now, self._worth.costs, dict(joining.truths)
        return Reading(tuple(found), *known)

    def samples(self) -> Iterator[Sample]:
        """Everything; any thread."""
        standing = self._performance.standing()
        yield from label_samples(standing, _copied(self.joining.ledger))
        for (source, outcome), count in list(self._outcomes.items()):
            yield Sample("modeltap.labels", (source, outcome), count, self._created)
        yield Sample("modeltap.labels.sample_ratio", (), self._sampler.rate)
        yield from self._store()
        yield from performance_samples(standing)
        yield from coverage_samples(self.joining.kept, self._performance.met, self._created)
        yield from band_samples(dict(self.joining.bands))
        yield from self._worth.samples(standing, self.requests)
        if self.receipts is not None:
            yield from self.receipts.samples(self._created)
        yield from target_samples(dict(self.joining.targets))
        yield from self._truth.samples()

    def _store(self) -> Iterator[Sample]:
        store, counts = self._guarded.store, self._counts
        yield Sample("modeltap.label_store.up", (store.name,), float(counts is not None))
        if counts is not None:
            for state in _STATES:
                yield Sample("modeltap.label_store.rows", (store.name, state), getattr(counts, state))
            used = max(counts.pending / self._limits.rows, counts.held_bytes / self._limits.bytes)
            yield Sample("modeltap.label_store.used", (store.name,), used)
        for reason, count in {**self._guarded.dropped, **store.lost}.items():
            yield Sample("modeltap.label_store.lost", (store.name, reason), count, self._created)
        for state, hours in self._cohorts.items():
            yield Sample("modeltap.label_store.cohorts", (store.name, state), hours)


async def _done(future: "asyncio.Future[Any]") -> bool:
    """Whether it is done in good time; it is never cancelled, for what a store hands out has to be counted."""
    done, _ = await asyncio.wait({future}, timeout=_WAIT_SECONDS)
    return bool(done)


def _met(labels: Sequence[Label], taken: Sequence[Taken]) -> list[Joined]:
    """The labels that met rows."""
    return [
        Joined(found.rows, label.value, label.time, found.before)
        for label, found in zip(labels, taken, strict=True)
        if found.rows
    ]


def _learned(store: Store, names: Mapping[int, str]) -> None:
    store.learn(names)


def _added(store: Store, hour: int, cells: Mapping[str, float], now: float) -> bool:
    return store.add_cells(hour, cells, now)


def _copied(
    ledger: Mapping[tuple[str, str, str], Mapping[str, int]],
) -> dict[tuple[str, str, str], dict[str, int]]:
    return {place: dict(counts) for place, counts in list(ledger.items())}
