"""Traffic to the model that fails: answers may be refused, cut, late or absent, and the ledger knows which.

What must hold whatever happens: an answer that looks whole is whole and is the model's, and a refusal is the
sidecar's own and says so.
"""

import asyncio
import random

from tests.proxy.clients import Peer
from tests.soak import talk
from tests.soak.kinds import Kind
from tests.soak.ledger import FAULTY
from tests.soak.talk import Answer, Broken
from tests.soak.world import World

PREDICT = "/v1/models/soak:predict"


def note(world: World, got: Answer) -> bool:
    """One exchange, whatever came of it; whether the connection goes on."""
    ledger = world.ledger
    if got.whole:
        ledger.done(FAULTY, got.status, "refused" if got.local else "")
        ledger.local[FAULTY] += got.local
        if got.status != (503 if got.local else 200):
            raise Broken(f"a status that nobody gave: {got.status} {got.body[:80]!r}")
        return not got.local
    if got.status >= 200:
        ledger.done(FAULTY, got.status, "incomplete")
    elif got.size:
        raise Broken(f"a part of a head came: {got.head!r}, {got.size} bytes")
    else:
        ledger.unknown[FAULTY] += 1
    return False


async def _ask(world: World, peer: Peer, draw: random.Random) -> bool:
    body = talk.v1_body(draw)
    do = draw.choice(("", "", "chunked", "slow"))
    try:
        await peer.send(talk.request(PREDICT, body, *([f"x-do: {do}"] if do else [])))
    except ConnectionError:
        world.ledger.unknown[FAULTY] += 1
        return False
    got = await talk.answer(peer)
    if not note(world, got):
        return False
    talk.check(got, [], body)
    return True


async def keep_alive(world: World, peer: Peer, draw: random.Random) -> None:
    """Request after request, as long as the connection lasts."""
    for _ in range(draw.randint(3, 30)):
        if world.over or not await _ask(world, peer, draw):
            break
        await asyncio.sleep(draw.random() * 0.03)


async def one_shot(world: World, peer: Peer, draw: random.Random) -> None:
    """A new connection for each exchange."""
    await _ask(world, peer, draw)


KINDS: tuple[Kind, ...] = (keep_alive, one_shot)
