"""Bytes through the interfaces of the network namespace that a process is in, where that is not our own.

Where it is our own, or that cannot be told, there is nothing here: `system.network.io` covers it. Loopback is left out.
"""

from collections.abc import Iterator

from exporter.collect.accumulate import MonotonicSum
from exporter.host.files import Files, number
from exporter.records.sample import Sample

# By namespace and interface: received, sent.
Interfaces = dict[tuple[str, str], tuple[float, ...]]


class NamespaceTraffic:
    """The sum over the interfaces of a process's namespace, going on over a new one."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._sum: MonotonicSum[tuple[str, str]] = MonotonicSum(2)

    def read(self, pid: int) -> Interfaces:
        """What each interface counted; nothing without a namespace of its own."""
        ours, theirs = (self._files.link(f"proc/{each}/ns/net") for each in ("self", pid))
        if ours is None or theirs is None or ours == theirs:
            return {}
        found: Interfaces = {}
        for line in (self._files.text(f"proc/{pid}/net/dev") or "").splitlines():
            name, colon, rest = line.strip().partition(":")
            values = [number(word) for word in rest.split()]
            if (
                colon
                and name != "lo"
                and len(values) >= 9
                and values[0] is not None
                and values[8] is not None
            ):
                found[theirs, name] = values[0], values[8]
        return found

    def samples(self, found: Interfaces, component: str, created: float) -> Iterator[Sample]:
        """The sum after those readings; nothing if there were none."""
        if found:
            for direction, total in zip(("receive", "transmit"), self._sum.update(found), strict=True):
                yield Sample("container.network.io", (component, direction), total, created)
