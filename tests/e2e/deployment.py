"""Everything that a user of the sidecar runs, started in order and stopped in reverse.

Knows what is in front of what; asserts nothing. Invariant: leaving the block leaves no process behind.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import mlserver, monitoring, rules, sidecar, telemetry
from tests.e2e.processes import LOOPBACK, Program, Running, free_ports, running, wait_until
from tests.environments.tools import tools
from tests.receivers.otlp import OtlpReceiver

# A limit far above the client's concurrency: queue metrics exist, nothing waits long.
MAX_CONCURRENCY = 8


class Model:
    """The real model server."""

    def __init__(self, trained: mlserver.TrainedModel, tracing: str) -> None:
        ports = free_ports(3)
        self.port = ports[0]
        self.trained = trained
        self._program: Program = mlserver.server(trained, (ports[0], ports[1], ports[2]), tracing)
        self._life = ExitStack()
        self.process: Running | None = None

    def start(self) -> None:
        """Start and wait until the model is loaded."""
        self.process = self._life.enter_context(running(self._program, mlserver.ready_url(self.port)))

    def stop(self) -> None:
        """End it; safe twice."""
        self._life.close()


@dataclass(frozen=True, slots=True)
class Deployment:
    """The parts, by their addresses."""

    model: Model
    tap: Running
    at: sidecar.Addresses
    prometheus: monitoring.Prometheus
    receiver: OtlpReceiver
    binaries: Path

    def processes(self) -> list[Running]:
        """Those whose logs tell what went wrong with telemetry."""
        return [process for process in (self.tap, self.model.process) if process is not None]


@contextmanager
def deployed(folder: Path, alert_rules: list[Path]) -> Iterator[Deployment]:
    """Model server <- sidecar, Prometheus scraping, a receiver of all spans."""
    binaries = tools()
    rule_file = rules.shortened(alert_rules, folder / "rules.yaml")
    at, (port,) = sidecar.addresses(), free_ports(1)
    with ExitStack() as stack:
        enter = stack.enter_context
        receiver = enter(OtlpReceiver())
        model = Model(mlserver.train(folder), receiver.grpc_endpoint)
        stack.callback(model.stop)
        model.start()
        flags = [
            *("--reference", str(profile(model.trained.data, folder))),
            *("--max-concurrency", str(MAX_CONCURRENCY)),
            *("--probe-interval", "0.5", "--tick-interval", "1"),
        ]
        environment = sidecar.otlp_environment(receiver.grpc_endpoint, "grpc", telemetry.SIDECAR)
        tap = enter(running(sidecar.sidecar(folder, at, model.port, flags, environment), at.ready))
        url = f"http://{LOOPBACK}:{port}"
        target = f"{LOOPBACK}:{at.admin}"
        ports = monitoring.Addresses(port, target)
        enter(
            running(
                monitoring.prometheus(binaries / "prometheus", folder, ports, rule_file), f"{url}/-/ready"
            )
        )
        prometheus = monitoring.Prometheus(url)
        wait_until(lambda: prometheus.target_health() == ["up"], "the sidecar is scraped", process=tap)
        yield Deployment(model, tap, at, prometheus, receiver, binaries)


def profile(data: Path, folder: Path) -> Path:
    """The reference profile of the training data, made by the command that a user would type."""
    target = folder / "profile.json"
    command = [sys.executable, "-m", "exporter", "profile", "--data", str(data), "--out", str(target)]
    command += ["--model", mlserver.MODEL_NAME]
    for answer in mlserver.ANSWERS:
        command += ["--prediction", answer]
    subprocess.run(command, cwd=sidecar.ROOT, check=True)
    return target
