"""Connection pairs: flow control, half-close, endings on either side, and what becomes of a connection's memory."""

import asyncio
import gc
import os
import resource
import socket
import subprocess
import sys

import pytest

from exporter.proxy import pair as pairs
from exporter.proxy.live import Live
from exporter.proxy.pair import HIGH_WATER
from tests.proxy.clients import Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import deaf, echo, ok, saying, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"
BUFFER = 16384  # of the kernel, per socket and direction; it allots about twice that
READ = 256_000  # what uvloop reads at once


# ---------------------------------------------------------------- flow control


async def test_client_that_does_not_read(lab: Lab) -> None:
    """The model is stopped after a bounded number of bytes, and the wait is the client's, not the model's."""
    size, total = 1_500_000, 0
    stuck, done = asyncio.Event(), asyncio.Event()

    async def model(peer: Peer) -> None:
        nonlocal total
        await peer.read_message()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        total = await peer.send_until_stuck(b"x" * 10_000, size)
        stuck.set()
        await peer.send(b"x" * (size - total))
        await done.wait()

    await lab.start(model, send_buffer=BUFFER)
    client = await lab.client(receive_buffer=BUFFER)
    await client.send(request(INFER, b"{}", ID))
    await stuck.wait()
    assert total <= 2 * HIGH_WATER + READ + 8 * BUFFER + 200_000
    assert lab.in_flight() == 1
    assert len((await client.read_message()).body) == size
    done.set()
    await lab.finished(1)
    _, waited = lab.total("client_wait")
    _, duration = lab.total("duration")
    assert 100_000_000 < waited < duration
    assert lab.outcomes() == {("200", ""): 1}


async def test_stalled_client_that_aborts(lab: Lab) -> None:
    """A client that never read and then resets: the model is reset, and the wait until then is counted."""
    reset = asyncio.Event()

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await peer.send_until_stuck(b"x" * 10_000, 20_000_000)
        client.reset()
        await peer.read_all()
        assert peer.over == "reset"
        reset.set()

    await lab.start(model, send_buffer=BUFFER)
    client = await lab.client(receive_buffer=BUFFER)
    await client.send(request(INFER, b"{}", ID))
    await reset.wait()
    await lab.finished(1)
    assert lab.outcomes() == {("200", "abort"): 1}
    assert lab.total("client_wait")[1] > 100_000_000


async def test_model_that_does_not_read(lab: Lab) -> None:
    """The client is stopped while a bounded number of bytes waits; when the model reads on, all of it arrives."""
    go = asyncio.Event()
    size = 40_000_000  # more than all the kernel's buffers hold

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await go.wait()
        assert len(await peer.read_bytes(size)) == size
        await peer.send(answer(b"thanks"))
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(INFER, b"", ID, f"Content-Length: {size}"))
    total = await client.send_until_stuck(b"x" * 100_000, size)
    assert total < size
    (pair,) = lab.plane.pairs
    assert HIGH_WATER < pair.upstream.get_write_buffer_size() <= HIGH_WATER + READ
    go.set()
    await client.send(b"x" * (size - total))
    assert (await client.read_message()).body == b"thanks"
    await lab.finished(1)
    assert lab.total("request_size")[1] == len(request(INFER, b"", ID, f"Content-Length: {size}")) + size


async def test_deadlock_of_two_full_directions(lab: Lab) -> None:
    """Both directions full at once, both read later: everything arrives."""
    size = 40_000_000

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        await peer.send(b"y" * size)
        await peer.read_bytes(size)
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(INFER, b"", ID, f"Content-Length: {size}"))
    sending = asyncio.ensure_future(client.send(b"x" * size))
    await lab.until(lambda: lab.plane.pairs)
    (pair,) = lab.plane.pairs
    await lab.until(lambda: all(side and side.get_write_buffer_size() > HIGH_WATER for side in _sides(pair)))
    assert (await client.read_message()).body == b"y" * size
    await sending
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}


def _sides(pair: pairs.Pair) -> list[asyncio.Transport | None]:
    return [pair.client, pair.upstream]


LARGE = """
import asyncio, resource, socket, sys
import uvloop
from exporter.proxy.settings import Settings, Upstream
from exporter.proxy.worker import Worker
from exporter.records import totals

async def main():
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.setblocking(False)
    layout = totals.Layout(Settings(upstreams=()).latency_buckets)
    settings = Settings(upstreams=(Upstream(host="127.0.0.1", port=int(sys.argv[2])),))
    worker = Worker(settings, totals.create(layout), asyncio.get_running_loop())
    await worker.start([sock])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(grown, *worker.plane.totals.slots[: worker.plane.totals.layout.connections_at])

uvloop.run(main())
"""


async def test_body_of_200_mb(lab: Lab) -> None:
    """200 MB each way pass through a process that grows by a few MB, and count as too large to keep."""
    size, piece = 200_000_000, bytes(range(250)) * 4000

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        left = size - peer.ahead
        while left:
            data = await peer.loop.sock_recv(peer.sock, min(left, 1 << 20))
            left -= len(data)
        await peer.send(answer(b"", "200 OK").replace(b"Content-Length: 0", b"Content-Length: %d" % size))
        for _ in range(size // len(piece)):
            await peer.send(piece)
        await peer.read_all()

    await lab.start(model)
    listening = socket.create_server(("127.0.0.1", 0))
    os.set_inheritable(listening.fileno(), True)
    process = subprocess.Popen(
        [sys.executable, "-c", LARGE, str(listening.fileno()), str(lab.model.address[1])],
        pass_fds=[listening.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        lab.address = listening.getsockname()
        client = await lab.client()
        await client.send(request(INFER, b"", ID, f"Content-Length: {size}"))
        for _ in range(size // len(piece)):
            await client.send(piece)
        await client.read_to(b"\r\n\r\n")
        left = size - client.ahead
        while left:
            data = await client.loop.sock_recv(client.sock, 1 << 20)
            assert data, "cut"
            left -= len(data)
        client.close()
        out, _ = await lab.loop.run_in_executor(None, process.communicate)
    finally:
        process.kill()
        process.wait()
        listening.close()
    grown_kib, *slots = map(int, out.split())
    assert grown_kib < 16_000
    at = lab.plane.totals.reason("captures", "too_large")
    assert slots[at] == 2
    assert slots[lab.plane.totals.reason("capture_bytes", "too_large")] == 2 * size


# ---------------------------------------------------------------- endings


async def test_half_close_by_the_client(lab: Lab) -> None:
    """FIN after the request goes on as FIN; the full answer comes back, then the model's FIN."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        assert await peer.receive() == b""
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000)
        peer.fin()

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID))
    client.fin()
    assert len((await client.read_message()).body) == 500_000
    assert client.over == "fin"
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 1}


async def test_half_close_by_the_model(lab: Lab) -> None:
    """The model's FIN goes on as FIN while the client may still send; its bytes arrive."""

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nearly")
        peer.fin()
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(INFER, b"", ID, "Content-Length: 2000"))
    assert (await client.read_message()).body == b"early"
    assert client.over == "fin"
    await client.send(b"x" * 1000)
    await client.send(b"x" * 1000)
    client.fin()
    await lab.idle()
    await lab.until(lambda: lab.model.peers[0].over == "fin")
    assert lab.model.requests.endswith(b"x" * 2000)
    assert lab.outcomes() == {("200", ""): 1}


async def test_connection_closes_if_the_client_closes(lab: Lab) -> None:
    """An idle connection that the client closes is closed towards the model, at once."""
    await lab.start(serving(ok))
    client = await lab.client()
    await client.send(get("/a", ID))
    await client.read_message()
    client.close()
    await lab.until(lambda: lab.model.peers[0].over == "fin")
    await lab.idle()


async def test_connection_that_never_speaks(lab: Lab) -> None:
    """A connection without a byte counts as such, and a RST before any byte reaches the model as one."""
    await lab.start(silent)
    for _ in range(2):
        client = await lab.client()
        await lab.until(lambda: lab.model.peers and lab.plane.pairs)
        client.close()
        await lab.idle()
    client = await lab.client()
    await lab.until(lambda: len(lab.model.peers) == 3)
    client.reset()
    await lab.until(lambda: lab.model.peers[2].over == "reset")
    await lab.idle()
    assert lab.connections() == {"none": (3, 0, 0)}


@pytest.mark.parametrize("side", ["client", "model"])
async def test_reset_of_an_opaque_relay(lab: Lab, side: str) -> None:
    """A reset is a reset on the other side, also where nothing is followed."""

    async def model(peer: Peer) -> None:
        await peer.send(b"hello")
        await peer.read_bytes(5)
        if side == "model":
            peer.reset()
        else:
            await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.read_bytes(5)
    await client.send(b"hello")
    if side == "client":
        await lab.until(lambda: lab.model.requests == b"hello")
        client.reset()
        await lab.until(lambda: lab.model.peers[0].over == "reset")
    else:
        assert await client.read_all() == b""
        assert client.over == "reset"


async def test_abort_is_passed_on_while_the_model_computes(lab: Lab) -> None:
    """The model sees the reset of its client while it has not answered, so that it can stop."""
    await lab.start(silent)
    client = await lab.client()
    await client.send(request(INFER, b"{}", ID))
    await lab.until(lambda: lab.model.requests)
    client.reset()
    await lab.until(lambda: lab.model.peers[0].over == "reset")


async def test_half_closed_without_progress_ends(lab: Lab) -> None:
    """A half-closed connection on which nothing is under way and nothing moves ends after its time."""
    await lab.start(deaf)
    client = await lab.client()
    client.fin()
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._client_eof and pair.upstream])
    lab.later(59)
    assert lab.plane.pairs
    lab.later(30)
    assert await client.read_all() == b""
    await lab.idle()
    assert lab.reasons("timeouts") == {"half_closed": 1}


async def test_half_closed_by_the_model_ends(lab: Lab) -> None:
    """Where the model sends no more, a client that just stays does not keep the connection, request or not."""

    async def model(peer: Peer) -> None:
        peer.fin()
        await deaf(peer)

    await lab.start(model)
    client = await lab.client()
    assert await client.receive() == b""
    await client.send(get("/a", ID))
    await lab.until(lambda: lab.in_flight() == 1)
    for _ in range(3):
        lab.later(61)
    await lab.idle()
    assert lab.outcomes() == {("none", "reset"): 1}


async def test_half_closed_with_an_exchange_under_way_stays(lab: Lab) -> None:
    """A model may compute for longer than a half-closed connection may idle."""
    ready = asyncio.Event()

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await ready.wait()
        await peer.send(answer(b"late"))
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID))
    client.fin()
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._client_eof])
    for _ in range(10):
        lab.later(61)
    ready.set()
    assert (await client.read_message()).body == b"late"
    assert lab.reasons("timeouts") == {}


async def test_reset_behind_a_fin(lab: Lab) -> None:
    """The loop does not report a reset after a FIN; a look every second finds it, and the exchange is an abort."""
    await lab.start(deaf)
    client = await lab.client()
    await client.send(get("/a", ID))
    client.fin()
    await lab.until(lambda: lab.in_flight() == 1)
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._client_eof])
    client.reset()
    await lab.until(lambda: lab.later(1) or not lab.plane.pairs)
    assert lab.outcomes() == {("none", "abort"): 1}


async def test_cut_body_never_looks_complete(lab: Lab) -> None:
    """A body that would end with the connection, cut by a reset, ends with a reset for the client too."""
    await lab.start(saying(b"HTTP/1.1 200 OK\r\n\r\npart", then="reset"))
    for _ in range(20):
        client = await lab.client()
        await client.send(get("/a", ID))
        await client.read_all()
        assert client.over == "reset"
    await lab.idle()
    assert lab.outcomes() == {("200", "incomplete"): 20} or lab.outcomes().keys() <= {
        ("200", "incomplete"),
        ("none", "reset"),
    }


# ---------------------------------------------------------------- nothing is left behind


async def _visit(lab: Lab, number: int) -> None:
    client = await lab.client()
    kind = number % 10
    if kind == 0:
        await client.send(get("/a", ID))
        await client.read_message()
    elif kind == 1:
        await client.send(request(INFER, b"x" * 100_000, ID))
        client.reset()
        return
    elif kind == 2:
        await client.send(b"\x16\x03\x01\x00\x05hello")
    elif kind == 3:
        await client.send(b"nonsense\n\n" + get("/a"))
    elif kind == 4:
        client.fin()
        await client.read_all()
    elif kind == 5:
        await client.send(get("/drop", ID))
        await client.read_all()
    elif kind == 6:
        await client.send(get("/a", ID) * 5)
        client.fin()
        await client.read_all()
    elif kind == 7:
        await client.send(request(INFER, b"", ID, "Transfer-Encoding: chunked") + chunked([b"a"]) + b"GET")
    elif kind == 8:
        client.reset()
        return
    client.close()


async def _model(peer: Peer) -> None:
    while (message := await peer.read_message()).head.endswith(b"\r\n\r\n"):
        if b"/drop" in message.head:
            return peer.reset()
        await peer.send(ok(message))
    return None


def _alive(kind: type) -> int:
    return sum(type(one) is kind for one in gc.get_objects())


@pytest.mark.parametrize("limit", [0, 3])
async def test_nothing_is_left_of_300_connections(lab: Lab, limit: int) -> None:
    """Pairs die without the collector, descriptors return to where they were, no task or callback complains."""
    await lab.start(_model, max_concurrency=limit)
    descriptors = len(os.listdir("/proc/self/fd"))
    gc.collect()
    gc.disable()
    try:
        for start in range(0, 300, 30):
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + 30):
                    group.create_task(_visit(lab, number))
        await lab.idle()
        await lab.until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
        await lab.until(lambda: not _alive(pairs.Pair) and not _alive(Live))
    finally:
        gc.enable()
    assert sum(count for count, _, _ in lab.connections().values()) == 300
    assert lab.in_flight() == 0


async def test_client_that_leaves_while_the_model_is_dialled(lab: Lab) -> None:
    """Clients that are gone before the model's side stands leave nothing behind, on any turn of the loop."""
    await lab.start(silent)
    descriptors = len(os.listdir("/proc/self/fd"))
    for turns in range(60):
        client = await lab.client()
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        client.reset()
    await lab.idle()
    await lab.until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    assert await _echoes(lab)


async def _echoes(lab: Lab) -> bool:
    lab.model.script = echo
    client = await lab.client()
    await client.send(b"\x16\x03\x01bytes")
    return await client.read_bytes(8) == b"\x16\x03\x01bytes"
