"""The host's totals: CPU by mode, load, memory, disks and pressure, as /proc tells them where the sidecar runs.

In a container these are still the machine's, or the sandbox's where the runtime has a kernel of its own. What is
missing is absent, family by family. A disk that is made of others is left out: what passes through it is counted there.
"""

from collections.abc import Iterator

from exporter.collect.accumulate import MonotonicSum
from exporter.collect.contract import Unavailable, World, grouped
from exporter.collect.groups import TICKS
from exporter.collect.pressure import STATES, totals
from exporter.host.files import Files, number, table
from exporter.records.sample import Sample

_SECTOR = 512  # what /proc/diskstats counts in, whatever the disk's own is
# Fields of the line "cpu": what is named twice is summed, and time of guests is in user and nice already.
_MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "interrupt", "steal")
_LOADS = ("system.cpu.load_average.1m", "system.cpu.load_average.5m", "system.cpu.load_average.15m")
# Disks that hold nothing: a file, or memory.
_NO_DISK = ("loop", "ram", "zram", "nbd", "sr", "fd")
_RESOURCES = ("cpu", "memory", "io")


def build(world: World) -> "SystemCollector":
    """The collector of the host that /proc shows."""
    return SystemCollector(Files(world.root))


def booted(files: Files) -> float | None:
    """When the host started, in unix seconds."""
    found = table(files.text("proc/stat")).get("btime")
    return None if found is None else float(found)


class SystemCollector:
    """Samples of `system.*`; Unavailable where /proc tells nothing."""

    name = "system"

    def __init__(self, files: Files) -> None:
        self._files = files
        # The kernel's own documents say that time waited for disks can go back.
        self._cpu: MonotonicSum[str] = MonotonicSum(len(dict.fromkeys(_MODES)), restarts=False)
        self._disks: MonotonicSum[str] = MonotonicSum(4)
        self._highest: dict[str, tuple[float, ...]] = {}  # seconds of pressure by resource
        self._created = 0.0

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of the call."""
        self._created = self._created or booted(self._files) or now
        samples = [*self._processors(), *self._load(), *self._memory(), *self._disk(), *self._waiting()]
        if not samples:
            raise Unavailable("/proc tells nothing of the host")
        yield from grouped(samples)

    def _processors(self) -> Iterator[Sample]:
        lines = [line.split() for line in (self._files.text("proc/stat") or "").splitlines()]
        every = next((line[1:] for line in lines if line and line[0] == "cpu"), [])
        ticks = [number(word) for word in every[: len(_MODES)]]
        known = [tick for tick in ticks if tick is not None]
        if len(known) == len(_MODES):
            spent = dict.fromkeys(_MODES, 0.0)
            for mode, tick in zip(_MODES, known, strict=True):
                spent[mode] += tick / TICKS
            for mode, total in zip(spent, self._cpu.update({"": tuple(spent.values())}), strict=True):
                yield Sample("system.cpu.time", (mode,), total, self._created)
        if count := sum(1 for line in lines if line and line[0].startswith("cpu") and line[0] != "cpu"):
            yield Sample("system.cpu.logical.count", (), count)

    def _load(self) -> Iterator[Sample]:
        words = (self._files.text("proc/loadavg") or "").split()[: len(_LOADS)]
        for family, word in zip(_LOADS, words, strict=False):
            if word.replace(".", "", 1).isdecimal():
                yield Sample(family, (), float(word))

    def _memory(self) -> Iterator[Sample]:
        told = table(self._files.text("proc/meminfo"), ":")
        size, free, available = told.get("MemTotal"), told.get("MemFree"), told.get("MemAvailable")
        if size is None:
            return
        yield Sample("system.memory.limit", (), size * 1024)
        if available is not None:
            yield Sample("system.memory.linux.available", (), available * 1024)
        states = {
            "used": None if available is None else max(0, size - available),
            "free": free,
            "cached": told.get("Cached"),
            "buffers": told.get("Buffers"),
        }
        for state, value in states.items():
            if value is not None:
                yield Sample("system.memory.usage", (state,), value * 1024)

    def _disk(self) -> Iterator[Sample]:
        whole = {name for name in self._files.names("sys/block") or () if not name.startswith(_NO_DISK)}
        found: dict[str, tuple[float, ...]] = {}
        for line in (self._files.text("proc/diskstats") or "").splitlines():
            words = line.split()
            if (
                len(words) >= 10
                and words[2] in whole
                and not self._files.names(f"sys/block/{words[2]}/slaves")
            ):
                known = [number(words[at]) for at in (5, 9, 3, 7)]
                values = tuple(float(value) for value in known if value is not None)
                if len(values) == len(known):
                    found[words[2]] = values
        if found:
            read, written, reads, writes = self._disks.update(found)
            yield Sample("system.disk.io", ("read",), read * _SECTOR, self._created)
            yield Sample("system.disk.io", ("write",), written * _SECTOR, self._created)
            yield Sample("system.disk.operations", ("read",), reads, self._created)
            yield Sample("system.disk.operations", ("write",), writes, self._created)

    def _waiting(self) -> Iterator[Sample]:
        told = {name: totals(self._files.text(f"proc/pressure/{name}")) for name in _RESOURCES}
        for resource, values in told.items():
            if values:
                self._highest[resource] = tuple(map(max, values, self._highest.get(resource, values)))
                for state, value in zip(STATES, self._highest[resource], strict=True):
                    yield Sample("system.pressure.time", (resource, state), value, self._created)
