"""16 MiB bodies on one connection, down and up: throughput and CPU per MiB."""

from collections.abc import Callable

from bench import traffic
from bench.charge import charge
from bench.figures import Metric, Outcome, Reading
from bench.load import client
from bench.peer import Target
from bench.scenario import Load, Scenario

MIB = 1024 * 1024
METRICS = (
    Metric("throughput", "MiB/s", better="higher", digits=0),
    Metric("cpu_us_per_mib", "µs CPU/MiB", digits=0),
)


def _measure(move: Callable[[int, float], client.Transfer]) -> Callable[[Target, Load], Outcome]:
    def measure(target: Target, load: Load) -> Outcome:
        charged = charge(target, lambda: move(target.port, load.seconds))
        readings = [Reading("throughput", charged.result.bytes_per_second / MIB)]
        if charged.cpu[""] > 0:
            # One body more than was timed went through: the first one.
            moved = (charged.result.bodies + 1) * traffic.LARGE_BYTES / MIB
            readings += [
                Reading("cpu_us_per_mib", 1e6 * cpu / moved, role) for role, cpu in charged.cpu.items()
            ]
        return Outcome(tuple(readings))

    return measure


DOWNLOAD = Scenario("download", "16 MiB answers, one connection", METRICS, _measure(client.download))
UPLOAD = Scenario("upload", "16 MiB requests, one connection", METRICS, _measure(client.upload))
