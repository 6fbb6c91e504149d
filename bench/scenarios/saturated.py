"""Traffic at half of the sidecar's capacity while its analysis has more to do than it can: who waits?

Data plane and analysis share one core here, as in a pod of one CPU. In the same turn the load runs twice: first
the analysis has only that traffic to look at, then a storm of scrapes keeps it at work all the time. The ratio
of the two is what the analysis can do to the traffic. The other proxies get the same load, for comparison.
"""

from bench import procfs
from bench.charge import settle
from bench.errors import MeasureError
from bench.figures import TOTAL, Metric, Outcome, Reading
from bench.load import openloop, storm, wrk
from bench.peer import Target
from bench.scenario import Load, Scenario
from bench.scenarios import cost

CONNECTIONS = 32
PERCENTS = (50, 90, 99)
SATURATED = "analysis saturated"
# With more of the core left to nobody, the analysis was not at its limit.
IDLE_ALLOWED = 0.1
# The storm outlasts the load and is then ended.
LONGER_SECONDS = 5.0
METRICS = (
    *(Metric(f"p{percent}", f"µs p{percent}") for percent in PERCENTS),
    *(
        Metric(f"p{percent}_ratio", f"p{percent} saturated/idle", digits=2, compared=False)
        for percent in PERCENTS
    ),
    Metric("busy", "% of a core", digits=0, compared=False),
    Metric("rate", "requests/s", better="higher", digits=0, compared=False),
)


def measure(target: Target, load: Load) -> Outcome:
    rate = load.capacity() / 2
    idle, readings = _load(target, load, rate, TOTAL)
    readings.append(Reading("rate", rate))
    if target.peer.scrape is not None:
        address = target.peer.scrape(target.site)
        with storm.scraping(address, load.core, load.seconds + LONGER_SECONDS):
            loaded, more = _load(target, load, rate, SATURATED)
        readings += more
        readings += [
            Reading(f"p{percent}_ratio", much / little)
            for percent, much, little in zip(PERCENTS, loaded, idle, strict=True)
        ]
        settle(target)
    return Outcome(tuple(readings))


def _load(target: Target, load: Load, rate: float, role: str) -> tuple[list[float], list[Reading]]:
    """One run: the percentiles, and everything as readings. Raises MeasureError if it did not saturate."""
    before, idle = target.cpu(), procfs.idle_seconds(load.proxy_core)
    taken = openloop.run(target.port, CONNECTIONS, rate, load.seconds)
    spent, idle = target.spent(before, target.cpu()), procfs.idle_seconds(load.proxy_core) - idle
    found = cost.percentiles(taken.nanoseconds, PERCENTS)
    readings = [Reading(f"p{percent}", value, role) for percent, value in zip(PERCENTS, found, strict=True)]
    readings.append(Reading("busy", 100 * spent[""] / taken.seconds, role))
    if role == SATURATED and idle > IDLE_ALLOWED * taken.seconds:
        raise MeasureError(
            f"the analysis was not saturated: {idle / taken.seconds:.0%} of the core were left"
        )
    return found, readings


SCENARIO = Scenario(
    name="saturated",
    title=f"open loop on {CONNECTIONS} connections at half of the sidecar's capacity, its analysis idle and "
    "then saturated on the same core",
    metrics=METRICS,
    measure=measure,
    programs=(wrk.WRK,),
)
