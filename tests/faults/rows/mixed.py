"""Row 33 in small: scenarios of the rows before, drawn by chance, side by side on one sidecar."""

import random

from tests.faults.framings import CHUNKED, LENGTH, WEBSOCKET, Framing
from tests.faults.place import Places, together
from tests.faults.rows import flow, upstream
from tests.faults.rows.common import plain
from tests.faults.scale import times
from tests.faults.stage import Stage, staged

Framings = tuple[Framing, ...]


async def soak(places: Places, framings: Framings) -> None:
    """Row 33: whatever comes together, the ledger is exact and everything is given back."""
    choice = random.Random(33)
    async with staged(await places.shared()) as stage:
        for _ in range(times(4)):
            await together(*(_any(stage, choice.choice(framings), choice) for _ in range(20)), stage.alive(1))


async def _any(stage: Stage, framing: Framing, choice: random.Random) -> None:
    """One scenario."""
    kind = choice.randrange(6)
    if kind == 0:
        await upstream.cut(
            stage, framing, choice.choice(list(framing.cuts().values())), choice.choice(upstream.HOW)
        )
    elif kind == 1:
        await upstream.abandoned(stage, framing, choice.choice(("reset", "close")))
    elif kind == 2:
        await flow.reset_at(stage, framing, choice.choice(("request", "head", "stream")))
    elif kind == 3:
        await flow.half_closing_client(stage, framing)
    elif kind == 4:
        await flow.duplex(stage, choice.choice((LENGTH, CHUNKED, WEBSOCKET)))
    else:
        await plain(stage, framing)
