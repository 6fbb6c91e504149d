"""label_requests_page.py: GET /v1/label-requests, for who may write."""

import json
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.admin.door import Door
from exporter.parts.label_requests_page import label_requests_page
from tests.labels import T0, World, run


def test_the_page(tmp_path: Path) -> None:
    """Ids, numbers and chances, nothing of a payload; it goes on behind a number; who may not write reads nothing."""
    world = World(label_requests=1.0)
    token = tmp_path / "token"
    token.write_text("secret")

    async def body() -> None:
        world.predict("a", {"y": [0.9, 0.2]})
        assert world.labels.requests is not None
        app, closed = web.Application(), web.Application()
        app.add_routes(label_requests_page(world.labels.requests, Door()).routes())
        closed.add_routes(label_requests_page(world.labels.requests, Door(str(token))).routes())
        async with TestClient(TestServer(app)) as client, TestClient(TestServer(closed)) as other:
            found = json.loads(await (await client.get("/v1/label-requests?limit=1")).text())
            (one,) = found.pop("requests")
            assert found == {"after": 1, "open": 2, "random": 1.0, "uncertain": 0.0}
            assert one == {
                **{"id": "a", "row": 0, "output": "predicted_class", "model_name": "iris"},
                **{"model_version": "1", "role": "live", "predicted_at": T0},
                **{"probability": 1.0, "reason": "random"},
            }
            rest = json.loads(await (await client.get("/v1/label-requests?after=1")).text())
            assert [one["row"] for one in rest["requests"]] == [1]
            assert json.loads(await (await client.get("/v1/label-requests?after=2")).text())["after"] == 2
            for query in ("limit=10001", "limit=-1", "after=x", "after=1&after=2", "limit="):
                wrong = await client.get(f"/v1/label-requests?{query}")
                assert (wrong.status, "expected a number" in await wrong.text()) == (400, True)
            assert (await client.get("/v1/label-requests", headers={"Origin": "http://a"})).status == 403
            assert (await other.get("/v1/label-requests")).status == 401
            shown = await other.get("/v1/label-requests", headers={"Authorization": "Bearer secret"})
            assert shown.status == 200

    run(world, body=body)
