"""What a scenario is: what it measures, of whom, and a function from a running peer to one round's readings.

Refuses to know rounds, peers' names and tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Metric, Outcome
from bench.peer import Peer, Program, Target

TLS, STREAMING = "tls", "streaming"


@dataclass(frozen=True, slots=True)
class Load:
    """How long to load, from which core (the proxy is on the other), and the files of prepared requests.

    `capacity` gives the requests per second that the sidecar can answer on this machine, measured once per run;
    it raises MeasureError when that cannot be told. `descriptors` is the limit of each process. A `quick` run
    checks that everything works, so what would take long may be done on a small scale.
    """

    seconds: float
    core: int
    proxy_core: int
    keep_alive: Path
    close: Path
    capacity: Callable[[], float]
    descriptors: int
    quick: bool


def everyone(peer: Peer) -> bool:
    """Also no proxy at all, which is what something added is measured from."""
    return not peer.slow


def proxies(peer: Peer) -> bool:
    """Whoever has a process of its own, the slow one too."""
    return peer.command is not None


def contenders(peer: Peer) -> bool:
    """Proxies that are not out of the running."""
    return proxies(peer) and not peer.slow


def with_tls(peer: Peer) -> bool:
    """Proxies that can speak TLS to their clients."""
    return contenders(peer) and peer.tls


def observers(peer: Peer) -> bool:
    """The sidecar and its builds: an analysis stands beside the data plane."""
    return bool(peer.child_role)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table.

    `measure` is called once per peer and round. It returns readings of the declared metrics, or raises
    MeasureError when they would not be worth anything. `once` scenarios run in one round whatever was asked.
    `suits` says which peers take part, `front` how they stand: "" as they are by default, TLS or STREAMING. A
    `fresh` scenario gets a peer that was just started for it and ends with it, able to hold the `connections`
    asked for.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Target, Load], Outcome]
    programs: tuple[Program, ...] = ()
    once: bool = False
    suits: Callable[[Peer], bool] = contenders
    front: str = ""
    fresh: bool = False
    connections: Callable[[Load], int] | None = None
