"""Scenarios that several rows play: one exchange as it should be, and one that stands half way."""

import asyncio

from tests.faults.ends import End
from tests.faults.framings import Framing
from tests.faults.stage import Stage


async def plain(stage: Stage, framing: Framing) -> None:
    """One exchange, through the sidecar and without it."""

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)

    async def play(client: End, case: str) -> None:
        await client.send(framing.request(case))
        await client.read_all()

    got = await stage.both(script, play, framing=framing, spoken=framing.spoken)
    assert got.received == framing.answer
    stage.ledger.exchange(framing.labels, framing.code)


async def half_way(stage: Stage, framing: Framing, go: asyncio.Event) -> End:
    """A client with half of its answer; the rest is said when `go` is set. To be entered by the row."""
    half = framing.head + len(framing.pieces[1])

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer[:half])
        await go.wait()
        await model.send(framing.answer[half:])

    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(stage.case(script)))
    assert await client.read_bytes(half) == framing.answer[:half]
    return client


async def silent(model: End) -> None:
    """A model that reads everything and says nothing."""
    await model.read_all()


async def unwanted(model: End) -> None:
    """A model that must not be reached."""
    raise AssertionError("a request that was answered in its place reached the model")
