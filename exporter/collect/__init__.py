"""Samples about resources: processes, network, GPUs, the model's health; psutil, NVML and amdsmi are used only here.

To add a collector: one file with `build(world)`, one line in COLLECTORS, one test file with its world.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal

from exporter.collect import container, gpu, health, network, process, server, system
from exporter.collect.contract import (
    Address,
    Build,
    Collector,
    Finder,
    OwnMetrics,
    Place,
    Unavailable,
    World,
    grouped,
)
from exporter.collect.gpu import met
from exporter.collect.gpu_amd import load_amdsmi
from exporter.collect.gpu_nvml import load_nvml
from exporter.collect.health import HealthProbe
from exporter.collect.listener import find_listener, remembered
from exporter.collect.server import ServerSignals
from exporter.collect.wrapped import Wrapped
from exporter.records.sample import Sample

__all__ = [
    "COLLECTORS",
    "Address",
    "Build",
    "Collector",
    "Finder",
    "HealthProbe",
    "OwnMetrics",
    "Place",
    "ServerSignals",
    "State",
    "Unavailable",
    "World",
    "Wrapped",
    "find_listener",
    "grouped",
    "load_amdsmi",
    "load_nvml",
    "met",
    "remembered",
    "run",
]

COLLECTORS: Final[tuple[Build, ...]] = (
    process.build,
    network.build,
    gpu.nvidia,
    gpu.amd,
    container.build,
    container.build_own,
    system.build,
    health.build,
    server.build,
)

State = Literal["collected", "unavailable", "failed"]
_log = logging.getLogger(__name__)


def run(
    collectors: Iterable[Collector],
    now: float,
    states: dict[str, State] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Sample]:
    """All samples of the collectors, with duration and success of each, families together. Never raises.

    What a collector that fails has yielded so far is dropped. Keep one `states` across calls (one per
    thread): it is how a change, and only a change, is logged. An unavailable collector has neither duration
    nor success.
    """
    states = {} if states is None else states
    samples: list[Sample] = []
    for collector in collectors:
        start = clock()
        found, state = _collect(collector, now, states.get(collector.name))
        states[collector.name] = state
        samples += found
        if state != "unavailable":
            labels = (collector.name,)
            samples.append(Sample("modeltap.collector.duration", labels, clock() - start))
            samples.append(Sample("modeltap.collector.success", labels, int(state == "collected")))
    return grouped(samples)


def _collect(collector: Collector, now: float, before: State | None) -> tuple[list[Sample], State]:
    try:
        found = list(collector.collect(now))
    except Unavailable as reason:
        if before != "unavailable":
            _log.debug("collector %s has nothing to read: %s", collector.name, reason)
        return [], "unavailable"
    except Exception:  # noqa: BLE001 - the frame: one collector's fault is not the others'
        if before != "failed":
            _log.exception("collector %s failed; its metrics are absent until it succeeds", collector.name)
        return [], "failed"
    if before == "failed":
        _log.info("collector %s succeeds again", collector.name)
    return found, "collected"
