"""CPU, memory, tasks, disk and pressure of the containers that the model and the sidecar run in: their control groups.

A group that holds the model and the sidecar alike is told as "shared": neither has figures of its own there. Where the
model's group is out of sight its families are absent; the sidecar's are never shown in their stead. Counters go on
over a container's restarts. A limit is the lowest of the group's and those above it, as far as they can be seen.
"""

import os
from collections.abc import Iterator, Mapping

from exporter.collect.accumulate import MonotonicSum
from exporter.collect.anchor import Anchor
from exporter.collect.contract import Finder, Unavailable, World, grouped
from exporter.collect.groups import COUNTERS, GAUGES, Family, Readings
from exporter.collect.namespace import NamespaceTraffic
from exporter.collect.system import booted
from exporter.host.cgroup import Branch, locate, memberships
from exporter.host.files import Files
from exporter.records.sample import Sample

MODEL, SIDECAR, SHARED = "model", "sidecar", "shared"
# A group and the label `component` that it is told under, by controller.
_Told = Mapping[str, tuple[str, Branch]]
# A member of a sum: what tells a group from the next one, and the disk or "".
_Member = tuple[tuple[int, int], str]


def build(world: World) -> "ContainerCollector":
    """The collector of the model's container."""
    return ContainerCollector(MODEL, world.components.get(MODEL), os.getpid(), Files(world.root))


def build_own(world: World) -> "ContainerCollector":
    """The collector of the sidecar's own container, where it is not the model's as well."""
    return ContainerCollector(SIDECAR, os.getpid(), world.components.get(MODEL), Files(world.root))


class ContainerCollector:
    """Samples of `container.*`; Unavailable while the process or all of its groups are out of sight.

    `source` is the process, `other` that of the model or the sidecar, whichever `component` is not.
    """

    def __init__(
        self,
        component: str,
        source: int | Finder | None,
        other: int | Finder | None,
        files: Files,
    ) -> None:
        self.name = "container" if component == MODEL else "own_container"
        self._component = component
        self._files = files
        self._anchor = Anchor(_nobody if source is None else source, files)
        self._other = Anchor(_nobody if other is None else other, files)
        self._sums: dict[tuple[Family, str], MonotonicSum[_Member]] = {}
        self._network = NamespaceTraffic(files)
        self._created = 0.0

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of `now`, unix seconds."""
        pid = self._anchor.pid(now)
        if pid is None:
            raise Unavailable(f"no process of the {self._component} is visible")
        told = self._told(pid, now)
        readings = list(_readings(told))
        network = self._network.read(pid) if self._component == MODEL else {}
        # Read through an id that another process was given meanwhile, all of it would be another's.
        if not self._anchor.same():
            raise Unavailable(f"the process of the {self._component} ended while it was read")
        # Counted since before the host started it cannot have been; more is not known of a group.
        self._created = self._created or booted(self._files) or now
        samples = [*self._samples(readings), *_seen(told)]
        samples += self._network.samples(network, self._component, self._created)
        if not samples:
            raise Unavailable(f"no control group of the {self._component} is in sight")
        yield from grouped(samples)

    def _told(self, pid: int, now: float) -> _Told:
        other = self._other.pid(now)
        others = memberships(self._files, other) if other is not None else {}
        found = {}
        for controller, branch in locate(self._files, pid).items():
            if self._component == MODEL or not branch.holds(others):
                component = SHARED if branch.contains(others) else self._component
                found[controller] = component, branch
        return found

    def _samples(self, readings: list[tuple[Family, str, tuple[int, int], Readings]]) -> Iterator[Sample]:
        for family, component, group, values in readings:
            if family in GAUGES:
                for (value,) in values.values():
                    yield Sample(family.name, (component,), value)
                continue
            # A fall within one group is the kernel's rounding, no new start: a new container is a new group.
            sums = self._sums.setdefault(
                (family, component), MonotonicSum(len(family.series), restarts=False)
            )
            totals = sums.update({(group, member): each for member, each in values.items()})
            for labels, total in zip(family.series, totals, strict=True):
                yield Sample(family.name, (component, *labels), total, self._created)


def _readings(told: _Told) -> Iterator[tuple[Family, str, tuple[int, int], Readings]]:
    """What the groups tell, family by family; nothing of a group that was removed meanwhile."""
    for family in (*GAUGES, *COUNTERS):
        if family.controller in told:
            component, branch = told[family.controller]
            values, group = family.read(branch), branch.identity()
            if values and group is not None:
                yield family, component, group, values


def _seen(told: _Told) -> Iterator[Sample]:
    """Which groups are read, and through whose eyes."""
    ways = {(component, "v2" if each.v2 else "v1", each.view): None for component, each in told.values()}
    for way in ways:
        yield Sample("modeltap.container", way, 1)


def _nobody() -> None:
    return None
