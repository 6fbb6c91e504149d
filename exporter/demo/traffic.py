"""The demo's traffic: phases, rows in their order, requests in both protocols, and what the client saw.

It knows the client's side only: what it sends and what comes back. Invariant: every request that was started
ends in exactly one outcome of its Tally, so that the sidecar's counts can be held against it.
"""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from exporter.demo.data import FEATURES, Rows
from exporter.demo.model import NAME, PROBABILITY
from exporter.demo.server import Faults

RATE = 40.0
# More connections than the sidecar admits at once (4), so that a slow model makes a queue.
CONNECTIONS = 16
BATCH_SIZES = (1, 1, 2, 4, 8)
REQUEST_TIMEOUT_SECONDS = 10.0
CYCLE_SECONDS = 240.0


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the traffic: its share of the time, which rows it replays, what the server does wrong."""

    name: str
    share: float
    later: bool
    faults: Faults = NO_FAULTS


# Four at a time, each with 0.15 s added, is at most 26 requests a second of the 40 that are offered.
PHASES = (
    Phase("healthy", 0.35, later=False),
    Phase("drifting", 0.35, later=True),
    Phase("slow", 0.15, later=True, faults=Faults(delay_seconds=0.15)),
    Phase("failing", 0.15, later=True, faults=Faults(error_ratio=0.15, reset_ratio=0.1)),
)


@dataclass(slots=True)
class Tally:
    """What the client saw: requests sent, and how they ended ("ok", "5xx", "4xx", "reset", "timeout", …)."""

    sent: int = 0
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    probabilities: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    months: list[str] = field(default_factory=list)

    def answered(self, probabilities: list[float], rows: Rows) -> None:
        """Keep what the model said of `rows`."""
        self.probabilities += probabilities
        self.labels += rows.labels.tolist()
        self.months += rows.months.tolist()

    @property
    def errors(self) -> dict[str, int]:
        """The outcomes other than "ok"."""
        return {name: count for name, count in self.outcomes.items() if name != "ok" and count}


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One way to send rows: the path, how the body is written, how the answer's probabilities are read."""

    path: str
    write: Callable[[list[list[float]], str], dict[str, Any]]
    read: Callable[[dict[str, Any]], list[float]]


def v2_named(rows: list[list[float]], identity: str) -> dict[str, Any]:
    """One input per column, data flat."""
    columns = zip(FEATURES, zip(*rows, strict=True), strict=True)
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": "FP64", "data": list(values)}
        for name, values in columns
    ]
    return {"id": identity, "inputs": inputs}


def v2_nested(rows: list[list[float]], identity: str) -> dict[str, Any]:
    """One input per column of shape [n, 1], data nested."""
    columns = zip(FEATURES, zip(*rows, strict=True), strict=True)
    inputs = [
        {"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": [[value] for value in values]}
        for name, values in columns
    ]
    return {"id": identity, "inputs": inputs}


def v2_dense(rows: list[list[float]], identity: str) -> dict[str, Any]:
    """One tensor of shape [n, 8], data flat and row-major; the columns have no names on the wire."""
    flat = [value for row in rows for value in row]
    tensor = {"name": "rows", "shape": [len(rows), len(FEATURES)], "datatype": "FP64", "data": flat}
    return {"id": identity, "inputs": [tensor]}


def v1_objects(rows: list[list[float]], _: str) -> dict[str, Any]:
    """One object per row."""
    return {"instances": [dict(zip(FEATURES, row, strict=True)) for row in rows]}


def v1_lists(rows: list[list[float]], _: str) -> dict[str, Any]:
    """One list per row; the columns have no names on the wire."""
    return {"instances": rows}


def read_v2(answer: dict[str, Any]) -> list[float]:
    """The probabilities of a V2 answer."""
    return next(list(output["data"]) for output in answer["outputs"] if output["name"] == PROBABILITY)


def read_v1(answer: dict[str, Any]) -> list[float]:
    """The probabilities of a V1 answer."""
    return [float(row[PROBABILITY]) for row in answer["predictions"]]


_INFER = f"/v2/models/{NAME}/infer"
_INFER_VERSION = f"/v2/models/{NAME}/versions/1/infer"
_PREDICT = f"/v1/models/{NAME}:predict"
# In turn, most of them with column names, as only those can be compared with the reference column by column.
FORMS = (
    Form(_INFER, v2_named, read_v2),
    Form(_PREDICT, v1_objects, read_v1),
    Form(_INFER_VERSION, v2_named, read_v2),
    Form(_INFER, v2_nested, read_v2),
    Form(_INFER, v2_named, read_v2),
    Form(_PREDICT, v1_objects, read_v1),
    Form(_INFER, v2_dense, read_v2),
    Form(_PREDICT, v1_lists, read_v1),
)


class Replay:
    """Hands out rows in their order, beginning again at the end."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._next = 0

    @property
    def month(self) -> str:
        """The month of the row that comes next."""
        return str(self._rows.months[self._next])

    def take(self, count: int) -> Rows:
        """The next `count` rows."""
        index = [(self._next + offset) % len(self._rows) for offset in range(count)]
        self._next = (self._next + count) % len(self._rows)
        return Rows(self._rows.features[index], self._rows.labels[index], self._rows.months[index])


def schedule(duration: float | None) -> Iterator[tuple[Phase, float]]:
    """The phases with their seconds: once, in `duration` seconds, or for ever in cycles of CYCLE_SECONDS."""
    cycles = itertools.repeat(CYCLE_SECONDS) if duration is None else iter((duration,))
    return ((phase, phase.share * seconds) for seconds in cycles for phase in PHASES)


class Traffic:
    """Sends rows over CONNECTIONS keep-alive connections, RATE requests a second while they keep up."""

    def __init__(self, base_url: str, healthy: Rows, later: Rows, seed: int = 0) -> None:
        # per process
        self._base_url = base_url
        self._replays = {False: Replay(healthy), True: Replay(later)}
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        # per phase
        self.stopped = False
        self._due = 0.0
        self.phase: Phase = PHASES[0]

    @property
    def month(self) -> str:
        """The month whose rows are sent now; "" while they are drawn from all of the training period."""
        return self._replays[True].month if self.phase.later else ""

    def stop(self) -> None:
        """Send nothing more; `run` returns when the requests in hand have ended."""
        self.stopped = True

    async def run(self, phase: Phase, seconds: float, tally: Tally) -> None:
        """Send the phase's traffic for `seconds`; returns when its last answer is in."""
        self.phase = phase
        self._due = time.monotonic()
        until = self._due + seconds
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with (
            aiohttp.ClientSession(self._base_url, connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CONNECTIONS):
                group.create_task(self._work(session, until, tally), name="client")

    async def _work(self, session: aiohttp.ClientSession, until: float, tally: Tally) -> None:
        while not self.stopped:
            # Behind by more than a second, the model is slow: what could not be sent is not made up for.
            self._due = due = max(self._due + 1 / RATE, time.monotonic() - 1.0)
            if due >= until:
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not self.stopped:
                await self._send(session, tally)

    async def _send(self, session: aiohttp.ClientSession, tally: Tally) -> None:
        number = next(self._numbers)
        form = FORMS[number % len(FORMS)]
        rows = self._replays[self.phase.later].take(self._random.choice(BATCH_SIZES))
        body = json.dumps(form.write(rows.features.tolist(), f"demo-{number}"))
        tally.sent += 1
        tally.rows += len(rows)
        outcome, answer = await _exchange(session, form.path, body)
        tally.outcomes[outcome] += 1
        if answer is not None:
            tally.answered(form.read(answer), rows)


async def _exchange(
    session: aiohttp.ClientSession, path: str, body: str
) -> tuple[str, dict[str, Any] | None]:
    """One POST: its outcome, in the sidecar's words for errors, and the answer if it is a 2xx."""
    try:
        async with session.post(path, data=body, headers={"content-type": "application/json"}) as response:
            content = await response.read()
    except TimeoutError:
        return "timeout", None
    except aiohttp.ClientConnectorError:
        return "refused", None
    except aiohttp.ClientPayloadError:
        return "incomplete", None
    except (aiohttp.ClientError, OSError):
        return "reset", None
    if response.status >= 400:
        return f"{response.status // 100}xx", None
    return "ok", json.loads(content)
