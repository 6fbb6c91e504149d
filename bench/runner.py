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
from pathlib import Path

from bench import traffic
from bench.errors import MeasureError
from bench.figures import Outcome
from bench.machine import Cores
from bench.peer import Peer, Site, Target
from bench.plan import Plan
from bench.processes import Processes, free_port
from bench.scenario import Load, Scenario

UPSTREAM = "bench.servers.upstream"
WARM_SECONDS = 1.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Results:
    """All rounds, by scenario and peer, in the order in which they were measured."""

    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)

    def add(self, scenario: Scenario, peer: Peer, outcome: Outcome) -> None:
        self.outcomes.setdefault(scenario.name, {}).setdefault(peer.name, []).append(outcome)

    @property
    def problems(self) -> list[str]:
        """Each distinct problem once, with where it happened."""
        return list(
            dict.fromkeys(
                f"{scenario} / {peer}: {text}"
                for scenario, peers in self.outcomes.items()
                for peer, rounds in peers.items()
                for outcome in rounds
                for text in outcome.problems
            )
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """What is up during a run. `failed` peers have a reason instead of a target."""

    load: Load
    targets: dict[str, Target]
    failed: dict[str, str]
    check: Callable[[], None]


def turns(peers: Sequence[Peer], round_number: int) -> list[Peer]:
    """The peers in the order of one round: each round begins one further on."""
    shift = round_number % len(peers)
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
            stage = _raise_stage(plan, cores, processes, say)
            return _measure_all(plan, stage, say)
    finally:
        os.sched_setaffinity(0, own)


def _raise_stage(plan: Plan, cores: Cores, processes: Processes, say: Say) -> Stage:
    folder = processes.folder
    port = free_port()
    upstream = processes.start(
        "upstream", [sys.executable, "-m", UPSTREAM, "--listen", str(port)], cores.load, port
    )
    targets: dict[str, Target] = {}
    failed: dict[str, str] = {}
    for peer in plan.peers:
        try:
            targets[peer.name] = _start(peer, port, cores, processes)
        except MeasureError as error:
            failed[peer.name] = str(error)
            say(f"{peer.name}: {error}")
    load = Load(
        seconds=plan.seconds,
        core=cores.load,
        keep_alive=traffic.write_requests(folder / "keep-alive.requests", close=False),
        close=traffic.write_requests(folder / "close.requests", close=True),
    )
    return Stage(load, targets, failed, upstream.check)


def _start(peer: Peer, upstream: int, cores: Cores, processes: Processes) -> Target:
    folder = processes.folder / peer.name
    folder.mkdir()
    site = Site(free_port(), upstream, free_port(), free_port(), folder)
    if peer.command is None:
        return Target(peer, site, upstream, None)
    running = processes.start(peer.name, peer.command(site), cores.proxy, site.listen)
    return Target(peer, site, site.listen, running)


def _measure_all(plan: Plan, stage: Stage, say: Say) -> Results:
    results = Results()
    for scenario in plan.scenarios:
        for number, peer, load in _schedule(plan, scenario, stage.load):
            say(f"{scenario.name} {'warm-up' if number < 0 else number + 1} {peer.name}")
            stage.check()
            outcome = _measure(scenario, peer, stage, load)
            if number >= 0:
                results.add(scenario, peer, outcome)
    return results


def _schedule(plan: Plan, scenario: Scenario, load: Load) -> Iterator[tuple[int, Peer, Load]]:
    """Round number, peer and load of every measurement; the warm-up is round -1."""
    if plan.warm and not scenario.once:
        short = replace(load, seconds=min(WARM_SECONDS, load.seconds))
        for peer in plan.peers:
            yield -1, peer, short
    for number in range(1 if scenario.once else plan.rounds):
        for peer in turns(plan.peers, number):
            yield number, peer, load


def _measure(scenario: Scenario, peer: Peer, stage: Stage, load: Load) -> Outcome:
    if peer.name in stage.failed:
        return Outcome(problems=(f"did not start: {stage.failed[peer.name]}",))
    target = stage.targets[peer.name]
    try:
        target.check()
        return scenario.measure(target, load)
    except MeasureError as error:
        return Outcome(problems=(str(error),))
