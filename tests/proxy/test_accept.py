"""Accepting within bounds: who has to wait is neither lost nor polled for, and a drain takes in whoever connected."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from exporter.proxy.accept import RESERVE, most_clients
from tests.proxy.clients import Peer, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.secure import SERVING
from tests.proxy.upstreams import ok, serving

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"
ASK = request(INFER, b"{}", ID)


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """This process's own limit, for the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


LIMITS = (
    (1000, 0, (1000 - RESERVE) // 2),
    (1000, 100, 100),
    (1000, 5000, (1000 - RESERVE) // 2),
    (RESERVE + 2, 0, 1),
    (RESERVE - 10, 0, 1),
)


@pytest.mark.parametrize(("soft", "configured", "most"), LIMITS)
def test_how_many_clients(soft: int, configured: int, most: int) -> None:
    """What is configured, never more than descriptors allow, and at least one."""
    with descriptors(soft):
        assert most_clients(configured) == most


def waiting(lab: Lab, count: int = 1) -> list[Peer]:
    """Clients that connected and asked before the loop could accept them."""
    found = []
    for _ in range(count):
        sock = socket.create_connection(lab.address, 10)
        sock.sendall(ASK)
        found.append(Peer(sock))
    lab._peers += found
    return found


async def settled(lab: Lab) -> None:
    """Everything that can be accepted now is; the loop had every reason to go on."""
    assert lab.worker is not None
    await lab.until(lambda: not lab.worker.acceptor._opening)
    for _ in range(5):
        await asyncio.sleep(0.01)


async def test_clients_over_the_bound_wait(lab: Lab) -> None:
    """Never more than the bound are open; the others wait, each is served when one leaves, and the wait is counted."""
    await lab.start(serving(ok), max_connections=3)
    clients = waiting(lab, 7)
    await settled(lab)
    assert len(lab.plane.pairs) == 3
    assert lab.reasons("accept_pauses") == {"max_connections": 1}
    most = 0
    for client in clients:
        assert (await client.read_message()).status == 200
        most = max(most, len(lab.plane.pairs))
        client.close()
    assert most == 3
    assert lab.outcomes() == {("200", ""): 7}


async def test_a_full_house_is_no_pause(lab: Lab) -> None:
    """As many as are allowed and nobody behind them: nothing is counted, and a drain closes the listener at once."""
    await lab.start(serving(ok), max_connections=2)
    clients = waiting(lab, 2)
    await settled(lab)
    assert len(lab.plane.pairs) == 2
    assert lab.reasons("accept_pauses") == {}
    draining = asyncio.ensure_future(drained(lab))
    await asyncio.sleep(0)
    assert lab.worker is not None
    assert not lab.worker.acceptor._listeners
    await draining
    for client in clients:
        assert (await client.read_message()).status == 200


async def test_descriptors_run_out(lab: Lab) -> None:
    """Without a descriptor to accept with, nobody who waits is lost; they are served once there is one."""
    await lab.start(serving(ok))
    clients = waiting(lab, 3)
    free = os.dup(0)
    os.close(free)
    with descriptors(free):
        await lab.until(lambda: lab.reasons("accept_pauses"))
        await settled(lab)
        assert lab.reasons("accept_pauses") == {"descriptors": 1}
        assert lab.worker is not None
        assert lab.worker.acceptor.paused == "descriptors"
        assert not lab.plane.pairs
    for client in clients:
        assert (await client.read_message()).status == 200


async def test_the_bound_changes(lab: Lab) -> None:
    """A higher bound lets in who waits; a lower one sends nobody away, and holds from then on."""
    await lab.start(serving(ok), max_connections=1)
    worker = lab.worker
    assert worker is not None
    first, second, third = waiting(lab, 3)
    await settled(lab)
    worker.configure(msgspec.structs.replace(lab.plane.settings, max_connections=2))
    assert (await first.read_message()).status == 200
    assert (await second.read_message()).status == 200
    worker.configure(msgspec.structs.replace(lab.plane.settings, max_connections=1))
    await settled(lab)
    first.close()
    await lab.until(lambda: len(lab.plane.pairs) == 1)
    await settled(lab)
    await second.send(ASK)
    assert (await second.read_message()).status == 200
    assert third.received == b""
    second.close()
    assert (await third.read_message()).status == 200


async def drained(lab: Lab) -> None:
    assert lab.worker is not None
    async with asyncio.timeout(20):
        await lab.worker.drain()


async def test_a_drain_serves_who_connected_before(lab: Lab) -> None:
    """Clients that were not accepted yet when the drain began are answered like any other; then nobody listens."""
    await lab.start(serving(ok))
    clients = waiting(lab, 50)
    draining = asyncio.ensure_future(drained(lab))
    for client in clients:
        assert (await client.read_message()).status == 200
        client.close()
    await draining
    with pytest.raises(ConnectionRefusedError):
        await lab.client()


async def test_a_drain_at_the_bound(lab: Lab) -> None:
    """Who waits for a place is still let in during a drain; who comes later gets no connection that would be cut."""
    go = asyncio.Event()

    async def model(peer: Peer) -> None:
        while (await peer.read_message()).head.endswith(b"\r\n\r\n"):
            await go.wait()
            await peer.send(answer(b"whole"))

    await lab.start(model, max_connections=1)
    first, second = waiting(lab, 2)
    await lab.until(lambda: lab.in_flight() == 1)
    draining = asyncio.ensure_future(drained(lab))
    assert lab.worker is not None
    await lab.until(lambda: lab.worker.acceptor._finishing)
    with socket.socket() as late:
        late.setblocking(False)
        assert late.connect_ex(lab.address) != 0
        await settled(lab)
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        with pytest.raises(OSError):
            late.getpeername()
    go.set()
    assert (await first.read_message()).body == b"whole"
    assert (await second.read_message()).body == b"whole"
    await draining
    assert lab.outcomes() == {("200", ""): 2}


async def test_a_request_that_a_drain_finds_on_its_way(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that looks idle when the listeners close is given a moment, and its request is answered."""
    monkeypatch.setattr("exporter.proxy.worker.LATE_SECONDS", 0.7)
    await lab.start(serving(ok))
    fresh, kept = await lab.client(), await lab.client()
    await kept.send(ASK)
    assert (await kept.read_message()).status == 200
    await lab.until(lambda: len(lab.plane.pairs) == 2)
    draining = asyncio.ensure_future(drained(lab))
    await asyncio.sleep(0)
    assert lab.worker is not None
    assert not lab.worker.acceptor._listeners
    await asyncio.sleep(0.07)  # the drain looks around more than once
    for client in (fresh, kept):
        client.sock.sendall(ASK)
    for client in (fresh, kept):
        assert (await client.read_message()).status == 200
        assert await client.read_all() == b""
    await draining


async def test_the_end_of_a_grace_refuses_who_waits(lab: Lab) -> None:
    """A drain that cannot let them in within the grace ends all the same."""
    await lab.start(serving(ok), max_connections=1, grace=0.2)
    first = await lab.client()
    await first.send(ASK[:20])
    await lab.until(lambda: any(pair._early or pair.tap for pair in lab.plane.pairs))
    (second,) = waiting(lab)
    await drained(lab)
    await second.read_all()
    assert second.received == b""


async def test_a_pause_watches_no_listener(lab: Lab) -> None:
    """A worker that accepts nobody does not turn its loop for those who wait."""
    await lab.start(serving(ok), max_connections=1)
    first = await lab.client()
    await first.send(get("/v2/health/ready", ID))
    await first.read_message()
    (second,) = waiting(lab)
    await lab.until(lambda: lab.reasons("accept_pauses"))
    assert lab.worker is not None
    for sock in lab.worker.acceptor._listeners:
        assert not lab.loop.remove_reader(sock)
    first.close()
    assert (await second.read_message()).status == 200


async def test_a_handshake_has_a_place(lab: Lab) -> None:
    """With TLS a client counts from its first byte on, and one whose handshake fails gives its place back."""
    await lab.start(serving(ok), tls=SERVING, max_connections=2)
    silent = await lab.client()
    broken = await lab.client()
    await lab.until(lambda: lab.worker is not None and lab.worker.acceptor.open == 2)
    assert not lab.plane.pairs
    third = await lab.client()
    await lab.until(lambda: lab.reasons("accept_pauses") == {"max_connections": 1})
    await broken.send(b"GET / HTTP/1.1\r\n\r\n")
    await broken.read_all()
    assert lab.worker is not None
    await lab.until(lambda: lab.worker.acceptor.paused == "")
    for client in (silent, third):
        client.close()
    await lab.until(lambda: lab.worker.acceptor.open == 0)


async def test_a_drain_waits_for_no_silent_handshake(lab: Lab) -> None:
    """A client that begins no handshake is hung up on like an idle one."""
    await lab.start(serving(ok), tls=SERVING, grace=300.0)
    client = await lab.client()
    await lab.until(lambda: lab.worker is not None and lab.worker.acceptor.opening)
    await drained(lab)
    assert await client.read_all() == b""
