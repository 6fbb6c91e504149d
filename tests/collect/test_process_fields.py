"""Fields of a process that psutil does not read, from trees of /proc."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from exporter.collect.contract import Unavailable
from exporter.collect.process import ProcessCollector
from exporter.collect.process_fields import MOST_THREADS, PSS_COST, PSS_SECONDS, Fields
from exporter.host.files import Files
from tests.collect.children import serving
from tests.host.trees import Denied, Tree, values

LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units\n"
    "Max open files            {} 4096 files\n"
)


def a_process(root: Path, kernel: str = "6.1.0-13-amd64") -> Tree:
    tree = Tree(root)
    tree.began(7, 500)
    tree.write("proc/sys/kernel/osrelease", f"{kernel}\n")
    tree.write("proc/7/limits", LIMITS.format("100"))
    tree.write("proc/7/smaps_rollup", "0000-ffff ---p 0 0:0 0 [rollup]\nRss:  300 kB\nPss:  200 kB\n")
    for thread, switches in ((7, (10, 1)), (8, (20, 2))):
        switched(tree, thread, *switches)
    return tree


def switched(tree: Tree, thread: int, voluntary: int, involuntary: int) -> None:
    tree.write(
        f"proc/7/task/{thread}/status",
        f"Name:\tx: y\nvoluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n",
    )


class Seven:
    """Process 7, with ten descriptors."""

    pid = 7

    def num_fds(self) -> int:
        return 10


SEVEN: Any = Seven()


def read(fields: Fields, family: str) -> Any:
    return next(each for each in (*fields.gauges, *fields.counters) if each.family == family).read(SEVEN)


def test_fields(tmp_path: Path) -> None:
    """Faults, switches of all threads, shared pages and the share of descriptors, each in its unit."""
    a_process(tmp_path)
    fields = Fields(Files(tmp_path))
    assert read(fields, "process.paging.faults") == (11, 2)
    assert read(fields, "process.context_switches") == (30, 3)
    assert read(fields, "process.memory.pss") == (204_800,)
    assert read(fields, "process.unix.file_descriptor.utilization") == (0.1,)


def test_thread_that_ended_keeps_counting(tmp_path: Path) -> None:
    """Switches of a thread that is gone stay; a new thread with its number counts from 0."""
    tree = a_process(tmp_path)
    fields = Fields(Files(tmp_path))
    read(fields, "process.context_switches")
    (tmp_path / "proc/7/task/8/status").unlink()
    (tmp_path / "proc/7/task/8").rmdir()
    assert read(fields, "process.context_switches") == (30, 3)
    switched(tree, 8, 1, 0)
    assert read(fields, "process.context_switches") == (31, 3)
    fields.forget(())
    assert read(fields, "process.context_switches") == (11, 1)


def test_very_many_threads(tmp_path: Path) -> None:
    """Over the bound nothing is said, rather than a part of it."""
    tree = a_process(tmp_path)
    for thread in range(100, 100 + MOST_THREADS):
        (tmp_path / f"proc/7/task/{thread}").mkdir()
    assert read(Fields(Files(tmp_path)), "process.context_switches") is None
    assert tree.folder == tmp_path


def test_unlimited_descriptors(tmp_path: Path) -> None:
    """Without a limit none of it is used up."""
    a_process(tmp_path).write("proc/7/limits", LIMITS.format("unlimited"))
    assert read(Fields(Files(tmp_path)), "process.unix.file_descriptor.utilization") == (0.0,)


@pytest.mark.parametrize("text", ["", "Max open files\n", "nonsense\n", "\x00\n"])
def test_unknown_format_is_absent(text: str, tmp_path: Path) -> None:
    """Forms that are not known are absent, and no error."""
    tree = a_process(tmp_path)
    for path in ("limits", "smaps_rollup", "stat", "task/7/status", "task/8/status"):
        tree.write(f"proc/7/{path}", text)
    fields = Fields(Files(tmp_path))
    for family in ("process.paging.faults", "process.context_switches", "process.memory.pss"):
        assert read(fields, family) is None
    assert read(fields, "process.unix.file_descriptor.utilization") is None


class Clock:
    """Time that passes when it is told, and while shared pages are read."""

    def __init__(self) -> None:
        self.now, self.cost = 1000.0, 0.0

    def __call__(self) -> float:
        self.now += self.cost
        return self.now


def pss(tree: Tree, kilobytes: int) -> None:
    tree.write("proc/7/smaps_rollup", f"Pss:  {kilobytes} kB\n")


def test_shared_pages_are_read_seldom(tmp_path: Path) -> None:
    """A look is followed by a minute's rest, and one that took long by a longer one."""
    tree = a_process(tmp_path)
    clock = Clock()
    fields = Fields(Files(tmp_path), clock)
    read(fields, "process.memory.pss")
    pss(tree, 1)
    clock.now += PSS_SECONDS - 1
    assert read(fields, "process.memory.pss") == (204_800,)
    clock.now += 1
    clock.cost = 1.0
    assert read(fields, "process.memory.pss") == (1024,)
    pss(tree, 2)
    clock.cost = 0.0
    clock.now += PSS_COST - 1
    assert read(fields, "process.memory.pss") == (1024,)
    clock.now += 1
    assert read(fields, "process.memory.pss") == (2048,)


def test_shared_pages_that_may_no_longer_be_read(tmp_path: Path) -> None:
    """A value that cannot be read again is not shown any longer."""
    a_process(tmp_path)
    clock = Clock()
    files = Denied(tmp_path, "none")
    fields = Fields(files, clock)
    read(fields, "process.memory.pss")
    clock.now += PSS_SECONDS
    files.endings = ("smaps_rollup",)
    assert read(fields, "process.memory.pss") is None


@pytest.mark.parametrize("kernel", ["5.9.16", "4.18.0-553.el8", "", "what-ever"])
def test_shared_pages_of_an_old_kernel(kernel: str, tmp_path: Path) -> None:
    """Where reading would hold the model's mmap up, it is left."""
    a_process(tmp_path, kernel)
    assert read(Fields(Files(tmp_path)), "process.memory.pss") is None


def test_highest_of_a_tree() -> None:
    """The share of descriptors is that of the process that is nearest to its limit, not a sum."""
    with serving(workers=2) as server:
        found = values(ProcessCollector({"model": server.pid}).collect(2_000_000_000.0))
        each = [psutil.Process(pid) for pid in (server.pid, *server.workers)]
        shares = [process.num_fds() / process.rlimit(psutil.RLIMIT_NOFILE)[0] for process in each]
    assert found["process.unix.file_descriptor.utilization", "model"] == pytest.approx(max(shares))
    assert found["process.context_switches", "model", "voluntary"] > 0
    assert found["process.paging.faults", "model", "minor"] > 100


class Reused(psutil.Process):
    """A process whose id is another's once it has been read."""

    asked = 0

    def is_running(self) -> bool:
        self.asked += 1
        return self.asked < 2 and super().is_running()


def test_id_given_to_another_while_it_is_read() -> None:
    """What was read through an id that is another's by now is not shown."""
    with serving() as server, pytest.raises(Unavailable):
        list(ProcessCollector({"model": server.pid}, Reused).collect(2_000_000_000.0))
