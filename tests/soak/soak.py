"""One soak from start to verdict: models and sidecar up, sessions and faults until time is over, then the books.

The verdict is a list of what broke; an empty one is a pass. Everything random comes from the seed, though not the
order in which processes are scheduled.
"""

import asyncio
import random
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import monotonic

from bench import interpreter
from tests.app.command import Sidecar, gone
from tests.e2e import exposition
from tests.e2e.processes import LOOPBACK, NotReady, Program, answers, free_ports, wait_until
from tests.e2e.sidecar import ROOT, otlp_environment
from tests.proxy.clients import Peer
from tests.soak import faults, faulty, kinds, streams
from tests.soak.faults import Fault, Stage
from tests.soak.kinds import Kind
from tests.soak.ledger import CLEAN, books
from tests.soak.talk import Broken, answer, request, v2_body
from tests.soak.watch import MIB, Allowed, Watch
from tests.soak.world import World

# Kinds of sessions, how often they are drawn from, and whether they go to the model that fails.
DECKS: tuple[tuple[tuple[Kind, ...], int, bool], ...] = (
    (kinds.KINDS, 6, False),
    (streams.KINDS, 2, False),
    (faulty.KINDS, 4, True),
)
CALLERS = 12
CANARY_SECONDS, CANARY_LIMIT_SECONDS = 0.2, 5.0
SESSION_SECONDS = 60.0
REST_SECONDS, END_SECONDS = 60.0, 20.0
SPARE_DESCRIPTORS = 4
# What CPython or asyncio writes when something was not caught; nothing of it may be in a log.
MARKS = re.compile(r"Traceback \(most recent|never retrieved|Exception ignored|ResourceWarning|never awaited")
DATA_PLANE, ANALYSIS = Allowed(2 * MIB, MIB), Allowed(12 * MIB, MIB)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, from which seed, how often a line is told, and the pauses between faults."""

    seconds: float
    seed: int
    every: float = 10.0
    pauses: tuple[float, float] = (0.5, 6.0)
    telemetry: tuple[Fault, ...] = faults.TELEMETRY


@dataclass(slots=True)
class Run:
    """The state of a soak. Times in seconds."""

    plan: Plan
    world: World
    stage: Stage
    seen: Path
    say: Callable[[str], None]
    began: float = field(default_factory=monotonic)
    plane: Watch = field(default_factory=lambda: Watch("data plane", DATA_PLANE))
    analysis: Watch = field(default_factory=lambda: Watch("analysis", ANALYSIS))
    counters: exposition.Watch = field(default_factory=exposition.Watch)
    canary: list[float] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.began + self.plan.seconds - monotonic()


async def soak(plan: Plan, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Run it; what broke. Logs lie in the folder."""
    draw = random.Random(plan.seed)
    async with _standing(plan, folder, draw, say) as run:
        sidecar, world = run.world.sidecar, run.world
        say(f"sidecar: {interpreter.of_process(sidecar.root, 'exporter.wire.http1')}")
        baseline = _descriptors(sidecar)
        await _traffic(run, draw)
        problems = await _verdict(run, baseline)
        problems += await _ending(sidecar)
        problems += _logs(folder)
        say(
            f"{world.ledger.exchanges} exchanges in {world.sessions} sessions, {world.faulted.total()} faults, "
            f"{world.ledger.unknown.total()} that nobody can know, {run.counters.scrapes} scrapes"
        )
        say(f"faults: {', '.join(f'{name} {count}' for name, count in world.faulted.most_common())}")
    return [*world.broken, *problems]


@asynccontextmanager
async def _standing(
    plan: Plan, folder: Path, draw: random.Random, say: Callable[[str], None]
) -> AsyncIterator[Run]:
    """Two models and the sidecar before them, all ready; nothing is left of them afterwards."""
    good, bad = free_ports(2)
    seen = folder / "seen"
    seen.touch()

    def model(name: str, port: int, *more: str) -> Program:
        command = [sys.executable, "-m", "tests.soak.model", str(port), *more]
        return Program(name, command, folder, {"PYTHONPATH": str(ROOT)})

    steady = faults.Running(model("model", good))
    world = World(None, ("", 0), ("", 0))  # type: ignore[arg-type]
    stage = Stage(world, model("faulty", bad, str(seen)), bad, draw)
    sidecar = None
    try:
        sidecar = world.sidecar = _sidecar(folder, good, bad, stage.collector_port)
        world.clean = (LOOPBACK, sidecar.listen)
        world.faulty = (LOOPBACK, int(sidecar.logged(r"listening on \S+?:(\d+) too")[1]))
        stage.ready()
        wait_until(
            lambda: answers(f"http://{LOOPBACK}:{good}/v2/health/ready"), "the steady model is there", 30
        )
        wait_until(lambda: answers(f"http://{LOOPBACK}:{sidecar.admin}/metrics"), "a scrape is answered", 60)
        yield Run(plan, world, stage, seen, say)
    finally:
        if sidecar is not None:
            sidecar.stop()
        stage.close()
        steady.stop()


def _sidecar(folder: Path, good: int, bad: int, collector: int) -> Sidecar:
    """In front of both models, and pushing all its telemetry to a collector that is not there."""
    flags = ["--forward", f"{LOOPBACK}:0=http://{LOOPBACK}:{bad}", "--final-scrape-wait", "0"]
    environment = otlp_environment(f"http://{LOOPBACK}:{collector}", "http/protobuf", "soak")
    return Sidecar(folder, good, flags, environment).started()


async def _traffic(run: Run, draw: random.Random) -> None:
    """Callers, canary, scraper, faults and watchers until time is over; then everyone ends what is in hand."""
    world = run.world
    run.stage.last_kill = asyncio.get_running_loop().time() + faults.KILL_SHARE * run.plan.seconds
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(_caller(world, random.Random(f"{run.plan.seed}/{number}")))
        group.create_task(_canary(run))
        group.create_task(_scraper(run))
        group.create_task(_watching(run))
        for deck in (faults.UPSTREAM, run.plan.telemetry):
            group.create_task(faults.track(run.stage, deck, run.plan.pauses))
        await asyncio.sleep(max(0.0, run.left))
        world.over = True


async def _caller(world: World, draw: random.Random) -> None:
    while not world.over:
        deck, _, fails = draw.choices(DECKS, [weight for _, weight, _ in DECKS])[0]
        kind = draw.choice(deck)
        world.sessions += 1
        try:
            async with (
                asyncio.timeout(SESSION_SECONDS),
                world.client(world.faulty if fails else world.clean, draw) as peer,
            ):
                await kind(world, peer, draw)
        except (Broken, OSError) as error:  # a TimeoutError is an OSError
            # On the way to the model that fails a connection may be gone before anything was said, as without us.
            if not (fails and isinstance(error, ConnectionError)):
                world.breaks(f"{kind.__name__} while {' and '.join(world.faults) or 'nothing'}: {error!r}")
        await asyncio.sleep(draw.random() * 0.05)


async def _canary(run: Run) -> None:
    """An honest client on one connection that is never refused and never waits long, whatever is going on."""
    world = run.world
    draw = random.Random(0)
    async with world.client(world.clean, draw) as peer:
        while not world.over and await _canary_lives(run, peer, draw):
            await asyncio.sleep(CANARY_SECONDS)


async def _canary_lives(run: Run, peer: Peer, draw: random.Random) -> bool:
    world = run.world
    sent = request(kinds.INFER, v2_body(draw))
    began = monotonic()
    try:
        await peer.send(sent)
        got = await answer(peer)
    except OSError as error:
        world.breaks(f"canary while {world.faults}: {error!r}")
        return False
    took = monotonic() - began
    run.canary.append(took)
    if not got.whole or got.status != 200 or took > CANARY_LIMIT_SECONDS:
        world.breaks(f"canary while {world.faults}: {got.status} after {took:.3f} s")
        return False
    world.ledger.done(CLEAN, got.status)
    world.ledger.moved(CLEAN, len(sent), got.size)
    return True


async def _scraper(run: Run) -> None:
    """A scrape a second; no counter goes back, and only a broken analysis leaves one unanswered."""
    world = run.world
    url = f"http://{LOOPBACK}:{world.sidecar.admin}/metrics"
    while not world.over:
        down = world.telemetry_down
        try:
            run.counters.see(await asyncio.to_thread(exposition.scrape, url))
        except OSError as error:
            if not (down or world.telemetry_down):
                world.breaks(f"a scrape failed while {world.faults}: {error}")
        await asyncio.sleep(1.0)


async def _watching(run: Run) -> None:
    """Readings every second, a line now and then."""
    told = monotonic()
    world = run.world
    while not world.over:
        run.plane.read(world.sidecar.root)
        for pid in world.sidecar.children("analysis"):
            run.analysis.read(pid)
        if monotonic() - told >= run.plan.every:
            told += run.plan.every
            run.say(_line(run))
        await asyncio.sleep(1.0)


def _line(run: Run) -> str:
    world = run.world
    roles = (
        f"{watch.role} {watch.last.rss / MIB:.1f} MiB {watch.last.descriptors} fds"
        for watch in (run.plane, run.analysis)
        if watch.last is not None
    )
    return (
        f"{monotonic() - run.began:6.0f} s  {world.ledger.exchanges:8} exchanges  {len(world.broken)} broken  "
        f"{'  '.join(roles)}  now: {', '.join(world.faults) or '-'}"
    )


# ---------------------------------------------------------------- the verdict


async def _verdict(run: Run, baseline: tuple[int, int]) -> list[str]:
    """Everything that must hold once all is at rest."""
    world = run.world
    problems = await _at_rest(run)
    problems += [f"a counter went back: {setback}" for setback in run.counters.setbacks[:5]]
    for watch in (run.plane, run.analysis):
        told, wrong = watch.judge()
        run.say(told)
        problems += [wrong] if wrong else []
    if len(run.canary) > 1:
        cuts = quantiles(run.canary, n=100)
        run.say(
            f"canary: {len(run.canary)} answers, p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, "
            f"longest {max(run.canary) * 1e3:.0f} ms"
        )
    for role, before, after in zip(
        ("data plane", "analysis"), baseline, _descriptors(world.sidecar), strict=True
    ):
        if after > before + SPARE_DESCRIPTORS:
            problems.append(f"{role}: {after} descriptors at the end, {before} at the start")
    return problems


async def _at_rest(run: Run) -> list[str]:
    """Scrape until the books are right, for a while: an analysis that was just killed may not be back yet."""
    url = f"http://{LOOPBACK}:{run.world.sidecar.admin}/metrics"
    deadline = monotonic() + REST_SECONDS
    problems = ["no scrape at rest was answered"]
    while monotonic() < deadline:
        try:
            text = await asyncio.to_thread(exposition.scrape, url)
        except OSError as error:
            problems = [f"no scrape at rest was answered: {error}"]
        else:
            run.counters.see(text)
            values = exposition.samples(text)
            problems = books(values) + run.world.ledger.compare(values, run.seen.stat().st_size)
        if not problems:
            break
        await asyncio.sleep(0.5)
    return problems


def _descriptors(sidecar: Sidecar) -> tuple[int, int]:
    """Of the data plane and of the analysis."""
    reading = [Watch("", DATA_PLANE).read(pid) for pid in (sidecar.root, sidecar.analysis())]
    return tuple(0 if one is None else one.descriptors for one in reading)  # type: ignore[return-value]


async def _ending(sidecar: Sidecar) -> list[str]:
    """SIGTERM with nothing under way: status 0, and no process is left."""
    children = sidecar.children("analysis")
    sidecar.signal(signal.SIGTERM)
    try:
        status = await asyncio.to_thread(sidecar.ended, END_SECONDS)
        await asyncio.to_thread(gone, *children)
    except NotReady as error:
        return [str(error)]
    return [f"the sidecar ended with status {status}"] if status else []


def _logs(folder: Path) -> list[str]:
    """What must not be in any log, with its surroundings."""
    problems = []
    for log in sorted(folder.glob("*.log")):
        text = log.read_text(errors="replace")
        if found := MARKS.search(text):
            problems.append(f"{log.name}: {text[max(0, found.start() - 200) : found.start() + 1500]}")
    return problems
