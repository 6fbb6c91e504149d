"""Rows 20, 21, 22, 32 and 36: the sidecar is told to stop, is killed, cannot start, is replaced; the model restarts."""

import asyncio
import os
import signal
import socket

from tests.app.command import gone
from tests.e2e.processes import LOOPBACK, free_ports
from tests.faults.backend import Backend
from tests.faults.ends import End
from tests.faults.framings import CANARY_LABELS, SSE, Framing
from tests.faults.model import CANARY_ANSWER, closed
from tests.faults.place import Place, Places, together, until
from tests.faults.rows.common import half_way, unwanted
from tests.faults.scale import times
from tests.faults.stage import CANARY_REQUEST, Stage, doomed, staged

Framings = tuple[Framing, ...]


# ---------------------------------------------------------------- told to stop


async def told(places: Places, framings: Framings) -> None:
    """Row 20: told to stop at any moment, it ends with 0, and cuts nothing that ends within the grace."""
    await together(
        _at_load(places, framings),
        _twice(places),
        _while_flushing(places),
        *(_while_starting(places, delay) for delay in (0.02, 0.08, 0.15)),
    )


async def _at_load(places: Places, framings: Framings) -> None:
    """Streams go on, idle connections end, the counts are exact while it drains."""
    place = await places.own("--grace", "30")
    before = await place.snapshot()
    async with doomed(place) as stage:
        await stage.alive()
        idle = await stage.client()
        await _ask(stage, idle)
        go = asyncio.Event()
        half = [await half_way(stage, framing, go) for framing in framings]
        place.sidecar.signal(signal.SIGTERM)
        assert await idle.ended() == "fin"
        await until(lambda: _refuses(place.sidecar.listen), "no client is taken any more", pause=0.02)
        assert place.sidecar.probe("/readyz")[0] == 503
        stage.ledger.free("connections")
        done = [framing for framing in framings if framing.spoken == "upgraded"]
        for framing in done:
            stage.ledger.exchange(framing.labels, framing.code)  # counted when the upgrade was answered
        await stage.counted(before, under_way=len(framings) - len(done))
        go.set()
        await together(*(_whole(client, framing) for client, framing in zip(half, framings, strict=True)))
        assert await asyncio.to_thread(place.sidecar.ended) == 0


async def _whole(client: End, framing: Framing) -> None:
    assert await client.ended() == "fin"
    assert bytes(client.received) == framing.answer
    client.close()


def _refuses(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


async def _ask(stage: Stage, client: End) -> None:
    await client.send(CANARY_REQUEST)
    assert await client.read_bytes(len(CANARY_ANSWER)) == CANARY_ANSWER, client.over
    stage.ledger.exchange(CANARY_LABELS)


async def _twice(places: Places) -> None:
    """A second signal does not wait; what it cuts is not taken for whole."""
    place = await places.own()
    async with doomed(place) as stage:
        client = await half_way(stage, SSE, asyncio.Event())
        place.sidecar.signal(signal.SIGTERM)
        await until(lambda: place.sidecar.probe("/readyz")[0] == 503, "it drains", pause=0.02)
        place.sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(place.sidecar.ended) == 0
        await client.ended()
        assert not SSE.complete(bytes(client.received), client.over)


async def _while_flushing(places: Places) -> None:
    """A collector that takes nothing does not hold up the end."""
    collector = Backend()
    places.closing(collector.listener.close)
    place = await places.own("--grace", "2", environment=collector.environment())
    async with collector.behaving("silent"), doomed(place) as stage:
        await stage.alive()
        place.sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(place.sidecar.ended) == 0


async def _while_starting(places: Places, delay: float) -> None:
    """Nothing was promised yet; nothing is left."""
    ports = free_ports(3)
    place = places.begun(ports=ports)
    await asyncio.sleep(delay)
    place.sidecar.signal(signal.SIGTERM)
    # Before the interpreter runs a line of ours the signal is the kernel's.
    assert await asyncio.to_thread(place.sidecar.ended) in (0, -signal.SIGTERM)
    assert all(_refuses(port) for port in ports)


# ---------------------------------------------------------------- killed


async def killed(places: Places, framings: Framings) -> None:
    """Row 21: kill -9 loses what was under way and nothing else; the next one has its ports at once."""
    ports = free_ports(3)
    place = await places.begun(ports=ports).started()
    children = place.sidecar.children("_child")
    async with doomed(place) as stage:
        half = [await half_way(stage, framing, asyncio.Event()) for framing in framings]
        os.kill(place.sidecar.root, signal.SIGKILL)
        for client, framing in zip(half, framings, strict=True):
            await client.ended()
            assert framing.spoken == "upgraded" or not framing.complete(bytes(client.received), client.over)
    await asyncio.to_thread(gone, *children)
    again = await places.begun(ports=ports, listener=place.listener).started()
    async with staged(again) as stage:
        await stage.alive()


# ---------------------------------------------------------------- the model restarts


async def restarted(places: Places, framings: Framings) -> None:
    """Row 22: while the model is away there are 503s, from its return on there are none; nothing is remembered."""
    async with staged(await places.shared()) as stage:
        for _ in range(times(1)):
            idle = [await stage.client() for _ in range(5)]
            for client in idle:
                await _ask(stage, client)
            half = [(framing, await half_way(stage, framing, asyncio.Event())) for framing in framings]
            stage.model.die()
            with stage.model.refusing():
                for client in idle:
                    await client.ended()
                    assert bytes(client.received) == CANARY_ANSWER
                for framing, client in half:
                    stage.ledger.exchange(framing.labels, *framing.result(len(client.received), "fin"))
                    await client.ended()
                await together(*(_away(stage, framing) for framing in framings))
                late = asyncio.gather(*(stage.alive(1) for _ in range(3)))
                await asyncio.sleep(0.1)  # its requests are dialled again for a second
            await late
            await stage.alive()


async def _away(stage: Stage, framing: Framing) -> None:
    client = await stage.client()
    await client.send(framing.request(stage.case(unwanted)))
    assert (await client.read_message()).status == 503
    stage.ledger.exchange(framing.labels, "503", "refused")


# ---------------------------------------------------------------- cannot start


async def wrong(places: Places, framings: Framings) -> None:
    """Row 32: each mistake is a line with key, value and what was expected; nothing is half started."""
    with closed() as busy:
        busy.listen()
        taken = str(busy.getsockname()[1])
        free = free_ports(2)
        settings = ("--max-queue", "-1", "--mode", "loud", "--header-timeout", "soon")
        cases = (
            (2, settings, ("--max-queue", "--mode", "--header-timeout")),
            (2, ("--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"), ("--tls-cert", "/nowhere.pem")),
            (1, ("--listen", f"{LOOPBACK}:{taken}"), ("--listen", taken)),
            (1, ("--listen", f"{LOOPBACK}:{free[0]}", "--admin", f"{LOOPBACK}:{taken}"), ("--admin", taken)),
            (
                1,
                ("--listen", f"{LOOPBACK}:{free[1]}", "--health", f"{LOOPBACK}:{taken}"),
                ("--health", taken),
            ),
            (1, ("--listen", "192.0.2.1:9000"), ("--listen", "192.0.2.1")),
        )
        await together(*(_refused_start(places, *case) for case in cases))
        assert all(_refuses(port) for port in free)


async def _refused_start(places: Places, status: int, flags: tuple[str, ...], words: tuple[str, ...]) -> None:
    sidecar = places.begun(*flags).sidecar
    assert await asyncio.to_thread(sidecar.ended) == status
    lines = sidecar.text().splitlines()
    assert all(line.startswith("modeltap: ") and "expected" in line for line in lines), lines
    assert all(any(word in line for line in lines) for word in words), lines
    assert "Traceback" not in sidecar.text()


# ---------------------------------------------------------------- replaced


async def rolled(places: Places, framings: Framings) -> None:
    """Row 36, simulated: clients follow a list of endpoints that learns late of an end, and get nothing but 200."""
    old, new = await together(places.own("--drain-quiet", "0.5", "--grace", "20"), places.shared())
    endpoints = [old]
    over = asyncio.Event()
    async with doomed(old) as leaving, staged(new) as stage:
        stages = {id(old): leaving, id(new): stage}
        clients = asyncio.gather(*(_follows(endpoints, stages, over) for _ in range(8)))
        await leaving.alive()
        endpoints.append(new)
        old.sidecar.signal(signal.SIGTERM)
        await until(lambda: old.sidecar.probe("/readyz")[0] == 503, "it is not ready any more", pause=0.02)
        await asyncio.sleep(0.3)  # until whoever keeps the list looks again
        endpoints.remove(old)
        assert await asyncio.to_thread(old.sidecar.ended) == 0
        over.set()
        await clients


async def _follows(endpoints: list[Place], stages: dict[int, Stage], over: asyncio.Event) -> None:
    """A client that keeps its connection as long as its endpoint is listed."""
    turn = 0
    while not over.is_set():
        turn += 1
        place = endpoints[turn % len(endpoints)]
        stage = stages[id(place)]
        client = await stage.client()
        for _ in range(10):
            if place not in endpoints:
                break
            await _ask(stage, client)
            await asyncio.sleep(0.01)
        client.close()
