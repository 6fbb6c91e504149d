"""Bounds on time of a connection: what ends, what stays, what is said, what is counted. Time is an argument."""

import asyncio

import msgspec
import pytest

from tests.proxy.clients import Peer, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import deaf, echo, ok, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"


@pytest.mark.parametrize("mode", ["observe", "annotate", "gate", "strict"])
async def test_head_that_does_not_become_whole(lab: Lab, mode: str) -> None:
    """The beginning of a head gets 408 when its time is over, however it drips, and reaches no model."""
    await lab.start(serving(ok), mode=mode)
    client = await lab.client()
    await client.send(b"GET / HTTP/1.1\r\n")
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair.tap is not None and pair.tap.holding])
    lab.later(20)
    await client.send(b"Host: a\r\n")
    lab.later(9)
    assert lab.reasons("timeouts") == {}
    lab.later(3)
    assert (await client.read_message()).status == 408
    assert await client.read_all() == b""
    assert lab.reasons("timeouts") == {"header": 1}
    assert lab.model.requests == b""


async def test_client_that_says_nothing(lab: Lab) -> None:
    """A connection without a byte ends in silence after the same time."""
    await lab.start(serving(ok))
    client = await lab.client()
    await lab.until(lambda: lab.plane.pairs)
    lab.later(31)
    assert await client.read_all() == b""
    assert client.over == "fin"
    assert lab.reasons("timeouts") == {"header": 1}


async def test_head_behind_an_exchange_waits_for_it(lab: Lab) -> None:
    """While the model works on the request before, the beginning of the next head may wait."""
    go = asyncio.Event()

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await go.wait()
        await peer.send(answer(b"late"))
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID) + b"GET")
    await lab.until(lambda: lab.in_flight() == 1)
    lab.later(300)
    assert lab.reasons("timeouts") == {}
    go.set()
    assert (await client.read_message()).body == b"late"
    await lab.finished(1)
    lab.later(61)
    assert (await client.read_message()).status == 408


async def test_heads_in_time_are_no_concern(lab: Lab) -> None:
    """A connection that asks now and then lives for good; its idle time is the model's to bound."""
    await lab.start(serving(ok))
    client = await lab.client()
    for _ in range(5):
        await client.send(get("/a", ID))
        assert (await client.read_message()).status == 200
        lab.later(100)
    await lab.finished(5)
    assert lab.reasons("timeouts") == {}


async def test_idle_connection(lab: Lab) -> None:
    """With an idle timeout a connection between two requests ends, one that works does not."""
    await lab.start(silent, idle_timeout=10.0)
    busy = await lab.client()
    await busy.send(get("/a", ID))
    await lab.until(lambda: lab.in_flight() == 1)
    for _ in range(5):
        lab.later(11)
    assert lab.reasons("timeouts") == {}
    busy.close()
    await lab.idle()


async def test_idle_connection_ends(lab: Lab) -> None:
    """Both sides are closed with FIN."""
    await lab.start(serving(ok), idle_timeout=10.0)
    client = await lab.client()
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    await lab.finished(1)
    for _ in range(6):
        lab.later(9)
    assert (await client.receive(), client.over) == (b"", "fin")
    assert lab.reasons("timeouts") == {"idle": 1}


async def test_tunnel_without_a_byte(lab: Lab) -> None:
    """An upgraded connection lives as long as something moves, and ends after its time of silence."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(b"HTTP/1.1 101 Go\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
        await echo(peer)

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID, "Upgrade: echo", "Connection: upgrade"))
    assert (await client.read_message()).status == 101
    for _ in range(5):
        lab.later(1800)
        await client.send(b"ping")
        assert await client.read_bytes(4) == b"ping"
    for _ in range(6):
        lab.later(1800)
    assert await client.read_all() == b""
    assert lab.reasons("timeouts") == {"tunnel": 1}


async def test_client_that_takes_nothing(lab: Lab) -> None:
    """A client that reads nothing for the whole time is reset, and the exchange is an abort."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send_until_stuck(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 16), 8 << 20)
        await peer.read_all()

    await lab.start(model, send_buffer=1 << 14)
    client = await lab.client(receive_buffer=1 << 12)
    await client.send(get("/a", ID))
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._full])
    lab.later(2)
    lab.later(290)
    assert lab.reasons("timeouts") == {}
    lab.later(20)
    lab.later(300)
    await lab.finished(1)
    assert lab.reasons("timeouts") == {"write": 1}
    assert lab.outcomes() == {("200", "abort"): 1}


async def test_model_that_takes_nothing(lab: Lab) -> None:
    """A model that reads nothing for the whole time times out."""
    await lab.start(deaf, send_buffer=1 << 14)
    client = await lab.client()
    await client.send(request(INFER, b"", ID, "Content-Length: 100000000"))
    await client.send_until_stuck(b"x" * (1 << 16), 64 << 20)
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._full])
    for _ in range(4):
        lab.later(200)
    await lab.finished(1)
    assert lab.reasons("timeouts") == {"write": 1}
    assert lab.outcomes() == {("none", "timeout"): 1}


async def test_time_in_which_the_process_stood_still(lab: Lab) -> None:
    """A process that was stopped for longer than a bound ends nobody for it."""
    await lab.start(serving(ok), idle_timeout=10.0)
    plane = lab.plane
    plane.beat(plane._beat_at)  # so that the worker's own beats do not matter below
    client = await lab.client()
    await client.send(b"GET / HT")
    await lab.until(lambda: [pair for pair in plane.pairs if pair.tap is not None and pair.tap.holding])
    plane.beat(plane._beat_at + 60_000_000_000)
    assert lab.reasons("timeouts") == {}
    await client.send(b"TP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_message()).status == 200


async def test_idle_bound_without_one_for_heads(lab: Lab) -> None:
    """Each bound holds by itself, also when it is set while connections are open."""
    await lab.start(serving(ok), header_timeout=0.0)
    client = await lab.client()
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    await lab.finished(1)
    lab.later(1000)
    assert lab.reasons("timeouts") == {}
    lab.plane.configure(msgspec.structs.replace(lab.plane.settings, idle_timeout=10.0))
    for _ in range(6):
        lab.later(9)
    assert (await client.receive(), client.over) == (b"", "fin")
    second = await lab.client()
    await second.send(get("/a", ID))
    assert (await second.read_message()).status == 200
    await lab.finished(2)
    for _ in range(6):
        lab.later(9)
    assert (await second.receive(), second.over) == (b"", "fin")
    assert lab.reasons("timeouts") == {"idle": 2}
