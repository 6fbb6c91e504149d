"""The sidecar as a user starts it: `python -m exporter run` with addresses of its own.

Tells its processes apart by their command lines, as a person with `ps` would.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.processes import LOOPBACK, Program, Running, answers, free_ports, running, wait_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of one sidecar on the loopback interface."""

    proxy: int
    admin: int
    health: int

    @property
    def metrics(self) -> str:
        """Where Prometheus scrapes."""
        return f"http://{LOOPBACK}:{self.admin}/metrics"

    @property
    def ready(self) -> str:
        """Answers 200 once the proxy accepts."""
        return self.health_url("readyz")

    def health_url(self, name: str) -> str:
        """An endpoint of the health port: livez or readyz."""
        return f"http://{LOOPBACK}:{self.health}/{name}"


# On a busy machine the analysis goes over its half of a core, and thins: counts would not be those of the requests.
UNTHINNED = {"MODELTAP_ANALYSIS_CPU": "64"}


def addresses() -> Addresses:
    """Three free ports."""
    return Addresses(*free_ports(3))


def sidecar(
    folder: Path,
    at: Addresses,
    upstream: int,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Program:
    """The command line in front of the model at the port `upstream`."""
    command = [
        *(sys.executable, "-m", "exporter", "run"),
        *("--upstream", f"http://{LOOPBACK}:{upstream}"),
        *("--listen", f"{LOOPBACK}:{at.proxy}"),
        *("--admin", f"{LOOPBACK}:{at.admin}"),
        *("--health", f"{LOOPBACK}:{at.health}"),
        *flags,
    ]
    return Program("sidecar", command, folder, {"PYTHONPATH": str(ROOT), **UNTHINNED, **(environment or {})})


def otlp_environment(endpoint: str, protocol: str, service: str) -> dict[str, str]:
    """OpenTelemetry's standard variables, with short intervals; `protocol` is grpc or http/protobuf."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_SERVICE_NAME": service,
    }


@dataclass(frozen=True, slots=True)
class Tapped:
    """A small fast upstream with a sidecar before it."""

    process: Running
    at: Addresses


@contextmanager
def tapped(
    folder: Path, flags: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Tapped]:
    """Start both, the upstream first, and wait until the sidecar is ready and answers a scrape."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.e2e.upstream", str(port)]
    upstream = Program("upstream", command, folder, {"PYTHONPATH": str(ROOT)})
    at = addresses()
    with (
        running(upstream, f"http://{LOOPBACK}:{port}/v2/health/ready"),
        running(sidecar(folder, at, port, flags, environment), at.ready) as process,
    ):
        wait_until(lambda: answers(at.metrics), "the first scrape is answered", process=process)
        yield Tapped(process, at)


def analysis(root: Running) -> psutil.Process | None:
    """The analysis process, None while there is none."""
    return next(iter(_children(root, "analysis")), None)


def workers(root: Running) -> list[psutil.Process]:
    """The data-plane workers under the supervisor; empty where the root itself carries the traffic."""
    return _children(root, "worker")


def _children(root: Running, role: str) -> list[psutil.Process]:
    return [child for child in psutil.Process(root.pid).children() if role in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    """Empty for a process that is gone or not collected yet."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
