"""Memory of data plane and analysis under a load with 50 features, in processes that saw nothing else.

Not an hour of load, as the design has it: that this is flat over time is the soak's to show.
"""

from bench import traffic
from bench.charge import charge
from bench.figures import Metric, Outcome, Reading
from bench.load import paced
from bench.peer import Target
from bench.scenario import Load, Scenario, observers
from bench.scenarios import cost

CONNECTIONS, RATE = 16, 1000.0
SECONDS = 20.0
MB = 1e6


def measure(target: Target, load: Load) -> Outcome:
    seconds = load.seconds if load.quick else SECONDS
    charged = charge(
        target, lambda: paced.run(target.port, CONNECTIONS, RATE, seconds, traffic.MANY_FEATURES)
    )
    made = cost.outcome(charged, slack=0)
    memory = tuple(Reading("rss", resident / MB, role) for role, resident in target.rss().items())
    return Outcome(made.readings + memory)


SCENARIO = Scenario(
    name="features",
    title=f"{traffic.MANY_FEATURES} features at {RATE:,.0f} requests/s: memory afterwards, CPU per request",
    metrics=(Metric("rss", "MB RSS", compared=False), cost.CPU, cost.OBSERVED),
    measure=measure,
    once=True,
    suits=observers,
    fresh=True,
)
