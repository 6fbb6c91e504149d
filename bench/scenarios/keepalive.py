"""Small exchanges on 16 keep-alive connections, as fast as they go: CPU per request."""

from bench.figures import Outcome
from bench.load import wrk
from bench.peer import Target
from bench.scenario import Load, Scenario
from bench.scenarios import cost

CONNECTIONS = 16


def measure(target: Target, load: Load) -> Outcome:
    return cost.under_wrk(target, CONNECTIONS, load.seconds, load.keep_alive, load.core)


SCENARIO = Scenario(
    name="keepalive",
    title=f"{CONNECTIONS} keep-alive connections, closed loop: POST of 13 features, 300 bytes each way",
    metrics=(cost.CPU, cost.OBSERVED, cost.BUSY, cost.RATE),
    measure=measure,
    programs=(wrk.WRK,),
)
