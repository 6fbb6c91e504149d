"""Everything that a game day here needs: a real model, the sidecar, Prometheus, Alertmanager, an inbox, traffic.

Knows order and lifetimes, no scenes. Invariant: leaving the block leaves no process behind.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from exporter.demo import data, model
from tests.e2e import monitoring, sidecar
from tests.e2e.processes import LOOPBACK, Program, Running, free_ports, running, wait_until
from tests.environments.tools import tools
from tests.gameday import pace
from tests.gameday.inbox import Inbox, Notification, open_inbox
from tests.gameday.manager import Manager
from tests.gameday.traffic import Traffic, flowing

PATIENCE_SECONDS = 120.0


class Server:
    """The demo's model server, which a scene may kill and start again at the same address."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        command = (sys.executable, "-m", "exporter.demo.server", "--model", folder / "model.joblib")
        self._program = Program("model", (*command, "--port", str(port)), folder, python())
        self._life = ExitStack()
        self._process: Running | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = self._life.enter_context(running(self._program, f"{self.url}/v2/health/ready"))

    def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None, "kill before start"
        self._process.kill()

    def stop(self) -> None:
        """End every life that it had; safe twice."""
        self._life.close()


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts, by their addresses; `say` tells whoever watches."""

    server: Server
    traffic: Traffic
    prometheus: monitoring.Prometheus
    manager: Manager
    inbox: Inbox
    say: Callable[[str], None]

    def arrives(self, way: str, alert: str, status: str, after: int = 0) -> Notification:
        """The first notification of that kind beyond the first `after`; NotReady if it does not come."""
        found = wait_until(
            lambda: self.inbox.found(way, alert, status)[after:],
            f"{way}: {alert} {status}",
            seconds=PATIENCE_SECONDS,
            progress=lambda: (self.inbox.summary(), self.manager.held()),
        )
        return found[0]


def python() -> dict[str, str]:
    return {"PYTHONPATH": str(sidecar.ROOT)}


@contextmanager
def staged(folder: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start all, traffic last."""
    healthy = prepare(folder)
    server = Server(folder)
    with ExitStack() as stack:
        enter = stack.enter_context
        stack.callback(server.stop)
        server.start()
        at = sidecar.addresses()
        tap = enter(running(_sidecar(folder, at, server.url), at.ready))
        insist(tap)
        inbox = enter(open_inbox())
        manager = Manager(enter(managing(folder, inbox)))
        prometheus = monitoring.Prometheus(enter(_watching(folder, at, manager.url)))
        wait_until(lambda: prometheus.target_health() == ["up"], "the sidecar is scraped", process=tap)
        traffic = enter(flowing(Traffic(f"http://{LOOPBACK}:{at.proxy}", server.url, healthy)))
        yield Stage(server, traffic, prometheus, manager, inbox, say)


def prepare(folder: Path) -> NDArray[np.float64]:
    """Train the model and make the profile, as a user would; gives rows for traffic, which neither has seen."""
    parts = data.split(data.load().training)
    trained = model.train(parts.fit)
    model.save(trained, folder / "model.joblib")
    model.write_reference(trained, parts.reference, folder / "reference.csv")
    command = [sys.executable, "-m", "exporter", "profile", "--data", str(folder / "reference.csv")]
    command += ["--out", str(folder / "profile.json"), "--model", model.NAME]
    command += model.ROLES
    subprocess.run(command, cwd=sidecar.ROOT, check=True, capture_output=True)
    return parts.healthy.features


def insist(tap: Running) -> None:
    """The analysis yields to everything else, and where a minute is a second that looks like an outage."""
    analysis = wait_until(lambda: sidecar.analysis(tap), "an analysis runs", process=tap)
    # Only root may.
    with suppress(PermissionError, ProcessLookupError, psutil.AccessDenied):
        for thread in analysis.threads():
            os.setpriority(os.PRIO_PROCESS, thread.id, 0)


def _sidecar(folder: Path, at: sidecar.Addresses, upstream: str) -> Program:
    flags = ["--reference", str(folder / "profile.json"), "--probe-interval", "0.5", "--tick-interval", "1"]
    return sidecar.sidecar(folder, at, int(upstream.rpartition(":")[2]), flags)


@contextmanager
def managing(folder: Path, inbox: Inbox) -> Iterator[str]:
    """An Alertmanager with the shipped configuration that tells the inbox; its address."""
    (port,) = free_ports(1)
    command: list[str | Path] = [
        tools() / "alertmanager",
        f"--config.file={pace.write_configuration(folder, inbox.web, inbox.mail)}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://{LOOPBACK}:{port}"
    with running(Program("alertmanager", command, folder, {}), f"{url}/-/ready"):
        yield url


@contextmanager
def _watching(folder: Path, at: sidecar.Addresses, manager: str) -> Iterator[str]:
    (port,) = free_ports(1)
    target = f"{LOOPBACK}:{at.admin}"
    addresses = monitoring.Addresses(port, target, manager.removeprefix("http://"))
    rules = pace.write_rules(folder / "rules")
    program = monitoring.prometheus(tools() / "prometheus", folder, addresses, rules)
    url = f"http://{LOOPBACK}:{port}"
    with running(program, f"{url}/-/ready"):
        yield url
