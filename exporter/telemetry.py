"""The analysis process put together: consumer, engine, collectors, publishers, admin side.

It yields to the data plane in everything: priority, memory, CPU. It may die at any moment; the root starts it again
and the shared totals go on.
"""

import asyncio
import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

import exporter
from exporter import admin
from exporter.analysis.budget import Budget
from exporter.analysis.consumer import Consumer, Link
from exporter.analysis.engine import Engine
from exporter.analysis.hold import Hold
from exporter.analysis.traffic import Traffic
from exporter.collect import COLLECTORS, Finder, State, World
from exporter.collect import run as collect
from exporter.collect.gpu import load_nvml
from exporter.collect.health import HealthProbe
from exporter.collect.listener import find_listener
from exporter.config import Config
from exporter.limits import cpu_budget, memory_bound
from exporter.publish.otlp import Pusher
from exporter.publish.prometheus import SeriesCache, render
from exporter.publish.server_span import server_span
from exporter.publish.settings import read_config
from exporter.publish.spans import SpanPusher
from exporter.records.exchange import Exchange
from exporter.records.queue import Learned, Sampling
from exporter.records.sample import Sample
from exporter.records.status import Status
from exporter.records.totals import Layout
from exporter.stats import Profile, ProfileError, load
from exporter.tree import MEMORY_EXIT

log = logging.getLogger("modeltap.analysis")
_COLLECT_SECONDS = 5.0
_WATCH_SECONDS = 0.25
_STOP_SECONDS = 1.5


class Telemetry:
    """The role of the analysis child; see `children.serve`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = False

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """start: configuration and descriptors. link: a channel from a worker."""
        if message["kind"] == "start":
            await self._start(message, fds)
        elif message["kind"] == "link":
            sock = socket.socket(fileno=fds[0])
            sock.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda: Link(self._consumer), sock=sock)

    async def _start(self, message: dict[str, Any], fds: list[int]) -> None:
        config = self._config = msgspec.convert(message["config"], Config)
        logging.getLogger().setLevel(config.log_level.upper())
        now = time.time()
        admin_fd, status_fd, *totals = fds
        self._status = Status(status_fd)
        _watch_memory(memory_bound(config.analysis_memory))
        self._hold = Hold(config.series_hold)
        limited = config.max_concurrency > 0
        self._traffic = Traffic(totals, Layout(config.latency_buckets), self._hold, limited)
        self._engine = Engine(load_profiles(config.reference), config.windows, config.latency_buckets, now)
        self._engine.switch_off(message["dialects_off"])
        otlp, problems = read_config(os.environ, instance=f"{socket.gethostname()}:{config.listen}")
        for problem in problems:
            log.error("%s", problem)
        self._spans = SpanPusher(otlp, now) if otlp.traces else None
        self._pusher = Pusher(otlp, now) if otlp.metrics else None
        for publisher in (self._spans, self._pusher):
            if publisher is not None:
                publisher.start()
        self._collectors(config, message["data_plane"])
        self._budget = Budget(cpu_budget(config.analysis_cpu))
        self._consumer = Consumer(self._handle, self._flush)
        self._cache = SeriesCache()
        self._lock = threading.Lock()
        self._scrape = self._series = 0.0
        self._tick_seconds = self._lag = 0.0
        self._told: dict[str, str] = {}
        self._begin(self._consumer.run)
        self._begin(self._every(1.0, self._second))
        self._begin(self._every(config.tick_interval, self._tick))
        self._begin(self._every(_COLLECT_SECONDS, self._collect))
        if self._probe is not None:
            self._begin(self._every(config.probe_interval, self._probing))
        self._admin = await admin.serve(socket.socket(fileno=admin_fd), self._render)
        self._ready = True

    def _collectors(self, config: Config, data_plane: list[int]) -> None:
        parts = urlsplit(config.upstream)
        address = (parts.hostname or "", parts.port or 80)
        components: dict[str, int | Finder] = {"model": find_listener(address), "analysis": os.getpid()}
        components["data_plane"] = data_plane[0]
        world = World(address, components, load_nvml, config.probe_path)
        built = [build(world) for build in COLLECTORS]
        self._probe = next((found for found in built if isinstance(found, HealthProbe)), None)
        self._built = built
        self._states: dict[str, State] = {}
        self._resources: list[Sample] = []

    # ---------------------------------------------------------------- work

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
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
                self._lag = max(0.0, clock.time() - due)

        return loop

    def _handle(self, exchange: Exchange) -> None:
        self._status.take(exchange.protocol, exchange.path)
        now = time.time()
        with self._lock:
            rows = self._engine.take(exchange, now)
        if self._spans is not None and exchange.trace is not None:
            self._spans.offer(server_span(exchange, rows))
        self._status.take("", "")

    def _flush(self) -> None:
        with self._lock:
            self._engine.flush(time.time())

    async def _second(self) -> None:
        rate = self._budget.rate
        if self._budget.update(time.monotonic(), time.process_time()) != rate:
            self._consumer.tell(Sampling(self._budget.rate))
        if self._engine.learned != self._told:
            self._told = dict(self._engine.learned)
            self._consumer.tell(Learned(self._told))
        if self._pusher is not None and self._pusher.due():
            self._pusher.offer(await asyncio.to_thread(self._samples, False), time.time())

    async def _tick(self) -> None:
        started = time.perf_counter()
        with self._lock:
            self._engine.tick(time.time())
        self._tick_seconds = time.perf_counter() - started

    async def _collect(self) -> None:
        self._resources = await asyncio.to_thread(collect, self._built, time.time(), self._states)

    async def _probing(self) -> None:
        assert self._probe is not None
        await self._probe.probe(time.time())

    # ---------------------------------------------------------------- out

    def _render(self, accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        started = time.perf_counter()
        samples = self._samples(True)
        with self._lock:
            body, kind = render(samples, accept, names, self._cache)
        self._series = len(samples)
        self._scrape = time.perf_counter() - started
        return body, kind

    def _samples(self, scrape: bool) -> list[Sample]:
        """Everything as it is now; `scrape` says that a Prometheus sees it."""
        now = time.time()
        with self._lock:
            samples = list(self._traffic.samples(now, scrape, self._engine.exemplars))
            samples += self._engine.samples(self._hold, now, scrape)
        samples += self._resources
        for publisher in (self._spans, self._pusher):
            if publisher is not None:
                samples += publisher.samples()
        samples += self._own()
        families: dict[str, list[Sample]] = {}
        for sample in samples:
            families.setdefault(sample.name, []).append(sample)
        return [sample for family in families.values() for sample in family]

    def _own(self) -> Iterator[Sample]:
        yield Sample("modeltap.build", (exporter.__version__, platform.python_version()), 1)
        yield Sample("modeltap.event_loop.lag", ("analysis",), self._lag)
        for (component, reason), count in self._status.restarts().items():
            yield Sample("modeltap.restarts", (component, reason), count)
        yield Sample("modeltap.series", (), self._series)
        yield Sample("modeltap.scrape.duration", (), self._scrape)
        yield Sample("modeltap.tick.duration", (), self._tick_seconds)

    async def stop(self) -> None:
        """Process what is here, flush, leave."""
        if not self._ready:
            return
        await self._consumer.drained(_STOP_SECONDS / 3)
        if self._pusher is not None:
            self._pusher.offer(self._samples(False), time.time())
        for publisher in (self._spans, self._pusher):
            if publisher is not None:
                await asyncio.to_thread(publisher.stop, _STOP_SECONDS / 3)
        for task in self._tasks:
            task.cancel()
        await self._admin.cleanup()


def load_profiles(places: tuple[str, ...]) -> list[Profile]:
    """Profiles from files and folders; an invalid one is logged and left out, for the model's path comes first."""
    found: list[Profile] = []
    for place in places:
        path = Path(place)
        files = sorted(path.glob("*.json*")) if path.is_dir() else [path]
        for file in files:
            try:
                found.append(load(file))
            except (ProfileError, OSError) as error:
                log.error("reference %s is not used: %s", file, error)
    return found


def _watch_memory(bound: int) -> None:
    """End this process at its memory bound: an OOM of the cgroup would take the model's only path with it."""
    page = os.sysconf("SC_PAGE_SIZE")

    def watch() -> None:
        while True:
            with open("/proc/self/statm") as stream:
                resident = int(stream.read().split()[1]) * page
            if resident > bound:
                log.error("memory bound of %d bytes reached: the analysis starts anew", bound)
                os._exit(MEMORY_EXIT)
            time.sleep(_WATCH_SECONDS)

    threading.Thread(target=watch, name="memory", daemon=True).start()
