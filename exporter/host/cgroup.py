"""Where the control groups of a process can be read, one directory a controller, and what their files say.

Two places are looked at: the mounts of our own, and those that the process itself sees, through its root (for that it
must be our user's, or we must be allowed to trace it). A membership and the root of a mount are both told relative to
our own namespace, so that one lies below the other or does not: what does not is out of sight, and no directory that
happens to be there is taken in its stead. The root of a hierarchy is the machine and no group.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exporter.host.files import Files, number, table

View = Literal["mount", "process_root"]
# v1 says "none" with a number near 2^63.
UNLIMITED = 1 << 60
UNIFIED = "unified"  # v2 as a controller: pressure is told there even where all controllers are v1's
CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio", UNIFIED)
_ESCAPE = re.compile(r"\\([0-7]{3})")
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One controller's group: its directory, then those above it up to what can be seen; read at most once each."""

    files: Files
    directories: tuple[str, ...]
    v2: bool
    view: View
    hierarchy: str
    membership: str
    _read: dict[str, str | None] = field(default_factory=dict, compare=False)

    def text(self, name: str, directory: str = "") -> str | None:
        path = f"{directory or self.directories[0]}/{name}"
        if path not in self._read:
            self._read[path] = self.files.text(path)
        return self._read[path]

    def number(self, name: str) -> int | None:
        """A file of the group itself that holds one number."""
        return number(self.text(name))

    def table(self, name: str) -> dict[str, int]:
        """A file of the group itself that holds a number for each key."""
        return table(self.text(name))

    def least(self, name: str) -> int | None:
        """The lowest limit, of the group's and those above it: each binds. None where there is none."""
        found = [number(self.text(name, each)) for each in self.directories]
        return min((limit for limit in found if limit is not None and limit < UNLIMITED), default=None)

    def inherited(self, name: str, key: str) -> int | None:
        """The limit that a file of the group itself tells under that key."""
        limit = self.table(name).get(key, UNLIMITED)
        return limit if limit < UNLIMITED else None

    def cores(self) -> float | None:
        """The lowest CPU quota, in cores."""
        found = [quota for each in self.directories if (quota := self._quota(each)) is not None]
        return min(found, default=None)

    def contains(self, others: Mapping[str, str]) -> bool:
        """Whether what a process with those memberships uses is counted in this group."""
        if self.hierarchy not in others:
            return False
        mine, theirs = _parts(self.membership), _parts(others[self.hierarchy])
        above = set(mine) == {".."} and len(mine) > theirs.count("..")
        return above or _below(theirs, mine) is not None

    def holds(self, others: Mapping[str, str]) -> bool:
        """Whether it is the very group of a process with those memberships."""
        return others.get(self.hierarchy) == self.membership

    def identity(self) -> tuple[int, int] | None:
        """What tells the group from a later one of the same name."""
        return self.files.identity(self.directories[0])

    def _quota(self, directory: str) -> float | None:
        names = ("cpu.max",) if self.v2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [word for name in names for word in (self.text(name, directory) or "").split()]
        quota, period = map(number, words) if len(words) == 2 else (None, None)
        return quota / period if quota is not None and period else None


@dataclass(frozen=True, slots=True)
class _Mount:
    root: _Path
    point: str
    controllers: frozenset[str]
    v2: bool

    def shows(self, hierarchy: str) -> bool:
        return self.v2 if hierarchy == UNIFIED else not self.v2 and hierarchy in self.controllers


def locate(files: Files, pid: int | str) -> Mapping[str, Branch]:
    """The branches of the process by controller, those that can be seen; empty where none can."""
    members = memberships(files, pid)
    found: dict[str, Branch] = {}
    places: tuple[tuple[View, str, str], ...] = (
        ("mount", "proc/self/mountinfo", ""),
        ("process_root", f"proc/{pid}/mountinfo", f"proc/{pid}/root/"),
    )
    for view, mounts, base in places:
        for mount in _mounts(files.text(mounts) or ""):
            for controller in CONTROLLERS:
                # A controller that v1 has is not v2's: its files are missing there, or another group's.
                hierarchy = controller if controller in members else UNIFIED
                if controller not in found and hierarchy in members and mount.shows(hierarchy):
                    directories = tuple(base + each for each in _directories(members[hierarchy], mount))
                    if directories and _is_group(files, directories[0], mount.v2):
                        member = members[hierarchy]
                        found[controller] = Branch(files, directories, mount.v2, view, hierarchy, member)
    return found


def memberships(files: Files, pid: int | str) -> Mapping[str, str]:
    """The path of the process's group in each hierarchy, by controller (v1), or "unified"."""
    return dict(_memberships(files.text(f"proc/{pid}/cgroup") or ""))


def _directories(membership: str | None, mount: _Mount) -> tuple[str, ...]:
    """Those of the group below that mount and of all above it; none if it does not lie there."""
    inside = None if membership is None else _below(_parts(membership), mount.root)
    if inside is None:
        return ()
    return tuple("/".join((mount.point, *inside[:depth])) for depth in range(len(inside), -1, -1))


def _is_group(files: Files, directory: str, v2: bool) -> bool:
    # The kernel gives cgroup.events to every group but the root, and release_agent (v1) to the root alone.
    if v2:
        return files.has(f"{directory}/cgroup.events")
    return files.has(f"{directory}/cgroup.procs") and not files.has(f"{directory}/release_agent")


def _memberships(text: str) -> Iterator[tuple[str, str]]:
    """Lines "number:controllers:path", by controller; v2's has none."""
    for line in text.splitlines():
        _, first, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        # A group that was removed under the process is told with this mark.
        if first and second and path.startswith("/") and not path.endswith(" (deleted)"):
            for controller in controllers.split(","):
                yield controller or UNIFIED, path


def _mounts(text: str) -> Iterator[_Mount]:
    """The mounts of control groups: "id parent device root point options … - type source options"."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if dash and len(fields) >= 6 and kind and kind[0] in ("cgroup", "cgroup2"):
            root, point = (_ESCAPE.sub(lambda found: chr(int(found[1], 8)), each) for each in fields[3:5])
            options = frozenset(kind[-1].split(","))
            yield _Mount(_parts(root), point.strip("/"), options, kind[0] == "cgroup2")


def _parts(path: str) -> _Path:
    return tuple(part for part in path.split("/") if part)


def _below(path: _Path, top: _Path) -> _Path | None:
    """The way from `top` down to `path`; None if there is none, or none that names can tell."""
    rest = path[len(top) :]
    return rest if path[: len(top)] == top and ".." not in rest else None
