"""What a child and its descendants use, read from /proc; at its end, what the kernel counted of those waited for.

While it runs the live processes are added up, each with what it collected of its own children. A process that nobody
waited for is missing from the end's count, so that a figure never goes back: the larger one holds.
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of CPU, bytes resident at most, bytes read from and written to disk; all so far."""

    user: float = 0.0
    system: float = 0.0
    peak: int = 0
    read: int = 0
    written: int = 0

    def at_least(self, other: "Usage") -> "Usage":
        """The larger of each."""
        return Usage(
            max(self.user, other.user),
            max(self.system, other.system),
            max(self.peak, other.peak),
            max(self.read, other.read),
            max(self.written, other.written),
        )


def of_tree(root: int, proc: Path = Path("/proc")) -> Usage:
    """Of the process and all its descendants, as they are now; what may not be read counts as nothing."""
    stats = _stats(proc)
    tree, rest = [], [root]
    while rest:
        pid = rest.pop()
        if pid in stats:
            tree.append(pid)
            rest += [child for child, fields in stats.items() if int(fields[1]) == pid]
    sums = [0.0, 0.0, 0, 0, 0]
    for pid in tree:
        fields = stats[pid]
        sums[0] += (int(fields[11]) + int(fields[13])) / _TICKS
        sums[1] += (int(fields[12]) + int(fields[14])) / _TICKS
        sums[2] += int(fields[21]) * _PAGE
        read, written = disk(proc / str(pid))
        sums[3] += read
        sums[4] += written
    return Usage(sums[0], sums[1], int(sums[2]), int(sums[3]), int(sums[4]))


def _stats(proc: Path) -> dict[int, list[str]]:
    """The fields behind the name, of all processes: state, parent, …"""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it ended just now
            if len(fields) > 21:
                found[int(entry.name)] = fields
    return found


def disk(process: Path = Path("/proc/self")) -> tuple[int, int]:
    """Bytes read and written, children that were waited for included; zeros where that is not permitted."""
    try:
        lines = (process / "io").read_text().splitlines()
        counts = {key: int(value) for key, _, value in (line.partition(": ") for line in lines)}
    except (OSError, ValueError):
        return 0, 0
    return counts.get("read_bytes", 0), counts.get("write_bytes", 0)


def of_children(before: tuple[int, int]) -> Usage:
    """Of all children that we waited for; `before` is our own disk I/O at the start."""
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    read, written = disk()
    return Usage(
        told.ru_utime,
        told.ru_stime,
        told.ru_maxrss * 1024,
        max(0, read - before[0]),
        max(0, written - before[1]),
    )
