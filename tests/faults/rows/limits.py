"""Rows 12, 13, 17 and 35: descriptors and connections, names, memory."""

import asyncio
import resource
from contextlib import suppress

from tests.faults import kernel
from tests.faults.ends import End
from tests.faults.framings import CANARY_LABELS, Framing
from tests.faults.model import CANARY_ANSWER
from tests.faults.place import BOUNDED, SECONDS, Places, together, until
from tests.faults.scale import times
from tests.faults.stage import CANARY_REQUEST, Stage, staged
from tests.proxy.clients import chunked

Framings = tuple[Framing, ...]
MANY = 20
BUSY = 0.4  # of a core: a loop that spins takes all of it, or half beside another one
IDLE_MEMORY = 32 << 10  # bytes that an idle connection may hold


async def descriptors(places: Places, framings: Framings) -> None:
    """Row 12: with no descriptor left, who is there is served, who comes waits, and nothing spins."""
    place = await places.shared()
    root = place.sidecar.root
    async with staged(place) as stage:
        old = await stage.client()
        await _ask(stage, old)
        allowed = resource.prlimit(root, resource.RLIMIT_NOFILE)
        resource.prlimit(root, resource.RLIMIT_NOFILE, (place.descriptors() + 7, allowed[1]))
        clients = [await stage.client() for _ in range(MANY)]
        asked = [asyncio.ensure_future(_ask(stage, client)) for client in clients]
        await until(lambda: _paused(stage, "descriptors"), "accepting is paused", pause=0.05)
        spent = kernel.cpu_seconds(root)
        for _ in range(10):
            await _ask(stage, old)
            await asyncio.sleep(0.05)  # a second or so, in which a loop that spins would be seen
        assert kernel.cpu_seconds(root) - spent < BUSY * 0.5
        resource.prlimit(root, resource.RLIMIT_NOFILE, allowed)
        await together(*asked)
        for client in clients:
            client.close()
        await stage.alive()
        stage.ledger.at_least("pauses", "descriptors")


async def _ask(stage: Stage, client: End) -> None:
    """A canary on a connection of its own choice, which may have to wait."""
    await client.send(CANARY_REQUEST)
    assert await client.patiently() == CANARY_ANSWER, client.over
    stage.ledger.exchange(CANARY_LABELS)


async def _paused(stage: Stage, reason: str) -> bool:
    return f'model_connection_accept_pauses_total{{reason="{reason}"}} 0' not in await stage.place.scrape()


async def connections(places: Places, framings: Framings) -> None:
    """Row 12: no more clients at once than allowed; each that leaves lets the next one in."""
    async with staged(await places.shared(*BOUNDED)) as stage:
        clients = [await stage.client() for _ in range(3 * MANY)]
        pending = {asyncio.ensure_future(_ask(stage, client)): client for client in clients}
        while pending:
            done, _ = await asyncio.wait(pending, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            assert done, f"{len(pending)} clients are not served"
            assert (await stage.place.snapshot()).gauges["open"] <= 24
            for task in done:
                await task
                pending.pop(task).close()
        stage.ledger.at_least("pauses", "max_connections")


async def idle(places: Places, framings: Framings) -> None:
    """Row 12: many idle connections cost little each, and nothing when they are gone."""
    async with staged(await places.shared()) as stage:
        root = stage.place.sidecar.root
        before = kernel.resident(root)
        clients = [await stage.client() for _ in range(times(200))]
        await together(*(_ask(stage, client) for client in clients))
        assert kernel.resident(root) - before < (4 << 20) + len(clients) * IDLE_MEMORY
        await stage.alive()


async def names(places: Places, framings: Framings) -> None:
    """Row 13: a name with an address that refuses, a collector and a model whose names nobody knows."""
    collector = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    place, nowhere = places.begun(environment=collector, name="localhost"), places.begun(name="model.invalid")
    await together(place.started(), nowhere.started(confirm=False))
    async with staged(place) as stage, staged(nowhere) as lost:
        await together(*(_unknown_name(lost, framing) for framing in framings), stage.alive(10))
        assert nowhere.sidecar.probe("/readyz")[0] == 200


async def _unknown_name(stage: Stage, framing: Framing) -> None:
    client = await stage.client()
    await client.send(framing.request("t0"))
    assert (await client.patiently()).startswith(b"HTTP/1.1 503 ")
    stage.ledger.exchange(framing.labels.unconfirmed, "503", "refused")


async def capture(places: Places, framings: Framings) -> None:
    """Row 17: what is kept for decoding is bounded in all, shed first and counted; every byte goes on."""
    place = await places.shared(*BOUNDED)
    async with staged(place) as stage:
        gate = asyncio.Barrier(MANY)
        before = kernel.resident(place.sidecar.root)
        await together(
            *(_upload(stage, framing, gate) for framing in framings for _ in range(MANY // len(framings)))
        )
        assert kernel.resident(place.sidecar.root) - before < 16 << 20
        stage.ledger.at_least("captures", "capture_full", times=MANY - 4)
        await stage.alive()


async def _upload(stage: Stage, framing: Framing, gate: asyncio.Barrier) -> None:
    """All bodies are half way at once."""
    size = 400_000
    body = chunked([b"x" * size]) if framing.chunked else b"x" * size

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.opening(case, size))
    await client.send(body[: size - 1000])
    model = await stage.met(case)
    await until(lambda: len(model.received) >= size - 1000, "all but the end arrives")
    await gate.wait()
    await client.send(body[size - 1000 :])
    await client.read_bytes(len(framing.answer))
    client.close()
    stage.ledger.carried(client, model)
    stage.ledger.exchange(framing.labels)


async def memory(places: Places, framings: Framings) -> None:
    """Row 17: an analysis that gets no more memory may end as often as it likes: no exchange hears of it."""
    place = await places.shared()
    analysis = place.sidecar.analysis()
    async with staged(place) as stage:
        some_more = kernel.virtual(analysis) + (1 << 20)
        resource.prlimit(analysis, resource.RLIMIT_AS, (some_more, resource.RLIM_INFINITY))
        stage.quiet_log = False  # the analysis tells of its end
        try:
            await together(
                *(_large(stage, framing) for framing in framings for _ in range(4)), stage.alive(10)
            )
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(
                    analysis, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                )
        stage.ledger.free("restarts")


async def _large(stage: Stage, framing: Framing) -> None:
    """Half a megabyte of numbers to decode."""
    body = (
        b'{"inputs":[{"name":"x","shape":[1,100000],"datatype":"FP64","data":[' + b"0.25," * 99_999 + b"1]}]}"
    )

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.opening(case, len(body)) + (chunked([body]) if framing.chunked else body))
    assert await client.read_bytes(len(framing.answer)) == framing.answer
    stage.ledger.exchange(framing.labels)


async def amplification(places: Places, framings: Framings) -> None:
    """Row 35: a hostile byte that is held costs at most 20 bytes of memory."""
    async with staged(await places.shared()) as stage:
        await _held_heads(stage)
        await stage.alive()


async def _held_heads(stage: Stage) -> None:
    """The beginnings of heads, each as long as one may be."""
    root, count, size = stage.place.sidecar.root, 48, 60_000
    before = kernel.resident(root)
    clients = [await stage.client() for _ in range(count)]
    for client in clients:
        await client.send(b"POST / HTTP/1.1\r\nX-Padding: " + b"x" * size)
    near = [client.sock.getsockname()[1] for client in clients]
    listening = stage.place.sidecar.listen

    def all_read() -> bool:
        queues = kernel.all_queues()
        return not any(queues[listening, port].unread for port in near)

    await until(all_read, "all is read", pause=0.05)
    assert kernel.resident(root) - before <= 20 * count * size
    for client in clients:
        client.close()
