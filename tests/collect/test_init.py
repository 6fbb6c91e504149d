"""The frame, and what every collector of the tuple owes it."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.collect import COLLECTORS, State, Unavailable, World, run
from exporter.collect.contract import Build
from exporter.collect.gpu_nvml import load_nvml
from exporter.records.catalogue import metric
from exporter.records.sample import Sample

NOW = 2_000_000_000.0
WORLD = World(("127.0.0.1", 1), {"analysis": os.getpid()}, load_nvml)


class Scripted:
    """A collector that does what it is told: "ok", "absent" or "fail"."""

    def __init__(self, name: str = "scripted", mood: str = "ok") -> None:
        self.name = name
        self.mood = mood

    def collect(self, now: float) -> Iterator[Sample]:
        yield Sample("model.up", (), 1)
        if self.mood == "absent":
            raise Unavailable("not here")
        if self.mood == "fail":
            raise OSError("broken")
        yield Sample("model.probe.duration", (), now)


def clock() -> Any:
    ticks = iter(range(1000))
    return lambda: float(next(ticks))


def values(samples: list[Sample]) -> dict[tuple[str, ...], Any]:
    return {(each.name, *each.labels): each.value for each in samples}


def test_duration_and_success() -> None:
    """Each collector's samples come with how long it took and that it succeeded, families together."""
    samples = run((Scripted("a"), Scripted("b")), NOW, clock=clock())
    assert [each.name for each in samples] == [
        *["model.up"] * 2,
        *["model.probe.duration"] * 2,
        *["modeltap.collector.duration"] * 2,
        *["modeltap.collector.success"] * 2,
    ]
    found = values(samples)
    assert found["modeltap.collector.success", "b"] == 1
    assert found["modeltap.collector.duration", "b"] == 1.0


def test_failure_is_contained() -> None:
    """A collector that raises has success 0 and no half of its samples; the next one still runs."""
    found = values(run((Scripted("bad", "fail"), Scripted("good")), NOW))
    assert found["modeltap.collector.success", "bad"] == 0
    assert found["modeltap.collector.success", "good"] == 1
    assert ("modeltap.collector.duration", "bad") in found
    samples = run((Scripted("bad", "fail"),), NOW)
    assert {each.name for each in samples} == {"modeltap.collector.duration", "modeltap.collector.success"}


def test_absence_is_not_failure() -> None:
    """An unavailable collector leaves nothing behind, not even success."""
    assert run((Scripted(mood="absent"),), NOW) == []


def test_logged_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    """A state is logged when it begins, not while it lasts: absence at debug, failure with its traceback."""
    caplog.set_level(logging.DEBUG)
    collector = Scripted()
    states: dict[str, State] = {}
    for collector.mood in ("ok", "absent", "absent", "fail", "fail", "ok", "ok", "fail"):
        run((collector,), NOW, states)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["DEBUG", "ERROR", "INFO", "ERROR"]
    assert caplog.records[1].exc_info is not None


def test_interrupts_pass() -> None:
    """What is no Exception (an interrupt, a cancellation) is not held back."""

    class Interrupted(Scripted):
        def collect(self, now: float) -> Iterator[Sample]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run((Interrupted(),), NOW)


@pytest.mark.parametrize("build", COLLECTORS)
def test_every_collector_keeps_the_contract(build: Build) -> None:
    """Each collector gives catalogue names with labels and start times, twice in a row, or is unavailable."""
    collector = build(WORLD)
    for now in (NOW, NOW + 15):
        samples = run((collector,), now)
        assert all(each.value for each in samples if each.name == "modeltap.collector.success")
        for each in samples:
            row = metric(each.name)
            assert len(each.labels) == len(row.labels)
            assert (each.created > 0) == (row.kind in ("counter", "histogram"))


def test_collector_names_are_unique() -> None:
    """No two collectors of the tuple share a name."""
    names = [build(WORLD).name for build in COLLECTORS]
    assert len(set(names)) == len(names)
