"""Small exchanges on keep-alive connections, as fast as they go: CPU per request, with few clients and with many."""

from collections.abc import Callable

from bench.figures import Outcome
from bench.load import wrk
from bench.peer import Target
from bench.scenario import Load, Scenario, proxies
from bench.scenarios import cost

FEW, MANY = 16, 256
METRICS = (cost.CPU, cost.OBSERVED, cost.BUSY, cost.RATE)


def _measure(connections: int) -> Callable[[Target, Load], Outcome]:
    def measure(target: Target, load: Load) -> Outcome:
        return cost.under_wrk(target, connections, load.seconds, load.keep_alive, load.core)

    return measure


SCENARIO = Scenario(
    name="keepalive",
    title=f"{FEW} keep-alive connections, closed loop: POST of 13 features, 300 bytes each way",
    metrics=METRICS,
    measure=_measure(FEW),
    programs=(wrk.WRK,),
    suits=proxies,
)
WITH_MANY = Scenario(
    name="keepalive-256",
    title=f"the same on {MANY} connections",
    metrics=METRICS,
    measure=_measure(MANY),
    programs=(wrk.WRK,),
)
