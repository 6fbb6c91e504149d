"""Runs a plan: upstream and peers up, rounds interleaved, everything down again.

Every peer takes its turn in every round, and the turn order moves on by one each round, so that what changes
slowly on the machine meets all of them alike. Peers that wait for their turn stay up: their memory at the end
is that after all loads. A failure of one peer is its own figure's problem, never the run's end.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from bench import certificate, traffic
from bench.errors import MeasureError
from bench.figures import Outcome
from bench.load import wrk
from bench.machine import Cores, descriptor_limit
from bench.peer import CONNECTIONS, Peer, Site, Target
from bench.plan import Plan
from bench.processes import ROOT, Processes, free_port
from bench.scenario import STREAMING, TLS, Load, Scenario, observers

UPSTREAM = "bench.servers.upstream"
WARM_SECONDS = 1.0
# The closed loop that tells what the sidecar can answer.
CAPACITY_CONNECTIONS, CAPACITY_SECONDS = 16, 2.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Results:
    """All rounds, by scenario and peer, in the order in which they were measured; and facts about peers."""

    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: Scenario, peer: Peer, outcome: Outcome) -> None:
        self.outcomes.setdefault(scenario.name, {}).setdefault(peer.name, []).append(outcome)

    @property
    def problems(self) -> list[str]:
        """Each distinct problem once, with where it happened."""
        return list(
            dict.fromkeys(
                f"{scenario} / {peer}: {text}"
                for scenario, peer, outcome in self._all()
                for text in outcome.problems
            )
        )

    @property
    def notes(self) -> list[str]:
        """What was skipped or made smaller and why, once per scenario."""
        return list(
            dict.fromkeys(
                f"{scenario}: {text}" for scenario, _, outcome in self._all() for text in outcome.notes
            )
        )

    def _all(self) -> Iterator[tuple[str, str, Outcome]]:
        for scenario, peers in self.outcomes.items():
            for peer, rounds in peers.items():
                for outcome in rounds:
                    yield scenario, peer, outcome


@dataclass(slots=True)
class Stage:
    """What is up during a run: peers start when they are first needed, and stay."""

    cores: Cores
    processes: Processes
    upstream: int
    check: Callable[[], None]
    certificate: Path | None
    targets: dict[str, Target | str] = field(default_factory=dict)

    def target(self, peer: Peer, front: str = "") -> Target:
        """The peer as it stands. Raises MeasureError when it did not start, each time with the reason."""
        name = f"{peer.name}-{front}" if front else peer.name
        if name not in self.targets:
            try:
                self.targets[name] = self.start(peer, name, front)
            except MeasureError as error:
                self.targets[name] = f"did not start: {error}"
        found = self.targets[name]
        if isinstance(found, str):
            raise MeasureError(found)
        found.check()
        return found

    def start(self, peer: Peer, name: str, front: str = "", connections: int = CONNECTIONS) -> Target:
        """A process of this peer under that name."""
        folder = self.processes.folder / name
        folder.mkdir()
        site = Site(free_port(), self.upstream, free_port(), free_port(), folder)
        made = self.certificate if front == TLS else None
        site = replace(site, connections=connections, certificate=made, streaming=front == STREAMING)
        if peer.command is None:
            return Target(peer, site, self.upstream, None)
        home = folder if peer.installed else ROOT
        running = self.processes.start(name, peer.command(site), self.cores.proxy, site.listen, home)
        return Target(peer, site, site.listen, running)


def turns(peers: Sequence[Peer], round_number: int) -> list[Peer]:
    """The peers in the order of one round: each round begins one further on."""
    shift = round_number % len(peers) if peers else 0
    return [*peers[shift:], *peers[:shift]]


def run(plan: Plan, cores: Cores, say: Say) -> Results:
    """Measure everything that the plan asks for. Raises MeasureError when the upstream itself fails."""
    # The clients in this process are load generators.
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.load})
    try:
        with (
            tempfile.TemporaryDirectory(prefix="modeltap-bench-") as name,
            Processes(Path(name)) as processes,
        ):
            stage = _raise_stage(plan, cores, processes)
            return _measure_all(plan, stage, _load(plan, stage), say)
    finally:
        os.sched_setaffinity(0, own)


def _raise_stage(plan: Plan, cores: Cores, processes: Processes) -> Stage:
    port = free_port()
    upstream = processes.start(
        "upstream", [sys.executable, "-m", UPSTREAM, "--listen", str(port)], cores.load, port
    )
    tls = any(scenario.front == TLS for scenario in plan.scenarios)
    made = certificate.make(processes.folder) if tls else None
    return Stage(cores, processes, port, upstream.check, made)


def _load(plan: Plan, stage: Stage) -> Load:
    folder = stage.processes.folder
    keep_alive = traffic.write_requests(folder / "keep-alive.requests", close=False)

    @cache
    def capacity() -> float:
        peer = next((peer for peer in plan.peers if observers(peer)), plan.peers[-1])
        target = stage.target(peer)
        totals = wrk.run(target.address, CAPACITY_CONNECTIONS, CAPACITY_SECONDS, keep_alive, stage.cores.load)
        return totals.requests / totals.seconds

    return Load(
        seconds=plan.seconds,
        core=stage.cores.load,
        proxy_core=stage.cores.proxy,
        keep_alive=keep_alive,
        close=traffic.write_requests(folder / "close.requests", close=True),
        capacity=capacity,
        descriptors=descriptor_limit(),
        quick=not plan.warm,
    )


def _measure_all(plan: Plan, stage: Stage, load: Load, say: Say) -> Results:
    results = Results()
    warm = plan.warmed_by()
    for scenario in plan.scenarios:
        for number, peer, own in _schedule(plan, scenario, load, scenario in warm):
            say(f"{scenario.name} {'warm-up' if number < 0 else number + 1} {peer.name}")
            stage.check()
            outcome = _measure(scenario, peer, stage, own)
            if number >= 0:
                results.add(scenario, peer, outcome)
    results.facts = {name: text for peer in plan.peers for name, text in _described(peer, stage)}
    return results


def _schedule(plan: Plan, scenario: Scenario, load: Load, warm: bool) -> Iterator[tuple[int, Peer, Load]]:
    """Round number, peer and load of every measurement; the warm-up is round -1."""
    peers = plan.taking_part(scenario)
    if warm:
        short = replace(load, seconds=min(WARM_SECONDS, load.seconds))
        for peer in peers:
            yield -1, peer, short
    for number in range(1 if scenario.once else plan.rounds):
        for peer in turns(peers, number):
            yield number, peer, load


def _measure(scenario: Scenario, peer: Peer, stage: Stage, load: Load) -> Outcome:
    try:
        if not scenario.fresh:
            return scenario.measure(stage.target(peer, scenario.front), load)
        name = f"{peer.name}-{scenario.name}"
        room = scenario.connections(load) if scenario.connections else CONNECTIONS
        try:
            return scenario.measure(stage.start(peer, name, scenario.front, room), load)
        finally:
            stage.processes.stop_one(name)
    except MeasureError as error:
        return Outcome(problems=(str(error),))


def _described(peer: Peer, stage: Stage) -> Iterator[tuple[str, str]]:
    fronts = (
        stage.targets.get(name) for name in (peer.name, f"{peer.name}-{TLS}", f"{peer.name}-{STREAMING}")
    )
    target = next(filter(None, fronts), None)
    if peer.describe is not None and isinstance(target, Target) and target.running is not None:
        yield peer.name, peer.describe(target.running.process.pid)
