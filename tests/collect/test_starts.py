"""Starts and restarts, by whoever tells them."""

import os
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from exporter.collect.starts import Process, Start, Starts
from exporter.records.sample import Histogram

T = 2_000_000_000.0


def starts(
    *looks: tuple[float, bool, Start | None], sidecar: float | None = None
) -> tuple[Starts, list[Any]]:
    """After those looks, each so many seconds after the watch began; and what each told."""
    found = Starts(T, sidecar)
    return found, [found.see(T + at, up, start) for at, up, start in looks]


def process(at: float) -> Start:
    return Start("process", T + at)


def metrics(at: float) -> Start:
    return Start("metrics", T + at)


def ready(seen: list[Any]) -> list[float]:
    return [one.ready_seconds for one in seen if one.ready_seconds is not None]


def test_a_cold_start_that_was_watched() -> None:
    """From the start of the process to the first success, once."""
    found, seen = starts((0, False, None), (5, False, None), (10, True, process(2)), (15, True, process(2)))
    assert ready(seen) == [8]
    counts = {one.labels: one.value for one in found.samples(T) if one.name == "model.cold_start.duration"}
    assert [isinstance(one, Histogram) and one.count for one in counts.values()] == [1, 0, 0]


def test_a_server_that_was_there_before() -> None:
    """Nobody saw how long it took, so nothing is said."""
    _, seen = starts(
        (0, True, process(-900)), (5, True, process(-900)), (10, False, None), (15, True, process(-900))
    )
    assert ready(seen) == []


def test_a_server_that_was_loading_when_the_watch_began() -> None:
    """Its start lies before, but its readiness does not."""
    _, seen = starts((0, False, None), (60, True, process(-30)))
    assert ready(seen) == [90]


def test_without_a_process_the_sidecars_start_stands_in_once() -> None:
    """Where nobody tells the start, and only for the first time; an analysis that was restarted has none."""
    looks = ((0, False, None), (30, True, None), (40, False, None), (50, True, None))
    assert ready(starts(*looks, sidecar=T - 1)[1]) == [31]
    assert ready(starts(*looks)[1]) == []
    assert ready(starts((0, True, None), sidecar=T - 1)[1]) == []


@pytest.mark.parametrize("up", [True, False])
def test_a_restart(up: bool) -> None:
    """Another start is a restart, whether a probe saw the gap or not; its readiness counts."""
    found, seen = starts(
        (0, True, process(-900)), (5, up, None), (10, True, process(7)), (15, True, process(7))
    )
    assert [one.restarted for one in seen] == [False, False, True, False]
    assert found.restarts == {"process": 1, "metrics": 0}
    assert ready(seen) == [3]


def test_the_servers_own_metrics() -> None:
    """They tell a restart where no process can be seen; what wavers by a second is none."""
    found, seen = starts(
        (0, True, metrics(-900)),
        (5, True, metrics(-899)),
        (10, False, None),
        (15, True, None),
        (20, True, metrics(12)),
    )
    assert found.restarts == {"process": 0, "metrics": 1}
    assert [one.restarted for one in seen].index(True) == 4
    assert ready(seen) == [3]
    _, seen = starts((0, True, metrics(-900)), (5, True, None), (20, True, metrics(12)))
    assert ready(seen) == []  # it was ready before anybody knew that it was another one


def test_what_is_told_late() -> None:
    """The first success counts, whatever happened since; a failure after it is no part of the start."""
    looks = (
        (0, False, None),
        (60, True, None),
        (65, False, None),
        (70, True, None),
        (75, True, metrics(-30)),
    )
    assert ready(starts(*looks)[1]) == [90]
    assert ready(starts(*looks, sidecar=T)[1]) == [60]  # told already, though less exactly
    assert ready(starts((0, True, None), *looks[3:])[1]) == []


def test_two_sources_do_not_count_one_restart_twice() -> None:
    """The process is believed before the metrics, from then on."""
    found, _ = starts(
        (0, True, metrics(-900)), (5, True, process(-901)), (10, False, metrics(-900)), (15, True, process(12)),
        (20, True, metrics(13)),
    )  # fmt: skip
    assert found.restarts == {"process": 1, "metrics": 0}


def test_a_clock_that_was_set_is_no_start() -> None:
    """Negative or absurd durations are left out."""
    assert ready(starts((0, False, None), (5, True, process(500)))[1]) == []
    assert ready(starts((0, False, None), (5, True, process(-1e6)))[1]) == []


def test_a_real_process() -> None:
    """Found while it lives, by its true start; gone when it has ended; the next one is another."""
    children: list[subprocess.Popen[bytes]] = []

    def child() -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        return children[-1]

    try:
        first = child()
        here: list[int | None] = [first.pid]
        looked = Process(lambda: here[0])
        start = looked.start(T, False)
        assert start is not None and abs(start.at - time.time()) < 60
        here[0] = None
        assert looked.start(T + 1, False) == start  # it lives, so nobody searches
        first.kill()
        first.wait()
        assert looked.start(T + 11, False) is None
        here[0] = child().pid
        assert looked.start(T + 12, False) is None  # not again so soon
        assert looked.start(T + 12, True) not in (None, start)
    finally:
        for one in children:
            one.kill()
            one.wait()
            assert one.stdin is not None
            one.stdin.close()


def test_a_process_that_ends_meanwhile() -> None:
    """One that is found and is no more is no start."""

    def gone(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    assert Process(os.getpid, gone).start(T, True) is None
