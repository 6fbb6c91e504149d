"""drift_page.py: GET /v1/drift."""

import asyncio
import json
import time
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.admin.json_page import MAX_WAITING
from exporter.analysis.engine import Engine
from exporter.analysis.known import STATISTIC_NAMES, Known
from exporter.parts.drift_page import drift_page, page
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import BOUNDS, NOW, feed, v2

NAMES = [f"f{place:02}" for place in range(30)]
WORDS = np.array(["secret-rome", "secret-oslo"], object)


def engine() -> Engine:
    rng = np.random.default_rng(1)
    columns = {name: Data(rng.normal(size=2000)) for name in NAMES}
    columns |= {"city": Data(WORDS[rng.integers(0, 2, 2000)]), "y": Data(rng.normal(size=2000), "prediction")}
    reference = build(columns, ProfileConfig("iris", "1"))
    made = Engine([reference], Known(windows=(300.0, 3600.0), series_budget=30 * 3), BOUNDS, NOW)
    cells: dict[str, Any] = {name: rng.normal(size=500).tolist() for name in NAMES}
    cells |= {"f29": (rng.normal(size=500) + 3).tolist(), "city": WORDS[rng.integers(0, 2, 500)].tolist()}
    feed(made, [v2(cells, {"y": rng.normal(size=500).tolist()})])
    return made


def asked(made: Engine, **wanted: str) -> dict[str, Any]:
    chosen = {name: frozenset({value}) for name, value in wanted.items()}
    found = json.loads(page(NOW, made.windows(NOW), frozenset({3600.0}), chosen))
    (model,) = found["models"]
    assert (model["model_name"], model["match"], found["time"]) == ("iris", "exact", NOW)
    return model


def test_every_column_window_and_statistic() -> None:
    """Those without counters and without gauges too; each with all its yardsticks."""
    model = asked(engine())
    places = {(one["source"], one["column"], one["window"]) for one in model["columns"]}
    assert len(places) == len(model["columns"]) == 2 * 32
    cells = {(one["column"], one["window"]): one for one in model["columns"]}
    last = cells["f29", "5m"]
    assert (last["state"], cells["f29", "1h"]["state"], last["counters"]) == ("ready", "biased", False)
    assert [one["statistic"] for one in last["statistics"]] == list(STATISTIC_NAMES)
    for one in last["statistics"]:
        assert one["drifted"] is (
            one["value"] > max(one["noise_floor"], one["critical_value"], one["effect"])
        )
        assert one["drifted"]
        assert one["reference_level"] is None
        assert ("robust_excess" in one) == (one["statistic"] == "kolmogorov_smirnov")
        assert (one["p_value"] is not None) == (one["statistic"] in ("chi_square", "kolmogorov_smirnov"))
    assert {one["statistic"] for one in cells["city", "5m"]["statistics"]} == set(STATISTIC_NAMES[:6])
    assert 2.5 < last["mean"] < 3.5
    assert last["range"] == pytest.approx(last["maximum"] - last["minimum"])
    drifted = next(
        one for one in model["drifted"] if one["statistic"] == "psi" and one["source"] == "feature"
    )
    assert (drifted["columns"], drifted["compared"]) == (["f29"], 31)
    assert model["left_out"] == {"budget": 29, "room": 0, "profile": 0, "unprofiled": 0}


def test_no_content_of_payloads() -> None:
    """Numbers are aggregates, and a category's name is nowhere."""
    made = engine()
    assert b"secret" not in page(NOW, made.windows(NOW), frozenset(), {})


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"window": "5m"}, 32),
        ({"column": "f03"}, 2),
        ({"column": "f03", "window": "1h"}, 1),
        ({"source": "prediction"}, 2),
        ({"window": "9d"}, 0),
        ({"model_name": "iris", "model_version": "1", "role": "live"}, 64),
    ],
)
def test_filters(wanted: dict[str, str], count: int) -> None:
    """All that are given hold."""
    assert len(asked(engine(), **wanted)["columns"]) == count


def test_of_another_model_there_is_nothing() -> None:
    """An empty list, no error."""
    found = json.loads(page(NOW, engine().windows(NOW), frozenset(), {"model_name": frozenset({"x"})}))
    assert found["models"] == []


def test_over_http() -> None:
    """JSON; what is no filter is refused with what was expected; so many wait and no more."""
    made = engine()

    async def main() -> None:
        shown = drift_page(lambda now: (made.windows(NOW), frozenset()))
        app = web.Application()
        app.add_routes(shown.routes())
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/v1/drift?window=5m&window=1h&column=y")
            assert (answer.status, answer.content_type) == (200, "application/json")
            found = await answer.json()
            assert abs(found["time"] - time.time()) < 60
            assert len(found["models"][0]["columns"]) == 2
            wrong = await client.get("/v1/drift?windows=5m")
            assert (wrong.status, await wrong.text()) == (
                400,
                "windows: expected some of model_name, model_version, role, window, column, source\n",
            )
            async with shown._turn:
                waiting = [asyncio.create_task(client.get("/v1/drift")) for _ in range(MAX_WAITING)]
                while shown._waiting < MAX_WAITING:
                    await asyncio.sleep(0)
                assert (await client.get("/v1/drift")).status == 503
            assert [one.status for one in await asyncio.gather(*waiting)] == [200] * MAX_WAITING

    asyncio.run(main())
