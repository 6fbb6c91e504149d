"""Rows 18, 19 and 23: the wall clock jumps, the event loop stalls, the whole process is stopped."""

import asyncio
import os
import signal
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.app.command import python_path
from tests.e2e.exposition import samples, total
from tests.faults.ends import End
from tests.faults.framings import CANARY_LABELS, Framing
from tests.faults.model import CANARY_ANSWER
from tests.faults.place import OUTLASTS, TIGHT, Place, Places, together, until
from tests.faults.rows.common import plain
from tests.faults.scale import seconds
from tests.faults.stage import CANARY_REQUEST, Stage, staged

Framings = tuple[Framing, ...]
HOUR = 3600.0
_OURS = ("data_plane", "analysis")  # the model is in the process of the tests, which may be old
_STEPPED = Path(__file__).parent.parent / "stepped"


async def jumps(places: Places, framings: Framings) -> None:
    """Row 18: an hour on, two back, while answers stream: durations are those of a clock that does not jump."""
    offset = places.folder / "offset"
    offset.write_bytes(struct.pack("d", 0.0))
    environment = {**python_path(_STEPPED), "STEPPED_BY": str(offset)}
    place = await places.own(*TIGHT, environment=environment)
    async with staged(place) as stage:

        def jump(by: float) -> None:
            with offset.open("r+b") as stream:
                stream.write(struct.pack("d", by))

        for by in (HOUR, -HOUR):
            await together(*(_across(stage, framing, lambda by=by: jump(by)) for framing in framings))
            await stage.alive()
        values = await _with_uptimes(place)
    negative = {
        name: value for name, value in values.items() if value < 0 and not name.startswith("model_drift")
    }
    assert not negative
    for family in ("request_duration", "request_time_to_first_byte", "connection_duration", "client_wait"):
        assert 0 <= total(values, f"model_{family}_seconds_sum") < HOUR / 10, family
    for component in _OURS:
        assert 0 < total(values, "process_uptime_seconds", component=component) < HOUR / 10


async def _with_uptimes(place: Place) -> dict[str, float]:
    """A scrape behind the first look at processes, which comes a while after the start."""

    async def told() -> dict[str, float] | None:
        values = samples(await place.scrape())
        known = all(total(values, "process_uptime_seconds", component=one) for one in _OURS)
        return values if known else None

    found: dict[str, float] = await until(told, "uptimes are told", 60)
    return found


async def _across(stage: Stage, framing: Framing, jump: Callable[[], None]) -> None:
    """The clock jumps between the head and the body of an answer."""

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer[: framing.head])
        await jumped.wait()
        await model.send(framing.answer[framing.head :])
        await model.read_all()

    jumped = asyncio.Event()
    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(case))
    await client.read_bytes(framing.head)
    jump()
    # Past the next beat, at which the data plane looks at the clocks.
    await asyncio.sleep(0.6)
    jumped.set()
    assert await client.read_bytes(len(framing.answer) - framing.head) == framing.answer[framing.head :]
    client.close()
    stage.ledger.exchange(framing.labels, framing.code)


async def stall(places: Places, framings: Framings) -> None:
    """Row 19: a loop that stands still shows in the gauge of its lag, and loses nothing."""
    async with staged(await places.shared()) as stage:

        async def seen() -> bool:
            work = asyncio.gather(*(plain(stage, framing) for framing in framings))
            await _stopped(stage, 0.7)  # longer than one beat
            found = samples(await stage.place.scrape())
            await work
            return total(found, "modeltap_event_loop_lag_seconds", component="data_plane") > 0.1

        await until(seen, "the lag is shown")


async def _stopped(
    stage: Stage, lasting: float, meanwhile: Callable[[], Awaitable[object]] | None = None
) -> None:
    os.kill(stage.place.sidecar.root, signal.SIGSTOP)
    try:
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(lasting)  # the fault itself
    finally:
        os.kill(stage.place.sidecar.root, signal.SIGCONT)


async def stopped(places: Places, framings: Framings) -> None:
    """Row 23: stopped for longer than every bound on time, it serves what came meanwhile and ends nobody for it."""
    async with staged(await places.shared(*TIGHT)) as stage:
        go, gates = asyncio.Event(), asyncio.Barrier(len(framings) * 2 + 2)
        waiting = asyncio.gather(
            *(_half_sent(stage, framing, go, gates) for framing in framings),
            *(_half_answered(stage, framing, go, gates) for framing in framings),
            _idle(stage, go, gates),
        )
        backlog: list[asyncio.Future[None]] = []

        async def meanwhile() -> None:
            go.set()
            backlog.extend(asyncio.ensure_future(stage.alive(1)) for _ in range(10))

        await gates.wait()
        await _stopped(stage, seconds(OUTLASTS, 30.0), meanwhile)
        await waiting
        await together(*backlog)
        await stage.alive()


async def _half_sent(stage: Stage, framing: Framing, go: asyncio.Event, gates: asyncio.Barrier) -> None:
    """In the middle of its head, or of its body where it has one."""

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    request = framing.request(case)
    at = len(request) - max(20, len(framing.body) // 2)
    await client.send(request[:at])
    await gates.wait()
    await go.wait()
    await client.send(request[at:])
    assert await client.read_bytes(len(framing.answer)) == framing.answer
    client.close()
    stage.ledger.exchange(framing.labels, framing.code)


async def _half_answered(stage: Stage, framing: Framing, go: asyncio.Event, gates: asyncio.Barrier) -> None:
    """In the middle of its answer: a stream, or a tunnel that is silent for longer than its bound."""
    half = framing.head + len(framing.pieces[1])

    async def script(model: End) -> None:
        await framing.take(model)
        await model.send(framing.answer[:half])
        await go.wait()
        await model.send(framing.answer[half:])
        await model.read_all()

    case = stage.case(script)
    client = await stage.client(spoken=framing.spoken)
    await client.send(framing.request(case))
    assert await client.read_bytes(half) == framing.answer[:half]
    await gates.wait()
    assert await client.read_bytes(len(framing.answer) - half) == framing.answer[half:]
    client.close()
    stage.ledger.exchange(framing.labels, framing.code)


async def _idle(stage: Stage, go: asyncio.Event, gates: asyncio.Barrier) -> None:
    """Between two requests."""
    client = await stage.client()
    for number in range(2):
        await client.send(CANARY_REQUEST)
        assert await client.read_bytes(len(CANARY_ANSWER)) == CANARY_ANSWER, client.over
        if not number:
            await gates.wait()
            await go.wait()
    client.close()
    stage.ledger.exchange(CANARY_LABELS, times=2)
