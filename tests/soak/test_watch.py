"""Slopes of memory: noise, leaks, processes that were started again."""

import os
import random

from tests.soak.watch import MIB, Allowed, Reading, Watch, theil_sen

LEAK = 10_000.0  # bytes per second


def readings(seconds: int, slope: float = 0.0, pid: int = 1, start: float = 0.0) -> list[Reading]:
    """One a second, with the noise of an allocator."""
    noise = random.Random(5)
    return [
        Reading(start + at, pid, int(40 * MIB + slope * at + noise.randrange(MIB)), 20)
        for at in range(seconds)
    ]


def watched(*lives: list[Reading]) -> Watch:
    """A watch that took all of them."""
    watch = Watch("data plane", Allowed(MIB, MIB))
    for life in lives:
        for reading in life:
            watch.take(reading)
    return watch


def test_noise_is_flat() -> None:
    """Memory that goes up and down by a mebibyte has no slope to speak of."""
    slope = theil_sen(readings(300))
    assert slope is not None
    assert abs(slope) < LEAK / 5
    assert watched(readings(300)).judge()[1] == ""


def test_a_leak_is_told() -> None:
    """Steady growth breaks the soak, and the message says how much it is and what is allowed."""
    told, wrong = watched(readings(600, LEAK)).judge()
    assert "MiB/h" in told
    assert "allowed are" in wrong


def test_single_readings_bend_nothing() -> None:
    """A tenth of wild readings leaves the slope where it was."""
    flat = readings(300)
    flat[::10] = [Reading(r.at, r.pid, r.rss * 10, r.descriptors) for r in flat[::10]]
    slope = theil_sen(flat)
    assert slope is not None
    assert abs(slope) < LEAK


def test_a_new_process_is_no_leak() -> None:
    """One that was started again grows to its size: only what one process did over time counts."""
    lives = [
        [
            Reading(r.at, pid, r.rss + pid * 10 * MIB, r.descriptors)
            for r in readings(100, pid=pid, start=100.0 * pid)
        ]
        for pid in range(6)
    ]
    assert watched(*lives).judge()[1] == ""


def test_what_fills_first_is_not_judged() -> None:
    """Growth in the first half, and in the first seconds of a life, is no leak."""
    early = readings(300, LEAK)
    top = early[-1].rss
    late = [Reading(300.0 + at, 1, top, 20) for at in range(300)]
    assert watched(early, late).judge()[1] == ""


def test_a_short_run_is_not_judged() -> None:
    """Seconds say nothing, and that is said."""
    told, wrong = watched(readings(30, 1e6)).judge()
    assert "too short to judge" in told
    assert wrong == ""


def test_a_process_that_was_never_seen_is_told() -> None:
    """No reading is no pass."""
    assert watched().judge()[1] == "data plane: never seen"


def test_a_long_run_is_bounded() -> None:
    """Of very many readings some are thrown away, the newest not."""
    watch = watched(readings(20_000))
    assert len(watch.readings) < 1000
    assert watch.last is not None
    assert watch.last.at == 19_999


def test_a_reading_of_this_process() -> None:
    """Memory and descriptors are there; a process that is gone gives none."""
    watch = Watch("me", Allowed(0, 0))
    reading = watch.read(os.getpid(), now=3.0)
    assert reading is not None
    assert (reading.at, reading.pid) == (3.0, os.getpid())
    assert reading.rss > MIB
    assert reading.descriptors >= 3
    assert watch.read(1 << 30) is None
