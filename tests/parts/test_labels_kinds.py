"""labels.py: whatever kind of output and label, outcomes told with it count once, labels are asked for, and versions
that answer alike are compared."""

import json
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.admin.door import Door
from exporter.admin.writes import Writes
from exporter.analysis.performance.given import value_of
from exporter.decode.feedback import decode
from exporter.pending.contract import LABEL_BYTES
from exporter.records.segment import parse_all
from tests.labels import T0, World, run


class Kind(NamedTuple):
    """A task, what the model answers for one row, and two different labels of it; the first is right."""

    task: str
    outputs: dict[str, list[Any]]
    label: Any
    other: Any
    form: str = ""


KINDS = {
    "class": Kind("binary", {"y": [0.9]}, 1, 0),
    "class with groups": Kind("binary", {"y": [0.9]}, 1, 0, "sex"),
    "number": Kind("regression", {"y": [2.5]}, 2.5, 3.5),
    "number with groups": Kind("regression", {"y": [2.5]}, 2.5, 3.5, "sex"),
    "chances": Kind("multiclass", {"p.cat": [0.7], "p.dog": [0.2], "p.owl": [0.1]}, "cat", "owl"),
    "several": Kind("multilabel", {"p.red": [0.9], "p.blue": [0.8]}, ["red", "blue"], ["red"]),
    "ranking": Kind("ranking", {"item_0": ["a"], "item_1": ["b"]}, {"a": 2, "b": 1}, {"b": 3}),
}


def world_of(kind: Kind, **settings: Any) -> World:
    """A replica for it."""
    known: dict[str, Any] = {"task": kind.task, "positive_class": "1" if kind.task == "binary" else ""}
    known["role_header"] = "x-role"
    return World(known=known | ({"label_groups": parse_all(["sex=F|M"])} if kind.form else {}), **settings)


def item(kind: Kind, identity: str, label: Any, **more: Any) -> dict[str, Any]:
    """One item of feedback."""
    groups = {"groups": {"sex": "M"}} if kind.form else {}
    return {"id": identity, "label": label} | groups | more


@pytest.mark.parametrize("name", KINDS)
def test_posted(name: str) -> None:
    """A label of every kind over POST /v1/feedback meets its row, and what it says of it is right."""
    kind = KINDS[name]
    world = world_of(kind)

    async def body() -> None:
        app = web.Application()
        app.add_routes(Writes(Door(), 4.0, world.labels.resource()).routes())
        world.predict("a", kind.outputs, at=time.time())
        async with TestClient(TestServer(app)) as client:
            items = [item(kind, "a", kind.label), item(kind, "a", kind.label), {"id": "a"}]
            answer = await client.post("/v1/feedback", json=items)
            told = await answer.json()
        assert (answer.status, told["outcomes"]) == (200, ["joined", "duplicate", "invalid"])
        (row,) = await world.rows(now=time.time())
        assert row["labelled"] == 1
        values = {one["name"]: one["value"] for one in row["figures"]}
        right = {"accuracy": 1.0, "mae": 0.0, "subset_accuracy": 1.0, "mrr": 1.0}
        found = {name: values[name] for name in right.keys() & values.keys()}
        assert len(found) == 1 and found.items() <= right.items()

    run(world, body=body)


@pytest.mark.parametrize("name", KINDS)
def test_outcomes_of_every_kind(name: str) -> None:
    """Of a label that waited, and of one that was corrected: what it told counts once, and is withdrawn with it."""
    kind = KINDS[name]
    world = world_of(kind)

    def net() -> tuple[float, float]:
        found = {"added": 0.0, "withdrawn": 0.0}
        for labels, value in world.samples("model.outcome.sum").items():
            found[labels[-2]] += value if labels[3] == "gain" else -value
        return found["added"], found["withdrawn"]

    async def body() -> None:
        first = item(kind, "a", kind.other, outcomes={"revenue": 10.0}, observed_at=T0 - 5)
        assert await world.feed(first) == ["parked"]
        world.predict("a", kind.outputs)
        await world.rows()  # in its turn: what was predicted is in the store by then
        await world.labels.second(T0 + 61)
        assert net() == (10.0, 0.0)
        again = item(kind, "a", kind.label, outcomes={"revenue": 4.0}, observed_at=T0 + 9)
        assert await world.feed(again, again) == ["corrected", "duplicate"]
        assert net() == (14.0, 10.0)
        (row,) = await world.rows()
        assert row["labelled"] == 1 and row["outcomes"] == {"revenue": {"rows": 1.0, "sum": 4.0}}
        assert not world.samples("modeltap.labels.uncounted")

    run(world, body=body)


@pytest.mark.parametrize("name", KINDS)
def test_labels_of_every_kind_are_asked_for(name: str) -> None:
    """A row that is asked for says the same as any other, and its label counts by its chance besides."""
    kind = KINDS[name]
    world = world_of(kind, label_requests=0.5)

    async def body() -> None:
        for number in range(40):
            world.predict(f"q{number}", kind.outputs)
        requests = world.labels.requests
        assert requests is not None
        asked = [one.named.id for one in requests.wanted(0, 100)]
        assert 5 < len(asked) < 35
        await world.feed(*(item(kind, f"q{number}", kind.label) for number in range(40)))
        sums = {cell[0]: value for cell, value in world.net("model.performance.asked").items()}
        assert sums["weight"] == pytest.approx(2 * len(asked))
        if kind.task != "regression":
            assert sums["right"] == sums["weight"]
        (row,) = await world.rows()
        assert row["labelled"] == 40 and row["requested"]["answered"] == len(asked)

    run(world, body=body)


def test_contests_of_chances() -> None:
    """Of several classes versions are compared by how often they are right."""
    rng = np.random.default_rng(3)
    world = world_of(KINDS["chances"])
    names = ("cat", "dog", "owl")

    def outputs(chosen: int) -> dict[str, list[float]]:
        return {f"p.{name}": [0.6 if place == chosen else 0.2] for place, name in enumerate(names)}

    async def body() -> None:
        gains = []
        for number in range(300):
            truth, ours = int(rng.integers(3)), int(rng.integers(3))
            theirs = truth if rng.random() < 0.8 else int(rng.integers(3))
            world.predict(f"p{number}", outputs(ours))
            world.predict(f"p{number}", outputs(theirs), version="2", fields=b"x-role: shadow\r\n")
            await world.feed({"id": f"p{number}", "label": names[truth]})
            gains.append(float(theirs == truth) - float(ours == truth))
        (contest,) = (await world.page())["contests"]
        assert (contest["statistic"], contest["rows"], contest["verdict"]) == ("accuracy", 300, "better")
        assert contest["advantage"] == pytest.approx(np.mean(gains))

    run(world, body=body)


def test_no_label_is_longer_than_a_store_takes() -> None:
    """Of all forms, with groups and a mark."""
    lengths = set()
    for kind in KINDS.values():
        world = world_of(kind)
        words, segments = world.labels.joining.words, world.known.label_groups
        items = [item(kind, "a", kind.label), item(kind, "b", kind.label, outcomes={"x": 1.0})]
        for found in decode(json.dumps(items).encode(), "json", T0 + 60):
            assert isinstance(found, tuple)
            lengths |= {len(value_of(one, words, segments) or b"") for one in found}
    assert lengths == {20, 24, 26, 27, 30, LABEL_BYTES}
