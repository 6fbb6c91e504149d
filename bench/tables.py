"""The tables of what the analysis does, printed by programs of their own that run one after the other.

Each is `python -m bench.NAME`: in a process of its own, since what one leaves in memory is another's garbage to
collect. Refuses to know their figures.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

SECONDS_LIMIT = 1800.0


class Table(NamedTuple):
    """A program, what it tells, arguments that install its peers, and about how long it takes with 10 rounds."""

    name: str
    title: str
    peers: tuple[str, ...] = ()
    seconds: float = 30.0


TABLES: tuple[Table, ...] = (
    Table("statistics", "windows and drift", ("--peers",), 120.0),
    Table("gather", "a scrape, stage by stage"),
    Table("publish", "a scrape by format, a push", (), 60.0),
    Table("pending", "predictions that wait for their labels", (), 60.0),
    Table("labels", "the join", ("--peers", "--join", "10000000"), 300.0),
)


class Printed(NamedTuple):
    """What a program printed; `problem` is "" unless it failed, which costs its table and no other."""

    table: Table
    text: str
    problem: str = ""


def printed(table: Table, rounds: int, install: bool, say: Callable[[str], None]) -> Printed:
    """Run one, and wait for it."""
    say(table.title)
    more: Sequence[str] = table.peers if install else ()
    command = [sys.executable, "-m", f"bench.{table.name}", "--rounds", str(rounds), *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Printed(table, "", f"bench.{table.name}: still running after {SECONDS_LIMIT:g} s")
    problem = ""
    if done.returncode:
        last = (done.stderr.strip() or "nothing on stderr").splitlines()[-1]
        problem = f"bench.{table.name}: exit status {done.returncode}: {last}"
    return Printed(table, done.stdout.rstrip(), problem)


def markdown(found: Sequence[Printed]) -> str:
    """The tables as they were printed, each below its title."""
    return "\n".join(
        f"\n### {one.table.title.capitalize()}\n\n```\n{one.problem or one.text}\n```" for one in found
    )
