"""A worker's life: it drains without cutting anything, stops twice, and continues the totals of a dead one."""

import asyncio
import os
import socket

import msgspec
import pytest

from exporter.proxy.settings import Settings, Upstream
from exporter.proxy.worker import Worker
from exporter.records import totals
from tests.proxy.clients import Peer, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, saying, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"


async def _drained(lab: Lab) -> None:
    assert lab.worker is not None
    async with asyncio.timeout(30):
        await lab.worker.drain()


async def test_drain_lets_what_is_under_way_end(lab: Lab) -> None:
    """An exchange and a half-sent head are waited for; idle connections are closed; nobody new is accepted."""
    go = asyncio.Event()

    async def model(peer: Peer) -> None:
        while (await peer.read_message()).head.endswith(b"\r\n\r\n"):
            await go.wait()
            await peer.send(answer(b"whole" * 1000))

    await lab.start(model)
    busy, begun, idle = [await lab.client() for _ in range(3)]
    await busy.send(request(INFER, b"{}", ID))
    await begun.send(get("/a", ID)[:20])
    await lab.until(lambda: len(lab.model.peers) == 3)
    await lab.until(lambda: sum(1 for pair in lab.plane.pairs if pair.tap and pair.tap.holding) == 1)
    draining = asyncio.ensure_future(_drained(lab))
    assert await idle.receive() == b""
    await begun.send(get("/a", ID)[20:])
    with pytest.raises(ConnectionError):
        await lab.client()
    go.set()
    assert (await busy.read_message()).body == b"whole" * 1000
    assert (await begun.read_message()).body == b"whole" * 1000
    await draining
    assert lab.outcomes() == {("200", ""): 2}


async def test_drain_waits_for_a_request_that_is_being_dialled(lab: Lab) -> None:
    """A request that came before there was a connection to the model is no idle connection."""
    await lab.start(None, connect_timeout=0.2)
    client = await lab.client()
    await client.send(get("/a", ID))
    await lab.until(lambda: any(pair._early for pair in lab.plane.pairs))
    draining = asyncio.ensure_future(_drained(lab))
    assert (await client.read_message()).status == 503
    client.close()
    await draining


async def test_drain_ends_with_the_grace(lab: Lab) -> None:
    """A stream that outlasts the grace does not keep the drain; stopping ends it on both sides."""
    await lab.start(saying(b"HTTP/1.1 200 OK\r\n\r\nstream", then="stay"), grace=0.1)
    client = await lab.client()
    await client.send(request(INFER, b"{}", ID))
    await client.read_to(b"stream")
    await _drained(lab)
    assert client.over == ""
    assert lab.worker is not None
    lab.worker.stop()
    lab.worker.stop()
    await client.read_all()
    await lab.idle()
    assert sum(lab.outcomes().values()) == 1


async def test_drain_accepts_until_it_is_quiet(lab: Lab) -> None:
    """With a quiet period new connections are served until no request came for so long; probes do not count."""
    await lab.start(serving(ok), drain_quiet=0.3)
    assert (await lab.ask(request(INFER, b"{}", ID))).status == 200
    draining = asyncio.ensure_future(_drained(lab))
    await asyncio.sleep(0)
    before = lab.plane.last_request
    assert (await lab.ask(request(INFER, b"{}", ID))).status == 200
    assert lab.plane.last_request > before
    before = lab.plane.last_request
    assert (await lab.ask(get("/v2/health/ready", ID))).status == 200
    assert lab.plane.last_request == before
    await draining
    with pytest.raises(ConnectionError):
        await lab.client()


async def test_clients_that_never_fall_quiet(lab: Lab) -> None:
    """Whoever keeps asking on kept connections is not cut with the grace: part of it is left for them to end."""
    go = asyncio.Event()

    async def model(peer: Peer) -> None:
        while (await peer.read_message()).head.endswith(b"\r\n\r\n"):
            await go.wait()
            await peer.send(answer(b"whole"))

    await lab.start(model, drain_quiet=60, grace=2)
    busy, idle = await lab.client(), await lab.client()
    await busy.send(request(INFER, b"{}", ID))
    await lab.until(lambda: lab.in_flight() == 1)
    draining = asyncio.ensure_future(_drained(lab))
    assert await idle.receive() == b""
    assert not draining.done()
    go.set()
    assert (await busy.read_message()).body == b"whole"
    assert await busy.receive() == b""
    await draining


async def test_stop_without_start(lab: Lab) -> None:
    """A worker that was never started stops."""
    settings = Settings(upstreams=(Upstream(host="127.0.0.1", port=1),))
    fd = totals.create(totals.Layout(settings.latency_buckets))
    worker = Worker(settings, fd, asyncio.get_running_loop())
    worker.stop()
    worker.stop()
    os.close(fd)


async def test_totals_outlive_a_worker(lab: Lab) -> None:
    """A worker that takes over a dead one's totals continues its counts; only what was in flight starts at zero."""
    await lab.start(silent)
    busy = await lab.client()
    await busy.send(request(INFER, b"{}", ID))
    await lab.until(lambda: lab.in_flight() == 1)
    settings = msgspec.structs.replace(lab.plane.settings, upstreams=())
    started = lab.reader.scalar("started")
    successor = Worker(settings, lab._totals_fd, lab.loop)
    assert lab.in_flight() == 0
    assert lab.reader.scalar("connections_open") == 0
    await successor.start([])
    assert lab.reader.scalar("started") == started
    successor.stop()
    # The two must not go on writing side by side.
    lab.plane.slots[lab.plane.totals.scalar("connections_open")] = 1
    for number in range(len(lab.reader.label_sets())):
        at = lab.plane.totals.layout.blocks_at + (number + 1) * lab.plane.totals.layout.block_slots - 1
        lab.plane.slots[at] = 1
    busy.reset()


async def test_lag_is_measured(lab: Lab) -> None:
    """A loop that is held up tells so at its next beat."""
    await lab.start(silent)
    assert lab.worker is not None
    lab.worker._due = lab.loop.time() - 0.3
    lab.worker._beat()
    assert lab.reader.scalar("loop_lag") >= 200_000_000
    lab.worker._beat()
    assert lab.reader.scalar("loop_lag") >= 200_000_000, "a beat in time does not hide it"


async def test_new_analysis_takes_over(lab: Lab) -> None:
    """A second link replaces the first; what the first had not acknowledged is lost and counted."""
    await lab.start(serving(ok))
    lab.analysis.tell = lambda _message: None  # type: ignore[method-assign]
    await lab.ask(request(INFER, b"{}", ID))
    await lab.received(1)
    assert lab.reader.scalar("unacknowledged") == 1
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    assert lab.worker is not None
    await lab.worker.attach(ours)
    assert lab.reasons("dropped") == {"analysis_lost": 1}
    assert lab.plane.sender.connected
    theirs.close()
    await lab.until(lambda: not lab.plane.sender.connected)
    lab.analysis.exchanges.clear()
