"""What is read of one process, family by family. Knows no trees; what is costly is read seldom.

A reader answers None, or raises what psutil and the system raise, where its family may not be read. Invariants: nothing
that goes through the whole memory map is read on a kernel that would make the process wait for it meanwhile; threads
are counted up to MOST_THREADS, above which what needs each of them is absent.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import psutil

from exporter.collect.accumulate import MonotonicSum
from exporter.host.files import Files, number, stat, table

MOST_THREADS = 512
PSS_SECONDS = 60.0  # at least, between two looks at one process's shared pages
PSS_COST = 200.0  # and so many times what a look took
# The last two lines of a status, in this order; to take all sixty apart costs twice as much.
_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\t([0-9]{1,20})$", re.MULTILINE)
# Before 5.10 smaps_rollup holds the map's lock to the end, and every mmap of the process waits.
_PSS_KERNEL = (5, 10)

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One family of a process: one value, or one for each of `labels`; those of a tree are added, or the highest."""

    family: str
    labels: tuple[str, ...]
    read: Callable[[psutil.Process], Values | None]
    of_tree: Literal["sum", "highest"] = "sum"


class Fields:
    """The readers, and what they keep of the processes of one tree: call `forget` with those that are left."""

    def __init__(self, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._switches: dict[psutil.Process, MonotonicSum[str]] = {}
        self._shared: dict[psutil.Process, tuple[float, float]] = {}  # PSS, and when to look again
        self._careful = _kernel(files) < _PSS_KERNEL
        self.counters = (
            Field("process.cpu.time", ("user", "system"), _cpu),
            Field("process.disk.io", ("read", "write"), _disk),
            Field("process.context_switches", ("voluntary", "involuntary"), self._switched),
            Field("process.paging.faults", ("minor", "major"), self._faults),
        )
        self.gauges = (
            Field("process.memory.usage", (), lambda process: (process.memory_info().rss,)),
            Field("process.memory.pss", (), self._pss),
            Field("process.memory.virtual", (), lambda process: (process.memory_info().vms,)),
            Field("process.thread.count", (), lambda process: (process.num_threads(),)),
            Field("process.unix.file_descriptor.count", (), lambda process: (process.num_fds(),)),
            Field("process.unix.file_descriptor.utilization", (), self._descriptors, "highest"),
        )

    def forget(self, left: Iterable[psutil.Process]) -> None:
        """Keep nothing of other processes than these."""
        there = set(left)
        self._switches = {process: each for process, each in self._switches.items() if process in there}
        self._shared = {process: each for process, each in self._shared.items() if process in there}

    def _switched(self, process: psutil.Process) -> Values | None:
        # /proc/PID/status tells those of the first thread alone.
        threads = self._files.names(f"proc/{process.pid}/task")
        if not threads or len(threads) > MOST_THREADS:
            return None
        found: dict[str, Values] = {}
        for thread in threads:
            told = _SWITCHES.findall(self._files.text(f"proc/{process.pid}/task/{thread}/status") or "")
            if len(told) == 2:
                found[thread] = float(told[0]), float(told[1])
        return self._switches.setdefault(process, MonotonicSum(2)).update(found) if found else None

    def _faults(self, process: psutil.Process) -> Values | None:
        fields = stat(self._files, process.pid) or []
        faults = [number(fields[at]) for at in (7, 9)] if fields else []
        known = tuple(float(each) for each in faults if each is not None)
        return known if len(known) == 2 else None

    def _descriptors(self, process: psutil.Process) -> Values | None:
        for line in (self._files.text(f"proc/{process.pid}/limits") or "").splitlines():
            if words := line.removeprefix("Max open files").split():
                limit = number(words[0])
                if line.startswith("Max open files") and (limit or words[0] == "unlimited"):
                    return (process.num_fds() / limit if limit else 0.0,)
        return None

    def _pss(self, process: psutil.Process) -> Values | None:
        if self._careful:
            return None
        before = self._clock()
        value, due = self._shared.get(process, (0.0, before))
        if before < due:
            return (value,)
        told = table(self._files.text(f"proc/{process.pid}/smaps_rollup"), ":").get("Pss")
        if told is None:
            self._shared.pop(process, None)
            return None
        after = self._clock()
        self._shared[process] = told * 1024.0, after + max(PSS_SECONDS, PSS_COST * (after - before))
        return (told * 1024.0,)


def _cpu(process: psutil.Process) -> Values:
    times = process.cpu_times()
    return times.user, times.system


def _disk(process: psutil.Process) -> Values | None:
    if not hasattr(process, "io_counters"):
        return None
    counters = process.io_counters()
    return counters.read_bytes, counters.write_bytes


def _kernel(files: Files) -> tuple[int, ...]:
    """The kernel's version, (0,) where it is not told."""
    words = (files.text("proc/sys/kernel/osrelease") or "").split("-")[0].split(".")[:2]
    return tuple(known for word in words if (known := number(word)) is not None) or (0,)
