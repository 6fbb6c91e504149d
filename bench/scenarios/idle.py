"""10,000 keep-alive connections that do nothing: what each holds in memory and descriptors, and CPU meanwhile.

Each made one exchange first. Memory is resident memory of the process tree, against the same processes before
the first connection; what the kernel holds for each socket is not in it, and is the same for everyone who has as
many of them. A peer of its own is started for this, so that nothing left by other loads is used again.
"""

import time

from bench import traffic
from bench.charge import settle
from bench.errors import MeasureError
from bench.figures import Metric, Outcome, Reading
from bench.load import client, idle
from bench.peer import Target
from bench.scenario import Load, Scenario

CONNECTIONS, QUICK_CONNECTIONS, LEAST_CONNECTIONS = 10_000, 500, 100
# What a process has open besides: twice, for one that has two descriptors per connection.
SPARE = 250
KIB = 1024
METRICS = (
    Metric("memory", "KiB RSS/connection", digits=2),
    Metric("descriptors", "descriptors/connection", digits=2, compared=False),
    Metric("busy", "% of a core while idle", digits=2, compared=False),
    Metric("rss", "MiB RSS"),
    Metric("held", "connections", better="higher", digits=0, compared=False),
)


def connections(load: Load) -> int:
    """As many as asked for, or as the limit on descriptors lets a proxy hold: two for each."""
    wanted = QUICK_CONNECTIONS if load.quick else CONNECTIONS
    return min(wanted, load.descriptors // 2 - SPARE)


def measure(target: Target, load: Load) -> Outcome:
    count = connections(load)
    if count < LEAST_CONNECTIONS:
        return Outcome(notes=(f"skipped: the limit on descriptors is {load.descriptors:,} (ulimit -n)",))
    if target.peer.account is not None:
        target.peer.account(target.site)  # answered once the analysis is up
    _warm(target)
    before, descriptors = target.rss(), target.descriptors()
    with idle.connected(target.port, count):
        settle(target)
        cpu = target.cpu()
        began = time.perf_counter()
        time.sleep(load.seconds)
        spent = target.spent(cpu, target.cpu())
        seconds = time.perf_counter() - began
        after, more = target.rss(), target.descriptors()
    readings = [Reading("held", count)]
    for role, resident in after.items():
        readings.append(Reading("memory", (resident - before.get(role, 0.0)) / KIB / count, role))
        readings.append(Reading("descriptors", (more[role] - descriptors.get(role, 0.0)) / count, role))
        readings.append(Reading("busy", 100 * spent.get(role, 0.0) / seconds, role))
        readings.append(Reading("rss", resident / KIB / KIB, role))
    return Outcome(tuple(readings), notes=notes(count, load))


def notes(count: int, load: Load) -> tuple[str, ...]:
    """What to tell of fewer connections than the figure is about."""
    if load.quick or count >= CONNECTIONS:
        return ()
    return (
        f"{count:,} connections instead of {CONNECTIONS:,}: the limit on descriptors is {load.descriptors:,}, "
        f"{2 * (CONNECTIONS + SPARE):,} are needed (ulimit -n)",
    )


def _warm(target: Target) -> None:
    """Some exchanges, so that what is made once is not charged to the connections."""
    with client.connection(target.port) as sock:
        for request in traffic.infer_requests()[: client.WARM_EXCHANGES]:
            sock.sendall(request)
            client.read_small(sock)
    if not settle(target):
        raise MeasureError("the peer does not come to rest before the first connection")


SCENARIO = Scenario(
    name="idle",
    title=f"{CONNECTIONS:,} keep-alive connections that are idle after one exchange each",
    metrics=METRICS,
    measure=measure,
    once=True,
    fresh=True,
    connections=lambda load: connections(load) + SPARE // 2,
)
