"""Rows 14 and 15 for the payload log: its sink or its disk is at fault; never the traffic, and what is lost counts."""

import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.exposition import samples, total
from tests.faults.backend import MANNERS, Backend
from tests.faults.ends import End
from tests.faults.framings import Framing
from tests.faults.place import Place, Places, together, until
from tests.faults.rows.common import plain
from tests.faults.stage import Stage, staged
from tests.proxy.clients import answer

Framings = tuple[Framing, ...]
ALIVE = 2
# Further manners of a sink, and the reason for which events are dropped then.
OWN: Mapping[str, str] = {
    "rejecting": "rejected",
    "redirecting": "rejected",
    "half an answer": "retries_exhausted",
    "head without end": "retries_exhausted",
}
# CPU enough for the analysis that nothing is thinned; one attempt that gives up soon.
FLAGS = (
    *("--analysis-cpu", "64", "--payload-log-retries", "0"),
    *("--payload-log-seconds", "0.5", "--payload-log-concurrency", "16"),
)
_NAME = "modeltap_payload_log"


class SinkBackend(Backend):
    """`events` is what arrived while it behaved: id and type of each."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[bytes, bytes]] = []

    async def _answer(self, end: End) -> None:
        if self.manner not in ("honest", *OWN):
            await super()._answer(end)
            return
        while (message := await end.read_message()).head.endswith(b"\r\n\r\n"):
            if self.manner == "half an answer":
                await end.send(b"HTTP/1.1 200 OK\r\ncontent-le")
                return
            if self.manner == "head without end":
                await end.send(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000)
                return
            if self.manner == "honest":
                self.events.append((_field(message.head, b"ce-id"), _field(message.head, b"ce-type")))
                await end.send(answer(b""))
            else:
                await end.send(answer(b"", "400 Bad Request" if self.manner == "rejecting" else "302 Found"))


def _field(head: bytes, name: bytes) -> bytes:
    return next(
        line.partition(b": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(name + b":")
    )


async def sink(places: Places, framings: Framings) -> None:
    """Row 14: whatever the sink does, traffic is served, each event is sent or dropped, and it recovers."""
    backend = SinkBackend()
    places.closing(backend.listener.close)
    target = f"http://127.0.0.1:{backend.listener.getsockname()[1]}/"
    place = await places.own("--payload-log-target", target, *FLAGS)
    for manner in (*MANNERS, *OWN):
        reason = OWN.get(manner, "retries_exhausted")
        async with (
            staged(place) as stage,
            _counted(place, framings, dropped=reason),
            backend.behaving(manner),
        ):
            await _traffic(stage, framings)
            await until(lambda: _idle(place), f"events are given up: {manner}", 60, 0.03)
    async with backend.behaving("honest"):
        await until(lambda: _all_sent(place, backend, framings), "it recovers", 60)


async def _all_sent(place: Place, backend: SinkBackend, framings: Framings) -> bool:
    """Whether all events of some traffic were sent; on a busy machine an attempt may run out of its time once more."""
    backend.events.clear()
    before = samples(await place.scrape())
    async with staged(place) as stage:
        await _traffic(stage, framings)
        await until(lambda: _idle(place), "every event has met its end", 60, 0.03)
    sent = total(samples(await place.scrape()), f"{_NAME}_sent_total") - total(before, f"{_NAME}_sent_total")
    assert len(set(backend.events)) == len(backend.events) >= sent
    return sent == _events(framings)


async def disk(places: Places, framings: Framings) -> None:
    """Row 15: files that cannot grow lose events, which are counted; when they can, every line of them is an event.

    A bound on the size of the analysis' files stands for a disk without room.
    """
    folder = places.folder / "payloads"
    place = await places.own("--payload-log-target", str(folder), *FLAGS)
    await until(lambda: _idle(place), "events of the start are written", 60, 0.03)
    before = _lines(folder)
    async with staged(place) as stage, _counted(place, framings, dropped="disk"), _full(place):
        await _traffic(stage, framings)
        await until(lambda: _idle(place), "events are given up", 60, 0.03)
    assert _lines(folder) == before
    async with staged(place) as stage, _counted(place, framings):
        await _traffic(stage, framings)
        await until(lambda: _idle(place), "it recovers", 60, 0.03)
    assert _lines(folder) == before + _events(framings)


async def _traffic(stage: Stage, framings: Framings) -> None:
    await together(*(plain(stage, framing) for framing in framings), stage.alive(ALIVE))


def _events(framings: Framings) -> int:
    """A request and an answer of each exchange."""
    return 2 * (len(framings) + ALIVE)


@asynccontextmanager
async def _counted(place: Place, framings: Framings, dropped: str = "") -> AsyncIterator[None]:
    """Within, every event of the traffic is chosen, and sent, or dropped for that one reason."""
    await until(lambda: _idle(place), "no event waits", 60, 0.03)
    before = samples(await place.scrape())
    yield
    after = samples(await place.scrape())

    def grown(what: str, **labels: str) -> float:
        return total(after, f"{_NAME}_{what}_total", **labels) - total(
            before, f"{_NAME}_{what}_total", **labels
        )

    events = _events(framings)
    assert grown("selected") == events
    assert grown("dropped") == (events if dropped else 0)
    if dropped:
        # Whatever the sink would have said: an attempt that ran out of its time did not hear it.
        assert sum(grown("dropped", reason=one) for one in {dropped, "retries_exhausted"}) == events
    assert grown("sent") == events - grown("dropped")


async def _idle(place: Place) -> bool:
    """Whether every event that was chosen has met its end."""
    values = samples(await place.scrape())
    chosen, sent, lost = (total(values, f"{_NAME}_{what}_total") for what in ("selected", "sent", "dropped"))
    assert sent + lost <= chosen
    quiet = not total(values, "modeltap_records_unacknowledged") and not total(
        values, f"{_NAME}_queue_length"
    )
    return quiet and sent + lost == chosen


@asynccontextmanager
async def _full(place: Place) -> AsyncIterator[None]:
    pid = place.sidecar.analysis()
    bounds = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, bounds[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, bounds)


def _lines(folder: Path) -> int:
    """How many events the files hold, each a whole line."""
    whole = b"".join(path.read_bytes() for path in folder.glob("*.jsonl"))
    assert not whole or whole.endswith(b"}\n")
    return whole.count(b"\n")
