"""A new connection for every request: CPU per request, accept and dial included."""

from bench.figures import Outcome
from bench.load import wrk
from bench.peer import Target
from bench.scenario import Load, Scenario
from bench.scenarios import cost

CONNECTIONS = 8


def measure(target: Target, load: Load) -> Outcome:
    return cost.under_wrk(target, CONNECTIONS, load.seconds, load.close, load.core)


SCENARIO = Scenario(
    name="reconnect",
    title=f"a new connection per request (Connection: close), {CONNECTIONS} at a time",
    metrics=(cost.CPU, cost.OBSERVED, cost.BUSY, cost.RATE),
    measure=measure,
    programs=(wrk.WRK,),
)
