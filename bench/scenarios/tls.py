"""TLS to the clients, plain HTTP to the upstream: keep-alive, a full handshake per request, a resumed one.

All peers have the same certificate (P-256) and speak TLS 1.3; version, cipher and resumption are checked.
"""

from collections.abc import Callable

from bench.certificate import OPENSSL
from bench.charge import charge
from bench.figures import Metric, Outcome
from bench.load import tls, wrk
from bench.peer import Target
from bench.scenario import TLS, Load, Scenario, with_tls
from bench.scenarios import cost

CONNECTIONS = 16
PER_CONNECTION = Metric(cost.CPU.name, "µs CPU/connection")
METRICS = (PER_CONNECTION, cost.OBSERVED, cost.BUSY, cost.RATE)


def keep_alive(target: Target, load: Load) -> Outcome:
    return cost.under_wrk(target, CONNECTIONS, load.seconds, load.keep_alive, load.core)


def _handshakes(resume: bool) -> Callable[[Target, Load], Outcome]:
    def measure(target: Target, load: Load) -> Outcome:
        return cost.outcome(charge(target, lambda: tls.run(target.port, load.seconds, resume)), slack=0)

    return measure


KEEP_ALIVE = Scenario(
    name="tls",
    title=f"TLS 1.3, {CONNECTIONS} keep-alive connections, closed loop: the requests of keepalive",
    metrics=(cost.CPU, cost.OBSERVED, cost.BUSY, cost.RATE),
    measure=keep_alive,
    programs=(wrk.WRK, OPENSSL),
    suits=with_tls,
    front=TLS,
)
FULL = Scenario(
    name="tls-handshake",
    title="TLS 1.3, a new connection with a full handshake per request, one at a time",
    metrics=METRICS,
    measure=_handshakes(resume=False),
    programs=(OPENSSL,),
    suits=with_tls,
    front=TLS,
)
RESUMED = Scenario(
    name="tls-resumed",
    title="the same, each handshake resumed by the ticket of the connection before",
    metrics=METRICS,
    measure=_handshakes(resume=True),
    programs=(OPENSSL,),
    suits=with_tls,
    front=TLS,
)
