"""Faults, one coroutine each: begin it, hold it, end it. Two tracks run side by side, each in an order of its own.

A fault ends by itself and leaves nothing behind but what the sidecar made of it.
"""

import asyncio
import os
import random
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.e2e.exposition import scrape
from tests.e2e.processes import LOOPBACK, Program, Running, answers, wait_until
from tests.proxy import clients
from tests.soak import talk
from tests.soak.world import World

SCRAPE = talk.request("/metrics", method="GET").replace(b"host: soak", b"host: soak\r\nconnection: close")
STORM_CLIENTS = 6
# Over this silence the root takes the analysis for hung and kills it.
SHORT_STOP, LONG_STOP = (0.5, 2.0), (7.0, 8.0)
# A life of a minute starts the back-off of the restarts anew; sooner, and the analysis would mostly be down.
KILL_APART_SECONDS = 65.0
# No kill comes later than this part of the run: memory is judged over the second half, of one process.
KILL_SHARE = 0.4


class Stage:
    """What faults act upon besides the sidecar: the model that fails, and the collector that is not there."""

    def __init__(self, world: World, model: Program, port: int, draw: random.Random) -> None:
        self.world = world
        self.draw = draw
        self.last_kill = 0.0  # on the clock of the event loop; until then the analysis may be killed
        self._program = model
        self._port = port
        self.model = Running(model)
        self.collector = socket.socket()  # bound and not listening: who connects is refused
        self.collector.bind((LOOPBACK, 0))
        self.killed_at = -KILL_APART_SECONDS

    @property
    def collector_port(self) -> int:
        """Where the sidecar is told to push to."""
        port: int = self.collector.getsockname()[1]
        return port

    def ready(self) -> None:
        """Wait for the model."""
        wait_until(
            lambda: answers(f"http://{LOOPBACK}:{self._port}/v2/health/ready"), "the model is there", 30
        )

    async def tell(self, fault: str, seconds: float) -> None:
        """Switch a fault of the model on; it heals by itself."""
        peer = await clients.connect((LOOPBACK, self._port))
        await peer.send(talk.request("/control", f"{fault} {seconds}".encode()))
        await talk.answer(peer)
        peer.close()
        await asyncio.sleep(seconds)

    def kill_model(self) -> None:
        """Gone at once, with every connection."""
        self.model.kill()

    def start_model(self) -> None:
        """The same model on the same port."""
        self.model.stop()
        self.model = Running(self._program)

    async def model_answers(self) -> None:
        """Wait until it does."""
        while not await asyncio.to_thread(answers, f"http://{LOOPBACK}:{self._port}/v2/health/ready"):
            await asyncio.sleep(0.05)

    def may_kill(self) -> bool:
        """Whether it is time for the analysis to be killed; if so, it is the time of the last one."""
        now = asyncio.get_running_loop().time()
        may = now - self.killed_at >= KILL_APART_SECONDS and now <= self.last_kill
        if may:
            self.killed_at = now
        return may

    def close(self) -> None:
        """End the model. Safe twice."""
        self.model.stop()
        self.collector.close()


Fault = Callable[[Stage], Awaitable[bool | None]]  # False: it was not done this time


# ---------------------------------------------------------------- upstream


async def refuse(stage: Stage) -> None:
    """The model's port is closed; connections that are open go on."""
    await stage.tell("refuse", stage.draw.uniform(0.3, 2.0))


async def reset(stage: Stage) -> None:
    """The model resets instead of answering."""
    await stage.tell("reset", stage.draw.uniform(0.2, 1.0))


async def cut(stage: Stage) -> None:
    """The model resets within the answer."""
    await stage.tell("cut", stage.draw.uniform(0.2, 1.0))


async def stall(stage: Stage) -> None:
    """The model reads and says nothing for a while."""
    await stage.tell("stall", stage.draw.uniform(0.5, 2.5))


async def restart(stage: Stage) -> None:
    """The model is killed, stays away for a moment and comes back."""
    stage.kill_model()
    await asyncio.sleep(stage.draw.uniform(0.1, 1.0))
    stage.start_model()
    await stage.model_answers()


# ---------------------------------------------------------------- telemetry


@contextmanager
def _telemetry_down(world: World) -> Iterator[None]:
    """A scrape may be refused, or wait for long, inside the block."""
    world.telemetry_down = True
    try:
        yield
    finally:
        world.telemetry_down = False


async def _signal_analysis(stage: Stage, *signals: signal.Signals, between: float = 0.0) -> None:
    for number in signals:
        for pid in stage.world.sidecar.children("analysis"):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        await asyncio.sleep(between)


async def kill_analysis(stage: Stage) -> bool:
    """kill -9 of the analysis, at most once a minute, and not late in the run."""
    if not stage.may_kill():
        return False
    with _telemetry_down(stage.world):
        await _signal_analysis(stage, signal.SIGKILL)
        await _analysis_answers(stage)
    return True


async def stop_analysis(stage: Stage) -> None:
    """The analysis is stopped for a moment, not long enough to be taken for hung."""
    with _telemetry_down(stage.world):
        await _signal_analysis(stage, signal.SIGSTOP, signal.SIGCONT, between=stage.draw.uniform(*SHORT_STOP))
        await _analysis_answers(stage)


async def hang_analysis(stage: Stage) -> bool:
    """The analysis is stopped until the root has had enough of it; counts as a kill."""
    if not stage.may_kill():
        return False
    with _telemetry_down(stage.world):
        await _signal_analysis(stage, signal.SIGSTOP)
        await asyncio.sleep(stage.draw.uniform(*LONG_STOP))
        await _analysis_answers(stage)
    return True


async def _analysis_answers(stage: Stage) -> None:
    """Scrapes are answered again."""
    url = f"http://{LOOPBACK}:{stage.world.sidecar.admin}/metrics"
    while True:
        with suppress(OSError):
            await asyncio.to_thread(scrape, url)
            return
        await asyncio.sleep(0.1)


async def scrape_storm(stage: Stage) -> None:
    """More scrapes than can be rendered."""
    loop = asyncio.get_running_loop()
    until = loop.time() + stage.draw.uniform(0.5, 2.0)

    async def scraping() -> None:
        while loop.time() < until:
            peer = await clients.connect((LOOPBACK, stage.world.sidecar.admin))
            await peer.send(SCRAPE)
            with suppress(TimeoutError):
                await peer.read_all()
            peer.close()

    with _telemetry_down(stage.world):
        async with asyncio.TaskGroup() as group:
            for _ in range(STORM_CLIENTS):
                group.create_task(scraping())


async def slow_scraper(stage: Stage) -> None:
    """A scraper that reads a little at a time, and leaves before the end."""
    peer = await clients.connect((LOOPBACK, stage.world.sidecar.admin), receive_buffer=2048)
    await peer.send(SCRAPE)
    for _ in range(stage.draw.randint(10, 40)):
        await asyncio.sleep(0.05)
        with suppress(TimeoutError):
            await peer.receive(256)
    peer.reset()


async def black_hole(stage: Stage) -> None:
    """The collector takes connections and never reads; before and after it refuses them."""
    port = stage.collector_port
    stage.collector.listen(1)
    await asyncio.sleep(stage.draw.uniform(1.0, 3.0))
    stage.collector.close()
    stage.collector = socket.socket()
    stage.collector.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stage.collector.bind((LOOPBACK, port))


async def descriptors(stage: Stage) -> None:
    """The data plane may open almost nothing more: new clients have to wait, those that are there go on."""
    root = psutil.Process(stage.world.sidecar.root)
    before = root.rlimit(resource.RLIMIT_NOFILE)
    stage.world.pressed = True
    try:
        root.rlimit(resource.RLIMIT_NOFILE, (root.num_fds() + 4, before[1]))
        await asyncio.sleep(stage.draw.uniform(0.3, 1.5))
    finally:
        root.rlimit(resource.RLIMIT_NOFILE, before)
    await asyncio.sleep(1.0)  # who was kept waiting, or turned away, is so because of this
    stage.world.pressed = False


UPSTREAM: tuple[Fault, ...] = (refuse, reset, cut, stall, restart)
TELEMETRY: tuple[Fault, ...] = (
    scrape_storm,
    kill_analysis,
    slow_scraper,
    descriptors,
    black_hole,
    stop_analysis,
    hang_analysis,
)


async def track(stage: Stage, deck: tuple[Fault, ...], pauses: tuple[float, float]) -> None:
    """Fault after fault, each once before any comes again, until the soak is over."""
    world = stage.world
    while not world.over:
        for fault in stage.draw.sample(deck, len(deck)):
            await asyncio.sleep(stage.draw.uniform(*pauses))
            if world.over:
                return
            world.faults.append(fault.__name__)
            try:
                world.faulted[fault.__name__] += await fault(stage) is not False
            finally:
                world.faults.remove(fault.__name__)
