"""The truth of numbers, from predictions over labels and cohorts to counters: replicas, corrections, a new profile."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from exporter.commands import performance
from exporter.parts import drift_page
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.segment import parse_all
from exporter.stats import Profile
from exporter.stats.profiles.build import Column, ProfileConfig, build
from tests.labels import DAY, T0, World, run

KNOWN = {"task": "regression", "positive_class": ""}
HOUR = 3600.0


def profile(scale: float = 1.0, outputs: Sequence[str] = ("y",)) -> Profile:
    rng = np.random.default_rng(3)
    truth = rng.normal(100.0, 10.0 * scale, 2000)
    answers = {name: Column(truth + rng.normal(size=2000), "prediction") for name in outputs}
    return build(
        {"x": Column(rng.normal(size=2000)), "price": Column(truth, "target")} | answers,
        ProfileConfig("iris", "*", bins=5),
    )


def labels(name: str, values: Sequence[Any], seconds: float = 1.0) -> list[dict[str, Any]]:
    return [
        {"id": name, "row": row, "label": value, "observed_at": T0 + seconds}
        for row, value in enumerate(values)
    ]


def worlds(count: int = 2) -> list[World]:
    """Replicas of one store, one profile each of their own making."""
    store = Memory(Limits())
    return [World(store, KNOWN, profiles=[profile()], label_maturity=1.0) for _ in range(count)]


def told(found: Sequence[World], name: str, maturity: str) -> dict[tuple[str, ...], float]:
    """Added less withdrawn over all replicas."""
    whole: dict[tuple[str, ...], float] = {}
    for world in found:
        for cell, value in world.net(name, maturity).items():
            whole[cell] = whole.get(cell, 0.0) + value
    return whole


def test_labels_of_all_replicas_are_the_histogram() -> None:
    """Arrival, and mature cohorts; a corrected label moves; T and S are of hours, whichever replica released them."""
    found, own = worlds(), profile()
    bins = own.column("price").bins
    rng = np.random.default_rng(4)
    parts = {hour: rng.normal(105.0, 10.0, 30).round(3) for hour in range(3)}

    async def body() -> None:
        for hour, values in parts.items():
            world = found[hour % 2]
            world.predict(f"r{hour}", {"y": values + 1.0}, at=T0 + hour * HOUR)
            await world.written(T0 + hour * HOUR)
            wrong = labels(f"r{hour}", values[::-1].tolist(), 1.0 + hour * HOUR)
            assert set(await found[0].feed(*wrong, now=T0 + 4 * HOUR)) == {"joined"}
            right = labels(f"r{hour}", values.tolist(), 2.0 + hour * HOUR)
            assert set(await found[1].feed(*right, now=T0 + 4 * HOUR)) <= {"corrected", "duplicate"}
        whole = np.concatenate(list(parts.values()))
        counts = bins.count(whole)
        expected = {
            (label, own.reference): float(count)
            for label, count in zip(bins.labels, counts, strict=True)
            if count
        }
        assert told(found, "model.performance.target", "arrival") == expected
        assert told(found, "model.performance.target", "mature") == {}
        for world in found:
            await world.rows()
        for world in found:
            await world.labels.mature(T0 + 2 * DAY)
        assert told(found, "model.performance.target", "mature") == expected
        squares = [bins.count(values) for values in parts.values()]
        assert told(found, "model.performance.target_sum", "mature") == {
            ("squared_weights", own.reference): 90.0,
            ("squared_rows", own.reference): 3 * 30.0**2,
            ("squared_bins", own.reference): float(sum(each @ each for each in squares)),
        }
        for world in found:
            await world.labels.mature(T0 + 3 * DAY)
        assert told(found, "model.performance.target", "mature") == expected

    run(*found, body=body)


def test_no_count_falls() -> None:
    """A correction adds and withdraws; neither side is ever less than it was."""
    (world,) = worlds(1)

    async def body() -> None:
        world.predict("r", {"y": [100.0] * 4})
        before: dict[tuple[str, ...], float] = {}
        for step in range(4):
            values = [80.0 + 15.0 * step, 120.0, 100.0, "dear" if step == 2 else 99.0]
            await world.feed(*labels("r", values, 1.0 + step))
            now = world.samples("model.performance.target") | world.samples("model.performance.target_sum")
            assert all(now[labels] >= value for labels, value in before.items())
            before = now
        assert sum(world.net("model.performance.target").values()) == 4
        assert sum(world.net("model.performance.unusable").values()) == 0

    run(world, body=body)


def test_the_reference_is_told_once() -> None:
    """Rows by bin of the profile's numbers, under the output that they are the truth of."""
    (world,) = worlds(1)
    own = profile()

    async def body() -> None:
        world.predict("r", {"y": [100.0]})
        found = world.samples("model.reference.target_bin")
        counts = dict(zip(own.column("price").bins.labels, own.column("price").counts, strict=True))
        assert found == {
            ("iris", "1", "y", label, own.reference, "live"): count
            for label, count in counts.items()
            if count
        }

    run(world, body=body)


def test_all_bins_begin_with_the_first_label() -> None:
    """Bins without rows are there at 0, so that an increase loses nothing."""
    (world,) = worlds(1)

    async def body() -> None:
        world.predict("r", {"y": [100.0]})
        await world.feed(*labels("r", [100.0]))
        names = [one.labels[3] for one in world.labels.samples() if one.name == "model.performance.target"]
        assert set(names) == {*profile().column("price").bins.labels}

    run(world, body=body)


def test_a_new_profile_takes_nothing_away() -> None:
    """Labels of rows predicted under the old profile stay in its bins; figures of both are one series."""
    (world,) = worlds(1)

    async def body() -> None:
        world.predict("old", {"y": [100.0] * 3})
        await world.feed(*labels("old", [100.0, 101.0]))
        world.engine.use([profile(scale=2.0)], T0 + 1)
        world.predict("new", {"y": [100.0] * 3}, at=T0 + 2)
        await world.feed(*labels("new", [100.0, 101.0, 102.0], 3.0))
        await world.feed(*labels("old", [100.0, 101.0, 102.0], 4.0))
        by_reference: dict[str, float] = {}
        for (_, reference), value in world.net("model.performance.target").items():
            by_reference[reference] = by_reference.get(reference, 0.0) + value
        assert by_reference == {profile().reference: 3.0, profile(scale=2.0).reference: 3.0}
        assert world.net("model.performance.rows") == {(): 6.0}

    run(world, body=body)


@pytest.mark.parametrize(("outputs", "judged"), [(("y", "z"), set()), (("price", "z"), {"price"})])
def test_several_outputs(outputs: tuple[str, ...], judged: set[str]) -> None:
    """A profile has one target: of several outputs it is the truth of that with its name, or of none."""
    world = World(Memory(Limits()), KNOWN, profiles=[profile(outputs=())])

    async def body() -> None:
        world.predict("r", {name: [100.0] for name in outputs})
        await world.feed({"id": "r", "labels": dict.fromkeys(outputs, 101.0), "observed_at": T0 + 1})
        assert {labels[2] for labels in world.samples("model.performance.target")} == judged
        assert {labels[2] for labels in world.samples("model.performance.rows")} == set(outputs)

    run(world, body=body)


def test_pages_tell_the_truth_and_its_yardsticks() -> None:
    """By day all labels, by windows those of mature hours; filters choose; too few labels say nothing."""
    world = World(Memory(Limits()), KNOWN, profiles=[profile()], label_maturity=1.0)
    rng = np.random.default_rng(5)

    async def body() -> None:
        for hour, count in ((0, 100), (1, 100), (30, 5)):
            values = rng.normal(115.0, 10.0, count).tolist()
            world.predict(f"r{hour}", {"y": values}, at=T0 + hour * HOUR)
            await world.feed(*labels(f"r{hour}", values, 1.0 + hour * HOUR), now=T0 + 3 * DAY)
        first, second = await world.rows(by="day", now=T0 + 2 * DAY)
        assert sum(first["truth"]["bins"].values()) == 200
        assert first["truth"]["state"] == "ready"
        statistics = {one["statistic"]: one for one in first["truth"]["statistics"]}
        assert statistics.keys() >= {"psi", "kolmogorov_smirnov", "jensen_shannon", "total_variation"}
        assert statistics["psi"]["drifted"] and statistics["psi"]["value"] > 0.5
        assert (second["truth"]["state"], second["truth"]["statistics"]) == ("insufficient", [])
        _, printed, unsure = performance.lines([first, second])
        assert "truth psi " in printed and ", drifted)" in printed and "truth" not in unsure

        async def told(now: float, **wanted: str) -> list[dict[str, Any]]:
            chosen = {name: frozenset((value,)) for name, value in wanted.items()}
            reading = await world.labels.reading(now)
            found = json.loads(drift_page.page(now, (), frozenset(), chosen, reading))["targets"]
            return list(found)

        ripe = await told(T0 + 1.5 * DAY)
        assert [(one["window"], one["column"], one["labels"]) for one in ripe] == [
            ("24h", "y", 200.0),
            ("7d", "y", 200.0),
        ]
        await world.labels.mature(T0 + 1.5 * DAY)
        gauges = world.samples("model.target.drift")
        place = ("iris", "1", "y", "24h", "psi", profile().reference, "live")
        assert gauges[place] == statistics["psi"]["value"]
        assert gauges.keys() == world.samples("model.target.critical_value").keys()
        assert gauges.keys() == world.samples("model.target.noise_floor").keys()
        independent = world.samples("model.target.effective_rows")
        assert independent[(*place[:4], *place[5:])] == first["truth"]["effective_rows"]
        # Hours leave the windows as others mature; what is not mature yet is in none.
        assert [one["labels"] for one in await told(T0 + 2.5 * DAY)] == [5.0, 205.0]
        assert await told(T0 + 0.5 * DAY) == []
        assert len(await told(T0 + 1.5 * DAY, window="7d", source="target", column="y")) == 1
        assert await told(T0 + 1.5 * DAY, source="feature") == []
        assert json.loads(drift_page.page(T0, (), frozenset(), {}))["targets"] == []

    run(world, body=body)


def test_labels_that_choose_are_no_sample() -> None:
    """A group that gets labels half as often as another makes the distance biased; so few rows of it say nothing."""
    known = KNOWN | {"label_groups": parse_all(["sex=F|M"])}
    world = World(Memory(Limits()), known, profiles=[profile()], label_maturity=1.0)

    async def body() -> None:
        for name, group, labelled in (("f", "F", 150), ("m", "M", 60)):
            values = np.random.default_rng(6).normal(100.0, 10.0, 150).tolist()
            world.predict(name, {"y": values}, inputs={"sex": [group] * 150})
            await world.feed(*labels(name, values)[:labelled])
        (row,) = await world.rows()
        assert row["truth"]["state"] == "biased"
        assert row["truth"]["statistics"]

    run(world, body=body)


def test_labels_of_an_earlier_profile_are_compared_with_nothing() -> None:
    """Their bins are told, with the reference that they are of."""
    (world,) = worlds(1)

    async def body() -> None:
        values = np.random.default_rng(7).normal(100.0, 10.0, 100).tolist()
        world.predict("old", {"y": values})
        await world.feed(*labels("old", values))
        world.engine.use([profile(scale=2.0)], T0 + 1)
        world.predict("new", {"y": [100.0]}, at=T0 + 2)
        by_reference = {row["truth"]["reference"]: row["truth"] for row in await world.rows()}
        old = by_reference[profile().reference]
        assert (old["state"], old["statistics"], sum(old["bins"].values())) == ("insufficient", [], 100)

    run(world, body=body)
