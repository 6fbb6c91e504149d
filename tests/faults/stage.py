"""The stage of a row: one sidecar, a scripted model behind it, raw clients before it, and a ledger of all that is done.

Whoever leaves the stage holds the ledger against the sidecar's own counts, its descriptors, memory and log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.client import HTTPException

from tests.faults import kernel
from tests.faults.ends import Between, End, connect
from tests.faults.framings import CANARY_LABELS, Framing
from tests.faults.ledger import Ledger, Outcome, Problem, Snapshot, wrong_words
from tests.faults.model import CANARY, CANARY_ANSWER, Model, Part, Script
from tests.faults.place import SECONDS, Place, together, until
from tests.proxy.clients import request

Play = Callable[[End, str], Awaitable[None]]
CANARY_REQUEST = request(CANARY, b'{"inputs":[]}')
# Bytes of resident memory that a row may leave behind: a wide bound, for allocators keep what they had.
GROWTH = 48 << 20


class Stage:
    """Made by `staged`. `edited` is False where the sidecar promises not to change a byte."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.model = Model(place.listener)
        self.ledger = Ledger()
        self.edited = "observe" not in place.flags
        self.growth = GROWTH
        self.quiet_log = True  # no traceback, whatever happens
        self._clients: list[End] = []
        self._directs: list[End] = []
        self._cases: set[str] = set()
        self._number = 0

    # ---------------------------------------------------------------- who takes part

    async def client(self, *toxics: Between, spoken: str = "http1") -> End:
        """A client of the sidecar; `spoken` is what its connection must be counted as."""
        end = await connect(self.place.address, *toxics)
        self.ledger.connection(spoken)
        self._clients.append(end)
        return end

    async def direct(self, *toxics: Between) -> End:
        """A client of the model, with nothing between them."""
        end = await connect(self.model.address, *toxics)
        self._directs.append(end)
        return end

    async def beside(self, address: tuple[str, int], *toxics: Between) -> End:
        """A connection to something else, which ends with the stage."""
        end = await connect(address, *toxics)
        self._directs.append(end)
        return end

    def case(self, script: Script, *toxics: Between, way: str = "t") -> str:
        """A case whose connection at the model follows the script, through those toxics."""
        self._number += 1
        return self._expect(f"{way}{self._number}", Part(script, toxics))

    def _expect(self, case: str, part: Part) -> str:
        self.model.expect(case, part)
        self._cases.add(case)
        return case

    def further(self, case: str, number: int) -> str:
        """The name of a further request of that case."""
        self._cases.add(f"{case}-{number}")
        return f"{case}-{number}"

    async def met(self, case: str) -> End:
        """The model's end of that case, once it is there."""
        found: End = await until(lambda: self.model.ends.get(case), f"case {case} reaches the model")
        return found

    # ---------------------------------------------------------------- what they do

    async def both(
        self,
        script: Script,
        play: Play,
        *,
        near: tuple[Between, ...] = (),
        far: tuple[Between, ...] = (),
        framing: Framing | None = None,
        spoken: str = "http1",
    ) -> Outcome:
        """The same client and model, through the sidecar and without it: I1, I3 and I8 hold, and this is the outcome.

        `near` are the client's toxics, `far` the model's.
        """
        self._number += 1
        cases = [self._expect(f"{way}{self._number}", Part(script, far)) for way in "td"]
        ends = [await self.client(*near, spoken=spoken), await self.direct(*near)]
        through, direct = await together(
            *(self._play(play, end, case) for end, case in zip(ends, cases, strict=True))
        )
        for end, case, edited in zip(ends, cases, (self.edited, False), strict=True):
            if case in self.model.ends:
                self.ledger.carried(end, self.model.ends[case], edited)
        self.ledger.same(through, direct)
        if framing is not None:
            self.ledger.truth(
                framing, through, Outcome(bytes(self.model.ends[cases[1]].outgoing), direct.over)
            )
        return Outcome(*through)

    async def _play(self, play: Play, end: End, case: str) -> Outcome:
        try:
            await play(end, case)
        except ConnectionError as error:
            end.over = end.over or ("reset" if isinstance(error, ConnectionResetError) else "fin")
        finally:
            end.close()
        return Outcome(bytes(end.received), end.over)

    async def alive(self, count: int = 3) -> None:
        """I6: so many honest clients, one after the other, are served now as if nothing were wrong."""
        for _ in range(count):
            client = await self.client()
            async with asyncio.timeout(SECONDS):
                await client.send(CANARY_REQUEST)
                message = await client.read_message()
            client.close()
            if message.head + message.body != CANARY_ANSWER:
                raise Problem(f"I6: a canary got {bytes(client.received)!r}, over: {client.over!r}")
            self.ledger.exchange(CANARY_LABELS)

    # ---------------------------------------------------------------- the end

    def once(self) -> None:
        """I2, for every request so far."""
        self.ledger.once(self.model.seen(), self._cases)

    async def settle(self, before: Snapshot) -> None:
        """Everybody leaves; then I2, I4 and I5 hold with nothing under way."""
        self.once()
        for end in (*self._clients, *self._directs):
            end.close()
        self._relayed((await self.counted(before)).since(before, "relayed"))

    async def counted(self, before: Snapshot, under_way: int | None = None) -> Snapshot:
        """I4, I5: poll until what is counted is what was entered, with so many exchanges under way; the last scrape."""
        wrong: list[str] = []

        async def adds_up() -> Snapshot | None:
            try:
                after = await self.place.snapshot()
            except (AssertionError, OSError, HTTPException) as error:  # the analysis may be starting anew
                wrong[:] = [f"no scrape: {error!r}"]
                return None
            wrong[:] = self.ledger.problems(before, after)
            if under_way is not None and after.gauges["in_flight"] != under_way:
                wrong.append(f"expected {under_way} in flight: {dict(after.gauges)}")
            elif under_way is None and not after.quiet:
                wrong.append(f"still under way: {dict(after.gauges)}")
            return None if wrong else after

        try:
            found: Snapshot = await until(adds_up, "the ledger adds up", pause=0.02)
        except AssertionError:
            raise Problem("I4, I5:\n  " + "\n  ".join(wrong)) from None
        return found

    def _relayed(self, counted: dict[tuple[str, ...], int]) -> None:
        """I1 by the sidecar's own count: no more than clients sent, no less than they got."""
        sent, got = (
            sum(len(getattr(end, what)) for end in self._clients) for what in ("outgoing", "received")
        )
        if counted.get(("receive",), 0) > sent or counted.get(("transmit",), 0) < got:
            raise Problem(f"I1: the sidecar counts {dict(counted)}; clients sent {sent} and got {got}")

    async def resources(self, descriptors: int, memory: int, log: int) -> None:
        """I7: what the sidecar held is given back, and its log has no word of a fault of its own."""
        place = self.place
        await until(
            lambda: place.descriptors() <= descriptors,
            f"I7: descriptors are back to {descriptors}",
            pause=0.02,
        )
        grown = kernel.resident(place.sidecar.root) - memory
        if grown > self.growth:
            raise Problem(f"I7: the data plane grew by {grown >> 20} MiB, more than {self.growth >> 20}")
        if self.quiet_log and (wrong := wrong_words(place.sidecar.text()[log:])):
            raise Problem("I7: the log says:\n  " + "\n  ".join(wrong))

    async def quit(self) -> None:
        """Nobody is left on the stage."""
        for end in (*self._clients, *self._directs):
            end.close()
        await self.model.stop()


@asynccontextmanager
async def doomed(place: Place) -> AsyncIterator[Stage]:
    """A stage on a sidecar that the row ends: there is nobody to ask in the end, so only I2 is held."""
    stage = Stage(place)
    stage.model.start()
    try:
        yield stage
        stage.once()
    finally:
        await stage.quit()


@asynccontextmanager
async def staged(place: Place) -> AsyncIterator[Stage]:
    """A stage on that place; leaving it checks I2, I4, I5 and I7."""
    before: Snapshot = await until(lambda: _quiet(place), "the sidecar is quiet before the row", pause=0.02)
    held = place.descriptors(), kernel.resident(place.sidecar.root), len(place.sidecar.text())
    stage = Stage(place)
    stage.model.start()
    try:
        yield stage
        await stage.settle(before)
        await stage.resources(*held)
    finally:
        await stage.quit()


async def _quiet(place: Place) -> Snapshot | None:
    found = await place.snapshot()
    return found if found.quiet else None
