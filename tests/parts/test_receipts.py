"""receipts.py: what a caller keeps and sends back with a label counts once, whatever became of the store meanwhile."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.admin.door import Door
from exporter.parts.receipts import Desk, desk_of
from exporter.parts.receipts_page import receipts_page
from exporter.settings.config import Config
from tests.labels import T0, World, run
from tests.parts.test_labels_kinds import KINDS, item, world_of


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """A file of keys."""
    file = tmp_path / "receipt-keys"
    file.write_text("1 " + "ab" * 16 + "\n")
    return str(file)


def desk(world: World) -> Desk:
    """Its receipts."""
    assert world.labels.receipts is not None
    return world.labels.receipts


async def token(world: World, identity: str = "a") -> str:
    """What is picked up."""
    found = desk(world).token(identity)
    assert found is not None
    return found


def counted(world: World) -> dict[str, float]:
    """Receipts by what became of them."""
    return {cell[0]: value for cell, value in world.samples("modeltap.label_receipts").items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_label_of_every_kind_comes_to_a_replica_that_lost_its_rows(name: str, keys: str) -> None:
    """With the receipt it is scored there, corrected there, and counts once however often it is sent."""
    kind = KINDS[name]
    first, second = (world_of(kind, label_receipts=keys) for _ in range(2))

    async def body() -> None:
        first.predict("a", kind.outputs)
        second.predict("other", kind.outputs)  # the same version answers here
        given = {"receipt": await token(first)}
        label = item(kind, "", kind.other, outcomes={"revenue": 3.0}, observed_at=T0 + 5) | given
        del label["id"]
        assert await second.feed(label, label) == ["joined", "duplicate"]
        again = label | {"label": kind.label, "observed_at": T0 + 61, "outcomes": {"revenue": 5.0}}
        assert await second.feed(again, now=T0 + 70) == ["corrected"]
        (row,) = await second.rows()
        assert row["labelled"] == 1 and row["outcomes"]["revenue"] == {"rows": 1.0, "sum": 5.0}
        assert await second.feed(again, label, now=T0 + 70) == ["duplicate", "stale"]
        assert counted(first) == {"issued": 1}
        assert counted(second) == {"joined": 1}

    run(first, second, body=body)


def test_the_store_is_asked_first(keys: str) -> None:
    """Where the rows wait, by id or by receipt is the same; a receipt that is sent to two replicas counts once."""
    first = World(label_receipts=keys, known={"role_header": "x-role"})
    second = World(store=first.store, label_receipts=keys, known={"role_header": "x-role"})

    async def body() -> None:
        first.predict("a", {"y": [0.9, 0.2]})
        first.predict("a", {"y": [0.8, 0.8]}, version="2", fields=b"x-role: shadow\r\n")
        given = {"receipt": await token(first)}
        await first.written(T0 + 1)  # what the version is called is told
        assert await second.feed(given | {"labels": [1, None]}) == ["joined"]
        assert await first.feed({"id": "a", "row": 0, "label": 1}) == ["duplicate"]
        assert await first.feed(given | {"row": 1, "label": 0}, given | {"row": 2, "label": 0}) == [
            "joined",
            "unknown",
        ]
        await first.rows()
        rows = await second.rows()
        assert {(row["model_version"], row["labelled"]) for row in rows} == {("1", 2), ("2", 2)}
        assert counted(second) == {} and counted(first) == {"issued": 1}

    run(first, second, body=body)


def test_a_shadow_answers_too(keys: str) -> None:
    """Every version and shadow whose answer is in the receipt is scored."""
    first, second = (World(label_receipts=keys, known={"role_header": "x-role"}) for _ in range(2))

    async def body() -> None:
        for world, identity in ((first, "a"), (second, "b")):
            world.predict(identity, {"y": [0.9]})
            world.predict(identity, {"y": [0.2]}, version="2", fields=b"x-role: shadow\r\n")
        assert await second.feed({"receipt": await token(first), "label": 1}) == ["joined"]
        assert second.samples("model.label.joined") == {("iris", "1", "live"): 1, ("iris", "2", "shadow"): 1}

    run(first, second, body=body)


def test_receipts_that_are_refused(keys: str, tmp_path: Path) -> None:
    """Each is answered with a word, counted, and joins nothing."""
    other = tmp_path / "others"
    other.write_text("2 " + "cd" * 16 + "\n")
    world = World(label_receipts=keys, label_age=1.0)
    stranger, none = World(label_receipts=str(other)), World()

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        stranger.predict("a", {"y": [0.9]})
        good, foreign = await token(world), await token(stranger)
        forged = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
        given: list[dict[str, Any]] = [{"receipt": one, "label": 1} for one in ("é", "abc", foreign, forged)]
        assert await world.feed(*given) == [
            "receipt_malformed",
            "receipt_malformed",
            "receipt_unknown_key",
            "receipt_forged",
        ]
        assert await world.feed({"receipt": good, "label": 1}, now=T0 + 90_000) == ["receipt_expired"]
        assert await none.feed({"receipt": good, "label": 1}) == ["no_receipts"]
        bad: list[dict[str, Any]] = [
            {"receipt": good, "id": "a", "label": 1},
            {"receipt": good, "labels": {"y": 1}},
        ]
        assert await world.feed(*bad) == ["ambiguous_field"] * 2
        assert await world.feed({"receipt": 7, "label": 1}, {"receipt": "", "label": 1}) == [
            "wrong_type",
            "bad_id",
        ]
        refused = {"malformed": 2, "unknown_key": 1, "forged": 1, "expired": 1}
        assert counted(world) == {"issued": 1} | refused
        assert world.samples("model.label.joined") == {}

    run(world, stranger, none, body=body)


def test_what_can_be_picked_up_is_bounded(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest requests go first, one of too many rows has none, and both are counted."""
    monkeypatch.setattr("exporter.parts.receipts._RECENT_ROWS", 100)
    world = World(label_receipts=keys)

    async def body() -> None:
        world.predict("long", {"y": [0.9] * 65})
        assert desk(world).token("long") is None
        for number in range(100):
            world.predict(f"p{number}", {"y": [0.9]})
        assert desk(world).token("long") is None and desk(world).token("p0") is not None
        assert counted(world) == {"issued": 1, "too_large": 1, "not_recent": 1}

    run(world, body=body)


def test_keys_that_became_useless(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without them there are no receipts, which is told once, and labels are joined as ever."""
    world = World(label_receipts=str(tmp_path / "none"))

    async def body() -> None:
        assert world.labels.receipts is None and "no receipts" in caplog.text
        world.predict("a", {"y": [0.9]})
        assert await world.feed({"id": "a", "label": 1}) == ["joined"]

    run(world, body=body)
    (tmp_path / "bad").write_text("1 xyz\n")
    config = Config(upstream="http://a", label_store="memory", label_receipts=str(tmp_path / "bad"))
    assert desk_of(config) is None


def test_the_page(keys: str, tmp_path: Path) -> None:
    """Receipts by id for who may write; null of a request that is not known."""
    world = World(label_receipts=keys)
    secret = tmp_path / "token"
    secret.write_text("secret")

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        app, closed = web.Application(), web.Application()
        app.add_routes(receipts_page(world.labels, desk(world), Door()).routes())
        closed.add_routes(receipts_page(world.labels, desk(world), Door(str(secret))).routes())
        async with TestClient(TestServer(app)) as client, TestClient(TestServer(closed)) as other:
            found = json.loads(await (await client.get("/v1/receipts?id=a&id=b")).text())["receipts"]
            assert found["b"] is None
            both = {"receipt": found["a"], "label": 1}, {"id": "a", "label": 1}
            assert await world.feed(*both) == ["joined", "duplicate"]
            many = "&".join(f"id={number}" for number in range(101))
            for query in ("", many, "id=a&output=x&output=y", "ids=a"):
                wrong = await client.get(f"/v1/receipts?{query}")
                assert (wrong.status, "expected" in await wrong.text()) == (400, True)
            assert (await other.get("/v1/receipts?id=a")).status == 401

    run(world, body=body)
