"""Rows 6 to 11: full duplex, half-close, reset by the client, readers and writers that are slow or stop, slices."""

import asyncio
from typing import NamedTuple

from tests.faults import kernel
from tests.faults.ends import End
from tests.faults.framings import CHUNKED, LENGTH, SSE, Framing, frame
from tests.faults.place import OUTLASTS, TIGHT, Places, together, until
from tests.faults.rows.common import unwanted
from tests.faults.stage import Stage, staged
from tests.faults.toxics import BlackHole, Latency, Slicer, SlowReader, SlowWriter, ZeroWindow
from tests.proxy.clients import chunked

Framings = tuple[Framing, ...]
# What the sidecar may keep of one direction: its high-water mark, and one read of the event loop on top of it.
BUFFERED = 65536 + 256_000
FLOOD = 64 << 20


async def full_duplex(places: Places, framings: Framings) -> None:
    """Row 6: each part of the body is sent when the answer to the part before is there: nothing waits for the end."""
    async with staged(await places.shared()) as stage:
        await together(*(duplex(stage, framing) for framing in framings), stage.alive())


async def duplex(stage: Stage, framing: Framing) -> None:
    parts = _parts(framing, 12)
    size = sum(map(len, parts))
    head = framing.pieces[0].replace(b"Content-Length: ", b"X-Was: ")
    if not framing.chunked and framing.spoken == "http1":
        head = head[:-2] + b"Content-Length: %d\r\n\r\n" % size

    async def script(model: End) -> None:
        await model.read_to(b"\r\n\r\n")
        await model.send(head)
        while data := await model.next():
            await model.send(data)

    async def play(client: End, case: str) -> None:
        await client.send(framing.opening(case, size))
        assert await client.read_bytes(len(head)) == head
        for part in parts:
            await client.send(part)
            assert await client.read_bytes(len(part)) == part

    late = (Latency(0.002),)
    got = await stage.both(script, play, near=late, far=late, framing=framing, spoken=framing.spoken)
    assert got.received == head + b"".join(parts)
    stage.ledger.exchange(framing.labels, framing.code)


def _parts(framing: Framing, count: int) -> list[bytes]:
    """A body in parts that each can be answered."""
    words = [b"part %d " % number for number in range(count)]
    if framing.spoken == "upgraded":
        return [frame(word, masked=True) for word in words]
    if framing.chunked:
        return [*(chunked([word])[:-5] for word in words), b"0\r\n\r\n"]
    return words


async def half_close(places: Places, framings: Framings) -> None:
    """Row 7: FIN goes on as FIN, what the other side still says arrives, and a bound ends what nobody ends."""
    async with staged(await places.shared(*TIGHT)) as stage:
        await together(
            *(half_closing_client(stage, framing) for framing in framings),
            *(_half_closing_model(stage, framing) for framing in framings),
            *(_nobody_closes(stage, framing) for framing in framings if framing in (LENGTH, CHUNKED, SSE)),
            stage.alive(),
        )


async def half_closing_client(stage: Stage, framing: Framing) -> None:
    async def script(model: End) -> None:
        await framing.take(model)
        first = framing.head if framing.spoken == "upgraded" else 0
        if first:
            await model.send(framing.answer[:first])
        assert await model.ended() == "fin"
        await model.send(framing.answer[first:])

    async def play(client: End, case: str) -> None:
        await client.send(framing.request(case))
        if framing.spoken == "upgraded":
            await client.read_bytes(framing.head)
        client.fin()
        await client.read_all()

    got = await stage.both(script, play, framing=framing, spoken=framing.spoken)
    assert (got.received, got.over) == (framing.answer, "fin")
    stage.ledger.exchange(framing.labels, framing.code)


async def _half_closing_model(stage: Stage, framing: Framing) -> None:
    """The client neither says more nor closes."""

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        model.fin()
        await model.read_all()

    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(case))
    assert await client.ended() == "fin"
    assert bytes(client.received) == framing.answer
    model = await stage.met(case)
    await until(lambda: model.over, "the half-closed connection ends by its bound")
    stage.ledger.exchange(framing.labels, framing.code)
    stage.ledger.entry("timeouts", "half_closed")


async def _nobody_closes(stage: Stage, framing: Framing) -> None:
    """Everything is answered, the client ended, the model does not. (What is under way has no such bound: row 2.)"""

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        await model.read_all()
        await over.wait()

    over = asyncio.Event()
    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.request(case))
    await client.read_bytes(len(framing.answer))
    client.fin()
    await client.read_all()
    over.set()
    stage.ledger.exchange(framing.labels, framing.code, "")
    stage.ledger.entry("timeouts", "half_closed")


async def reset_by_client(places: Places, framings: Framings) -> None:
    """Row 8: RST goes on as RST at every moment, also while the sidecar does not read the client."""
    async with staged(await places.shared()) as stage:
        await together(
            *(reset_at(stage, framing, at) for framing in framings for at in ("request", "head", "stream")),
            *(_reset_paused(stage, framing) for framing in framings),
            *(_reset_unread(stage, framing) for framing in framings),
            stage.alive(),
        )


async def reset_at(stage: Stage, framing: Framing, at: str) -> None:
    sent = {"request": 0, "head": framing.head, "stream": framing.head + len(framing.pieces[1])}[at]

    async def script(model: End) -> None:
        await framing.take(model)
        if sent:
            await model.send(framing.answer[:sent])
        await model.read_all()

    case = stage.case(script)
    client = await stage.client(spoken=framing.ended_as(sent))
    await client.send(framing.request(case))
    model = await stage.met(case)
    await until(lambda: model.received.endswith(framing.request(case)[-10:]), "the request arrives")
    assert await client.read_bytes(sent) == framing.answer[:sent]
    client.reset()
    await until(lambda: model.over, "the reset arrives")
    assert model.over == "reset"
    stage.ledger.carried(client, model)
    done = framing.spoken == "upgraded" and sent
    stage.ledger.exchange(framing.labels, framing.code if sent else "none", "" if done else "abort")


async def _reset_paused(stage: Stage, framing: Framing) -> None:
    """The model reads nothing, so the sidecar does not read the client: the loop tells it nothing of the RST."""

    async def script(model: End) -> None:
        await model.read_to(b"\r\n\r\n")
        if framing.spoken == "upgraded":
            await model.send(framing.pieces[0])
        await asyncio.Event().wait()

    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.opening(case, FLOOD))
    model = await stage.met(case)
    if framing.spoken == "upgraded":
        await client.read_bytes(framing.head)
    piece = chunked([b"x" * 65000])[:-5] if framing.chunked else b"x" * 65000
    await client.send_until_stuck(piece, FLOOD)
    client.reset()
    await until(lambda: kernel.is_reset(model.sock), "the reset arrives at a model that does not read")
    if framing.spoken == "upgraded":
        stage.ledger.exchange(framing.labels, framing.code)
    else:
        stage.ledger.exchange(framing.labels, "none", "abort")
        stage.ledger.entry("captures", "too_large")


async def _reset_unread(stage: Stage, framing: Framing) -> None:
    """The client reads nothing, so the sidecar does not read the model."""
    client, model = await _flooded(stage, framing)
    client.reset()
    await until(lambda: kernel.is_reset(model.sock), "the reset arrives at a model that is not read")
    _flood_counted(stage, framing)


def _endless(framing: Framing) -> tuple[bytes, bytes]:
    """Head and repeated part of an answer that does not end."""
    head = framing.pieces[0].replace(b"Content-Length: %d" % len(framing.answer[framing.head :]), b"%b")
    if b"%b" in head:
        return head.replace(b"%b", b"Content-Length: %d" % FLOOD), b"x" * 65536
    return head, chunked([b"x" * 65000])[:-5] if b"chunked" in head else b"x" * 65536


async def _flooded(stage: Stage, framing: Framing) -> tuple[End, End]:
    """An answer that nobody reads, sent until every buffer is full."""
    head, piece = _endless(framing)

    async def script(model: End) -> None:
        await framing.take(model)
        try:
            await model.send(head)
            await model.send_until_stuck(piece, FLOOD)
        finally:
            full.set()
        await asyncio.Event().wait()

    full = asyncio.Event()
    case = stage.case(script)
    client = await stage.client(ZeroWindow(receive_buffer=1 << 18), spoken=framing.spoken)
    await client.send(framing.request(case))
    await full.wait()
    return client, stage.model.ends[case]


def _flood_counted(stage: Stage, framing: Framing) -> None:
    if framing.spoken == "upgraded":
        stage.ledger.exchange(framing.labels, framing.code)
        return
    stage.ledger.exchange(framing.labels, framing.code, "abort")
    # Of a stream of events the head and the tail are kept.
    stage.ledger.entry("captures", "stream_middle" if framing.name == "sse" else "too_large")


async def slow_reader(places: Places, framings: Framings) -> None:
    """Row 9: what waits for a client that does not read is bounded, and so is how long; one that is slow is served."""
    place, tight = await places.shared(), await places.shared(*TIGHT)
    async with staged(place) as stage, staged(tight) as bounded:
        await together(
            *(_zero_window(stage, framing) for framing in framings),
            *(_given_up(bounded, framing) for framing in framings),
            _slow_but_there(bounded),
            stage.alive(),
            bounded.alive(),
        )


async def _zero_window(stage: Stage, framing: Framing) -> None:
    """Between the model's write calls and the client's reads there is what the kernel holds, and no more than a bound.

    The client reads a little in between: then there is more to be read than any buffer holds, and it stops again.
    """
    client, model = await _flooded(stage, framing)
    patient = End(client.sock)
    patient.received = client.received
    while len(patient.received) < 2 << 20:
        assert await patient.receive(), patient.over
    ports = _Ports(
        stage.place.sidecar.listen,
        client.sock.getsockname()[1],
        model.sock.getpeername()[1],
        stage.model.address[1],
    )
    seen: list[int] = []

    def still() -> bool:
        # Bytes may go on trickling from one buffer of the kernel into the next: what is in none of them does not.
        seen.append(len(model.outgoing) - len(client.received) - ports.held())
        return len(set(seen[-10:])) == 1 and len(seen) > 10

    await until(still, "nothing moves in the sidecar", pause=0.01)
    assert 0 <= seen[-1] <= BUFFERED, f"{framing.name}: {seen[-1]} bytes in the sidecar"
    client.reset()
    _flood_counted(stage, framing)


class _Ports(NamedTuple):
    """Of one client's connection, and of the one behind it."""

    listening: int
    near: int
    far: int
    model: int

    def held(self) -> int:
        """Bytes in the four buffers of the kernel through which an answer goes."""
        queues = kernel.all_queues()
        return (
            queues[self.model, self.far].unsent
            + queues[self.far, self.model].unread
            + queues[self.listening, self.near].unsent
            + queues[self.near, self.listening].unread
        )


async def _given_up(stage: Stage, framing: Framing) -> None:
    """Zero window for longer than the bound: both sides are reset."""
    client, model = await _flooded(stage, framing)
    await until(lambda: kernel.is_reset(model.sock), "the bound on writing ends it")
    await until(lambda: kernel.is_reset(client.sock), "the client is reset")
    _flood_counted(stage, framing)
    stage.ledger.entry("timeouts", "write")


async def _slow_but_there(stage: Stage) -> None:
    """Takes a little now and then, for longer than the bound, then all the rest: every byte arrives."""
    size = 8 << 20
    body = bytes(range(256)) * (size // 256)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size

    async def script(model: End) -> None:
        await LENGTH.take(model)
        await model.send(head)
        for start in range(0, size, 1 << 18):
            await model.send(body[start : start + (1 << 18)])
        await model.read_all()

    case = stage.case(script)
    slow = SlowReader(1 << 16, 0.1, receive_buffer=1 << 18)
    client = await stage.client(slow)
    await client.send(LENGTH.request(case))
    for _ in range(20):
        await client.receive()
    patient = End(client.sock)
    patient.received = client.received
    while len(patient.received) < len(head) + size:
        assert await patient.receive(1 << 20), patient.over
    assert patient.received == head + body
    stage.ledger.exchange(LENGTH.labels)
    stage.ledger.entry("captures", "too_large")


async def slow_writer(places: Places, framings: Framings) -> None:
    """Row 10: a head that drips is bounded, a body that drips is not, and single bytes everywhere change nothing."""
    place, tight = await places.shared(), await places.shared(*TIGHT)
    async with staged(place) as stage, staged(tight) as bounded:
        await together(
            *(_sliced(stage, framing) for framing in framings),
            *(_dripping_head(bounded, framing) for framing in framings),
            *(_dripping_body(bounded, framing) for framing in framings if framing.body),
            _mute(bounded),
            _long_head(stage),
            stage.alive(),
            bounded.alive(),
        )


async def _exchange(
    stage: Stage, framing: Framing, near: Slicer | SlowWriter, far: Slicer | SlowWriter
) -> None:
    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        if framing.further:
            assert await model.read_bytes(len(framing.further)) == framing.further

    async def play(client: End, case: str) -> None:
        await client.send(framing.request(case))
        await client.read_bytes(framing.head)
        await client.send(framing.further)
        await client.read_all()

    got = await stage.both(script, play, near=(near,), far=(far,), framing=framing, spoken=framing.spoken)
    assert got.received == framing.answer
    stage.ledger.exchange(framing.labels, framing.code)


async def _sliced(stage: Stage, framing: Framing) -> None:
    """Segments of one byte in both directions on both sides."""
    await _exchange(stage, framing, Slicer(1), Slicer(1))


async def _dripping_head(stage: Stage, framing: Framing) -> None:
    """Each byte comes in time, the head does not."""
    client = await stage.client(SlowWriter(4, 0.1))
    head = framing.request(stage.case(unwanted))
    drip = asyncio.ensure_future(client.send(head[:200] + b"X-Padding: " + b"x" * 400))
    message = await client.read_message()
    assert message.status == 408
    assert await client.ended() == "fin"
    drip.cancel()
    await asyncio.gather(drip, return_exceptions=True)
    stage.ledger.entry("timeouts", "header")


async def _mute(stage: Stage) -> None:
    """A client that says nothing at all is let go in silence."""
    client = await stage.client(spoken="none")
    assert await client.ended() == "fin"
    assert not client.received
    stage.ledger.entry("timeouts", "header")


async def _dripping_body(stage: Stage, framing: Framing) -> None:
    """A request body and an answer that take longer than every bound, chunk lines byte by byte."""
    pause = OUTLASTS / len(framing.body)

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)

    case = stage.case(script)
    client = await stage.client()
    request = framing.request(case)
    await client.send(request[: -len(framing.body)])
    for byte in framing.body:
        await client.send(bytes([byte]))
        await asyncio.sleep(pause)
    await client.read_all()
    assert bytes(client.received) == framing.answer
    stage.ledger.carried(client, stage.model.ends[case], whole=True)
    stage.ledger.exchange(framing.labels)


async def _long_head(stage: Stage) -> None:
    """A head near the bound in small segments: what it costs grows with its bytes and not with their square."""
    costs = []
    root = stage.place.sidecar.root
    for size in (6_000, 48_000):

        async def script(model: End) -> None:
            await LENGTH.take(model)
            await model.send(LENGTH.answer)

        case = stage.case(script)
        client = await stage.client(Slicer(16))
        spent = kernel.cpu_seconds(root)
        await client.send(LENGTH.request(case, "X-Padding: " + "x" * size))
        assert await client.read_bytes(len(LENGTH.answer)) == LENGTH.answer
        costs.append(kernel.cpu_seconds(root) - spent)
        client.close()
        stage.ledger.exchange(LENGTH.labels)
    # 8 times the bytes: linear is 8 times the cost, quadratic 64; the wide bound is for what else the loop had to do.
    assert costs[1] < 32 * costs[0] + 0.1, costs


async def sliced_everywhere(places: Places, framings: Framings) -> None:
    """Row 11: a cut at every offset of request and answer alike: the same bytes, the same counts."""
    async with staged(await places.shared()) as stage:
        await together(*(_at_every_offset(stage, framing) for framing in framings), stage.alive())


async def _at_every_offset(stage: Stage, framing: Framing) -> None:
    length = len(framing.request("t1000-1000"))

    async def lane(start: int) -> None:
        offsets = range(start, length, 8)

        async def script(model: End) -> None:
            for offset in offsets:
                await framing.take(model)
                await _send_cut(model, framing.answer, offset * len(framing.answer) // length)

        case = stage.case(script)
        client = await stage.client()
        for offset in offsets:
            request = framing.request(stage.further(case, offset))
            await _send_cut(client, request, offset)
            assert await client.read_bytes(len(framing.answer)) == framing.answer
        client.close()
        stage.ledger.carried(client, stage.model.ends[case], whole=True)
        stage.ledger.exchange(framing.labels, times=len(offsets))

    await together(*(lane(start) for start in range(8)))


async def _send_cut(end: End, data: bytes, at: int) -> None:
    await end.send(data[:at])
    await asyncio.sleep(0.001)
    await end.send(data[at:])


async def black_hole(places: Places, framings: Framings) -> None:
    """Row 9, the other way: a model that neither reads nor says anything."""
    async with staged(await places.shared()) as stage:
        await together(*(_hole(stage, framing) for framing in framings), stage.alive())


async def _hole(stage: Stage, framing: Framing) -> None:
    async def script(model: End) -> None:
        await asyncio.Event().wait()

    case = stage.case(script, BlackHole())
    client = await stage.client()
    await client.send(framing.request(case))
    model = await stage.met(case)
    await stage.alive(1)
    client.reset()
    await until(lambda: kernel.is_reset(model.sock), "the reset arrives")
    stage.ledger.exchange(framing.labels, "none", "abort")
