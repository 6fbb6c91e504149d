"""What the files of a control group say, family by family: v2's words, and those of v1.

Each reader gives its family's values by member: one member "", or one for each disk. No member means that the kernel
does not tell. Knows neither processes nor where groups lie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.collect.pressure import STATES, totals
from exporter.host.cgroup import UNIFIED, Branch
from exporter.host.files import number

Readings = Mapping[str, tuple[float, ...]]
# What the kernel calls USER_HZ: 100 on every platform that Python runs on.
TICKS = 100.0


@dataclass(frozen=True, slots=True)
class Family:
    """One family: in whose files it is, its series by their last labels, how to read the values of each."""

    name: str
    controller: str
    series: tuple[tuple[str, ...], ...]
    read: Callable[[Branch], Readings]


def _one(*values: float | None) -> Readings:
    known = tuple(value for value in values if value is not None)
    return {"": known} if len(known) == len(values) else {}


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _cpu_time(branch: Branch) -> Readings:
    if branch.v2:
        used = branch.table("cpu.stat")
        return _one(*(_scaled(used.get(f"{mode}_usec"), 1e6) for mode in ("user", "system")))
    used = branch.table("cpuacct.stat")
    return _one(*(_scaled(used.get(mode), TICKS) for mode in ("user", "system")))


def _throttled_time(branch: Branch) -> Readings:
    told = branch.table("cpu.stat")
    if branch.v2:
        return _one(_scaled(told.get("throttled_usec"), 1e6))
    return _one(_scaled(told.get("throttled_time"), 1e9))


def _cpu_stat(key: str) -> Callable[[Branch], Readings]:
    return lambda branch: _one(branch.table("cpu.stat").get(key))


def _usage(branch: Branch) -> int | None:
    return branch.number("memory.current" if branch.v2 else "memory.usage_in_bytes")


def _stat(branch: Branch, v2: str, v1: str) -> int | None:
    return branch.table("memory.stat").get(v2 if branch.v2 else v1)


def _working_set(branch: Branch) -> Readings:
    used, inactive = _usage(branch), _stat(branch, "inactive_file", "total_inactive_file")
    # What the kubelet shows and evicts by; the two files are read one after the other.
    return {} if used is None or inactive is None else _one(max(0, used - inactive))


def _memory_limit(branch: Branch) -> Readings:
    if branch.v2:
        return _one(branch.least("memory.max"))
    # v1 tells what binds from above, also from groups that are out of sight.
    known = (
        branch.least("memory.limit_in_bytes"),
        branch.inherited("memory.stat", "hierarchical_memory_limit"),
    )
    return _one(min((limit for limit in known if limit is not None), default=None))


def _limit_hits(branch: Branch) -> Readings:
    return _one(branch.table("memory.events").get("max") if branch.v2 else branch.number("memory.failcnt"))


def _oom_kills(branch: Branch) -> Readings:
    return _one(branch.table("memory.events" if branch.v2 else "memory.oom_control").get("oom_kill"))


def _faults(branch: Branch) -> Readings:
    every, major = _stat(branch, "pgfault", "total_pgfault"), _stat(branch, "pgmajfault", "total_pgmajfault")
    return {} if every is None or major is None else _one(max(0, every - major), major)


def _disk(v2: tuple[str, str], v1: str) -> Callable[[Branch], Readings]:
    def read(branch: Branch) -> Readings:
        if branch.v2:
            told = _io_stat(branch.text("io.stat") or "")
            found = {disk: tuple(values.get(key, 0) for key in v2) for disk, values in told.items()}
        else:
            words = branch.text(f"{v1}_recursive") or branch.text(v1) or ""
            found = {
                disk: tuple(values.get(key, 0) for key in ("Read", "Write"))
                for disk, values in _blkio(words).items()
            }
        return {disk: values for disk, values in found.items() if not branch.files.names(_beneath(disk))}

    return read


def _beneath(disk: str) -> str:
    """Where the disks that it is made of are listed: what passes through it is counted at those."""
    return f"sys/dev/block/{disk}/slaves"


def _io_stat(text: str) -> Mapping[str, Mapping[str, int]]:
    """Lines "major:minor key=number …"; v2 leaves a disk that was never used without keys."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        for pair in words[1:]:
            key, _, word = pair.partition("=")
            if (value := number(word)) is not None:
                found.setdefault(words[0], {})[key] = value
    return found


def _blkio(text: str) -> Mapping[str, Mapping[str, int]]:
    """Lines "major:minor Operation number"; the last one is a total."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and (value := number(words[2])) is not None:
            found.setdefault(words[0], {})[words[1]] = value
    return found


def _pressure(resource: str) -> Callable[[Branch], Readings]:
    return lambda branch: {"": found} if (found := totals(branch.text(f"{resource}.pressure"))) else {}


_DISK_SERIES = (("read",), ("write",))
COUNTERS = (
    Family("container.cpu.time", "cpuacct", (("user",), ("system",)), _cpu_time),
    Family("container.cpu.periods", "cpu", ((),), _cpu_stat("nr_periods")),
    Family("container.cpu.throttled.periods", "cpu", ((),), _cpu_stat("nr_throttled")),
    Family("container.cpu.throttled.time", "cpu", ((),), _throttled_time),
    Family("container.memory.limit.hits", "memory", ((),), _limit_hits),
    Family("container.memory.oom_kills", "memory", ((),), _oom_kills),
    Family("container.paging.faults", "memory", (("minor",), ("major",)), _faults),
    Family(
        "container.disk.io",
        "blkio",
        _DISK_SERIES,
        _disk(("rbytes", "wbytes"), "blkio.throttle.io_service_bytes"),
    ),
    Family(
        "container.disk.operations",
        "blkio",
        _DISK_SERIES,
        _disk(("rios", "wios"), "blkio.throttle.io_serviced"),
    ),
    *(
        Family(
            "container.pressure.time",
            UNIFIED,
            tuple((resource, state) for state in STATES),
            _pressure(resource),
        )
        for resource in ("cpu", "memory", "io")
    ),
)
GAUGES = (
    Family("container.cpu.limit", "cpu", ((),), lambda branch: _one(branch.cores())),
    Family("container.memory.usage", "memory", ((),), lambda branch: _one(_usage(branch))),
    Family("container.memory.working_set", "memory", ((),), _working_set),
    Family("container.memory.rss", "memory", ((),), lambda branch: _one(_stat(branch, "anon", "total_rss"))),
    Family("container.memory.limit", "memory", ((),), _memory_limit),
    Family("container.pids.count", "pids", ((),), lambda branch: _one(branch.number("pids.current"))),
    Family("container.pids.limit", "pids", ((),), lambda branch: _one(branch.least("pids.max"))),
)
