"""Rows 14, 15, 16, 30 and 31: backend, disk, log, trace contexts and scrapers are at fault; never the traffic."""

import asyncio
import os
import re
import secrets
import signal
from contextlib import ExitStack

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.app.command import exchange
from tests.e2e.exposition import Watch, samples, total
from tests.e2e.processes import LOOPBACK, answers, free_ports
from tests.faults import kernel
from tests.faults.backend import MANNERS, Backend
from tests.faults.ends import End
from tests.faults.framings import LENGTH, Framing
from tests.faults.ledger import undone
from tests.faults.place import Place, Places, together, until
from tests.faults.rows.common import plain
from tests.faults.scale import times
from tests.faults.stage import Stage, staged
from tests.faults.toxics import SMALL_BUFFER, SlowReader, Toxic

Framings = tuple[Framing, ...]
_PARENT = re.compile(rb"(traceparent: 00-[0-9a-f]{32}-)[0-9a-f]{16}")


async def backend(places: Places, framings: Framings) -> None:
    """Row 14: whatever the backend does, traffic is served, each span is exported or dropped, and it recovers."""
    place, collector = await _traced_place(places)
    sent: dict[str, str] = {}
    async with staged(place) as stage:
        for manner in MANNERS:
            async with collector.behaving(manner):
                await together(*(_traced(stage, framing, sent) for framing in framings), stage.alive())
                await until(
                    lambda: _spans(place, dropped=len(sent)), f"spans are given up: {manner}", pause=0.03
                )
                await stage.alive(1)
        lost = len(sent)
        async with collector.behaving("honest"):
            await together(*(_traced(stage, framing, sent) for framing in framings))
            await until(
                lambda: _spans(place, dropped=lost, exported=len(sent) - lost), "it recovers", 60, 0.03
            )
    # Exported spans are those of the ledger, each once, and with the right pairing.
    found = {span.trace_id.hex(): _model(span) for span in collector.spans}
    assert len(collector.spans) == len(found) == len(sent) - lost
    assert found.items() <= sent.items()


async def _traced_place(places: Places) -> tuple[Place, Backend]:
    """With CPU enough for the analysis that nothing is thinned: what is not analysed makes no span."""
    if "traced" not in places.kept:
        collector = Backend()
        places.closing(collector.listener.close)
        flags = ("--analysis-cpu", "64")
        places.kept["traced"] = await places.own(*flags, environment=collector.environment()), collector
    place, collector = places.kept["traced"]
    collector.spans.clear()
    return place, collector


def _model(span: Span) -> str:
    """The name of the model that a span tells of."""
    return next(each.value.string_value for each in span.attributes if each.key == "model.name")


async def _spans(place: Place, dropped: int, exported: int = 0) -> bool:
    """Whether every span is accounted for: exported = given = dropped."""
    values = samples(await place.scrape())
    found = [total(values, f"modeltap_spans_{what}_total") for what in ("dropped", "exported")]
    assert found[0] <= dropped and found[1] <= exported, found
    return found == [dropped, exported]


async def _traced(stage: Stage, framing: Framing, sent: dict[str, str]) -> None:
    """A sampled request; the model must get the same bytes but for the digits of the parent."""
    trace_id = secrets.token_hex(16)
    sent[trace_id] = framing.labels.model_name

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.request(case, f"traceparent: 00-{trace_id}-00f067aa0ba902b7-01"))
    assert await client.read_bytes(len(framing.answer)) == framing.answer
    client.close()
    arrived = undone(bytes(stage.model.ends[case].received))
    assert _PARENT.sub(rb"\1", arrived) == _PARENT.sub(rb"\1", bytes(client.outgoing))
    stage.ledger.exchange(framing.labels)


# ---------------------------------------------------------------- disk and log


async def disk(places: Places, framings: Framings) -> None:
    """Row 15: nothing is written but the log, and a log on a full disk loses its lines and nothing else."""
    prefix = ("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")
    place = await places.begun(prefix=prefix, ports=free_ports(3)).started()
    async with staged(place) as stage:
        place.sidecar.signal(signal.SIGHUP)  # of which it logs
        await together(*(plain(stage, framing) for framing in framings), stage.alive())
    for pid in (place.sidecar.root, place.sidecar.analysis()):
        assert not (written := kernel.written_files(pid)), written


async def log(places: Places, framings: Framings) -> None:
    """Row 16: a pipe that nobody reads holds up nothing; what could not be written is counted in the next line."""
    fifo = places.folder / "log.fifo"
    os.mkfifo(fifo)
    with ExitStack() as stack:
        reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, reader)
        prefix = ("sh", "-c", 'exec "$@" >"$0" 2>&1', str(fifo))
        place = await places.begun(prefix=prefix, ports=free_ports(3)).started()
        stack.callback(place.kill)
        _fill(reader)
        async with staged(place) as stage:
            place.sidecar.signal(signal.SIGHUP)
            await together(*(plain(stage, framing) for framing in framings), stage.alive())
        _drained(reader)
        place.sidecar.signal(signal.SIGHUP)
        await until(lambda: b"could not be written" in _drained(reader), "lost lines are counted", pause=0.02)


def _fill(pipe: int) -> None:
    try:
        while True:
            os.write(pipe, b"x" * 4096)
    except BlockingIOError:
        return


def _drained(pipe: int) -> bytes:
    found = b""
    try:
        while True:
            found += os.read(pipe, 65536)
    except BlockingIOError:
        return found


# ---------------------------------------------------------------- trace contexts

SECRET = "leak-me-not"
_ID, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MALFORMED = (
    *(
        f"00-{_ID}-{_SPAN}",
        f"00-{_ID.upper()}-{_SPAN}-01",
        f"00-{'0' * 32}-{_SPAN}-01",
        f"00-{_ID}-{'0' * 16}-01",
    ),
    *(f"ff-{_ID}-{_SPAN}-01", f"00-{_ID}-{_SPAN}-01-{SECRET}", f"00-{_ID}-{_SPAN}-0g", "", SECRET, "-" * 55),
    *(
        f"00-{_ID}-{_SPAN}-01\u00e9",
        "\u00ff" * 55,
        f"00-{_ID[:-1]}\u00e9-{_SPAN}-01",
        SECRET * 1000,
        "0" * 60_000,
    ),
)


async def contexts(places: Places, framings: Framings) -> None:
    """Row 30: a context that is malformed is absent, its bytes go on as they came, and nothing of it is logged."""
    place, collector = await _traced_place(places)
    async with collector.behaving("honest"), staged(place) as stage:
        before = await place.scrape()
        others = (f"baggage: {SECRET}=" + "b" * 50_000, f"x-request-id: {SECRET} \u00e9 " + "x" * 50_000)
        lines = [f"traceparent: {value}" for value in MALFORMED]
        await together(*(_context(stage, line) for line in (*lines, *others)), stage.alive())
        after = samples(await place.scrape())
        name = "modeltap_trace_contexts_total"
        found = {
            key: total(after, name, outcome=key) - total(samples(before), name, outcome=key)
            for key in _OUTCOMES
        }
        assert found["malformed"] == len(MALFORMED)
        assert found["child"] == found["repeated"] == 0
        assert SECRET not in place.sidecar.text()
        assert SECRET not in await place.scrape()
    assert not [span for span in collector.spans if span.parent_span_id]


_OUTCOMES = ("malformed", "child", "repeated")


async def _context(stage: Stage, line: str) -> None:
    async def script(model: End) -> None:
        await LENGTH.take(model)
        await model.send(LENGTH.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    head, _, body = LENGTH.request(case).partition(b"\r\n\r\n")
    await client.send(head + b"\r\n" + line.encode("latin-1") + b"\r\n\r\n" + body)
    assert await client.read_bytes(len(LENGTH.answer)) == LENGTH.answer
    client.close()
    stage.ledger.carried(client, stage.model.ends[case], whole=True)
    stage.ledger.exchange(LENGTH.labels)


# ---------------------------------------------------------------- scrapers


async def scrapes(places: Places, framings: Framings) -> None:
    """Row 31: a storm of scrapes and one that is never read take nothing from traffic, and no counter goes back."""
    async with staged(await places.shared()) as stage:
        place, watch = stage.place, Watch()
        admin = (LOOPBACK, place.sidecar.admin)
        slow = [await stage.beside(admin, SlowReader(64, 0.05)) for _ in range(3)]
        never = [await stage.beside(admin, Toxic(receive_buffer=SMALL_BUFFER)) for _ in range(10)]
        for end in (*slow, *never):
            await end.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20)

        async def scraper() -> None:
            served = 0
            while served < times(5):
                status, text = await asyncio.to_thread(exchange, admin[1], "GET", "/metrics")
                assert status in (200, 503)  # too many at once are refused, which bounds their memory
                if status == 200:
                    served += 1
                    watch.see(text.decode())

        await together(
            *(scraper() for _ in range(6)),
            *(plain(stage, framing) for framing in framings for _ in range(10)),
            stage.alive(20),
        )
        assert answers(f"http://{LOOPBACK}:{place.sidecar.health}/readyz")
        assert watch.setbacks == []
