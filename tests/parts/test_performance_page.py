"""performance_page.py: GET /v1/performance; and what the command makes of it."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from exporter.admin.json_page import MAX_WAITING
from exporter.commands import performance
from exporter.parts.performance_page import performance_page
from tests.labels import DAY, T0, World, run


async def labelled(world: World) -> None:
    """Two days of predictions, the first of which is settled."""
    for day in range(2):
        for number in range(300):
            name = f"{day}-{number}"
            world.predict(name, {"y": [0.9 if number % 3 else 0.2]}, at=T0 + day * DAY)
            if number % 2 or not day:
                await world.feed({"id": name, "label": int(number % 4 > 0)}, now=T0 + day * DAY + 60)
    await world.rows()
    await world.labels.mature(T0 + 1.5 * DAY)


def test_the_page() -> None:
    """JSON by day; what is no filter is refused with what was expected; so many wait and no more."""
    world = World(label_maturity=1.0)

    async def body() -> None:
        await labelled(world)
        page = performance_page(world.labels)
        app = web.Application()
        app.add_routes(page.routes())
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/v1/performance?by=day&role=live")
            assert (answer.status, answer.content_type) == (200, "application/json")
            rows = json.loads(await answer.text())["rows"]
            assert [(row["state"] == "settled", row["predicted"]) for row in rows] == [
                (True, 300),
                (False, 300),
            ]
            assert rows[1]["coverage"] == 0.5
            shadows = json.loads(await (await client.get("/v1/performance?role=shadow")).text())
            assert shadows["rows"] == []
            for query, text in (
                ("windows=1", "windows: expected some of by, model_name, model_version, role, output\n"),
                ("by=week", "by: expected one of hour, day, all\n"),
            ):
                wrong = await client.get(f"/v1/performance?{query}")
                assert (wrong.status, await wrong.text()) == (400, text)
            page._waiting = MAX_WAITING
            assert (await client.get("/v1/performance")).status == 503

    run(world, body=body)


def test_what_the_command_prints() -> None:
    """A line for each period: figures with intervals, those of an open one with what accuracy can become."""
    world = World(label_maturity=1.0)
    rows: list[dict[str, Any]] = []

    async def body() -> None:
        await labelled(world)
        rows.extend(await world.rows(by="day", now=T0 + 1.5 * DAY))

    run(world, body=body)
    head, first, second = performance.lines(rows)
    assert head.split()[:3] == ["period", "state", "model"]
    assert first.split()[:9] == [
        "2023-11-14",
        "settled",
        "iris",
        "1",
        "live",
        "predicted_class",
        "300",
        "300",
        "100.0%",
    ]
    assert second.split()[1] == "open" and "50.0%" in second and "accuracy can become 0." in second
    assert (
        "accuracy 0." in first
        and "precision(1) 0." in first
        and "auc_roc" in first
        and "can become" not in first
    )
    assert performance.lines([]) == ["no predictions have waited for labels yet"]
    text = "\n".join(performance.openmetrics(rows)) + "\n"
    (family,) = openmetrics(text)
    assert {float(sample.timestamp) for sample in family.samples} == {1_700_006_400.0}
    figures = {(sample.labels["figure"], sample.labels.get("of", "")) for sample in family.samples}
    assert {("coverage", ""), ("accuracy", ""), ("precision", "1"), ("auc_roc", "")} <= figures


def test_states_and_absences() -> None:
    """One class only, constant scores: what is not defined is absent, and few rows are insufficient."""
    world = World()

    async def body() -> None:
        world.predict("a", {"y": [0.7] * 10})
        await world.feed({"id": "a", "labels": [1] * 10})
        (row,) = await world.rows()
        found = {one["name"]: one["state"] for one in row["figures"]}
        assert found["accuracy"] == "insufficient"
        assert not found.keys() & {"auc_roc", "kappa", "matthews"}
        assert row["calibration"][0]["share"] == 1.0
        json.dumps(row, allow_nan=False)

    asyncio.run(_within(world, body))


async def _within(world: World, body: Any) -> None:
    try:
        await body()
    finally:
        await world.labels.stop(20.0)


@pytest.mark.parametrize("by_score", [True, False])
def test_whether_labels_choose(by_score: bool) -> None:
    """Labels of high scores alone are told as chosen; those of every other row are not."""
    world = World()

    async def body() -> None:
        score = [number % 10 / 10 for number in range(2000)]
        world.predict("r", {"y": score})
        wanted = [(one >= 0.5) if by_score else number % 20 < 10 for number, one in enumerate(score)]
        await world.feed({"id": "r", "labels": [1 if one else None for one in wanted]})
        (row,) = await world.rows()
        assert row["selection"]["chosen"] is by_score
        assert (row["coverage_by_score"]["0.3"], row["coverage"]) == (0.0 if by_score else 0.5, 0.5)

    run(world, body=body)
