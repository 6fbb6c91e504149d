"""Puts the demo together (data, model, server, sidecar, traffic, view, summary) and takes it apart again.

It decides order and lifetimes, nothing else. Invariant: whichever way `run_demo` ends, every process that it
started has ended and its temporary files are gone.
"""

import asyncio
import itertools
import re
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiohttp

from exporter.demo import data, model
from exporter.demo.children import Child, ChildDied, Children
from exporter.demo.frame import drift, errors, expected, frame, predictions
from exporter.demo.scrape import Snapshot, parse
from exporter.demo.server import FAULTS_PATH
from exporter.demo.summary import Summary
from exporter.demo.traffic import Traffic, schedule
from exporter.demo.view import Caption, Screen

T = TypeVar("T")

START_SECONDS = 20.0
SETTLE_SECONDS = 5.0
# Quantiles of one second of 40 requests jump; five seconds are steadier.
VIEW_SECONDS = 5
PLAIN_EVERY = 5
MAX_CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `listen_port` 0 takes a free one, `duration` None goes on until stopped."""

    duration: float | None = None
    listen_port: int = 0
    data: Path | None = None
    plain: bool = False
    modeltap: tuple[str, ...] = (sys.executable, "-m", "exporter")


@dataclass(frozen=True, slots=True)
class Ports:
    """The sidecar's three ports."""

    listen: int
    admin: int
    health: int


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Everything that runs: where model, sidecar and `/metrics` are, and what drives and watches them."""

    model_url: str
    sidecar_url: str
    metrics_url: str
    children: Children
    http: aiohttp.ClientSession
    traffic: Traffic
    screen: Screen
    summary: Summary


class Interrupt:
    """The handler of SIGINT and SIGTERM: lets traffic end in order if there is any, else cancels the task."""

    def __init__(self, task: "asyncio.Task[object] | None") -> None:
        self._task = task
        self._seen = False
        self.traffic: Traffic | None = None

    def __call__(self) -> None:
        if self.traffic is not None and not self._seen:
            self.traffic.stop()
        elif self._task is not None:
            self._task.cancel()
        self._seen = True


def main(options: Options) -> int:
    """Run the demo: 0 at its end or after Ctrl-C, 1 if something did not start or died, 130 if broken off."""
    try:
        asyncio.run(run_demo(options))
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("modeltap demo: broken off", file=sys.stderr)
        return 130
    except (data.DataMissing, ChildDied, TimeoutError, OSError) as error:
        print(f"modeltap demo: {error}", file=sys.stderr)
        return 1
    return 0


async def run_demo(options: Options) -> None:
    """Set up, perform, print the summary. Raises DataMissing, ChildDied, TimeoutError, OSError."""
    interrupt = Interrupt(asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    summary = Summary()
    screen = Screen(sys.stdout, live=sys.stdout.isatty() and not options.plain)
    with tempfile.TemporaryDirectory(prefix="modeltap-demo-") as folder:
        children = Children(Path(folder))
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SETTLE_SECONDS)) as http:
                urls, traffic = await _set_up(options, children, http)
                interrupt.traffic = traffic
                await _perform(Stage(*urls, children, http, traffic, screen, summary), options.duration)
        finally:
            screen.close()
            await children.stop()
    print(summary.text())


async def _set_up(
    options: Options, children: Children, http: aiohttp.ClientSession
) -> tuple[tuple[str, str, str], Traffic]:
    """Train, make the reference, start model server and sidecar; gives the addresses and the traffic."""
    folder = children.directory
    periods = await asyncio.to_thread(data.load, options.data)
    parts = data.split(periods.training)
    _say(
        f"California housing: {len(periods.training)} rows to train, {len(periods.later)} of later months"
        " (the months are those of the data set; each is another part of the state)"
    )
    trained = await asyncio.to_thread(model.train, parts.fit)
    saved, reference, profile = (folder / name for name in ("model.joblib", "reference.csv", "profile.json"))
    model.save(trained, saved)
    model.write_reference(trained, parts.reference, reference)
    # Both load their libraries for a second or two, so they do it side by side.
    server = await children.start("model server", server_command(saved))
    await children.finish("modeltap profile", profile_command(options, reference, profile), START_SECONDS)
    model_url = await _until(server, partial(_address, server))
    ports = free_ports(options.listen_port)
    sidecar_url, admin_url, health_url = (f"http://127.0.0.1:{port}" for port in astuple(ports))
    await _start_sidecar(children, http, sidecar_command(options, model_url, ports, profile), health_url)
    _say(f"model {model_url}\nsidecar in front of it {sidecar_url}\nmetrics {admin_url}/metrics")
    return (model_url, sidecar_url, f"{admin_url}/metrics"), Traffic(
        sidecar_url, parts.healthy, periods.later
    )


def server_command(saved: Path) -> tuple[str, ...]:
    """The command that serves the saved model on a free port."""
    return (sys.executable, "-m", "exporter.demo.server", "--model", str(saved))


def profile_command(options: Options, reference: Path, profile: Path) -> tuple[str, ...]:
    """The command that makes the reference profile from the training period's rows."""
    return (
        *(*options.modeltap, "profile", "--data", str(reference), "--out", str(profile)),
        # The model was fitted on none of them: what it got right there says what to expect.
        *("--test-rows", str(reference)),
        # The order of the columns in bodies that do not name them.
        *("--model", model.NAME, "--features", ",".join(data.FEATURES), *model.ROLES),
    )


def sidecar_command(options: Options, model_url: str, ports: Ports, profile: Path) -> tuple[str, ...]:
    """The command that starts the sidecar in front of the model."""
    return (
        *(*options.modeltap, "run", "--upstream", model_url),
        *("--listen", f"127.0.0.1:{ports.listen}"),
        *("--admin", f"127.0.0.1:{ports.admin}"),
        *("--health", f"127.0.0.1:{ports.health}"),
        *("--reference", str(profile), "--max-concurrency", str(MAX_CONCURRENCY)),
    )


def free_ports(listen: int) -> Ports:
    """Ports of 127.0.0.1 that are free now; `listen` is kept unless 0. Raises OSError if it is taken."""
    with ExitStack() as held:
        found = []
        for wanted in (listen, 0, 0):
            sock = held.enter_context(socket.socket())
            # As the listener itself does: connections of an earlier run that linger do not make a port taken.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise OSError(f"--listen-port {wanted}: {error.strerror}") from error
            found.append(int(sock.getsockname()[1]))
    return Ports(*found)


async def _address(server: Child) -> str | None:
    """The address that the model server printed; None before it did."""
    match = re.search(r"^listening (\S+)$", server.log.read_text(encoding="utf-8", errors="replace"), re.M)
    return match[1] if match else None


async def _start_sidecar(
    children: Children, http: aiohttp.ClientSession, command: tuple[str, ...], health_url: str
) -> None:
    """Start the sidecar; returns when it accepts traffic."""
    child = await children.start("sidecar", command)

    async def ready() -> bool | None:
        try:
            async with http.get(f"{health_url}/readyz") as response:
                return response.status == 200 or None
        except (aiohttp.ClientError, TimeoutError):
            return None

    await _until(child, ready)


async def _until(child: Child, probe: Callable[[], Awaitable[T | None]]) -> T:
    """What `probe` gives once it gives something. Raises ChildDied, or TimeoutError after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = await probe()
        if found is not None:
            return found
        if child.process.returncode is not None:
            raise child.died()
        await asyncio.sleep(0.05)
    raise TimeoutError(
        f"{child.name} was not ready within {START_SECONDS:.0f} s; its last lines:\n{child.last_lines()}"
    )


async def _perform(stage: Stage, duration: float | None) -> None:
    """Traffic and view until the traffic is over. Raises ChildDied if a process ends before."""
    failure: BaseExceptionGroup[BaseException] | None = None
    try:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(child.watch(), name=child.name) for child in stage.children.running]
            beside.append(group.create_task(_view(stage, duration), name="view"))
            await _drive(stage, duration)
            for task in beside:
                task.cancel()
    except* (ChildDied, aiohttp.ClientError, TimeoutError) as group_of_failures:
        failure = group_of_failures
    if failure is not None:
        # A dead process may show first as a failed connection to it; let the loop notice its end.
        await asyncio.sleep(0.2)
        for child in stage.children.running:
            if child.process.returncode is not None:
                raise child.died()
        raise ChildDied(f"a process of the demo does not answer: {failure.exceptions[0]}")


async def _drive(stage: Stage, duration: float | None) -> None:
    """Phase after phase; then wait until the sidecar's count has caught up."""
    for phase, seconds in schedule(duration):
        report = stage.summary.begin(phase.name)
        async with stage.http.put(stage.model_url + FAULTS_PATH, json=asdict(phase.faults)) as response:
            response.raise_for_status()
        await stage.traffic.run(phase, seconds, report.tally)
        snapshot = await _scrape(stage)
        report.drift = drift(snapshot) if snapshot else []
        report.expected = expected(snapshot) if snapshot else None
        if stage.traffic.stopped:
            break
    await _settle(stage)


async def _settle(stage: Stage) -> None:
    """Read the sidecar's final counts: as soon as they equal what was sent, or after SETTLE_SECONDS."""
    summary, deadline = stage.summary, time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and not summary.agrees:
        snapshot = await _scrape(stage)
        if snapshot is not None:
            # It answered: a family that is not there yet has counted nothing.
            summary.counted, summary.sidecar_errors = predictions(snapshot) or 0.0, errors(snapshot)
        await asyncio.sleep(0.2)


async def _view(stage: Stage, duration: float | None) -> None:
    """Scrape every second and show what it says, for as long as it is not cancelled."""
    history: deque[Snapshot] = deque(maxlen=VIEW_SECONDS + 1)
    began = time.monotonic()
    addresses = {"metrics": stage.metrics_url, "sidecar": stage.sidecar_url, "model": stage.model_url}
    for tick in itertools.count():
        snapshot = await _scrape(stage)
        if snapshot is not None:
            history.append(snapshot)
            now = frame(snapshot, history[0], model.PROBABILITY)
            stage.summary.see_p99(now.p99)
            if stage.screen.live or tick % PLAIN_EVERY == 1:
                elapsed = time.monotonic() - began
                traffic = stage.traffic
                caption = Caption(traffic.phase.name, traffic.month, elapsed, duration, addresses)
                stage.screen.show(now, caption)
        await asyncio.sleep(1.0)


async def _scrape(stage: Stage) -> Snapshot | None:
    """The sidecar's `/metrics` now; None if it did not answer with any."""
    try:
        async with stage.http.get(
            stage.metrics_url, headers={"accept": "text/plain; version=0.0.4"}
        ) as response:
            response.raise_for_status()
            text = await response.text()
        return parse(text, time.monotonic())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _say(text: str) -> None:
    print(text, flush=True)
