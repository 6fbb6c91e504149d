"""Resident memory after everything else, and how long the peer took until it accepted."""

from bench.errors import MeasureError
from bench.figures import Metric, Outcome, Reading
from bench.peer import Target
from bench.scenario import Load, Scenario

MIB = 1024 * 1024


def measure(target: Target, load: Load) -> Outcome:
    if target.running is None:
        return Outcome()
    try:
        memory = [Reading("rss", resident / MIB, role) for role, resident in target.rss().items()]
    except ProcessLookupError as error:
        raise MeasureError(f"{target.peer.name}: {error}") from error
    return Outcome((*memory, Reading("ready", target.running.ready_seconds * 1000)))


SCENARIO = Scenario(
    name="footprint",
    title="at the end of this run: resident memory of the process tree, and its start (one reading each)",
    metrics=(Metric("rss", "MiB RSS"), Metric("ready", "ms from start to accept", digits=0)),
    measure=measure,
    once=True,
)
