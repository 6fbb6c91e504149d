"""labels.py: what labels are worth: costs, KPIs, outcomes that are parked and corrected, contests, labels asked for."""

import json
from typing import Any

import numpy as np
import pytest

from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.cost import Cost
from exporter.records.kpi import Kpi
from tests.labels import DAY, T0, World, figure, run

# A missed fraud costs 250, a customer who is asked in vain 5, a fraud that is caught brings 10.
COSTS = (Cost("1", "0", 250.0), Cost("0", "1", 5.0), Cost("1", "1", -10.0))
NAMED = ("iris", "1", "predicted_class")


def test_costs() -> None:
    """Realised ones follow the cells, corrections withdrawn; expected ones need no label."""
    world = World(label_costs=COSTS, label_maturity=1.0)

    async def body() -> None:
        world.predict("a", {"y": [0.8, 0.3]})
        assert world.samples("model.cost.rows") == {(*NAMED, "live"): 2}
        # Called positive: .8 of -10 and .2 of 5 are a gain of 7; called negative: .3 of 250.
        expected = world.samples("model.cost.expected")
        assert expected[*NAMED, "gain", "live"] == pytest.approx(7.0, rel=1e-6)
        assert expected[*NAMED, "loss", "live"] == pytest.approx(75.0, rel=1e-6)
        await world.feed({"id": "a", "labels": [1, 1]})
        await world.feed({"id": "a", "row": 1, "label": 0, "observed_at": T0 + 100}, now=T0 + 100)
        tail = ("arrival", "added", "live"), ("arrival", "withdrawn", "live")
        assert world.samples("model.cost.realised") == {
            (*NAMED, "gain", *tail[0]): 10,
            (*NAMED, "loss", *tail[0]): 250,
            (*NAMED, "loss", *tail[1]): 250,
        }
        (row,) = await world.rows()
        assert row["cost"]["value"] == -5.0
        assert row["expected_cost"] == pytest.approx(34.0, rel=1e-6)
        assert row["cheapest"]["cost"]["value"] == -5.0
        await world.labels.mature(T0 + 1.5 * DAY)
        assert world.samples("model.cost.realised")[*NAMED, "gain", "mature", "added", "live"] == 10

    run(world, body=body)


def outcomes(world: World) -> dict[str, tuple[float, float]]:
    """By name: rows, and gain less loss, withdrawn ones taken off."""
    found: dict[str, tuple[float, float]] = {}
    for (_, _, name, state, _), rows in world.samples("model.outcome.rows").items():
        was = found.get(name, (0.0, 0.0))
        found[name] = was[0] + (rows if state == "added" else -rows), was[1]
    for (_, _, name, direction, state, _), value in world.samples("model.outcome.sum").items():
        sign = (1 if direction == "gain" else -1) * (1 if state == "added" else -1)
        found[name] = found[name][0], found[name][1] + sign * value
    return found


def test_outcomes_of_parked_and_corrected_labels() -> None:
    """They count where the label counts: when its row comes, in place of what was told before, and never twice."""
    world = World()

    async def body() -> None:
        early = {"id": "a", "label": 1, "observed_at": T0 - 5, "outcomes": {"revenue": 10, "calls": 2}}
        assert await world.feed(early) == ["parked"]
        assert outcomes(world) == {}
        world.predict("a", {"y": [0.9]})
        await world.labels.ask(lambda store: store.counts(), None)
        await world.labels.second(T0 + 1)
        assert outcomes(world) == {"revenue": (1, 10), "calls": (1, 2)}
        refund = {"id": "a", "label": 1, "observed_at": T0 + 9, "outcomes": {"revenue": -4}}
        assert await world.feed(refund, refund) == ["corrected", "duplicate"]
        assert outcomes(world) == {"revenue": (1, -4), "calls": (0, 0)}
        assert await world.feed({"id": "a", "label": 0, "observed_at": T0 + 10}) == ["corrected"]
        assert outcomes(world) == {"revenue": (0, 0), "calls": (0, 0)}
        (row,) = await world.rows()
        assert "outcomes" not in row
        assert world.samples("model.outcome.rows")["iris", "1", "revenue", "added", "live"] == 2

    run(world, body=body)


def test_outcomes_that_another_replica_was_told() -> None:
    """What they were is not known here: they count nowhere, and that is counted; the label itself counts."""
    store = Memory(Limits())
    first, second = World(store), World(store)

    async def body() -> None:
        first.predict("a", {"y": [0.9]})
        await first.feed({"id": "a", "label": 1, "outcomes": {"revenue": 10}})
        await first.written(T0 + 1)
        again = {"id": "a", "label": 0, "observed_at": T0 + 70, "outcomes": {"revenue": 7}}
        assert await second.feed(again, now=T0 + 80) == ["corrected"]
        assert outcomes(second) == {}
        assert second.samples("modeltap.labels.uncounted") == {("outcomes",): 1}

    run(first, second, body=body)


def test_kpis() -> None:
    """Values over the window of predictions, by version; absent where a sum is, or where nothing comes of it."""
    kpis = (
        Kpi("revenue_per_row", "outcome.revenue / told.revenue", 5.0, owner="sales"),
        Kpi("accuracy_mature", "right / labelled", 0.9, maturity="mature", days=1.0),
        Kpi("cost_over_expected", "cost / expected_cost", 1.2, "below"),
        Kpi("per_nobody", "outcome.nobody / labelled", 1.0),
        Kpi("by_zero", "wrong / (predicted - predicted)", 1.0),
        Kpi("`odd`", "`right` + 0", 1.0),
    )
    world = World(kpis=kpis, label_costs=COSTS, label_maturity=1.0)

    async def body() -> None:
        world.predict("old", {"y": [0.9]}, at=T0 - 8 * DAY)
        for number in range(4):
            world.predict(f"p{number}", {"y": [0.9]})
            item = {"id": f"p{number}", "label": int(number > 0), "outcomes": {"revenue": 2.0 * number}}
            await world.feed(item)
        await world.rows()
        await world.labels.mature(T0 + 60)

        def told() -> dict[str, float]:
            return {cell[2]: value for cell, value in world.samples("model.kpi.value").items()}

        assert told() == {
            "revenue_per_row": 3.0,
            "cost_over_expected": pytest.approx((5.0 - 30.0) / (4 * (0.9 * -10.0 + 0.1 * 5.0))),
            "`odd`": 3.0,
        }
        assert world.samples("model.kpi.target")["revenue_per_row", "sales", "above"] == 5.0
        assert world.samples("model.kpi.rows")["iris", "1", "revenue_per_row", "live"] == 4
        await world.labels.mature(T0 + 1.5 * DAY)
        await world.labels.mature(T0 + 1.5 * DAY)
        assert told()["accuracy_mature"] == 0.75
        await world.labels.mature(T0 + 9 * DAY)
        assert told() == {}

    run(world, body=body)


def test_a_challenger_against_the_champion() -> None:
    """Both answer every request, one label judges both: the advantage and limits that hold at every look."""
    world = World(known={"role_header": "x-role"})
    seeded = np.random.default_rng(7)

    async def body() -> None:
        items = []
        gains = []
        for number in range(600):
            truth = int(seeded.random() < 0.5)
            scores = [0.8 if (truth == 1) is bool(seeded.random() < share) else 0.2 for share in (0.7, 0.9)]
            world.predict(f"p{number}", {"y": scores[:1]}, version="1")
            world.predict(f"p{number}", {"y": scores[1:]}, version="2", fields=b"x-role: shadow\r\n")
            items.append({"id": f"p{number}", "label": truth})
            right = [int((score > 0.5) == truth) for score in scores]
            gains.append(right[1] - right[0])
        await world.feed(*items[:100])
        await world.rows()
        await world.labels.mature(T0 + 60)
        place = ("iris", "2", "predicted_class", "accuracy", "1", "paired")
        assert world.samples("model.contest.advantage") == {}
        assert world.samples("model.contest.rows")[*place, "shadow"] == 100
        await world.feed(*items[100:])
        reading = await world.page()
        (contest,) = (one for one in reading["contests"] if one["statistic"] == "accuracy")
        assert (contest["champion"], contest["rows"], contest["verdict"]) == ("1", 600, "better")
        assert contest["advantage"] == pytest.approx(np.mean(gains))
        assert 0 < contest["low"] < contest["advantage"] < contest["high"]
        await world.labels.mature(T0 + 60)
        told = world.samples("model.contest.advantage")
        assert told[*place, "low", "shadow"] == contest["low"]
        brier = ("iris", "2", "predicted_class", "brier", "1", "paired", "low", "shadow")
        assert told[brier] > 0
        # A correction withdraws what the earlier label said of both.
        await world.feed({**items[0], "label": 1 - items[0]["label"], "observed_at": T0 + 90}, now=T0 + 90)
        gains[0] = -gains[0]
        reading = await world.page()
        (contest,) = (one for one in reading["contests"] if one["statistic"] == "accuracy")
        assert contest["rows"] == 600
        assert contest["advantage"] == pytest.approx(np.mean(gains))

    run(world, body=body)


def test_labels_that_are_asked_for_estimate_all_rows() -> None:
    """Uncertain rows are asked for more often and are wrong more often: weighted by their chance, the figure is right.

    The plain one of the same labels is not.
    """
    world = World(label_requests=0.05, label_requests_uncertain=0.5, label_requests_band=0.1)
    seeded = np.random.default_rng(11)

    async def body() -> None:
        truths: dict[str, list[int]] = {}
        right = 0
        for number in range(80):
            scores = np.where(seeded.random(100) < 0.2, 0.55, 0.95)
            truth = seeded.random(100) < scores
            truths[f"p{number}"] = truth.astype(int).tolist()
            right += int(truth.sum())
            world.predict(f"p{number}", {"y": scores.tolist()})
        assert world.labels.requests is not None
        wanted = world.labels.requests.wanted(0, 10_000)
        assert {one.reason for one in wanted} == {"random", "uncertain"}
        assert world.samples("modeltap.label_requests.open") == {(): len(wanted)}
        counts = {cell[3]: value for cell, value in world.samples("model.label.requested").items()}
        assert counts["random"] == pytest.approx(6400 * 0.05, rel=0.2)
        assert counts["uncertain"] == pytest.approx(1600 * 0.5, rel=0.1)
        items = [
            {"id": one.named.id, "row": one.named.row, "label": truths[one.named.id][one.named.row]}
            for one in wanted
        ]
        assert set(await world.feed(*items)) == {"joined"}
        (row,) = await world.rows()
        true, own = right / 8000, figure(row, "accuracy")
        asked = row["requested"]
        (weighted,) = (one for one in asked["figures"] if one["name"] == "accuracy")
        assert weighted["low"] < true < weighted["high"]
        assert own < true - 0.15
        assert asked["estimated_rows"] == pytest.approx(8000, rel=0.1)
        assert (asked["rows"], asked["answered"]) == (len(wanted), len(wanted))
        assert asked["right_ratio"] == pytest.approx(true, rel=0.1)
        sums = {cell[3]: value for cell, value in world.samples("model.performance.asked").items()}
        assert sums["right"] / sums["weight"] == pytest.approx(weighted["value"])
        assert world.samples("modeltap.label_requests.closed") == {("answered",): len(wanted)}
        assert world.labels.requests.wanted(0, 10) == []

    run(world, body=body)


def test_requests_are_bounded_and_alike_on_every_replica() -> None:
    """The latest are kept; the same rows are asked for wherever they are predicted; a page can go on where it ended."""
    worlds = [World(label_requests=0.3) for _ in range(2)]

    async def body() -> None:
        for world in worlds:
            for number in range(100):
                world.predict(f"p{number}", {"y": [0.9]})
        found: list[Any] = []
        for world in worlds:
            assert world.labels.requests is not None
            found.append([one.named for one in world.labels.requests.wanted(0, 1000)])
        assert found[0] == found[1] and 15 < len(found[0]) < 45
        first = worlds[0].labels.requests
        assert first is not None
        part = first.wanted(0, 5)
        assert [one.named for one in part + first.wanted(part[-1].number, 1000)] == found[0]
        worlds[0].predict("many", {"y": [0.9] * 40_000})
        assert first.open() == 10_000
        assert world_states(worlds[0])["forgotten"] > 0

    run(*worlds, body=body)


def world_states(world: World) -> dict[str, float]:
    """Requests that are no more, by outcome."""
    return {cell[0]: value for cell, value in world.samples("modeltap.label_requests.closed").items()}


def test_a_page_is_json() -> None:
    """No value of it is infinite or NaN, whatever is asked."""
    world = World(label_costs=(Cost("0", "1", 1.0),))

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        await world.feed({"id": "a", "label": 1, "outcomes": {"revenue": 1e300}})
        json.dumps(await world.page(), allow_nan=False)

    run(world, body=body)
