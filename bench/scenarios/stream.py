"""Streamed answers: how much later each token reaches the client than without a proxy, and what it costs.

A stream is 64 server-sent events of 60 bytes, each in a chunk and a write of its own, 5 ms apart.
"""

from bench import traffic
from bench.charge import charge
from bench.errors import MeasureError
from bench.figures import Metric, Outcome, Reading
from bench.load import stream
from bench.peer import Target
from bench.scenario import STREAMING, Load, Scenario, everyone
from bench.scenarios import cost

CONNECTIONS = 8
METRICS = (
    Metric("p50_added", "µs added at p50", over="direct"),
    Metric("p99_added", "µs added at p99", over="direct"),
    Metric("p50", "µs p50"),
    Metric("p99", "µs p99"),
    Metric("cpu_us", "µs CPU/token"),
    Metric("reads", "reads/token", digits=2, compared=False),
)


def measure(target: Target, load: Load) -> Outcome:
    charged = charge(target, lambda: stream.run(target.port, CONNECTIONS, load.seconds))
    if not charged.at_rest:
        raise MeasureError(cost.RESTLESS)
    tokens = charged.result
    p50, p99 = cost.percentiles(tokens.ages, (50, 99))
    readings = [
        Reading("p50_added", p50),
        Reading("p99_added", p99),
        Reading("p50", p50),
        Reading("p99", p99),
    ]
    readings.append(Reading("reads", tokens.reads / tokens.requests))
    if charged.cpu[""] > 0:
        readings += [
            Reading("cpu_us", 1e6 * used / tokens.requests, role) for role, used in charged.cpu.items()
        ]
    return Outcome(tuple(readings))


SCENARIO = Scenario(
    name="stream",
    title=f"{CONNECTIONS} streams of {traffic.TOKENS} tokens, {traffic.TOKEN_SECONDS * 1000:g} ms apart: "
    "from the upstream's write of a token to the client's read",
    metrics=METRICS,
    measure=measure,
    suits=everyone,
    front=STREAMING,
)
