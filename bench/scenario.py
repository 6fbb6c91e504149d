"""What a scenario is: what it measures, and a function from a running peer to one round's readings.

Refuses to know rounds, peers' names and tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Metric, Outcome
from bench.peer import Program, Target


@dataclass(frozen=True, slots=True)
class Load:
    """How long to load, from which core, and the files of prepared requests."""

    seconds: float
    core: int
    keep_alive: Path
    close: Path


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table.

    `measure` is called once per peer and round. It returns readings of the declared metrics, or raises
    MeasureError when they would not be worth anything. `once` scenarios run in one round whatever was asked.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Target, Load], Outcome]
    programs: tuple[Program, ...] = ()
    once: bool = False
