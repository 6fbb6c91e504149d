"""The analysis process put together: consumer, engine, collectors, publishers, admin side.

It yields to the data plane in everything: priority, memory, CPU. It may die at any moment; the root starts it again
and the shared totals go on. What is counted changes on the event loop only; a scrape copies it there and does the rest
in a thread (rendering.py).
"""

import asyncio
import gc
import hashlib
import logging
import os
import platform
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import exporter
from exporter.admin import server as admin
from exporter.admin.door import Door
from exporter.admin.guard import Guard
from exporter.admin.included import Included
from exporter.admin.writes import PATH as OBSERVATIONS_PATH
from exporter.admin.writes import Writes, observations
from exporter.analysis import series
from exporter.analysis.bias import Bias
from exporter.analysis.budget import Budget
from exporter.analysis.consumer import Consumer, Link
from exporter.analysis.engine import Engine, Snapshot
from exporter.analysis.events import Events
from exporter.analysis.exemplars import Found
from exporter.analysis.generation import opted_in
from exporter.analysis.historian import Historian
from exporter.analysis.history import History
from exporter.analysis.hold import Hold
from exporter.analysis.known import Known
from exporter.analysis.learning import Learning
from exporter.analysis.pushes import EXPECTED, InHand, Pushes
from exporter.analysis.traffic import Traffic
from exporter.analysis.window_report import gauges
from exporter.collect import (
    COLLECTORS,
    Finder,
    HealthProbe,
    ServerSignals,
    State,
    World,
    Wrapped,
    find_listener,
    load_amdsmi,
    load_nvml,
    met,
    remembered,
)
from exporter.collect import run as collect
from exporter.host.limits import cpu_budget, memory_bound
from exporter.parts.certificates import Certificates, Shown, shown
from exporter.parts.described import Described
from exporter.parts.drift_page import drift_page
from exporter.parts.keeper import Keeper
from exporter.parts.label_requests_page import label_requests_page
from exporter.parts.labels import Labels, labels_of
from exporter.parts.life import Life
from exporter.parts.performance_page import performance_page
from exporter.parts.places import own_metrics, probed
from exporter.parts.receipts_page import receipts_page
from exporter.parts.references import LOOK_SECONDS, References
from exporter.parts.rendering import Rendering, Source
from exporter.parts.senders import Senders
from exporter.processes import memory
from exporter.publish import Pusher
from exporter.records.event import Event
from exporter.records.exchange import Exchange
from exporter.records.messages import Learned, Sampling
from exporter.records.observation import Observation
from exporter.records.peak import Peak
from exporter.records.sample import Sample
from exporter.records.status import Status
from exporter.records.totals import Layout
from exporter.settings.config import Config, owner_paths, upstream_of

log = logging.getLogger("modeltap.analysis")
events_log = logging.getLogger("modeltap.events")
_COLLECT_SECONDS = 5.0
_GC_OBJECTS = 50_000
# A publisher may take half a second more than it is given; a dead collector is not waited for beyond that.
_DRAIN_SECONDS, _PUBLISH_SECONDS, _LAST_SECONDS = 0.3, 5.0, 1.1


class Telemetry:
    """The role of the analysis child; see `children.serve`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = False
        self._started = time.time()
        self._in_hand = InHand(lambda protocol, path: self._status.take(protocol, path))
        self._tick_seconds = 0.0
        self._lag = Peak()
        self._shape: tuple[object, ...] = ()
        self._gauges: list[Sample] = []
        self._resources: list[Sample] = []
        self._told: dict[str, str] = {}
        self._scrapes = admin.Scrapes()
        self._guard: Guard | None = None
        self._labels: Labels | None = None
        self._events = Events(self._happened)
        self._wrapped: Wrapped | None = None

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """start: configuration and descriptors. link: a channel from a worker. dialects: those switched off.

        protocols: what the owner says of dialects and paths was read again.
        last_scrape: the drain was over at `since`; whoever is about to scrape may do so, `seconds` at most.
        """
        if message["kind"] == "start":
            await self._start(message, fds)
        elif message["kind"] == "dialects" and self._ready:
            self._engine.speakers.switch_off(message["off"])
            self._events.switched_off(message["off"], time.time())
        elif message["kind"] == "protocols" and self._ready:
            config = msgspec.convert(message["config"], Config)
            self._speak(config)
            self._senders.configure(config)
        elif message["kind"] == "last_scrape" and self._ready:
            await self._consumer.drained(_DRAIN_SECONDS)
            await self._scrapes.last(message["since"], message["seconds"])
        elif message["kind"] == "link" and self._ready:
            sock = socket.socket(fileno=fds[0])
            sock.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda: Link(self._consumer), sock=sock)
        else:
            for fd in fds:
                os.close(fd)

    async def _start(self, message: dict[str, Any], fds: list[int]) -> None:
        config = msgspec.convert(message["config"], Config)
        logging.getLogger().setLevel(config.log_level.upper())
        admin_fd, status_fd, *totals = fds
        self._wrapped = Wrapped(totals.pop()) if message.get("wrapped") else None
        self._status = Status(status_fd)
        memory.keep_below(memory_bound(config.analysis_memory))
        self._traffic = Traffic(totals, Layout(config.latency_buckets))
        hold = Hold(config.series_hold)
        again = any(n for (component, _), n in self._status.restarts().items() if component == "analysis")
        if again:
            hold.release(self._traffic.samples({}))
        self._rendering = Rendering(self._traffic, hold)
        self._senders = Senders(config, f"{socket.gethostname()}:{config.listen}", self._started)
        # The warm-up of a model is over when a second analysis starts to count.
        known = replace(_known(config), warm_up=0) if again else _known(config)
        self._historian = Historian(config.state_dir, config.model_name or config.upstream, self._started)
        past = self._historian.restore()
        self._past = {one.name: one.version for one in past.models}
        self._described = Described(config, self._happened)
        self._described.recall(past, self._started + config.series_hold)
        known = await self._described.known(known)
        self._references = References(config.reference, config.learn_file, config.hash_key)
        self._engine = Engine(self._references.profiles, known, config.latency_buckets, self._started)
        if config.learn_file and not Path(config.learn_file).exists():
            self._engine.learning = Learning(config.learn_rows, config.learn_hours * 3600.0)
        self._engine.generations.newer = opted_in(os.environ)
        self._bias = Bias(config.windows)
        self._keeper = Keeper(config.state_dir, self._started)
        self._keeper.restore(self._engine, self._started)
        self._labels = labels_of(config, known, self._started)
        self._engine.joining = self._labels.joining if self._labels is not None else None
        self._speak(config)
        self._engine.speakers.switch_off(message["dialects_off"])
        self._events.switched_off(message["dialects_off"], time.time())
        self._collectors(config, None if again else self._started)
        self._life.recall(past, config.series_hold, again)
        self._built += self._described.collectors
        self._budget = Budget(cpu_budget(config.analysis_cpu))
        self._consumer = Consumer(self._handle, self._large, self._flush)
        self._begin(self._consumer.run)
        self._begin(self._every(1.0, self._second))
        self._begin(self._every(config.tick_interval, self._tick))
        self._begin(self._every(LOOK_SECONDS, self._refer))
        self._begin(self._every(_COLLECT_SECONDS, self._collect))
        self._begin(partial(self._keeper.run, self._engine))
        self._begin(self._life.run)
        self._begin(self._every(1.0, self._remember))
        self._described.start()
        self._begin(self._every(config.upstream_metrics_interval, self._polling))
        await self._serve(config, admin_fd)
        self._ready = True
        # What lives now lives for good; columns that wait for their batch should set off no collection.
        gc.freeze()
        gc.set_threshold(_GC_OBJECTS, 20, 50)

    async def _serve(self, config: Config, admin_fd: int) -> None:
        """The admin side, when all that it shows is there."""
        cores, door = cpu_budget(config.analysis_cpu), Door(config.write_token_file)
        self._pushes = Pushes(self._engine, self._in_hand, OBSERVATIONS_PATH)
        resources = [observations(self._observed, EXPECTED)]
        reading = self._labels.reading if self._labels is not None else None
        routes = drift_page(self._drift, reading).routes()
        if self._labels is not None:
            self._begin(self._every(1.0, self._labelling))
            resources.append(self._labels.resource())
            routes += performance_page(self._labels).routes()
            if self._labels.receipts is not None:
                routes += receipts_page(self._labels, self._labels.receipts, door).routes()
            if self._labels.requests is not None:
                routes += label_requests_page(self._labels.requests, door).routes()
        self._writes = Writes(door, cores, *resources)
        self._guard = admin.guard_of(config.web_config)
        if self._guard is not None:
            self._guard.reloaded = partial(self._status.reloaded, "web_config")
        self._built.append(Certificates(partial(self._certificates, config)))
        self._rendering.add(*self._sources())
        sock = socket.socket(fileno=admin_fd)
        routes += self._writes.routes()
        pages = admin.Pages(self._render, self._scrapes, self._included, routes)
        self._admin = await admin.serve(sock, pages, self._guard)

    def _certificates(self, config: Config) -> Iterator[Shown]:
        return shown(config, self._guard.certificate if self._guard is not None else "")

    def _speak(self, config: Config) -> None:
        self._hash = hashlib.sha256(msgspec.json.encode(config)).hexdigest()[:12]
        self._engine.speakers.use(config.custom, owner_paths(config))

    def _collectors(self, config: Config, began: float | None = None) -> None:
        upstream = upstream_of(config.upstream)
        address = upstream.path or (upstream.host, upstream.port)
        model = self._wrapped.find if self._wrapped is not None else remembered(find_listener(address))
        components: dict[str, int | Finder] = {"model": model, "analysis": os.getpid()}
        # The root and its workers; the collector leaves out what is a component of its own.
        components["data_plane"] = os.getppid()
        own = own_metrics(config)
        probing = probed(config), config.probe_seconds, config.probe_interval
        world = World(address, components, load_nvml, *probing, own, load_amdsmi)
        self._built = [build(world) for build in COLLECTORS]
        probe = next(found for found in self._built if isinstance(found, HealthProbe))
        self._life = Life(config, probe, self._happened, began)
        self._server = next(found for found in self._built if isinstance(found, ServerSignals))
        self._included = Included(lambda: self._server.place, config.include_upstream, self._started)
        self._life.starts_told_by(lambda: self._server.started)
        self._states: dict[str, State] = {}

    # ---------------------------------------------------------------- work

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                with memory.fatal():
                    await work()
            except Exception:
                # Half an analysis would be worse than a new one.
                log.exception("the analysis cannot go on")
                os._exit(1)

        self._tasks.append(asyncio.get_running_loop().create_task(guarded()))

    def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def loop() -> None:
            clock = asyncio.get_running_loop()
            due = clock.time()
            while True:
                await work()
                due = max(due + seconds, clock.time())
                await asyncio.sleep(due - clock.time())
                self._lag.see(max(0.0, clock.time() - due), clock.time())

        return loop

    def _handle(self, exchange: Exchange) -> None:
        self._life.managed(exchange)
        if exchange.aside:
            self._senders.aside(exchange)
            return
        self._in_hand.take(self._engine.speakers.protocol(exchange), exchange.path)
        self._record(exchange, self._engine.understand(exchange))

    async def _large(self, exchange: Exchange) -> None:
        self._in_hand.take(self._engine.speakers.protocol(exchange), exchange.path)
        self._record(exchange, await asyncio.to_thread(self._engine.understand, exchange))

    def _record(self, exchange: Exchange, found: Observation | str) -> None:
        rows = self._engine.record(exchange, found, time.time())
        self._life.passed(exchange, found)
        self._senders.passed(exchange, found, rows)
        if self._labels is not None:
            self._labels.passed(exchange)

    def _flush(self) -> None:
        self._engine.flush(time.time())
        self._in_hand.rest()
        # A model's first version is told at once, for until then the data plane counts it as unknown.
        if len(self._engine.learned) != len(self._told):
            self._tell_learned()

    async def _observed(self, body: bytes, form: str) -> list[int | str]:
        """Count what was pushed; the rows of each record, or why it was refused."""
        with memory.fatal():
            return await self._pushes.take(body, form == "lines")

    def _happened(self, event: Event) -> None:
        told = " ".join(f"{key}={value}" for key, value in event.attributes.items())
        events_log.log(getattr(logging, event.severity), "%s: %s", event.text, told)
        self._senders.happened(event)

    def _watch(self) -> None:
        now = time.time()
        self._events.restarted(self._status.restarts(), now)
        self._events.reloaded(self._reloads(), now)
        for what, reasons in self._traffic.troubles().items():
            self._events.counted(what, reasons, now)

    def _tell_learned(self) -> None:
        self._events.learned(self._past | self._told, self._engine.learned, time.time())
        self._told = dict(self._engine.learned)
        self._consumer.tell(Learned(self._told))

    async def _second(self) -> None:
        rate = self._budget.rate
        if self._budget.update(time.monotonic(), time.process_time()) != rate:
            self._consumer.tell(Sampling(self._budget.rate))
        if self._engine.learned != self._told:
            self._tell_learned()
        self._watch()
        self._life.second(self._engine.keys, self._engine.learned, time.time())
        self._described.second(self._engine.keys)
        if (shape := (self._traffic.shape, self._engine.shape)) != self._shape:
            self._shape = shape
            await asyncio.to_thread(self._rendering.notice, self._engine.snapshot())
        if (pusher := self._senders.metrics) is not None and pusher.due():
            await self._push(pusher)

    async def _remember(self) -> None:
        descriptions, files = self._described.kept()
        models, server = self._life.versions.kept(), self._life.versions.server()
        history = History(self._historian.identity, models, server, descriptions, files)
        if self._historian.due(history, time.time()):
            await asyncio.to_thread(self._historian.save, history, time.time())

    async def _push(self, pusher: Pusher) -> None:
        samples = await asyncio.to_thread(self._rendering.gather, *self._copied())
        pusher.offer(samples, time.time())

    async def _tick(self) -> None:
        started = time.perf_counter()
        now = time.time()
        self._bias.see(now, *self._traffic.body_bytes())
        self._gauges = await asyncio.to_thread(gauges, self._engine.windows(now), self._bias.biased(now))
        self._tick_seconds = time.perf_counter() - started
        self._events.compared(self._gauges, time.time())

    async def _refer(self) -> None:
        if (learning := self._engine.learning) is not None and learning.ready:
            await asyncio.to_thread(self._references.publish, learning)
            self._engine.learning = None
        outcomes = await asyncio.to_thread(self._references.look)
        if "success" in outcomes:
            self._engine.use(self._references.profiles, time.time())
        for outcome in outcomes:
            self._status.reloaded("profile", outcome)

    def _drift(self, now: float) -> tuple[tuple[series.State, ...], frozenset[float]]:
        return self._engine.windows(now), self._bias.biased(now)

    async def _collect(self) -> None:
        self._resources = await asyncio.to_thread(collect, self._built, time.time(), self._states)

    async def _labelling(self) -> None:
        assert self._labels is not None
        with memory.fatal():
            await self._labels.second(time.time())

    async def _polling(self) -> None:
        await self._server.poll(time.time())

    # ---------------------------------------------------------------- out

    async def _render(self, accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        with memory.fatal():
            return await asyncio.to_thread(self._rendering.render, *self._copied(), accept, names)

    def _copied(self) -> tuple[Snapshot, Found]:
        if self._labels is not None:
            self._labels.joining.count()
        return self._engine.snapshot(time.time()), self._engine.exemplars.copy()

    def _sources(self) -> Iterator[Source]:
        yield lambda: self._gauges
        yield lambda: self._resources
        yield lambda: met(self._built)
        yield self._life.samples
        yield self._writes.samples
        if self._labels is not None:
            yield self._labels.samples
        yield from self._senders.sources()
        yield self._included.samples
        yield self._keeper.samples
        yield self._historian.samples
        if self._wrapped is not None:
            yield self._wrapped.samples
        yield self._own

    def _reloads(self) -> dict[tuple[str, str], int]:
        return self._status.reloads() | self._traffic.reloads()

    def _own(self) -> Iterator[Sample]:
        yield Sample("modeltap.build", (exporter.__version__, platform.python_version()), 1)
        yield Sample("modeltap.event_loop.lag", ("analysis",), self._lag.largest(time.monotonic()))
        # The root counts restarts; it is as old as the first count of the data plane.
        created = self._traffic.created() or self._started
        for (component, reason), count in self._status.restarts().items():
            yield Sample("modeltap.restarts", (component, reason), count, created)
        for (kind, outcome), count in self._reloads().items():
            yield Sample("modeltap.reloads", (kind, outcome), count, created)
        yield Sample("modeltap.config", (self._hash,), 1)
        for reason, count in (self._guard.refused if self._guard else {}).items():
            yield Sample("modeltap.admin.refused", (reason,), count, self._started)
        yield Sample("modeltap.tick.duration", (), self._tick_seconds)

    async def stop(self, seconds: float = 2.0) -> None:
        """Process what is here, push it a last time, leave within `seconds`. Safe twice and before the start."""
        if not self._ready:
            return
        self._ready = False
        self._described.stop()
        await self._consumer.drained(_DRAIN_SECONDS)
        if self._senders.metrics is not None:
            await self._push(self._senders.metrics)
        publish = min(_PUBLISH_SECONDS, max(0.0, seconds - _DRAIN_SECONDS - _LAST_SECONDS))
        keeping = self._keeper.finish(self._engine, max(_LAST_SECONDS, publish))
        await asyncio.gather(self._senders.stop(publish), keeping)
        if self._labels is not None:
            await self._labels.stop(_DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await self._admin.cleanup()


def _known(config: Config) -> Known:
    """What the owner configured about the model."""
    return Known(**{field.name: getattr(config, field.name) for field in fields(Known)})
