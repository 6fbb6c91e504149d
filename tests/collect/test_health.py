"""The probe against real listeners over time: what it counts, what changed, and that nothing stale is shown."""

from typing import Any

import pytest

from exporter.collect.asking import REASONS, Failure, Times
from exporter.collect.contract import Place, Unavailable, World
from exporter.collect.health import HealthProbe, build
from exporter.collect.starts import Process
from exporter.records.sample import Histogram
from tests.collect.test_asking import status, upstream

NOW = 2_000_000_000.0
OK = status("200 OK")


def shown(probe: HealthProbe, now: float) -> dict[tuple[str, ...], Any]:
    return {(each.name, *each.labels): each.value for each in probe.collect(now)}


async def test_up_and_down() -> None:
    """Each probe replaces what the last one saw; failures are counted by reason, all of which exist from the start."""
    async with upstream(OK) as (address, _):
        probe = HealthProbe(Place(address, "/ready"))
        assert await probe.probe(NOW)
        found = shown(probe, NOW + 1)
    assert found["model.up",] == 1
    assert 0 < found["model.probe.duration",] < 5
    assert 0 < found["model.probe.round_trip",] < 5
    assert found["model.probe", "/ready", "configured"] == 1
    assert {labels[1] for labels in found if labels[0] == "model.probe.failures"} == set(REASONS)
    connects = found["model.probe.connect.duration",]
    assert isinstance(connects, Histogram) and connects.count == 1
    assert not await probe.probe(NOW + 5)
    found = shown(probe, NOW + 6)
    assert found["model.up",] == 0
    assert found["model.probe.failures", "refused"] == 1
    assert ("model.uptime",) not in found
    assert ("model.probe.round_trip",) not in found  # of a connection that there was not


async def test_hanging() -> None:
    """A server that accepts and never answers is down after the timeout, and the time it took is told."""
    async with upstream(None) as (address, _):
        probe = HealthProbe(Place(address, "/ready"), timeout=0.05)
        assert not await probe.probe(NOW)
    found = shown(probe, NOW)
    assert found["model.probe.failures", "timeout"] == 1
    assert found["model.probe.duration",] > 0.04


async def test_a_loop_that_stood_still_is_no_silence_of_the_model() -> None:
    """A timeout that comes late is this process's own: the model is asked again, once; one in time is the model's."""

    async def asked(seconds: float, reason: str = "timeout") -> list[Failure | None]:
        now, answers = 0.0, [Failure(reason, ""), None]
        probe = HealthProbe(Place("/nowhere/s", "/ready"), timeout=1.0, clock=lambda: now)

        async def once(_: Times) -> Failure | None:
            nonlocal now
            now += seconds
            return answers.pop(0)

        probe._once = once  # type: ignore[method-assign]
        assert await probe.probe(NOW) is not bool(answers)
        return answers

    assert len(await asked(1.05)) == 1
    assert len(await asked(9.0)) == 0
    assert len(await asked(1.05, "dns")) == 1
    assert len(await asked(9.0, "dns")) == 0
    assert len(await asked(9.0, "refused")) == 1


async def test_stale_result_is_not_shown() -> None:
    """Before the first probe there is nothing, long after the last one only what was counted."""
    probe = HealthProbe(Place("/nowhere/s", ""), stale_after=60)
    with pytest.raises(Unavailable, match="no probe"):
        list(probe.collect(NOW))
    await probe.probe(NOW)
    assert shown(probe, NOW + 60)["model.up",] == 0
    for now in (NOW + 61, NOW - 61):
        found = shown(probe, now)
        assert found["model.probe.failures", "refused"] == 1
        current = ("model.up", "model.probe", "model.uptime", "model.availability")
        assert {name for name, *_ in found}.isdisjoint(current)


async def test_the_dialects_path() -> None:
    """Once it is known what is spoken its readiness is asked, and a model that is not ready is not up."""
    async with upstream(OK) as (address, heads):
        probe = HealthProbe(Place(address, ""))
        assert await probe.probe(NOW)
        probe.speaks([("open_inference_v2", "iris")])
        assert await probe.probe(NOW + 5)
        assert [head.split()[1] for head in heads] == [b"/v2/models/iris/ready"]
        assert ("model.probe", "/v2/models/iris/ready", "dialect") in shown(probe, NOW + 5)


async def test_a_path_that_is_not_there_is_no_failure() -> None:
    """A server without the dialect's paths is up while it takes connections, and nothing is counted against it."""
    async with upstream(status("404 Not Found")) as (address, _):
        probe = HealthProbe(Place(address, ""))
        probe.speaks([("tgi", "")])
        assert [await probe.probe(NOW + 5 * n) for n in range(3)] == [True] * 3
    found = shown(probe, NOW + 10)
    assert found["model.probe", "", "connect"] == 1
    assert not any(value for labels, value in found.items() if labels[0] == "model.probe.failures")


async def test_changes() -> None:
    """Down with its reason, loading and up with their durations; each told once."""
    async with upstream(OK) as (first, _), upstream(status("503 Busy")) as (busy, _):
        probe = HealthProbe(Place(first, "/ready"))

        async def at(place: Any, now: float) -> list[tuple[str, str, float]]:
            probe._place = Place(place, "/ready")
            await probe.probe(NOW + now)
            return [(one.kind, one.reason, one.seconds) for one in probe.take()]

        assert await at(first, 0) == []
        assert await at("/nowhere/s", 5) == [("down", "refused", 0.0)]
        assert await at("/nowhere/s", 10) == []
        assert await at(busy, 15) == []
        assert await at(busy, 20) == []
        assert await at(first, 30) == [("loaded", "", 15.0), ("up", "", 25.0)]
        assert await at(busy, 35) == [("down", "status", 0.0)]
        assert await at("/nowhere/s", 40) == []
        assert await at(first, 45) == [("up", "", 10.0)]  # it went away while it was loading


def test_built_from_a_world() -> None:
    """The place, the bounds and the process of the model come from there."""
    place = Place(("127.0.0.1", 1), "/ready")
    world = World(place.address, {"model": lambda: None}, lambda: None, place, 0.5, 100.0)
    probe = build(world)
    assert (probe._place, probe._timeout, probe._stale_after) == (place, 0.5, 300.5)
    assert isinstance(probe.process, Process)
    assert build(World(place.address, {}, lambda: None)).process is None


def test_bad_path() -> None:
    """A path without a slash is refused with what was expected."""
    with pytest.raises(ValueError, match="'ready': expected a path that begins with /"):
        HealthProbe(Place(("127.0.0.1", 80), "ready"))
