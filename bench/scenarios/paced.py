"""Small exchanges at a fixed, moderate rate: CPU per request when everything can be observed.

The closed loop of `keepalive` fills the proxy's core, and the sidecar's analysis gives way there and thins.
Here it has its room: this is the figure for data plane and analysis together.
"""

from bench.charge import charge
from bench.figures import Outcome
from bench.load import paced
from bench.peer import Target
from bench.scenario import Load, Scenario, proxies
from bench.scenarios import cost

CONNECTIONS = 16
RATE = 4000.0


def measure(target: Target, load: Load) -> Outcome:
    charged = charge(target, lambda: paced.run(target.port, CONNECTIONS, RATE, load.seconds))
    return cost.outcome(charged, slack=0)


SCENARIO = Scenario(
    name="paced",
    title=f"{RATE:,.0f} requests/s on {CONNECTIONS} keep-alive connections, open loop: the same requests",
    metrics=(cost.CPU, cost.OBSERVED, cost.BUSY),
    measure=measure,
    suits=proxies,
)
