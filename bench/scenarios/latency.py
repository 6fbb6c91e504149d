"""One connection, one exchange at a time: the latency that the proxy adds to the direct way.

Twice. First with client, proxy and upstream on one core: no core has to wake another, and what is added is
the proxy's own time. Then with the proxy on its own core: there most of what is added is the waking (in a
virtual machine some 30 to 70 µs a hop), which hardly differs between proxies.
"""

from bench.figures import Metric, Outcome, Reading
from bench.load import client
from bench.peer import Target
from bench.scenario import Load, Scenario, everyone
from bench.scenarios import cost

METRICS = (
    Metric("p50_added", "µs added at p50", over="direct"),
    Metric("p50", "µs p50"),
    Metric("p99", "µs p99"),
)


def apart(target: Target, load: Load) -> Outcome:
    taken = client.latencies(target.port, load.seconds)
    p50, p99 = cost.percentiles(taken, (50, 99))
    return Outcome((Reading("p50_added", p50), Reading("p50", p50), Reading("p99", p99)))


def together(target: Target, load: Load) -> Outcome:
    with target.moved_to(load.core):
        return apart(target, load)


TOGETHER = Scenario(
    "latency", "one connection, one exchange at a time, all on one core", METRICS, together, suits=everyone
)
APART = Scenario("latency-apart", "the same, the proxy on its own core", METRICS, apart, suits=everyone)
