"""PayloadLog: selected exchanges go as CloudEvents to a sink or to files, from a thread with a loop of its own.

Refuses to slow anybody: `offer` takes a lock for an append; decompression, redaction, encoding and delivery are the
thread's. Invariant: selected = sent + dropped{reason} + queued, in events, at every moment. What fails is tried again
with back-off; the log gets one line per change of state, not one per event, and never a payload.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from exporter.publish.backlog import Backlog, Entry
from exporter.publish.cloudevents import OMITTED, Composer, Event, Origin, Plain, Side
from exporter.publish.delivery import FAILURES, Changes, Failed, Sink, delay
from exporter.publish.file_sink import FileSink, Rotation
from exporter.publish.redaction import Redaction, parse
from exporter.publish.sender import Tally
from exporter.records.exchange import Exchange
from exporter.records.queue import share
from exporter.records.routes import SIDE_OPERATIONS
from exporter.records.sample import Sample

_log = logging.getLogger(__name__)
MODES: Final = ("all", "request", "response")
DROPS: Final = ("newest", "oldest")
_SIDES: Final[dict[str, tuple[Side, ...]]] = {
    "all": ("request", "response"),
    "request": ("request",),
    "response": ("response",),
}
# After the timeout of `stop` the deliveries are cancelled, and connections and files closed.
_LAST_WAIT_SECONDS: Final = 0.5
_Group = list[tuple[Entry, Event]]


@dataclass(frozen=True, slots=True)
class PayloadLogConfig:
    """`target` "" is off. `sample` is the share of exchanges, `errors` adds all that failed; see docs/payload-log.md.

    `backoff` is the bound in seconds of the first wait between two attempts.
    """

    target: str = ""
    mode: str = "all"
    sample: float = 1.0
    errors: bool = True
    headers: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    plain: bool = True
    queue: int = 16 << 20
    drop: str = "newest"
    retries: int = 5
    seconds: float = 10.0
    concurrency: int = 4
    ca: str = ""
    token_file: str = ""
    source: str = ""
    service: str = ""
    namespace: str = ""
    component: str = "predictor"
    endpoint: str = "default"
    file_bytes: int = 64 << 20
    file_seconds: float = 3600.0
    files: int = 8
    gzip: bool = False
    backoff: float = 0.5


class PayloadLog:
    """`created` is the unix time in seconds from which it counts; `plain` undoes the codings that a head names.

    `clock` is monotonic seconds. ValueError for a rule of redaction that cannot be read.
    """

    def __init__(
        self,
        config: PayloadLogConfig,
        plain: Plain,
        created: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sides = _SIDES[config.mode]
        origin = Origin(config.source, config.service, config.namespace, config.component, config.endpoint)
        redaction = Redaction(map(parse, config.redact))
        self._composer = Composer(origin, config.headers, redaction, plain if config.plain else None)
        self._backlog = Backlog(config.queue, config.drop == "oldest", created)
        self._failures = Tally("modeltap.payload_log.failures", _series(FAILURES), created)
        self._omitted = Tally("modeltap.payload_log.bodies.omitted", _series(OMITTED), created)
        self._written = Tally("modeltap.payload_log.written", ((),), created)
        self._changes = Changes()
        self._resume = float("-inf")
        self._idle = self._ending = self._faulty = False
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # ---------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the thread; nothing if it runs already."""
        if self._thread is None:
            # A daemon: a disk or a resolver that hangs must not hold up the end of the process.
            self._thread = threading.Thread(target=self._run, name="payload-log", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Deliver what waits, then end; what did not arrive within `timeout` seconds is dropped and counted."""
        thread = self._thread
        finished = True
        if thread is not None:
            until = self._clock() + max(timeout, 0.0)
            if self._ready.wait(max(timeout, 0.0)):
                self._call(lambda: self._end(until))
            thread.join(max(until - self._clock(), 0.0) + _LAST_WAIT_SECONDS)
            finished = not thread.is_alive()
        lost = self._backlog.close()
        if lost:
            _log.warning("payload log: %d events did not arrive before the end", lost)
        return finished and not lost

    def offer(self, exchange: Exchange) -> bool:
        """Whether the exchange was selected and queued; what is selected and dropped is counted."""
        if not self._selects(exchange):
            return False
        kept = self._backlog.offer(Entry(exchange, self._sides, self._clock()))
        if self._idle:
            self._idle = False
            self._call(self._wake)
        return kept

    def samples(self) -> Iterator[Sample]:
        """Everything counted; all of it exists at 0 from the start."""
        yield from self._backlog.samples()
        for tally in (self._failures, self._omitted, self._written):
            yield from tally.samples()

    def _selects(self, exchange: Exchange) -> bool:
        # Where no body is ever captured an exchange comes here only if it was traced: by chance.
        if exchange.operation in SIDE_OPERATIONS or exchange.operation == "other":
            return False
        failed = self._config.errors and exchange.error_type != ""
        return failed or share(exchange.request_id) < self._config.sample

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(function)

    # ---------------------------------------------------------------- the log's thread

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        sink = connect(self._config)
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.gather(*(self._deliver_all(sink) for _ in range(sink.concurrency)))
        self._ready.set()
        try:
            await self._work
        except asyncio.CancelledError:
            pass  # the time of `stop` is over
        finally:
            try:
                await sink.close()
            except OSError as error:
                _log.error("payload log: the last file cannot be closed: %s", error)

    def _wake(self) -> None:
        self._event.set()

    def _end(self, until: float) -> None:
        self._ending = True
        self._wake()
        loop = asyncio.get_running_loop()
        loop.call_later(max(until - self._clock(), 0.0), self._work.cancel)

    async def _deliver_all(self, sink: Sink) -> None:
        """One of the sink's deliveries at once, for ever: until `stop` and nothing waits."""
        while entries := await self._next(sink.group_bytes):
            for group in self._groups(entries, sink.group_bytes):
                await self._deliver(sink, group)

    async def _next(self, most_bytes: int) -> list[Entry]:
        while not (entries := self._backlog.take(most_bytes)) and not self._ending:
            self._event.clear()
            self._idle = True
            if not self._backlog.waiting:  # else one came before it could know that it is waited for
                await self._event.wait()
        return entries

    def _groups(self, entries: list[Entry], most_bytes: int) -> Iterator[_Group]:
        """The events of the entries, each made when its group is about to go: made ones may be much larger."""
        group: _Group = []
        size = 0
        for entry in entries:
            for side in entry.sides:
                event = self._composed(entry, side)
                if event is None:
                    continue
                group.append((entry, event))
                size += len(event.data)
                if size >= most_bytes:
                    yield group
                    group, size = [], 0
        if group:
            yield group

    def _composed(self, entry: Entry, side: Side) -> Event | None:
        try:
            entry.identity = entry.identity or self._composer.identity(entry.exchange)
            event, omitted = self._composer.event(entry.exchange, side, entry.identity)
        except Exception:  # noqa: BLE001 - `_fault` logs it: whatever a client or a model wrote may not end the log
            self._fault([entry])
            return None
        if omitted:
            self._omitted.add((omitted,))
        return event

    async def _deliver(self, sink: Sink, group: _Group) -> None:
        """Try until it arrives, is refused, or was tried often enough."""
        events = [event for _, event in group]
        attempt = 0
        while True:
            while (wait := self._resume - self._clock()) > 0:
                await asyncio.sleep(wait)
            attempt += 1
            try:
                written = await sink.deliver(events)
            except Failed as failure:
                self._failed(failure)
                if failure.again and attempt <= self._config.retries:
                    await asyncio.sleep(delay(attempt, self._config.backoff, random.random))
                    continue
                reason = sink.exhausted if failure.again else "rejected"
                for entry, _ in group:
                    self._backlog.dropped(entry, reason)
                return
            except Exception:  # noqa: BLE001 - `_fault` logs it: what a hostile sink brings out of a library
                self._fault([entry for entry, _ in group])
                return
            self._arrived(group, written)
            return

    def _fault(self, entries: list[Entry]) -> None:
        """An error of ours: those events are lost, the next go on."""
        if not self._faulty:
            self._faulty = True
            _log.exception("payload log: an event is lost by an error; those that follow are only counted")
        for entry in entries:
            self._backlog.dropped(entry, "error")

    def _failed(self, failure: Failed) -> None:
        self._failures.add((failure.reason,))
        # One sink: what it asks of one delivery it asks of all.
        self._resume = max(self._resume, self._clock() + failure.after)
        if self._changes.news(failure.reason if not failure.again else "down", self._clock()):
            _log.warning("payload log: %s does not take events: %.200a", self._config.target, str(failure))

    def _arrived(self, group: _Group, written: int) -> None:
        self._written.add((), written)
        now = self._clock()
        for entry, _ in group:
            self._backlog.sent(entry, now)
        if self._changes.news("up", now):
            _log.info("payload log: events arrive at %s", self._config.target)


def connect(config: PayloadLogConfig) -> Sink:
    """The sink that the target names; connects to nobody and opens nothing yet."""
    if config.target.startswith(("http://", "https://")):
        from exporter.publish.http_sink import HttpSink  # the HTTP client is of no use to files

        return HttpSink(config.target, config.concurrency, config.seconds, config.ca, config.token_file)
    return FileSink(
        config.target, Rotation(config.file_bytes, config.file_seconds, config.files, config.gzip)
    )


def _series(reasons: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((reason,) for reason in reasons)
