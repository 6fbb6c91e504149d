"""Bytes through the interfaces of this network namespace: in a pod, those of all its containers together.

Loopback is left out: the sidecar's own traffic with the model would be counted twice there.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil

from exporter.collect.accumulate import MonotonicSum
from exporter.collect.contract import Unavailable, World
from exporter.records.sample import Sample


def _interfaces() -> Mapping[str, Any]:
    # nowrap keeps a cache of the whole process; the sum here does the same for one owner.
    return psutil.net_io_counters(pernic=True, nowrap=False)


def build(world: World) -> "NetworkCollector":
    """The collector of this process's network namespace."""
    return NetworkCollector()


class NetworkCollector:
    """Samples of `system.network.io`; Unavailable where no interface can be seen.

    `interfaces` gives bytes_recv and bytes_sent by name; `boot_time` (unix seconds) is the latest moment that
    is certain to lie before the first byte of each.
    """

    name = "network"

    def __init__(
        self,
        interfaces: Callable[[], Mapping[str, Any]] = _interfaces,
        boot_time: Callable[[], float] = psutil.boot_time,
    ) -> None:
        self._interfaces = interfaces
        self._boot_time = boot_time
        self._sum: MonotonicSum[str] = MonotonicSum(2)

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of the call; `now` is not used."""
        found = self._interfaces()
        if not found:
            raise Unavailable("no network interface is visible")
        created = self._boot_time()
        totals = self._sum.update(
            {
                name: (counters.bytes_recv, counters.bytes_sent)
                for name, counters in found.items()
                if name not in ("lo", "lo0")
            }
        )
        for direction, total in zip(("receive", "transmit"), totals, strict=True):
            yield Sample("system.network.io", (direction,), total, created)
