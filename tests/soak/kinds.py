"""Traffic to the model that never fails: whatever the faults elsewhere, each answer comes whole and as it was sent.

A kind is what happens on one connection, which is closed after it. It notes every exchange in the ledger, and raises
Broken for what must not be.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.proxy.clients import Peer
from tests.soak import talk
from tests.soak.ledger import CLEAN
from tests.soak.talk import Answer, Broken
from tests.soak.world import World

INFER = "/v2/models/soak/infer"
LARGE_ROWS = 2_000
Kind = Callable[[World, Peer, random.Random], Awaitable[None]]


def note(world: World, got: Answer, sent: int) -> None:
    """One exchange of the clean lane: it ends well, or descriptors were short."""
    if got.whole:
        world.ledger.done(CLEAN, got.status, "refused" if got.local else "")
        world.ledger.moved(CLEAN, sent, got.size)
        if got.local:
            world.ledger.local[CLEAN] += 1
            if not world.pressed:
                raise Broken(f"the sidecar answered {got.status} in place of a model that is there")
    elif world.pressed and not got.size:
        world.ledger.unknown[CLEAN] += 1
    else:
        raise Broken(f"the answer ended after {got.size} bytes: {got.head[:60]!r}")


async def ask(world: World, peer: Peer, draw: random.Random, do: str = "", close: bool = False) -> bool:
    """One inference with a body and a trace context of its own; whether the connection goes on."""
    body = talk.v2_body(draw, LARGE_ROWS if "large" in do else 1)
    fields = [*talk.trace_context(draw), *([f"x-do: {do}"] if do else [])]
    sent = talk.request(INFER, body, *fields, *(["connection: close"] if close else []))
    await peer.send(sent)
    return await expect(world, peer, sent, (body, fields))


async def expect(world: World, peer: Peer, sent: bytes, said: tuple[bytes, list[str]]) -> bool:
    """Read, check and note the answer to a request that was sent; whether it was the model's."""
    got = await talk.answer(peer)
    note(world, got, len(sent))
    if got.whole and not got.local:
        talk.check(got, said[1], said[0])
        return True
    return False


async def keep_alive(world: World, peer: Peer, draw: random.Random) -> None:
    """Request after request on one connection."""
    for _ in range(draw.randint(5, 40)):
        if not await ask(world, peer, draw) or world.over:
            break
        await asyncio.sleep(draw.random() * 0.01)


async def one_shot(world: World, peer: Peer, draw: random.Random) -> None:
    """A connection for one exchange, ended by the model."""
    await ask(world, peer, draw, draw.choice(("", "eof", "chunked", "interim")), close=True)
    if await peer.read_all():
        raise Broken("bytes came behind the last answer")


async def framings(world: World, peer: Peer, draw: random.Random) -> None:
    """Every way to frame an answer, one after the other."""
    for do in draw.sample(("", "chunked", "interim", "slow", "slow,chunked"), 4):
        if not await ask(world, peer, draw, do):
            break


async def pipelined(world: World, peer: Peer, draw: random.Random) -> None:
    """Several requests in one write; the answers come in their order."""
    bodies = [talk.v2_body(draw) for _ in range(draw.randint(2, 8))]
    dos = [
        [f"x-do: {draw.choice(('chunked', 'slow', 'interim'))}"] if draw.random() < 0.3 else []
        for _ in bodies
    ]
    requests = [talk.request(INFER, body, *do) for body, do in zip(bodies, dos, strict=True)]
    await peer.send(b"".join(requests))
    for sent, body, do in zip(requests, bodies, dos, strict=True):
        if not await expect(world, peer, sent, (body, do)):
            break


async def chunked_upload(world: World, peer: Peer, draw: random.Random) -> None:
    """A body in chunks of any size, with an extension and a trailer, in writes of any size."""
    body, coded = talk.v2_body(draw), b""
    at = 0
    while at < len(body):
        size = draw.randint(1, 60)
        piece = body[at : at + size]
        coded += b"%x%s\r\n%s\r\n" % (len(piece), b";x=1" if draw.random() < 0.2 else b"", piece)
        at += size
    coded += b"0\r\n" + (b"x-sum: 1\r\n" if draw.random() < 0.5 else b"") + b"\r\n"
    sent = talk.request(INFER, None, "transfer-encoding: chunked") + coded
    await peer.send_pieces(sent, draw.randint(20, 400))
    await expect(world, peer, sent, (body, []))


async def large(world: World, peer: Peer, draw: random.Random) -> None:
    """Large bodies both ways, over a connection that may have small buffers."""
    await ask(world, peer, draw, "large")


async def slow_reader(world: World, peer: Peer, draw: random.Random) -> None:
    """The answer is left lying for a while, and taken in small parts."""
    body = talk.v2_body(draw)
    sent = talk.request(INFER, body, "x-do: large")
    await peer.send(sent)
    for _ in range(20):
        await asyncio.sleep(0.02)
        if not await peer.receive(2048):
            break
    await expect(world, peer, sent, (body, ["x-do: large"]))


async def slow_writer(world: World, peer: Peer, draw: random.Random) -> None:
    """Head and body drip in."""
    body = talk.v2_body(draw)
    sent = talk.request(INFER, body, "x-do: slow")
    step = len(sent) // draw.randint(10, 40) + 1
    for at in range(0, len(sent), step):
        await peer.send(sent[at : at + step])
        await asyncio.sleep(0.01)
    await expect(world, peer, sent, (body, []))


async def half_close(world: World, peer: Peer, draw: random.Random) -> None:
    """The client says that it is done sending, and still reads the whole answer."""
    body = talk.v2_body(draw)
    sent = talk.request(INFER, body, f"x-do: {draw.choice(('slow', 'chunked', 'eof'))}")
    await peer.send(sent)
    peer.fin()
    await expect(world, peer, sent, (body, []))
    await peer.read_all()


async def others(world: World, peer: Peer, draw: random.Random) -> None:
    """HEAD, probes, a model that is not there, a model that fails."""
    for method, path, status in draw.sample(
        (
            ("HEAD", "/v2/models/soak/ready", 200),
            ("GET", "/v2/health/ready", 200),
            ("GET", "/v2/models/soak", 200),
            ("POST", "/v2/models/none/infer", 404),
            ("POST", "/v2/models/broken/infer", 500),
        ),
        5,
    ):
        sent = talk.request(path, talk.v2_body(draw) if method == "POST" else b"", method=method)
        await peer.send(sent)
        got = await talk.answer(peer, bodiless=method == "HEAD")
        note(world, got, len(sent))
        if not got.whole or got.local:
            break
        if got.status != status:
            raise Broken(f"{method} {path} gave {got.status}, the model says {status}")


KINDS: tuple[Kind, ...] = (
    keep_alive,
    one_shot,
    framings,
    pipelined,
    chunked_upload,
    large,
    slow_reader,
    slow_writer,
    half_close,
    others,
)
