"""What a tree of processes uses, from a made-up /proc and from a real one."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.supervise.usage import Usage, disk, of_tree
from tests.e2e.processes import wait_until

WORK = """
import os, sys
child = os.fork()
block = bytearray(30_000_000)
for place in range(0, len(block), 4096):
    block[place] = 1
total = sum(range(3_000_000))
if child:
    print("", flush=True)
sys.stdin.read()
if child:
    os.waitpid(child, 0)
"""


def process(proc: Path, pid: int, parent: int, *numbers: int) -> None:
    """utime, stime, cutime, cstime in ticks, and pages."""
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["0"] * 40
    fields[0], fields[1] = "S", str(parent)
    fields[11:15], fields[21] = map(str, numbers[:4]), str(numbers[4])
    (folder / "stat").write_text(f"{pid} (a ) (name) {' '.join(fields)}\n")


def test_a_tree(tmp_path: Path) -> None:
    """The process and all its descendants count, with what they collected; others do not."""
    for pid, parent in ((7, 1), (8, 7), (9, 8), (10, 1)):
        process(tmp_path, pid, parent, 100, 200, 10, 20, 5)
    (tmp_path / "8/io").write_text("rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n")
    (tmp_path / "9/io").write_text("read_bytes: many\n")
    (tmp_path / "11").mkdir()
    (tmp_path / "12").mkdir()
    (tmp_path / "12/stat").write_text("12 (short")
    usage = of_tree(7, tmp_path)
    assert (usage.user, usage.system) == pytest.approx((3.3, 6.6))
    assert (usage.read, usage.written) == (4096, 8192)
    assert usage.peak == 15 * 4096
    assert of_tree(99, tmp_path) == Usage()


def test_the_larger_holds() -> None:
    """A figure never goes back."""
    assert Usage(1, 2, 3, 4, 5).at_least(Usage(2, 1, 9, 0, 6)) == Usage(2, 2, 9, 4, 6)


def test_real_processes() -> None:
    """Two processes that worked and hold memory are seen as one tree."""
    with subprocess.Popen([sys.executable, "-S", "-c", WORK], stdin=-1, stdout=-1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        wait_until(lambda: of_tree(child.pid).peak > 60_000_000, "both hold their memory", 20)
        assert of_tree(child.pid).user > 0
        child.stdin.close()
    assert of_tree(child.pid) == Usage()
    assert min(disk()) >= 0
    assert disk(Path("/proc/0")) == (0, 0)
