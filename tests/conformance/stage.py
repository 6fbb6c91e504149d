"""A client and a model in lockstep, with nothing between them or with the sidecar.

After each step the other end must have exactly what was said and see the same kind of end before the next step is
taken. So one run over plain TCP shows that a scene is what sockets do, and a run through a worker shows that nothing
changed. No step waits for time.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress

from tests.conformance.steps import Refusal, Step
from tests.proxy.clients import Peer, connect
from tests.proxy.lab import Lab
from tests.proxy.upstreams import Upstream

UNEDITED = ("", "observe")  # modes in which heads stay as they came; "" is no sidecar
REFUSING = ("gate", "strict")
# The lines that may be added behind a request line: a trace context, and an id where the request has none.
_ADDED = re.compile(
    rb"( HTTP/1\.[01]\r\n)(?:traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\n)?(?:x-request-id: [0-9a-f]{32}\r\n)?"
)


def undone(received: bytes, mode: str) -> bytes:
    """What the model received, without the documented edits; `observe` and no sidecar edit nothing."""
    return received if mode in UNEDITED else _ADDED.sub(rb"\1", received)


class Models:
    """A model whose connections are played by the test."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[Peer] = asyncio.Queue()

    async def script(self, peer: Peer) -> None:
        """Hand the connection to the test, and keep it until the test is over."""
        self.accepted.put_nowait(peer)
        await asyncio.Event().wait()


class Stage:
    """Both ends of one conversation. `mode` is that of the sidecar between them, "" for none."""

    def __init__(self, client: Peer, model: Peer, mode: str) -> None:
        self.ends = {"client": client, "model": model}
        self.mode = mode
        self.due = {"client": b"", "model": b""}  # what each end must have received
        self.over = {"client": "", "model": ""}
        self.held = 0  # how many of the last bytes for the model may still be on their way
        self.gone = False  # one end was reset

    @property
    def client(self) -> Peer:
        return self.ends["client"]

    @property
    def model(self) -> Peer:
        return self.ends["model"]

    async def play(self, steps: Sequence[Step]) -> None:
        """All of them; then whatever has not ended yet ends with FIN."""
        for number, step in enumerate(steps):
            try:
                await self.take(step)
            except TimeoutError:
                raise AssertionError(f"step {number}, {step}: did not arrive; {self.seen()}") from None
        for who in ("client", "model"):
            if not self.gone and not self.over[other(who)]:
                await self.take(Step(who, end="fin"))

    async def take(self, step: Step) -> None:
        """One step, until the other end has it."""
        await self.begin(step)
        if not step.held:
            await self.arrived(other(step.who))

    async def begin(self, step: Step) -> None:
        """One step, and what must come of it."""
        peer, to = self.ends[step.who], other(step.who)
        if step.end:
            self.over[to] = (self.mode and step.shown) or step.end
            self.gone = step.end == "reset"
            peer.reset() if self.gone else peer.fin()
            return
        edited = step.becomes and self.mode not in UNEDITED
        self.due[to] += step.becomes if edited else step.data
        if to == "model":
            self.held = len(step.data) if step.held else 0
        await peer.send(step.data)

    async def arrived(self, to: str) -> None:
        """That end has everything that it must have, and nothing else."""
        peer, due, over = self.ends[to], self.due[to], self.over[to]
        # An added line may come in two reads: until it is whole it cannot be told from what does not belong there.
        while self.got(to) != due or (over and not peer.over):
            if not await peer.receive() and peer.over:
                break
        if over == "reset" and to == "model" and self.held:
            due = due[: max(len(self.got(to)), len(due) - self.held)]  # a head that never was whole
        assert self.got(to) == due, f"{to} must have {brief(due)}; {self.seen()}"
        assert peer.over == over, f"{to} must see the end {over!r}; {self.seen()}"

    async def reached(self, to: str, count: int) -> None:
        """That end has at least so many of the bytes that it must have, and no others."""
        due = self.due[to]
        with suppress(TimeoutError):
            while len(self.got(to)) < count or not due.startswith(self.got(to)):
                if not await self.ends[to].receive():
                    break
        assert len(self.got(to)) >= count and due.startswith(self.got(to)), self.seen()

    def got(self, who: str) -> bytes:
        """What that end received, edits undone."""
        received = bytes(self.ends[who].received)
        return undone(received, self.mode) if who == "model" else received

    def seen(self) -> str:
        """Both ends as they are, for a person."""
        ends = [f"{who} has {brief(self.got(who))} and saw {self.ends[who].over!r}" for who in self.ends]
        return f"mode {self.mode!r}: " + "; ".join(ends)

    async def refused(self, steps: Sequence[Step], refusal: Refusal) -> None:
        """Play up to the step that is refused; of that one nothing goes on, and both ends learn it."""
        for step in steps[: refusal.at]:
            await self.take(step)
        before = {
            "client": self.due["client"],
            "model": self.due["model"][: len(self.due["model"]) - self.held],
        }
        await self.begin(steps[refusal.at])
        for step in refusal.then:
            await self.begin(step)
            before["client"] += step.data
        for peer in self.ends.values():
            while await peer.receive():
                pass
        said, got = self.got("client"), self.got("model")
        over = (self.client.over, self.model.over)
        if refusal.status:
            assert said.startswith(before["client"] + b"HTTP/1.1 %d " % refusal.status), self.seen()
            assert got == before["model"], self.seen()
            assert over == ("fin", "fin"), self.seen()
        else:
            # A reset may overtake what was said before it.
            assert self.due["client"].startswith(said) and self.due["model"].startswith(got), self.seen()
            assert over == (refusal.end, refusal.end), self.seen()


def other(who: str) -> str:
    """The other end."""
    return "model" if who == "client" else "client"


def brief(data: bytes) -> str:
    """Bytes for a message."""
    return repr(data) if len(data) < 600 else f"{data[:200]!r} ... {data[-200:]!r} ({len(data)} bytes)"


async def direct() -> tuple[Stage, Upstream]:
    """Nothing between them. The upstream is to be stopped in the end."""
    models = Models()
    upstream = Upstream(models.script)
    upstream.start()
    client = await connect(upstream.address)
    return Stage(client, await models.accepted.get(), ""), upstream


async def through(lab: Lab, mode: str, **settings: object) -> Stage:
    """A worker between them, in that mode."""
    models = Models()
    await lab.start(models.script, mode=mode, **settings)
    client = await lab.client()
    return Stage(client, await models.accepted.get(), mode)
