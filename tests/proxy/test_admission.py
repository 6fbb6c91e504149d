"""Admission: at most so many exchanges at the model, first come first served, bounded waiting, no slot ever lost."""

import asyncio

import msgspec
import pytest

from exporter.proxy.admission import Admission
from exporter.proxy.tap import MAX_BACKLOG
from exporter.records import totals
from tests.proxy.clients import Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import deaf, ok, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"


class Gate:
    """A model that answers a request when told to; keeps what reached it, in order."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._release = asyncio.Semaphore(0)
        self.at_once = self.most = 0

    async def __call__(self, peer: Peer) -> None:
        while (message := await peer.read_message()).head.endswith(b"\r\n\r\n"):
            self.targets.append(message.head.split(b" ")[1].decode().partition("?")[2])
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                await self._release.acquire()
            finally:
                self.at_once -= 1
            await peer.send(answer(message.body))

    def release(self, count: int = 1) -> None:
        for _ in range(count):
            self._release.release()


def infer(name: str, body: bytes = b"{}", *lines: str) -> bytes:
    return request(f"{INFER}?{name}", body, ID, *lines)


async def _queued(lab: Lab, count: int) -> None:
    await lab.until(lambda: lab.reader.scalar("queue_length") == count)


async def _asking(lab: Lab, gate: Gate, names: str) -> list[Peer]:
    """One client per letter, each of which is at the model or in the queue before the next one asks."""
    clients = []
    for name in names:
        client = await lab.client()
        before = lab.in_flight()
        await client.send(infer(name))
        await lab.until(lambda before=before: lab.in_flight() == before + 1)
        clients.append(client)
    return clients


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_first_come_first_served(lab: Lab, limit: int) -> None:
    """No more than `limit` at the model; the rest waits in order, its length and wait are told."""
    gate = Gate()
    await lab.start(gate, max_concurrency=limit)
    clients = await _asking(lab, gate, "abcdefgh")
    await _queued(lab, 8 - limit)
    await lab.until(lambda: len(gate.targets) == limit)
    for done in range(1, 9):
        gate.release()
        await lab.until(lambda done=done: len(gate.targets) == min(8, limit + done))
    for client in clients:
        assert (await client.read_message()).status == 200
    await lab.finished(8)
    assert gate.targets == list("abcdefgh")
    assert gate.most == limit
    count, waited = lab.total("queue_wait")
    assert count == 8
    assert waited > 0


async def test_without_a_limit_there_is_no_queue_wait(lab: Lab) -> None:
    """Queue wait exists only where a limit is set."""
    await lab.start(serving(ok))
    await lab.ask(infer("a"))
    await lab.finished(1)
    assert lab.total("queue_wait") == (0, 0)


@pytest.mark.parametrize("size", [2, MAX_BACKLOG * 8])
async def test_queued_client_that_aborts(lab: Lab, size: int) -> None:
    """It leaves the queue at once, with however much behind its head, and never reaches the model."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    (first,) = await _asking(lab, gate, "a")
    second = await lab.client()
    await second.send(infer("b", b"", f"Content-Length: {size}"))
    await second.send_until_stuck(b"x" * min(size - 1, 65536), size - 65536)
    await _queued(lab, 1)
    second.reset()
    await _queued(lab, 0)
    gate.release()
    assert (await first.read_message()).status == 200
    await lab.finished(2)
    assert lab.outcomes() == {("200", ""): 1, ("none", "abort"): 1}
    third = await lab.client()
    await third.send(infer("c"))
    gate.release()
    assert (await third.read_message()).status == 200
    assert gate.targets == ["a", "c"]


async def test_shed_when_full(lab: Lab) -> None:
    """Over the bound a request gets 503 with Retry-After at once, and a slot is still there for the next."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1, max_queue=1)
    await _asking(lab, gate, "ab")
    await _queued(lab, 1)
    message = await lab.ask(infer("c"))
    assert message.status == 503
    assert b"\r\nRetry-After: 1\r\n" in message.head
    assert b"\r\nConnection: close\r\n" in message.head
    assert b"queue" in message.body
    client = await lab.client()
    await client.send(request(INFER, b"", ID, method="HEAD"))
    head = await client.read_all()
    assert (head[:12], head.endswith(b"\r\n\r\n")) == (b"HTTP/1.1 503", True)
    gate.release(2)
    await lab.finished(4)
    assert lab.outcomes() == {("503", "shed"): 2, ("200", ""): 2}
    assert gate.targets == ["a", "b"]


async def test_shed_body_that_is_still_being_sent(lab: Lab) -> None:
    """What follows a shed head is read and thrown away; none of it reaches the model."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1, max_queue=0)
    await _asking(lab, gate, "a")
    client = await lab.client()
    await client.send(infer("b", b"", "Content-Length: 600000"))
    await client.send(b"x" * 600_000)
    assert (await client.read_message()).status == 503
    assert (await client.receive(), client.over) == (b"", "fin")
    gate.release()
    await lab.finished(2)
    assert lab.model.requests == infer("a")


@pytest.mark.parametrize("later", [False, True])
async def test_shed_in_the_order_of_answers(lab: Lab, later: bool) -> None:
    """A shed request on a connection with an unanswered one gets its 503 after that answer; its body goes nowhere."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1, max_queue=0)
    client = await lab.client()
    second = infer("b", b"", "Content-Length: 5")
    await client.send(infer("a") + second + (b"" if later else b"hello" + infer("c")))
    await lab.until(lambda: gate.targets == ["a"])
    if later:
        await lab.finished(1)
        await client.send(b"hello")
        await client.send(infer("c"))
    gate.release()
    assert (await client.read_message()).status == 200
    assert (await client.read_message()).status == 503
    assert await client.read_all() == b""
    await lab.finished(2)
    assert lab.outcomes() == {("200", ""): 1, ("503", "shed"): 1}
    assert lab.model.requests == infer("a")


async def test_body_behind_a_held_head(lab: Lab) -> None:
    """Of a held request nothing goes out before its head does, however its body arrives."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    (first,) = await _asking(lab, gate, "a")
    second = await lab.client()
    body = bytes(range(256)) * 100
    whole = infer("b", b"", f"Content-Length: {len(body)}") + body
    await second.send_pieces(whole, 1000)
    await _queued(lab, 1)
    assert lab.model.requests == infer("a")
    gate.release(2)
    assert (await first.read_message()).status == 200
    assert (await second.read_message()).body == body
    assert lab.model.requests == infer("a") + whole


async def test_pipelined_behind_a_held_head(lab: Lab) -> None:
    """Requests behind a held one follow it one by one, each through the queue."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    (first,) = await _asking(lab, gate, "a")
    second = await lab.client()
    whole = infer("b") + infer("c", b"x" * 3000) + infer("d")
    await second.send_pieces(whole, 700)
    await _queued(lab, 1)
    gate.release(4)
    await first.read_message()
    assert [(await second.read_message()).body for _ in range(3)] == [b"{}", b"x" * 3000, b"{}"]
    assert gate.targets == list("abcd")
    assert gate.most == 1
    await lab.finished(4)


async def test_many_clients_pipelining_under_a_limit(lab: Lab) -> None:
    """Slots are neither lost nor doubled when every client pipelines."""
    gate = Gate()
    gate.release(10_000)
    await lab.start(gate, max_concurrency=2, max_queue=1000)

    async def one(number: int) -> None:
        client = await lab.client()
        await client.send_pieces(b"".join(infer(f"{number}.{turn}") for turn in range(5)), 60 + number)
        for _ in range(5):
            assert (await client.read_message()).status == 200
        client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
    await lab.finished(100)
    assert lab.outcomes() == {("200", ""): 100}
    assert gate.most <= 2
    for number in range(20):
        mine = [target for target in gate.targets if target.startswith(f"{number}.")]
        assert mine == [f"{number}.{turn}" for turn in range(5)]


async def test_client_that_closes_while_queued(lab: Lab) -> None:
    """A FIN from a queued client is an abort: it leaves the queue at once and never reaches the model."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    await _asking(lab, gate, "a")
    second = await lab.client()
    await second.send(infer("b"))
    await _queued(lab, 1)
    second.fin()
    await _queued(lab, 0)
    assert await second.read_all() == b""
    gate.release()
    await lab.finished(2)
    assert lab.outcomes() == {("200", ""): 1, ("none", "abort"): 1}
    assert lab.model.requests == infer("a")


async def test_half_close_behind_a_queued_request(lab: Lab) -> None:
    """A client that still waits for an answer is not gone: its last request waits on, and its FIN comes last."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    client = await lab.client()
    await client.send(infer("a") + infer("b"))
    await lab.until(lambda: gate.targets == ["a"])
    client.fin()
    await lab.until(lambda: [pair for pair in lab.plane.pairs if pair._client_eof])
    gate.release(2)
    assert [(await client.read_message()).status for _ in range(2)] == [200, 200]
    assert await client.read_all() == b""
    assert lab.model.peers[0].over == "fin"


@pytest.mark.parametrize("status", [503, 429])
async def test_time_in_the_queue_is_bounded(lab: Lab, status: int) -> None:
    """Who waited too long is answered with the configured status, in the order of answers, and counted."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1, queue_timeout=0.05, shed_status=status)
    (first,) = await _asking(lab, gate, "a")
    await first.send(infer("behind"))
    second = await lab.client()
    await second.send(infer("b", b"", "Content-Length: 600000"))
    assert (await second.read_message()).status == status
    await lab.finished(2)
    assert lab.reasons("shed") == {"queue_timeout": 2}
    gate.release()
    assert [(await first.read_message()).status for _ in range(2)] == [200, status]
    await lab.finished(3)
    assert lab.outcomes() == {("200", ""): 1, (str(status), "shed"): 2}
    assert lab.model.requests == infer("a")


async def test_new_bounds_hold_at_once(lab: Lab) -> None:
    """A higher limit lets the queue move, a lower one holds as exchanges end, none lets everybody go."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    await _asking(lab, gate, "abcd")
    assert gate.targets == ["a"]
    lab.plane.configure(msgspec.structs.replace(lab.plane.settings, max_concurrency=3))
    await lab.until(lambda: gate.targets == list("abc"))
    lab.plane.configure(msgspec.structs.replace(lab.plane.settings, max_concurrency=1))
    gate.release(2)
    await lab.finished(2)
    assert gate.targets == list("abc")
    lab.plane.configure(msgspec.structs.replace(lab.plane.settings, max_concurrency=0))
    await lab.until(lambda: gate.targets == list("abcd"))
    gate.release(2)
    await lab.finished(4)


async def test_upgraded_connection_keeps_its_slot(lab: Lab) -> None:
    """What was admitted as a request and became a tunnel is at the model until the connection ends."""

    async def model(peer: Peer) -> None:
        message = await peer.read_message()
        if b"Upgrade" in message.head:
            await peer.send(b"HTTP/1.1 101 Go\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
            await peer.read_all()
        else:
            await peer.send(answer())

    await lab.start(model, max_concurrency=1)
    tunnel = await lab.client()
    await tunnel.send(request(INFER, b"", ID, "Upgrade: echo", "Connection: upgrade", method="GET"))
    assert (await tunnel.read_message()).status == 101
    second = await lab.client()
    await second.send(infer("b"))
    await _queued(lab, 1)
    tunnel.close()
    assert (await second.read_message()).status == 200


ENDS = [
    "answer",
    "stream",
    "client reset",
    "client reset mid-stream",
    "model reset",
    "model fin",
    "early answer",
]


@pytest.mark.parametrize("end", ENDS)
async def test_slot_is_released_at_the_end(lab: Lab, end: str) -> None:
    """The slot is held until the last byte of the answer, and released on every kind of end."""
    go, streaming = asyncio.Event(), asyncio.Event()

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        if b"second" in peer.received:
            return await peer.send(answer(b"second", "200 OK", "Connection: close"))
        if "stream" in end:
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        streaming.set()
        await go.wait()
        if end == "answer":
            await peer.send(answer())
        elif end == "stream":
            await peer.send(chunked([b"last"]))
        elif end == "model reset":
            return peer.reset()
        elif end == "model fin":
            return None
        elif end == "early answer":
            await peer.send(answer(b"", "413 No", "Connection: close"))
            return None
        await peer.read_all()
        return None

    await lab.start(model, max_concurrency=1)
    first = await lab.client()
    await first.send(infer("first", b"", "Content-Length: 9") + (b"" if end == "early answer" else b"x" * 9))
    await streaming.wait()
    second = await lab.client()
    await second.send(infer("second"))
    await _queued(lab, 1)
    assert b"second" not in lab.model.requests
    if end.startswith("client reset"):
        first.reset()
    go.set()
    assert (await second.read_message()).body == b"second"
    await lab.finished(2)


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/iris/ready", "/metrics", "/v2/models/iris"])
async def test_side_operations_bypass(lab: Lab, path: str) -> None:
    """Health, metadata and metrics go to the model when it is full and the queue is too."""

    async def model(peer: Peer) -> None:
        message = await peer.read_message()
        await (deaf(peer) if message.head.startswith(b"POST") else peer.send(answer(b"healthy")))

    await lab.start(model, max_concurrency=1, max_queue=0)
    busy = await lab.client()
    await busy.send(infer("a"))
    await lab.until(lambda: lab.in_flight() == 1)
    assert (await lab.ask(get(path, ID))).body == b"healthy"
    assert (await lab.ask(infer("b"))).status == 503
    busy.reset()


async def test_queued_client_loses_its_model(lab: Lab) -> None:
    """A model that closes an idle connection while the next request on it waits: 503, and the place is given up."""
    answered = asyncio.Event()

    async def model(peer: Peer) -> None:
        message = await peer.read_message()
        if b"?keep" in message.head:
            return await silent(peer)
        await peer.send(answer())
        await answered.wait()
        return peer.fin()

    await lab.start(model, max_concurrency=1)
    client = await lab.client()
    await client.send(infer("one"))
    assert (await client.read_message()).status == 200
    busy = await lab.client()
    await busy.send(infer("keep"))
    await lab.until(lambda: lab.in_flight() == 1)
    await client.send(infer("two"))
    await _queued(lab, 1)
    answered.set()
    assert (await client.read_message()).status == 503
    assert lab.reader.scalar("queue_length") == 0
    busy.reset()
    await lab.finished(3)
    assert lab.outcomes() == {("200", ""): 1, ("503", "refused"): 1, ("none", "abort"): 1}


UNCERTAIN = b"POST /v2/models/iris/infer HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"


async def test_uncertain_framing_fails_closed(lab: Lab) -> None:
    """Where a limit was promised, a request that cannot be followed is refused with 400 and reaches nobody."""
    await lab.start(silent, max_concurrency=1)
    message = await lab.ask(UNCERTAIN)
    assert message.status == 400
    assert b"more than one way" in message.body
    assert lab.model.requests == b""
    assert lab.desyncs() == {"length_repeated": 1}
    client = await lab.client()
    await client.send(b"GET / HTT")
    client.fin()
    assert (await client.read_message()).status == 400


async def test_uncertain_framing_behind_an_exchange_fails_closed(lab: Lab) -> None:
    """What was asked before is answered, then comes the 400; nothing of the uncertain request reaches the model."""
    gate = Gate()
    await lab.start(gate, max_concurrency=1)
    client = await lab.client()
    await client.send(infer("a") + UNCERTAIN)
    await lab.until(lambda: lab.desyncs() == {"length_repeated": 1})
    gate.release()
    assert [(await client.read_message()).status for _ in range(2)] == [200, 400]
    assert await client.read_all() == b""
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.model.requests == infer("a")


def test_queue_by_itself() -> None:
    """The frame of the queue by itself: slots, order, bound and leaving."""
    layout = totals.Layout((1.0,))
    writer = totals.Writer(totals.create(layout), layout)
    order: list[str] = []

    class Ticket:
        def __init__(self, name: str, queued: int = 0) -> None:
            self.name = name
            self.queued = queued

        def admitted(self, now: int) -> None:
            order.append(self.name)

        def expired(self, now: int) -> None:
            order.append(f"{self.name} is late")

        def left(self) -> bool:
            return False

    loop = asyncio.new_event_loop()
    admission = Admission(writer, loop)
    admission.configure(2, 2, 0, 0)
    a, b, c, d = (Ticket(name) for name in "abcd")
    assert [admission.ask(ticket) for ticket in (a, b, c, d, Ticket("e"))] == [True, True, False, False, None]
    admission.leave(a)  # not in the queue: nothing happens
    admission.leave(c)
    admission.release(0)
    assert order == ["d"]
    admission.release(0)
    admission.release(0)
    assert [admission.ask(Ticket(name)) for name in "fgh"] == [True, True, False]
    admission.configure(2, 3, 5, 0)
    assert [admission.ask(Ticket("i", 3_000_000_000)), admission.ask(Ticket("j", 0))] == [False, False]
    admission.configure(2, 3, 5, 5_000_000_000)
    assert order == ["d", "h is late"]
    admission.configure(2, 3, 5, 8_000_000_000)
    assert order == ["d", "h is late", "i is late", "j is late"]
    admission.close()
    loop.close()
