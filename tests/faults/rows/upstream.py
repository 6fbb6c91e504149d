"""Rows 1 to 5: the model refuses, is silent, dies at any moment, closes an idle connection, answers early."""

import asyncio
import signal
import sys

from tests.faults.ends import End
from tests.faults.framings import Framing
from tests.faults.place import OUTLASTS, TIGHT, Places, together, until
from tests.faults.rows.common import unwanted
from tests.faults.scale import times
from tests.faults.stage import Stage, staged
from tests.faults.toxics import HalfClose, Reset
from tests.proxy.clients import answer, chunked

Framings = tuple[Framing, ...]
_VICTIM = "import os, signal, sys; os.write(0, bytes.fromhex(sys.argv[1])); signal.pause()"
HOW = ("fin", "half-close", "reset")  # of a model: closed, half-closed and reading on, reset
TLS_HELLO = b"\x16\x03\x01\x00\x05hello"


async def refused(places: Places, framings: Framings) -> None:
    """Row 1: a request gets 503 and the close; what is none gets the reset of a closed port."""
    async with staged(await places.shared()) as stage:
        with stage.model.refusing():
            await together(
                *(_refused(stage, framing) for framing in framings),
                _reset(stage),
            )
        await stage.alive()


async def _refused(stage: Stage, framing: Framing) -> None:
    client = await stage.client()
    await client.send(framing.request(stage.case(unwanted)))
    message = await client.read_message()
    assert message.status == 503
    assert b"\r\nConnection: close\r\n" in message.head
    assert b"\r\nRetry-After: " in message.head
    assert await client.ended() == "fin"
    stage.ledger.exchange(framing.labels, "503", "refused")


async def _reset(stage: Stage) -> None:
    client = await stage.client(spoken="tls")
    await client.send(TLS_HELLO)
    assert await client.ended() == "reset"
    assert not client.received


async def silent(places: Places, framings: Framings) -> None:
    """Row 2: no bound of the sidecar ends an exchange at which the model works; a client that leaves is passed on."""
    async with staged(await places.shared(*TIGHT)) as stage:
        await together(
            *(_outlasts(stage, framing) for framing in framings),
            *(abandoned(stage, framing, how) for framing in framings for how in ("reset", "close")),
        )


async def _outlasts(stage: Stage, framing: Framing) -> None:
    """Longer than any bound; meanwhile honest clients are served."""

    async def script(model: End) -> None:
        await framing.take(model)
        await asyncio.sleep(OUTLASTS)  # the fault itself: a model that computes
        await model.send(framing.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(case))
    await stage.met(case)
    await stage.alive(1)
    assert await client.read_bytes(len(framing.answer)) == framing.answer
    client.close()
    stage.ledger.exchange(framing.labels, framing.code)


async def abandoned(stage: Stage, framing: Framing, how: str) -> None:
    """RST as RST; a close is a FIN at first, and what it was shows when the model says something."""

    async def script(model: End) -> None:
        await framing.take(model)
        if await model.ended() == "fin":
            await model.send(framing.pieces[0][:10])

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.request(case))
    model = await stage.met(case)
    await until(lambda: model.received.endswith(framing.request(case)[-10:]), "the request arrives")
    client.reset() if how == "reset" else client.close()
    await until(lambda: model.over, "the model hears that the client left")
    assert model.over == ("reset" if how == "reset" else "fin")
    stage.ledger.exchange(framing.labels, "none", "abort")


async def killed(places: Places, framings: Framings) -> None:
    """Row 3: the model ends at each moment of its answer; the client has the same bytes and the same end."""
    async with staged(await places.shared()) as stage:
        await together(
            *(
                cut(stage, framing, at, how)
                for framing in framings
                for at in framing.cuts().values()
                for how in HOW
            ),
            stage.alive(),
        )


async def cut(stage: Stage, framing: Framing, at: int, how: str) -> None:
    far = {"fin": (), "reset": (Reset(at),), "half-close": (HalfClose(at),)}[how]

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer if far else framing.answer[:at])
        if how == "half-close":
            await model.read_all()

    async def play(client: End, case: str) -> None:
        await client.send(framing.request(case))
        await client.read_all()

    got = await stage.both(script, play, far=far, framing=framing, spoken=framing.ended_as(at))
    over = "reset" if how == "reset" else "fin"
    assert (got.received, got.over) == (framing.answer[:at], over)
    stage.ledger.exchange(framing.labels, *framing.result(at, over))


async def process_killed(places: Places, framings: Framings) -> None:
    """Row 3, with a process: SIGKILL while a model is half way through its answers."""
    async with staged(await places.shared()) as stage:
        places_of = [framing.head + 10 for framing in framings]
        await together(
            *(_victim(stage, framing, at) for framing, at in zip(framings, places_of, strict=True))
        )


async def _victim(stage: Stage, framing: Framing, at: int) -> None:
    """The connection is handed to a process that says the beginning of the answer and is killed."""

    async def script(model: End) -> None:
        await framing.take(model)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", _VICTIM),
            framing.answer[:at].hex(),
            stdin=model.sock.fileno(),
        )
        await go.wait()
        model.sock.close()
        process.send_signal(signal.SIGKILL)
        await process.wait()

    go = asyncio.Event()
    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(case))
    assert await client.read_bytes(at) == framing.answer[:at]
    go.set()
    assert await client.ended() == "fin"
    assert bytes(client.received) == framing.answer[:at]
    assert framing.spoken == "upgraded" or not framing.complete(bytes(client.received), "reset")
    stage.ledger.exchange(framing.labels, *framing.result(at, "fin"))


async def idle_closed(places: Places, framings: Framings) -> None:
    """Row 4: the model closes behind an answer while the next request is on its way: it fails as it would directly."""
    async with staged(await places.shared()) as stage:
        for _ in range(times(4)):
            await together(
                *(race(stage, framing, turn) for framing in framings for turn in range(10)), stage.alive(1)
            )


async def race(stage: Stage, framing: Framing, turn: int) -> None:
    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        model.fin()
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.request(case))
    assert await client.read_bytes(len(framing.answer)) == framing.answer
    for _ in range(turn % 5):
        await asyncio.sleep(0)
    try:
        await client.send(framing.request(stage.further(case, 2)))
    except ConnectionError:
        client.over = "reset"
    await client.ended()
    client.close()
    # Without the sidecar the model would answer nothing more either: no byte is made up.
    assert bytes(client.received) == framing.answer
    stage.ledger.exchange(framing.labels, framing.code)
    stage.ledger.either((framing.labels, "none", "reset"), None)


async def early(places: Places, framings: Framings) -> None:
    """Row 5: an answer that comes before the body was read is delivered whole, whether the model then drains or not."""
    async with staged(await places.shared()) as stage:
        await together(
            *(early_answer(stage, framing, how) for framing in framings for how in ("drains", "closes")),
            stage.alive(),
        )


async def early_answer(stage: Stage, framing: Framing, how: str) -> None:
    refusal = answer(b"too large", "413 Content Too Large", "Connection: close")

    async def script(model: End) -> None:
        await model.read_to(b"\r\n\r\n")
        await model.send(refusal)
        if how == "drains":
            model.fin()
            await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(framing.opening(case, 50_000_000))
    piece = chunked([b"x" * 0x4000])[:-5] if framing.chunked else b"x" * 0x4000
    flood = asyncio.ensure_future(_flood(client, piece))
    assert await client.read_bytes(len(refusal)) == refusal
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    client.close()
    stage.ledger.exchange(framing.labels, "413")


async def _flood(client: End, piece: bytes) -> None:
    """The beginning of a body, of which less is sent than is kept for decoding."""
    for _ in range(32):
        await client.send(piece)
        await asyncio.sleep(0)
