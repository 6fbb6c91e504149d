"""What a collector is, and the world that it is built from. Knows no collector.

Invariant: absence is not failure. A collector that finds nothing to read says so with Unavailable; any other
exception is a defect or a fault of what it reads, and is reported as such.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exporter.records.reading import Read
from exporter.records.sample import Sample

# Host and port, or the path of a unix socket.
Address = tuple[str, int] | str
# Asked for the process id of a component; None while there is none to be seen.
Finder = Callable[[], int | None]


class Unavailable(Exception):
    """There is nothing to collect here: no device, no permission, no process. Quiet, and not a failure."""


class Collector(Protocol):
    """One source of samples. One caller at a time, from any thread; blocking reads are allowed.

    `collect` may be called at any interval, and again after it raised. It raises Unavailable where there is
    nothing to read, leaves out what it may not read, and yields all samples of a family together.
    """

    @property
    def name(self) -> str:
        """The `collector` label; unique."""

    def collect(self, now: float) -> Iterable[Sample]:
        """Samples as of `now`, unix seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where metrics are served. `tls` gives a context, or raises OSError; `server_name` is in the certificate."""

    address: Address
    path: str = "/metrics"
    tls: Callable[[], ssl.SSLContext] | None = None
    server_name: str = ""

    def __str__(self) -> str:
        if isinstance(self.address, str):
            return f"unix:{self.address} {self.path}"
        host, port = self.address
        scheme = "https" if self.tls is not None else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.path}"


@dataclass(frozen=True, slots=True)
class OwnMetrics:
    """The upstream's own metrics: places to look in, in order; `configured` if the owner named the only one.

    `read` parses an exposition; `interval` is in seconds.
    """

    places: tuple[Place, ...] = ()
    read: Read = lambda body, content_type, names: ()
    configured: bool = False
    interval: float = 15.0


def absent() -> Any:
    """A binding that is not installed."""
    raise ImportError("there is none")


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the process that collectors read. `nvml` and `amdsmi` import that binding and return it.

    `components` gives a process id, or a finder that is asked again when the process has ended. `probe` is
    where the model tells whether it is ready: with a path of "", or None, what its dialect has; times are in seconds.
    /proc and /sys are read below `root`.
    """

    upstream: Address
    components: Mapping[str, int | Finder]
    nvml: Callable[[], Any]
    probe: Place | None = None
    probe_timeout: float = 2.0
    probe_interval: float = 5.0
    own_metrics: OwnMetrics = OwnMetrics()
    amdsmi: Callable[[], Any] = absent
    root: Path = Path("/")


Build = Callable[[World], Collector]


def grouped(samples: Iterable[Sample]) -> list[Sample]:
    """The samples with each family in one run, in the order of first appearance."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, []).append(sample)
    return [sample for family in families.values() for sample in family]
