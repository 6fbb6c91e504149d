"""CPU per request: what the scenarios with many small exchanges share."""

from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Protocol, TypeVar

from bench.charge import Charge, charge, observed_percent
from bench.errors import MeasureError
from bench.figures import Metric, Outcome, Reading
from bench.load import wrk
from bench.peer import Target

CPU = Metric("cpu_us", "µs CPU/request")
RATE = Metric("rate", "requests/s", better="higher", digits=0)
BUSY = Metric("busy", "% of a core", digits=0, compared=False)
OBSERVED = Metric("observed", "% observed", better="higher", compared=False)
LEAST = 100
RESTLESS = "the peer was still working three seconds after the load: its CPU is not complete"


class Totals(Protocol):
    """What a load generator counted: answered requests, none of them failed, and the time they took."""

    @property
    def requests(self) -> int: ...

    @property
    def seconds(self) -> float: ...


Counted = TypeVar("Counted", bound=Totals)


def outcome(charged: Charge[Counted], slack: int) -> Outcome:
    """Readings of `CPU` and `BUSY` by role, `RATE`, and `OBSERVED` where the peer keeps books.

    `slack` requests may have been in flight when the load ended: counted by the peer, not by the load.
    """
    if not charged.at_rest:
        raise MeasureError(RESTLESS)
    totals = charged.result
    readings = [Reading(RATE.name, totals.requests / totals.seconds)]
    # No process of its own, no cost: "direct" has no reading rather than 0.
    if charged.cpu[""] > 0:
        for role, used in charged.cpu.items():
            readings.append(Reading(CPU.name, 1e6 * used / totals.requests, role))
            readings.append(Reading(BUSY.name, 100 * used / totals.seconds, role))
    if charged.books is not None:
        share = observed_percent(charged.books, totals.requests, slack)
        readings.append(Reading(OBSERVED.name, share))
    return Outcome(tuple(readings))


def under_wrk(target: Target, connections: int, seconds: float, requests: Path, core: int) -> Outcome:
    """Load a target with wrk and turn what it cost into readings."""
    charged = charge(target, lambda: wrk.run(target.address, connections, seconds, requests, core))
    return outcome(charged, slack=connections)


def percentiles(nanoseconds: Sequence[int], wanted: Sequence[int]) -> list[float]:
    """Those percentiles in microseconds. Raises MeasureError when there is too little for a p99."""
    if len(nanoseconds) < LEAST:
        raise MeasureError(f"only {len(nanoseconds)} times were taken, too few for a p99")
    cuts = quantiles(nanoseconds, n=100)
    return [cuts[percent - 1] / 1000 for percent in wanted]
