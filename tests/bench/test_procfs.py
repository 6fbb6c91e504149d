"""Accounting: lines of /proc, trees, and the clock of a real process."""

import os
import subprocess
import sys
import time

import pytest

from bench import procfs

LINE = "4242 (a) b (c)) S 17 4242 4242 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 3 0 98765 1000 200 0"


def test_parse_stat_takes_the_last_parenthesis() -> None:
    """A command with spaces and parentheses does not shift the fields."""
    stat = procfs.parse_stat(LINE)
    assert (stat.pid, stat.command, stat.state, stat.parent) == (4242, "a) b (c)", "S", 17)
    assert (stat.user_ticks, stat.system_ticks, stat.start_ticks) == (250, 75, 98765)


@pytest.mark.parametrize("text", ["", "12", "12 (x", "12 (x) S 1", ") 12 ("])
def test_parse_stat_refuses(text: str) -> None:
    """What is no stat line is an error that shows it."""
    with pytest.raises(ValueError, match="not a line"):
        procfs.parse_stat(text)


def test_stat_seconds_adds_both_modes() -> None:
    """CPU is user and kernel mode together, in ticks."""
    assert procfs.stat_seconds(procfs.parse_stat(LINE), 100) == 3.25


def test_parse_kib() -> None:
    """Memory lines count KiB; an absent one is an error, not 0."""
    status = "Name:\tx\nVmRSSFoo:\t9 kB\nVmRSS:\t   2048 kB\n"
    assert procfs.parse_kib(status, "VmRSS") == 2 * 1024 * 1024
    with pytest.raises(ValueError, match="VmSwap"):
        procfs.parse_kib(status, "VmSwap")


def test_idle_time_of_a_core() -> None:
    """Every core that there is has idled since boot; one that is not there is an error."""
    assert procfs.idle_seconds(min(os.sched_getaffinity(0))) > 0
    with pytest.raises(ValueError, match="no core 9999"):
        procfs.idle_seconds(9999)


def test_tree_is_the_root_and_all_below() -> None:
    """Grandchildren belong to the tree; strangers and zombies do not."""

    def stat(pid: int, parent: int, state: str = "S") -> procfs.Stat:
        return procfs.Stat(pid, "x", state, parent, 0, 0, 0)

    stats = [
        stat(1, 0),
        stat(10, 1),
        stat(12, 10),
        stat(11, 10),
        stat(20, 11),
        stat(30, 1),
        stat(13, 10, "Z"),
    ]
    assert procfs.tree(stats, 10) == [10, 11, 12, 20]
    assert procfs.tree(stats, 99) == [99]


def test_cpu_seconds_is_the_process_own_clock() -> None:
    """What is read from outside lies between two readings from inside."""
    before = time.process_time()
    seen = procfs.cpu_seconds(os.getpid())
    assert before <= seen <= time.process_time()


def test_an_ended_process_is_told() -> None:
    """A process that is gone raises ProcessLookupError for CPU and memory."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        procfs.cpu_seconds(process.pid)
    with pytest.raises(ProcessLookupError):
        procfs.rss_bytes(process.pid)
    with pytest.raises(ProcessLookupError):
        procfs.descriptors(process.pid)


def test_descendants_of_a_real_process() -> None:
    """A child started by this process is found below it, with memory of its own."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            assert process.pid in procfs.descendants(os.getpid())
            assert procfs.rss_bytes(process.pid) > 0
        finally:
            process.kill()
