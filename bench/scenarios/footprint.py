"""Resident memory after everything else, and how long the peer took until it accepted."""

from bench.figures import Metric, Outcome, Reading
from bench.peer import Target
from bench.scenario import Load, Scenario, proxies

MIB = 1024 * 1024


def measure(target: Target, load: Load) -> Outcome:
    assert target.running is not None
    memory = [Reading("rss", resident / MIB, role) for role, resident in target.rss().items()]
    return Outcome((*memory, Reading("ready", target.running.ready_seconds * 1000)))


SCENARIO = Scenario(
    name="footprint",
    title="at the end of this run: resident memory of the process tree, and its start (one reading each)",
    metrics=(Metric("rss", "MiB RSS"), Metric("ready", "ms from start to accept", digits=0)),
    measure=measure,
    once=True,
    suits=proxies,
)
