"""What a run is to do: peers, scenarios, rounds and seconds, from the command line.

Refuses to run anything. All that is wrong with the options is told at once.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import SetupError
from bench.peer import Peer, Program
from bench.peers import PEERS
from bench.scenario import Scenario
from bench.scenarios import SCENARIOS

RESULTS = Path(__file__).with_name("results") / "latest.json"
ROUNDS, ROUNDS_LIMIT = 5, 100
SECONDS, SECONDS_LIMIT = 3.0, 60.0
# What starting wrk, waiting for rest and connecting add to each measurement.
OVERHEAD_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked run. `warm` rounds of one second come before the measured ones and are thrown away."""

    peers: tuple[Peer, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: float
    warm: bool
    results: Path
    install: bool = False

    @property
    def programs(self) -> list[Program]:
        parts: tuple[Peer | Scenario, ...] = (*self.peers, *self.scenarios)
        return list(dict.fromkeys(program for part in parts for program in part.programs))

    @property
    def estimate_seconds(self) -> float:
        """About how long the run takes."""
        one = self.rounds * (self.seconds + OVERHEAD_SECONDS) + self.warm * (1.0 + OVERHEAD_SECONDS)
        return one * len(self.peers) * sum(not scenario.once for scenario in self.scenarios)


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
    made.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
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


def select(only: str, variants: bool) -> tuple[tuple[Peer, ...], tuple[Scenario, ...]]:
    """Peers and scenarios by name; naming none of a kind means all of it, named variants count as asked for.

    Raises SetupError for a name that is neither.
    """
    names = {name.strip() for name in only.split(",") if name.strip()}
    unknown = names - {peer.name for peer in PEERS} - {scenario.name for scenario in SCENARIOS}
    if unknown:
        raise SetupError(f"--only: unknown {', '.join(sorted(unknown))}; known are\n{listing()}")
    peers = tuple(peer for peer in PEERS if peer.name in names)
    scenarios = tuple(scenario for scenario in SCENARIOS if scenario.name in names)
    return (
        peers or tuple(peer for peer in PEERS if variants or not peer.variant),
        scenarios or SCENARIOS,
    )


def make(options: argparse.Namespace) -> Plan:
    """A plan from parsed options. Raises SetupError with every problem of them."""
    rounds = options.rounds if options.rounds is not None else (1 if options.quick else ROUNDS)
    seconds = options.seconds if options.seconds is not None else (1.0 if options.quick else SECONDS)
    problems = []
    if not 1 <= rounds <= ROUNDS_LIMIT:
        problems.append(f"--rounds {rounds}: expected 1 to {ROUNDS_LIMIT}")
    if not 0 < seconds <= SECONDS_LIMIT:
        problems.append(f"--seconds {seconds:g}: expected above 0, at most {SECONDS_LIMIT:g}")
    if not options.json.parent.is_dir():
        problems.append(f"--json {options.json}: the folder {options.json.parent} does not exist")
    try:
        peers, scenarios = select(options.only, options.variants)
    except SetupError as error:
        problems.append(str(error))
    if problems:
        raise SetupError("\n".join(problems))
    return Plan(peers, scenarios, rounds, seconds, not options.quick, options.json, options.install)


def parse(arguments: Sequence[str]) -> Plan | None:
    """The plan, or None when the names were asked for."""
    options = parser().parse_args(arguments)
    return None if options.list else make(options)
