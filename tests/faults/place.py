"""A sidecar with a free port behind it for the model of each row, started once for all rows that ask for its flags."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.app.command import Sidecar
from tests.e2e.processes import answers
from tests.faults import kernel
from tests.faults.framings import BODIES
from tests.faults.ledger import Snapshot
from tests.faults.model import CANARY, Model, Part, honest, listening
from tests.proxy.clients import connect, request

SECONDS = 20.0  # of every wait: two busy cores
# A new series shows its first count at once, and nobody but the clients of a row connects to the model.
COMMON = ("--series-hold", "0", "--probe-interval", "3600", "--upstream-metrics", "off")
# Bounds on time that a row can wait for, and that no busy machine takes from an honest client. OUTLASTS is longer.
TIGHT = (
    *("--header-timeout", "1.5", "--half-closed-timeout", "1.5"),
    *("--write-timeout", "1", "--tunnel-timeout", "1.5", "--idle-timeout", "1.5"),
)
OUTLASTS = 2.5
# Bounds on numbers and memory.
BOUNDED = ("--max-connections", "24", "--capture-total", "1048576", "--capture-bytes", "524288")
OBSERVE = ("--mode", "observe")
GATE = ("--mode", "gate")
STRICT = ("--mode", "strict")
SHARED = ((), TIGHT, BOUNDED, OBSERVE, GATE, STRICT)


class Place:
    """`listener` is where the sidecar's upstream is; whoever plays the model accepts there."""

    def __init__(
        self,
        folder: Path,
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        name: str = "127.0.0.1",
        ports: Sequence[int] = (),
        listener: socket.socket | None = None,
    ) -> None:
        """`name` is how the sidecar calls the model's host; `ports` are chosen here where its log cannot tell them."""
        folder.mkdir()
        self.listener = listener or listening()
        self.flags = flags
        port = self.listener.getsockname()[1]
        upstream = ("--upstream", f"http://{name}:{port}")
        self._ports = tuple(ports)
        chosen = [
            word
            for name, number in zip(("listen", "admin", "health"), self._ports, strict=False)
            for word in (f"--{name}", f"127.0.0.1:{number}")
        ]
        self.sidecar = Sidecar(folder, port, (*COMMON, *upstream, *chosen, *flags), environment, prefix)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect."""
        return "127.0.0.1", self.sidecar.listen

    async def started(self, confirm: bool = True) -> "Place":
        """Wait until it listens, and let an answer confirm the name of every model: labels are the same from then."""
        if self._ports:
            self.sidecar.listen, self.sidecar.admin, self.sidecar.health = self._ports
            await until(lambda: answers(f"http://127.0.0.1:{self._ports[2]}/readyz"), "the sidecar is ready")
        else:
            await asyncio.to_thread(self.sidecar.started)
        await self.snapshot()
        if confirm:
            await self._confirm()
        return self

    async def _confirm(self) -> None:
        targets = [CANARY, *(framing.path for framing in BODIES)]
        model = Model(self.listener)
        model.anonymous_part = Part(honest)
        model.start()
        client = await connect(self.address)
        for target in targets:
            await client.send(request(target, b"{}"))
            await client.read_message()
        client.close()
        await model.stop()

    async def snapshot(self) -> Snapshot:
        """One scrape."""
        return Snapshot.of(await self.scrape())

    async def scrape(self) -> str:
        """Its text."""
        return (await asyncio.to_thread(self.sidecar.metrics)).text

    def descriptors(self) -> int:
        """Of the data plane."""
        return kernel.descriptors(self.sidecar.root)

    def kill(self) -> None:
        """For one that may hang."""
        self.sidecar.kill()

    def stop(self) -> int:
        """End it, however it is; its exit status."""
        if self.sidecar.status is None:
            os.kill(self.sidecar.root, signal.SIGCONT)
        status = self.sidecar.stop()
        self.listener.close()
        return status


class Places:
    """Every sidecar of a test run; those that are shared are known by their flags."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._begun: dict[tuple[str, ...], Place] = {}
        self._shared: dict[tuple[str, ...], Place] = {}  # those of them that are ready
        self.kept: dict[str, Any] = {}  # what rows share beside sidecars, by a name of theirs
        self._all: list[Place] = []
        self._callbacks: list[Callable[[], object]] = []

    async def shared(self, *flags: str) -> Place:
        """The one with those flags. All of SHARED begin with the first: they start while rows wait for time to pass."""
        for each in (flags, *SHARED):
            if each not in self._begun:
                self._begun[each] = self.begun(*each)
        if flags not in self._shared:
            self._shared[flags] = await self._begun[flags].started()
        return self._shared[flags]

    async def own(self, *flags: str, **options: Any) -> Place:
        """One that a row may break."""
        return await self.begun(*flags, **options).started()

    def begun(self, *flags: str, **options: Any) -> Place:
        """One that is just starting."""
        place = Place(self.folder / f"sidecar-{len(self._all)}", flags, **options)
        self._all.append(place)
        return place

    def closing(self, callback: Callable[[], object]) -> None:
        """Called when all sidecars have ended."""
        self._callbacks.append(callback)

    def stop(self) -> None:
        """All of them."""
        for place in self._all:
            place.stop()
        for callback in self._callbacks:
            callback()


async def until(
    holds: Callable[[], object | Awaitable[object]],
    what: str,
    deadline: float = SECONDS,
    pause: float = 0.005,
) -> Any:
    """Poll until it gives something true, and return that; `what` is told when it never does."""
    end = time.monotonic() + deadline
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline:g} s: {what}"
        await asyncio.sleep(pause)


async def together(*scenarios: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run them side by side to the end of each; every failure is told, not only the first."""
    results = await asyncio.gather(*scenarios, return_exceptions=True)
    failures = [result for result in results if isinstance(result, Exception)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(results)} scenarios", failures)
    return results
