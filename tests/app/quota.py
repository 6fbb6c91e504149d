"""A third of a core and 128 MiB for a command and all that it starts: by cgroups where this machine lets us make them.

Elsewhere the sidecar's own bounds are set to what it would have found there, and it is pinned to one core.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEMORY = 128 << 20
PERIOD, QUOTA = 100_000, 30_000  # microseconds
_ROOT = Path("/sys/fs/cgroup")
_JOIN = 'for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


@dataclass(frozen=True, slots=True)
class Quota:
    """What to put before the command, and flags of the sidecar."""

    prefix: tuple[str, ...]
    flags: tuple[str, ...]
    group: Path | None = None  # that bounds the memory

    def oom_kills(self) -> int:
        """How often the kernel had to end a process for its memory; 0 where it has no bound of ours."""
        files = [self.group / name for name in ("memory.oom_control", "memory.events")] if self.group else []
        lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def quota() -> Iterator[Quota]:
    """Bounds for a command that ends within the block."""
    groups: list[Path] = []
    try:
        if not any(_bounded(make, groups) for make in (_v1, _v2)):
            core = str(min(os.sched_getaffinity(0)))
            flags = ("--analysis-memory", str(80 << 20), "--analysis-cpu", "0.075")
            yield Quota(("taskset", "-c", core), flags)
            return
        joining = f"GROUPS_TO_JOIN={' '.join(map(str, groups))}"
        yield Quota(("env", joining, "sh", "-c", _JOIN, "sh"), (), groups[-1])
    finally:
        _remove(groups)


@contextmanager
def bounded(memory: int) -> Iterator[Quota]:
    """A bound of memory alone, without swap, for commands that end within the block. OSError where none can be made."""
    groups: list[Path] = []
    try:
        try:
            group = _made(groups, _ROOT / "memory" / _own("memory"))
            limit, swap = "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", memory)
        except OSError:
            group = _made(groups, _ROOT / _own(""))
            limit, swap = "memory.max", ("memory.swap.max", 0)
        (group / limit).write_text(str(memory))
        if (group / swap[0]).exists():
            (group / swap[0]).write_text(str(swap[1]))
        yield Quota(("env", f"GROUPS_TO_JOIN={group}", "sh", "-c", _JOIN, "sh"), (), group)
    finally:
        _remove(groups)


def _bounded(make: Callable[[list[Path]], None], groups: list[Path]) -> bool:
    """Whether groups could be made; none is left if not."""
    try:
        make(groups)
    except OSError:
        _remove(groups)
        return False
    return True


def _own(controller: str) -> str:
    """This process's group of a controller, "" for the unified one."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    raise FileNotFoundError(f"no group of {controller!r}")


def _made(groups: list[Path], parent: Path) -> Path:
    group = parent / f"modeltap-test-{os.getpid()}"
    group.mkdir()
    groups.append(group)
    return group


def _v1(groups: list[Path]) -> None:
    cpu = _made(groups, _ROOT / "cpu" / _own("cpu"))
    (cpu / "cpu.cfs_period_us").write_text(str(PERIOD))
    (cpu / "cpu.cfs_quota_us").write_text(str(QUOTA))
    memory = _made(groups, _ROOT / "memory" / _own("memory"))
    (memory / "memory.limit_in_bytes").write_text(str(MEMORY))


def _v2(groups: list[Path]) -> None:
    group = _made(groups, _ROOT / _own(""))
    (group / "cpu.max").write_text(f"{QUOTA} {PERIOD}")
    (group / "memory.max").write_text(str(MEMORY))
    (group / "memory.swap.max").write_text("0")


def _remove(groups: list[Path]) -> None:
    """A group can be removed a moment after its last process is gone."""
    deadline = time.monotonic() + 20
    while groups:
        try:
            groups[-1].rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            groups.pop()
