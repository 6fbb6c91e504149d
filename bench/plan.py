"""What a run is to do: peers, scenarios, rounds and seconds, from the command line.

Refuses to run anything. All that is wrong with the options is told at once.
"""

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import SetupError
from bench.peer import Peer, Program
from bench.peers import PEERS, sidecar
from bench.scenario import Scenario
from bench.scenarios import SCENARIOS
from bench.tables import TABLES

RESULTS = Path(__file__).with_name("results") / "latest.json"
ROUNDS, ROUNDS_LIMIT = 5, 100
DECODE_ROUNDS, QUICK_DECODE_ROUNDS = 10, 1
TABLE_ROUNDS = 10
# What a round of all exchanges takes, give or take.
DECODE_SECONDS = 2.0
SECONDS, SECONDS_LIMIT = 2.0, 60.0
# What starting wrk, waiting for rest and connecting add to each measurement.
OVERHEAD_SECONDS = 0.7
# What is done once takes this long per peer, give or take.
ONCE_SECONDS = 8.0
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked run. With `warm` a round of one second comes first in places and is thrown away."""

    peers: tuple[Peer, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: float
    warm: bool
    results: Path
    markdown: Path | None = None
    install: bool = False
    decode_rounds: int = 0  # of each exchange that is decoded, 0: none is
    table_rounds: int = 0  # of each figure of the other programs, 0: they are left out

    @property
    def programs(self) -> list[Program]:
        parts: tuple[Peer | Scenario, ...] = (*self.peers, *self.scenarios)
        return list(dict.fromkeys(program for part in parts for program in part.programs))

    def taking_part(self, scenario: Scenario) -> list[Peer]:
        """The peers of this run that suit a scenario."""
        return [peer for peer in self.peers if scenario.suits(peer)]

    @property
    def estimate_seconds(self) -> float:
        """About how long the run takes."""
        one = self.rounds * (self.seconds + OVERHEAD_SECONDS)
        warm_up = {scenario.name: 1.0 + OVERHEAD_SECONDS for scenario in self.warmed_by()}
        loads = sum(
            (ONCE_SECONDS if scenario.once else one + warm_up.get(scenario.name, 0.0))
            * len(self.taking_part(scenario))
            for scenario in self.scenarios
        )
        tables = sum(table.seconds for table in TABLES) * self.table_rounds / TABLE_ROUNDS
        return loads + self.decode_rounds * DECODE_SECONDS + tables

    def warmed_by(self) -> list[Scenario]:
        """The first scenario for each way in which peers stand: it begins with a warm-up round."""
        timed = [scenario for scenario in reversed(self.scenarios) if not scenario.once]
        return list({scenario.front: scenario for scenario in timed}.values()) if self.warm else []


def parser() -> argparse.ArgumentParser:
    """The command line of `python -m bench`."""
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the sidecar beside HAProxy, nginx, an aiohttp proxy and a bare relay.",
    )
    made.add_argument("--rounds", type=int, help=f"interleaved rounds (default {ROUNDS})")
    made.add_argument("--seconds", type=float, help=f"per peer, scenario and round (default {SECONDS:g})")
    made.add_argument("--quick", action="store_true", help="one round of one second, no warm-up")
    made.add_argument(
        "--only", default="", metavar="NAME,…", help="only these peers and scenarios (names from --list)"
    )
    made.add_argument("--variants", action="store_true", help="also the sidecar's variants")
    made.add_argument(
        "--build",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="also this build of the sidecar, started by COMMAND (paths in full); may be repeated",
    )
    made.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    made.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the figures to reach as a markdown table"
    )
    made.add_argument(
        "--install", action="store_true", help="run apt-get for Debian packages that are missing"
    )
    made.add_argument("--list", action="store_true", help="print the names of peers and scenarios")
    return made


def listing() -> str:
    """Names and titles of all peers and scenarios."""
    peers = [f"  {peer.name:18} {peer.title}" for peer in PEERS]
    scenarios = [f"  {scenario.name:18} {scenario.title}" for scenario in SCENARIOS]
    return "\n".join(["peers:", *peers, "scenarios:", *scenarios])


def builds(words: Sequence[str]) -> list[Peer]:
    """Peers of NAME=COMMAND. Raises SetupError with every problem of them."""
    made: list[Peer] = []
    problems = []
    taken = {peer.name for peer in PEERS} | {scenario.name for scenario in SCENARIOS}
    for word in words:
        name, _, command = word.partition("=")
        program = shlex.split(command)
        if not NAME.fullmatch(name) or not program:
            problems.append(f"--build {word}: expected NAME=COMMAND, NAME of a-z, 0-9 and -")
        elif name in taken:
            problems.append(f"--build {word}: the name {name} is taken")
        else:
            made.append(sidecar.build(name, program))
            taken.add(name)
    if problems:
        raise SetupError("\n".join(problems))
    return made


def select(
    only: str, variants: bool, further: Sequence[Peer] = ()
) -> tuple[tuple[Peer, ...], tuple[Scenario, ...]]:
    """Peers and scenarios by name; naming none of a kind means all of it, named variants count as asked for.

    `further` peers take part always. Raises SetupError for a name that is neither, and for a selection in which
    a scenario is left without a peer.
    """
    names = {name.strip() for name in only.split(",") if name.strip()}
    unknown = names - {peer.name for peer in (*PEERS, *further)} - {scenario.name for scenario in SCENARIOS}
    if unknown:
        raise SetupError(f"--only: unknown {', '.join(sorted(unknown))}; known are\n{listing()}")
    peers = tuple(peer for peer in PEERS if peer.name in names)
    peers = peers or tuple(peer for peer in PEERS if variants or not peer.variant)
    peers += tuple(further)
    scenarios = tuple(scenario for scenario in SCENARIOS if scenario.name in names)
    empty = [scenario.name for scenario in scenarios if not any(map(scenario.suits, peers))]
    if empty:
        raise SetupError(f"--only: no peer of this selection takes part in {', '.join(empty)}")
    return peers, scenarios or tuple(one for one in SCENARIOS if any(map(one.suits, peers)))


def make(options: argparse.Namespace) -> Plan:
    """A plan from parsed options. Raises SetupError with every problem of them."""
    rounds = options.rounds if options.rounds is not None else (1 if options.quick else ROUNDS)
    seconds = options.seconds if options.seconds is not None else (1.0 if options.quick else SECONDS)
    problems = []
    if not 1 <= rounds <= ROUNDS_LIMIT:
        problems.append(f"--rounds {rounds}: expected 1 to {ROUNDS_LIMIT}")
    if not 0 < seconds <= SECONDS_LIMIT:
        problems.append(f"--seconds {seconds:g}: expected above 0, at most {SECONDS_LIMIT:g}")
    for flag, file in (("--json", options.json), ("--markdown", options.markdown)):
        if file is not None and not file.parent.is_dir():
            problems.append(f"{flag} {file}: the folder {file.parent} does not exist")
    further: list[Peer] = []
    try:
        further = builds(options.build)
    except SetupError as error:
        problems.append(str(error))
    try:
        peers, scenarios = select(options.only, options.variants, further)
    except SetupError as error:
        problems.append(str(error))
    if problems:
        raise SetupError("\n".join(problems))
    return Plan(
        peers=peers,
        scenarios=scenarios,
        rounds=rounds,
        seconds=seconds,
        warm=not options.quick,
        results=options.json,
        markdown=options.markdown,
        install=options.install,
        decode_rounds=0 if options.only else QUICK_DECODE_ROUNDS if options.quick else DECODE_ROUNDS,
        table_rounds=0 if options.only else 1 if options.quick else TABLE_ROUNDS,
    )


def parse(arguments: Sequence[str]) -> Plan | None:
    """The plan, or None when the names were asked for."""
    options = parser().parse_args(arguments)
    return None if options.list else make(options)
