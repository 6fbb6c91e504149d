"""CPU time and memory of a process tree, from the kernel's accounting.

Refuses to know what the processes are. The process CPU clock is read where the kernel offers it: it counts
nanoseconds of all threads, ended ones included, where `/proc/<pid>/schedstat` counts the first thread only
and `/proc/<pid>/stat` ticks of 10 ms. On a kernel without CONFIG_IRQ_TIME_ACCOUNTING all three contain
the loopback work that the process's own writes set off, which is what a proxy costs its pod.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of linux/posix-timers.h, as in glibc's clock_getcpuclockid.
CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of `/proc/<pid>/stat`: CPU in ticks, start in ticks since boot."""

    pid: int
    command: str
    state: str
    parent: int
    user_ticks: int
    system_ticks: int
    start_ticks: int


def parse_stat(text: str) -> Stat:
    """Fields by proc(5). The command may contain spaces and parentheses: the last `)` ends it.

    Raises ValueError when the line is not one of `/proc/<pid>/stat`.
    """
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 1 :].split()
    if opening < 0 or closing < opening or len(fields) < 20:
        raise ValueError(f"not a line of /proc/<pid>/stat: {text[:80]!r}")
    return Stat(
        pid=int(text[:opening]),
        command=text[opening + 1 : closing],
        state=fields[0],
        parent=int(fields[1]),
        user_ticks=int(fields[11]),
        system_ticks=int(fields[12]),
        start_ticks=int(fields[19]),
    )


def parse_kib(text: str, key: str) -> int:
    """Bytes of the line `key:  N kB` of `/proc/<pid>/status`. Raises ValueError when it is absent."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise ValueError(f"no line {key!r} in the status of the process")


def tree(stats: Iterable[Stat], root: int) -> list[int]:
    """The root and all its descendants, root first, zombies left out."""
    children: dict[int, list[int]] = {}
    for stat in stats:
        if stat.state not in "ZX":
            children.setdefault(stat.parent, []).append(stat.pid)
    found = [root]
    for pid in found:
        found.extend(sorted(children.get(pid, [])))
    return found


def all_stats(proc: Path = PROC) -> list[Stat]:
    """The processes that are there now; one that ends while it is read is left out."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                found.append(parse_stat((entry / "stat").read_text(errors="replace")))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def descendants(root: int) -> list[int]:
    """Process ids of the tree under `root`, the root first."""
    return tree(all_stats(), root)


def stat_seconds(stat: Stat, ticks_per_second: int) -> float:
    """CPU seconds, user and kernel mode, in steps of one tick."""
    return (stat.user_ticks + stat.system_ticks) / ticks_per_second


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process since its start. Raises ProcessLookupError when it is gone."""
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) / 1e9
    except OSError:
        pass
    try:
        stat = parse_stat((PROC / str(pid) / "stat").read_text(errors="replace"))
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} has ended") from error
    return stat_seconds(stat, os.sysconf("SC_CLK_TCK"))


def pin(pid: int, cores: set[int]) -> None:
    """Let all threads of a process run on these cores only; one that has ended is passed over."""
    try:
        threads = [int(entry.name) for entry in (PROC / str(pid) / "task").iterdir()]
    except FileNotFoundError:
        return
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)


def rss_bytes(pid: int) -> int:
    """Resident memory of a process. Raises ProcessLookupError when it is gone."""
    try:
        return parse_kib((PROC / str(pid) / "status").read_text(errors="replace"), "VmRSS")
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} has ended") from error


def descriptors(pid: int) -> int:
    """How many descriptors a process has open. Raises ProcessLookupError when it is gone."""
    try:
        return len(os.listdir(PROC / str(pid) / "fd"))
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} has ended") from error


def idle_seconds(core: int) -> float:
    """How long a core has had nothing to do since boot. Raises ValueError for a core that is not there."""
    for line in (PROC / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return (int(ticks[3]) + int(ticks[4])) / os.sysconf("SC_CLK_TCK")
    raise ValueError(f"no core {core} in /proc/stat")


def mapped_files(maps: str) -> list[str]:
    """The files of `/proc/<pid>/maps`, each once."""
    places = (line.split(maxsplit=5)[5:] for line in maps.splitlines())
    return list(dict.fromkeys(place[0] for place in places if place and place[0].startswith("/")))
