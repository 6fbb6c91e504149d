"""Streams, tunnels and clients that leave: sessions whose end is the client's own choice.

Each client leaves only after it has seen a byte of an answer, so it knows that its request was counted.
"""

import random

from tests.proxy.clients import Peer
from tests.soak import talk
from tests.soak.kinds import Kind
from tests.soak.ledger import NO_CODE, OTHER, STREAMS
from tests.soak.talk import Answer, Broken
from tests.soak.world import World

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
BODY = b'{"model":"soak","stream":true,"messages":[{"role":"user","content":"go on"}]}'
UPGRADE = talk.request(
    "/ws", b"", "connection: Upgrade", "upgrade: websocket", "sec-websocket-key: eA==", method="GET"
)


def _turned_away(world: World, protocol: str, got: Answer) -> bool:
    """Whether descriptors were short; Broken if they were not and the session did not begin."""
    if got.local:
        world.ledger.done(protocol, got.status, "refused")
        world.ledger.local[protocol] += 1
    elif not got.size:
        world.ledger.unknown[protocol] += 1
    if not world.pressed and (got.local or not got.size):
        raise Broken(f"the session did not begin: {got.head[:60]!r} {got.body[:80]!r}")
    return got.local or not got.size


async def whole_stream(world: World, peer: Peer, draw: random.Random) -> None:
    """Server-sent events to their end, twice on one connection."""
    for _ in range(2):
        tokens = draw.randint(5, 60)
        await peer.send(talk.request(CHAT, BODY, f"x-tokens: {tokens}"))
        got = await talk.answer(peer)
        if _turned_away(world, STREAMS, got):
            break
        if not got.whole or got.body.count(b"data: ") != tokens:
            raise Broken(f"{got.body.count(b'data: ')} of {tokens} tokens came, whole: {got.whole}")
        world.ledger.done(STREAMS, 200)


async def left_stream(world: World, peer: Peer, draw: random.Random) -> None:
    """An endless stream, until the client has enough: it closes, or resets."""
    await peer.send(talk.request(CHAT, BODY))
    head = await peer.read_to(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or not head.endswith(b"\r\n\r\n"):
        local = Answer(503, head, await peer.read_all(), size=len(head)) if head else Answer()
        _turned_away(world, STREAMS, local)
        return
    for _ in range(draw.randint(1, 10)):
        if not await peer.read_to(b"\n\n"):
            raise Broken("an endless stream ended")
    world.ledger.done(STREAMS, 200, "abort")
    if draw.random() < 0.5:
        peer.reset()


async def left_early(world: World, peer: Peer, draw: random.Random) -> None:
    """The client leaves while the model thinks; an interim answer told it that its request had arrived."""
    await peer.send(talk.request(COMPLETION, BODY))
    head = await peer.read_to(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 103 "):
        local = Answer(503, head, await peer.read_all(), size=len(head)) if head else Answer()
        _turned_away(world, STREAMS, local)
        return
    world.ledger.done(STREAMS, NO_CODE, "abort")
    if draw.random() < 0.5:
        peer.reset()


async def tunnel(world: World, peer: Peer, draw: random.Random) -> None:
    """An upgrade, then bytes of another protocol both ways, ended by the client."""
    await peer.send(UPGRADE)
    got = await talk.answer(peer)
    if _turned_away(world, OTHER, got):
        return
    if got.status != 101:
        raise Broken(f"the upgrade was answered with {got.status}")
    for _ in range(draw.randint(1, 10)):
        data = draw.randbytes(draw.randint(1, 20_000))
        await peer.send(data)
        if await peer.read_bytes(len(data)) != data:
            raise Broken("a tunnel gave back other bytes than it was sent")
    world.ledger.done(OTHER, 101)
    peer.fin()
    if await peer.read_all():
        raise Broken("a tunnel said something of its own")


KINDS: tuple[Kind, ...] = (whole_stream, left_stream, left_early, tunnel)
