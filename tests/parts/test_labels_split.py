"""labels.py: contests of split traffic: from requests and labels to the page, the gauges and the sums of a fleet."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from exporter.commands import performance
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.stats.performance.split import SPLIT, advantage, arm_of, compared
from tests.labels import DAY, T0, World, run

HOUR = 3600.0
CANARY = b"x-role: canary\r\n"
KNOWN = {"role_header": "x-role"}
MATURE = T0 + 3 * DAY
PLACE = ("iris", "2", "predicted_class")


class Row(NamedTuple):
    """A request: whose it is, when, the score and the truth."""

    version: str
    fields: bytes
    at: float
    score: float
    truth: int

    @property
    def losses(self) -> dict[str, float]:
        return {"accuracy": float((self.score > 0.5) != self.truth), "brier": (self.score - self.truth) ** 2}


def traffic(rows: int, hours: int = 6, share: float = 0.4, role: bytes = CANARY, seed: int = 7) -> list[Row]:
    """Version 2 is right more often, and gets some of the rows."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        canary = rng.random() < share
        truth = int(rng.random() < 0.5)
        right = rng.random() < (0.95 if canary else 0.7)
        score = float(rng.choice([0.6, 0.8, 0.9]))
        score = score if (truth == 1) is bool(right) else round(1.0 - score, 1)
        at = T0 + HOUR * int(rng.integers(hours))
        found.append(Row("2" if canary else "1", role if canary else b"", at, score, truth))
    return sorted(found, key=lambda row: row.at)


def expected(rows: Iterable[Row], statistic: str) -> np.ndarray:
    """The sums from the rows themselves."""
    hours: dict[float, dict[str, list[Row]]] = defaultdict(lambda: {"1": [], "2": []})
    for row in rows:
        hours[row.at][row.version].append(row)
    found = np.zeros(len(SPLIT))
    for own in hours.values():
        sums = []
        for version in ("1", "2"):
            lost = np.array([row.losses[statistic] for row in own[version]])
            truth = np.array([row.truth == 1 for row in own[version]], bool)
            sums.append(arm_of(lost, truth if statistic == "brier" else lost > 0))
        stratum = compared(*sums)
        found += 0.0 if stratum is None else stratum
    return found


async def told(world: World, rows: Iterable[Row], start: int = 0) -> None:
    """Predicted and labelled."""
    items = []
    for number, row in enumerate(rows, start):
        world.predict(f"p{number}", {"y": [row.score]}, at=row.at, version=row.version, fields=row.fields)
        items.append({"id": f"p{number}", "label": row.truth, "observed_at": row.at + 60})
    assert set(await world.feed(*items, now=T0 + DAY)) == {"joined"}


def sums(world: World, statistic: str = "accuracy", tail: str = "canary") -> dict[str, float]:
    """What is exported for the rules, by name."""
    found = world.samples("model.contest.split")
    head = (*PLACE, statistic, "1")
    return {key[5]: value for key, value in found.items() if key[:5] == head and key[6] == tail}


async def mature(*worlds: World) -> None:
    """All hours are released; what is new is 0 until the next look."""
    for _ in range(2):
        for world in worlds:
            await world.labels.mature(MATURE)


def named(own: np.ndarray) -> dict[str, Any]:
    return {name: pytest.approx(value, rel=1e-6) for name, value in zip(SPLIT, own, strict=True) if value}


async def contest(world: World, statistic: str = "accuracy", now: float = T0 + DAY) -> Mapping[str, Any]:
    page = await world.page(now=now)
    (found,) = (one for one in page["contests"] if one["statistic"] == statistic)
    return dict(found)


def test_a_canary_against_the_champion() -> None:
    """No key has both: the page, the gauges and, once hours are mature, the sums are those of the rows themselves."""
    world = World(known=KNOWN, label_maturity=1.0)
    rows = traffic(600)

    async def body() -> None:
        await told(world, rows)
        for statistic in ("accuracy", "brier"):
            found, own = await contest(world, statistic), expected(rows, statistic)
            oracle = advantage(own, rare=True)
            assert oracle is not None
            assert (found["comparison"], found["champion"], found["role"]) == ("split", "1", "canary")
            assert found["advantage"] == pytest.approx(oracle.difference, rel=1e-6)
            assert (found["low"], found["high"]) == pytest.approx((oracle.low, oracle.high), rel=1e-6)
            assert (found["verdict"], found["hours"], found["rows"]) == ("better", 6, 600)
            assert found["left_out"] == {"alone": 0, "shared": 0, "crowded": 0}
            assert not sums(world, statistic)
        head, *lines = performance.contests((await world.page(now=T0 + DAY))["contests"])[1:]
        assert head.startswith("contests:") and len(lines) == 2
        assert " (canary) against 1; " in lines[0] and ", accuracy, split, 600 rows: better 0." in lines[0]
        await world.labels.mature(T0 + 60)
        place = (*PLACE, "accuracy", "1", "split")
        gauges = world.samples("model.contest.advantage")
        assert gauges[*place, "low", "canary"] == (await contest(world))["low"] > 0
        assert world.samples("model.contest.rows")[*place, "canary"] == expected(rows, "accuracy")[6]
        await mature(world)
        for statistic in ("accuracy", "brier"):
            assert sums(world, statistic) == named(expected(rows, statistic))
        await mature(world)
        assert sums(world) == named(expected(rows, "accuracy"))

    run(world, body=body)


def test_sums_are_0_first() -> None:
    """A replica that starts when hours are due shows 0 until it looks again, so that `increase` sees them all."""
    store = Memory(Limits())
    before, after = (World(store, known=KNOWN, label_maturity=1.0) for _ in range(2))
    rows = traffic(100)

    async def body() -> None:
        await told(before, rows)
        await before.written(T0 + DAY)
        families = "model.contest.split", "model.contest.left_out"
        for value in (False, True, True):
            await after.labels.mature(MATURE)
            found = [one for one in after.labels.samples() if one.name in families]
            assert {one.name for one in found} == set(families)
            assert any(one.value for one in found) is value

    run(before, after, body=body)


def test_keys_that_both_answered_are_of_the_paired_contest_alone() -> None:
    """One label judges both there; here their rows are left out, and told; a correction changes nothing of that."""
    world = World(known=KNOWN, label_maturity=1.0)
    rows = traffic(400)

    async def body() -> None:
        await told(world, rows)
        items = []
        for number in range(50):
            world.predict(f"both{number}", {"y": [0.9]}, version="1")
            world.predict(f"both{number}", {"y": [0.2]}, version="2", fields=CANARY, at=T0 + HOUR)
            items.append({"id": f"both{number}", "label": number % 2})
        await world.feed(*items)
        again = [{**one, "label": 1 - one["label"], "observed_at": T0 + 90} for one in items[:10]]
        await world.feed(*again, now=T0 + 90)
        # Mirrored rows have the keys of live ones: neither is split, and the live row still counts.
        for number, row in enumerate(rows[:100]):
            if row.version == "1":
                world.predict(
                    f"p{number}", {"y": [0.9]}, version="3", fields=b"x-role: shadow\r\n", at=row.at
                )
        await world.labels.second(T0 + DAY)
        page = (await world.page(now=T0 + DAY))["contests"]
        found = {
            (one["comparison"], one["model_version"]): one for one in page if one["statistic"] == "accuracy"
        }
        assert found["paired", "2"]["rows"] == 50
        assert ("split", "3") not in found
        own = expected(rows, "accuracy")
        assert found["split", "2"]["rows"] == own[5] + own[6]
        assert found["split", "2"]["advantage"] == pytest.approx((own[2] - own[3]) / own[1])
        assert found["split", "2"]["left_out"] == {"alone": 0, "shared": 50, "crowded": 0}
        await mature(world)
        assert sums(world) == named(own)
        assert world.samples("model.contest.left_out") == {(*PLACE, "1", "shared", "canary"): 50}

    run(world, body=body)


def test_hours_that_one_of_them_has_alone() -> None:
    """Before the canary came and after it was retired nothing is compared; what was stays. One row has no scatter."""
    world = World(known=KNOWN, label_maturity=1.0)
    rows = [row for row in traffic(400, hours=8) if row.version == "1" or T0 + HOUR < row.at < T0 + 5 * HOUR]
    lonely = [Row("2", CANARY, T0 + 7 * HOUR, 0.9, 1), *[Row("2", CANARY, T0 + 20 * HOUR, 0.9, 1)] * 3]

    async def body() -> None:
        await told(world, rows)
        await told(world, lonely, len(rows))
        found = await contest(world)
        assert found["hours"] == 3
        assert found["left_out"]["alone"] == 1
        own = expected(rows, "accuracy")
        assert found["advantage"] == pytest.approx((own[2] - own[3]) / own[1])

    run(world, body=body)


def test_of_two_live_versions_the_later_one_is_the_challenger() -> None:
    """Whichever has more rows in the end; of two that came in one hour it is the one with fewer rows then."""
    world = World(label_maturity=1.0)
    late = [row for row in traffic(400, share=0.8, role=b"") if row.version == "1" or row.at > T0]

    async def body() -> None:
        await told(world, late)
        found = await contest(world)
        assert (found["model_version"], found["champion"], found["role"]) == ("2", "1", "live")
        await mature(world)
        assert sums(world, tail="live") == named(expected(late, "accuracy"))

    run(world, body=body)
    world = World()
    rows = traffic(400, share=0.8, role=b"")

    async def other() -> None:
        await told(world, rows)
        found = await contest(world)
        assert (found["model_version"], found["champion"]) == ("1", "2")
        own = expected(rows, "accuracy")
        assert found["advantage"] == pytest.approx((own[3] - own[2]) / own[1])

    run(world, body=other)


@pytest.mark.parametrize("shared", [True, False])
def test_the_sums_of_three_replicas_add_up(shared: bool) -> None:
    """Of one store an hour is released by one of them; of three stores each compares what it has: hours by replica."""
    store = Memory(Limits())
    worlds = [World(store if shared else None, known=KNOWN, label_maturity=1.0) for _ in range(3)]
    rows = traffic(450)
    parts = [rows[at::3] for at in range(3)]

    async def body() -> None:
        for number, (world, part) in enumerate(zip(worlds, parts, strict=True)):
            await told(world, part, number * 1000)
            await world.written(T0 + DAY)
        await mature(*worlds)
        total = np.sum([[sums(world).get(name, 0.0) for name in SPLIT] for world in worlds], axis=0)
        own = [expected(part, "accuracy") for part in ([rows] if shared else parts)]
        assert total == pytest.approx(np.sum(own, axis=0))
        assert sum(bool(sums(world)) for world in worlds) == (1 if shared else 3)

    run(*worlds, body=body)


def test_labels_that_never_come_count_as_their_class_once_an_hour_is_mature() -> None:
    """Only frauds are told: of an open hour nothing is compared, of a mature one all rows are."""
    world = World(known=KNOWN, label_maturity=1.0, label_unlabelled="0")
    rows = traffic(400)

    async def body() -> None:
        items = []
        for number, row in enumerate(rows):
            world.predict(f"p{number}", {"y": [row.score]}, at=row.at, version=row.version, fields=row.fields)
            if row.truth:
                items.append({"id": f"p{number}", "label": 1, "observed_at": row.at + 60})
        await world.feed(*items, now=T0 + DAY / 2)
        assert (await world.page(now=T0 + DAY / 2))["contests"] == []
        assert performance.contests([]) == []
        await mature(world)
        for statistic in ("accuracy", "brier"):
            assert sums(world, statistic) == named(expected(rows, statistic))
        assert (await contest(world, now=MATURE))["rows"] == 400

    run(world, body=body)
