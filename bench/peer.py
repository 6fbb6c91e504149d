"""What a peer is: a program in front of the upstream, and what its process tree has cost so far.

Refuses to know any particular peer. A peer is declared as data; the runner starts it and hands the scenarios
a `Target`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import procfs
from bench.errors import MeasureError
from bench.processes import LOOPBACK, Running

CONNECTIONS = 4096


@dataclass(frozen=True, slots=True)
class Site:
    """Where a peer is to stand: its port, the upstream's, two spare ones, a folder for its files.

    With a `certificate` (one PEM file: chain and key) it speaks TLS to its clients. `streaming` asks for what an
    owner of a streaming model would set. It must be able to hold that many `connections` at once.
    """

    listen: int
    upstream: int
    admin: int
    health: int
    folder: Path
    certificate: Path | None = None
    streaming: bool = False
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Program:
    """Something that must be installed: what to look for, what it prints, how to get it."""

    path: str
    version: tuple[str, ...]
    install: str
    debian: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A peer's own count of exchanges so far, and how many of them it did not observe."""

    exchanges: float
    dropped: float


@dataclass(frozen=True, slots=True)
class Peer:
    """One row of the tables.

    `command` writes what configuration the program needs into the site's folder and returns its argv; None
    stands for no proxy at all. `root_role` and `child_role` name the parts of the process tree that are
    listed apart; when both are empty the tree is one. `account` is called after a measurement, outside of
    what is charged; `scrape` is the address at which the child can be asked for more work than it can do.
    `describe` tells from a process id what kind of build runs. A peer that can speak TLS does so for a site with
    a certificate. A `slow` one takes part only where a figure is held against it, a `variant` only on request,
    and what is `installed` elsewhere runs outside of this checkout, so that it cannot pick up its code.
    """

    name: str
    title: str
    command: Callable[[Site], list[str]] | None
    programs: tuple[Program, ...] = ()
    root_role: str = ""
    child_role: str = ""
    account: Callable[[Site], Account] | None = None
    scrape: Callable[[Site], str] | None = None
    describe: Callable[[int], str] | None = None
    tls: bool = False
    slow: bool = False
    variant: bool = False
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A peer that runs (or none, for "direct": then `running` is None and `port` is the upstream's)."""

    peer: Peer
    site: Site
    port: int
    running: Running | None

    @property
    def address(self) -> str:
        """Where it is asked, as a URL."""
        return f"{'https' if self.site.certificate else 'http'}://{LOOPBACK}:{self.port}/"

    def check(self) -> None:
        """Raises MeasureError when the peer's first process has ended."""
        if self.running is not None:
            self.running.check()

    def role(self, index: int) -> str:
        return self.peer.child_role if index else self.peer.root_role

    def pids(self) -> list[int]:
        return self.running.pids() if self.running is not None else []

    def cpu(self) -> dict[int, float]:
        """CPU seconds by process id. Raises MeasureError when a process ends meanwhile."""
        try:
            return {pid: procfs.cpu_seconds(pid) for pid in self.pids()}
        except ProcessLookupError as error:
            raise MeasureError(f"{self.peer.name}: {error}") from error

    def spent(self, before: dict[int, float], after: dict[int, float]) -> dict[str, float]:
        """CPU seconds between two readings by role, with the total under "".

        Raises MeasureError when the tree lost a process: its time is lost with it. A process that is new has
        spent all of its time in between.
        """
        lost = before.keys() - after.keys()
        if lost:
            raise MeasureError(
                f"{self.peer.name}: process {min(lost)} of its tree ended during the measurement"
            )
        by_role = {"": 0.0}
        for index, (pid, seconds) in enumerate(after.items()):
            used = seconds - before.get(pid, 0.0)
            by_role[""] += used
            role = self.role(index)
            if role:
                by_role[role] = by_role.get(role, 0.0) + used
        return by_role

    @contextmanager
    def moved_to(self, core: int) -> Iterator[None]:
        """What carries traffic runs on this core inside the block; a part of the tree with a role of its own
        stays where it is."""
        pids = [pid for index, pid in enumerate(self.pids()) if self.role(index) == self.peer.root_role]
        homes = {pid: os.sched_getaffinity(pid) for pid in pids}
        try:
            for pid in pids:
                procfs.pin(pid, {core})
            yield
        finally:
            for pid, home in homes.items():
                procfs.pin(pid, home)

    def rss(self) -> dict[str, float]:
        """Resident bytes by role, with the total under ""."""
        return self._by_role(procfs.rss_bytes)

    def descriptors(self) -> dict[str, float]:
        """Open descriptors by role, with the total under ""."""
        return self._by_role(procfs.descriptors)

    def _by_role(self, read: Callable[[int], int]) -> dict[str, float]:
        by_role = {"": 0.0}
        try:
            for index, pid in enumerate(self.pids()):
                value = read(pid)
                by_role[""] += value
                role = self.role(index)
                if role:
                    by_role[role] = by_role.get(role, 0.0) + value
        except ProcessLookupError as error:
            raise MeasureError(f"{self.peer.name}: {error}") from error
        return by_role
