"""labels.py: predictions that wait, labels that come, what is counted when they meet, and when a cohort is complete."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from exporter.parts import labels
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.observation import Undecodable
from tests.decode.exchanges import exchange
from tests.labels import DAY, T0, World, figure, run

CONFUSION = "model.performance.confusion"
IRIS = ("iris", "1", "predicted_class")


def test_a_label_meets_its_row() -> None:
    """It counts once: a cell, the bin of its score, the lag, the ledger."""
    world = World()

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        world.predict("b", {"y": [0.2, 0.7]})
        assert await world.feed({"id": "a", "label": 1}) == ["joined"]
        assert await world.feed({"id": "b", "labels": [1, False]}) == [("joined", "joined")]
        assert world.net(CONFUSION) == {
            ("1", "1", "right"): 1,
            ("1", "0", "wrong"): 1,
            ("0", "1", "wrong"): 1,
        }
        assert world.net("model.performance.score") == {
            ("positive", "0.9"): 1,
            ("positive", "0.2"): 1,
            ("negative", "0.7"): 1,
        }
        assert world.samples("model.label.joined") == {("iris", "1", "live"): 3}
        assert world.samples("model.label.lag") == {("iris", "1", "live"): 3}
        assert world.samples("model.label.predictions") == {("iris", "1", "kept", "live"): 3}
        assert world.samples("modeltap.labels") == {("", "joined"): 3}

    run(world, body=body)


def test_a_label_counts_once() -> None:
    """Twice is a duplicate; another one is a correction: what it gave is withdrawn, and no count falls."""
    world = World()

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        label = {"id": "a", "label": 1, "observed_at": T0 + 10}
        assert await world.feed(label, label) == ["joined", "duplicate"]
        assert await world.feed({"id": "a", "label": 0, "observed_at": T0 + 20}) == ["corrected"]
        assert await world.feed(label) == ["stale"]
        tail = ("arrival", "added", "live"), ("arrival", "withdrawn", "live")
        assert world.samples(CONFUSION) == {
            (*IRIS, "1", "1", "right", *tail[0]): 1,
            (*IRIS, "0", "1", "wrong", *tail[0]): 1,
            (*IRIS, "1", "1", "right", *tail[1]): 1,
        }
        assert world.net(CONFUSION) == {("0", "1", "wrong"): 1}
        assert world.samples("model.label.joined") == {("iris", "1", "live"): 1}
        (row,) = await world.rows()
        assert (row["labelled"], row["predicted"], figure(row, "accuracy")) == (1, 1, 0.0)

    run(world, body=body)


def test_a_label_that_comes_first_waits() -> None:
    """It is parked, and counts as soon as the prediction comes."""
    world = World()

    async def body() -> None:
        assert await world.feed({"id": "a", "label": 0, "observed_at": T0 - 5}) == ["parked"]
        world.predict("a", {"y": [0.1]}, at=T0)
        await world.labels.ask(lambda store: store.counts(), None)  # whatever was queued before is done
        await world.labels.second(T0 + 1)
        assert world.net(CONFUSION) == {("0", "0", "right"): 1}
        assert await world.feed({"id": "nobody", "label": 0}) == ["parked"]

    run(world, body=body)


def test_every_version_and_shadow_that_answered() -> None:
    """One label scores all of them, each on its own."""
    world = World(known={"role_header": "x-role"})

    async def body() -> None:
        world.predict("a", {"y": [0.9]}, version="1")
        world.predict("a", {"y": [0.3]}, version="2", fields=b"x-role: shadow\r\n")
        assert await world.feed({"id": "a", "label": 1}) == ["joined"]
        found = {(cell[1], cell[-1]): value for cell, value in world.samples(CONFUSION).items()}
        assert found == {("1", "live"): 1, ("2", "shadow"): 1}
        assert {cell[:2] for cell in world.samples("model.label.joined")} == {
            ("iris", "1"),
            ("iris", "2"),
        }

    run(world, body=body)


def test_the_arrival_precision_misleads_and_the_mature_one_does_not() -> None:
    """Positives are known after 2 days, negatives after 30: until then every label says that the model is right."""
    world = World(label_maturity=31.0, label_age=60.0)

    async def body() -> None:
        for number in range(100):
            world.predict(f"p{number}", {"y": [0.9]})
        for number in range(40):
            await world.feed({"id": f"p{number}", "label": 1, "observed_at": T0 + 2 * DAY}, now=T0 + 2 * DAY)
        assert world.net(CONFUSION) == {("1", "1", "right"): 40}
        (row,) = await world.rows(now=T0 + 3 * DAY)
        assert (row["state"], figure(row, "precision", "1")) == ("open", 1.0)
        assert row["bounds"]["precision"] == [0.4, 1.0]
        assert row["coverage"] == 0.4
        for number in range(40, 100):
            await world.feed(
                {"id": f"p{number}", "label": 0, "observed_at": T0 + 30 * DAY}, now=T0 + 30 * DAY
            )
        await world.labels.second(T0 + 30 * DAY)
        await world.labels.mature(T0 + 30 * DAY)
        assert world.net(CONFUSION, "mature") == {}
        await world.labels.mature(T0 + 31 * DAY + 3600)
        mature = world.net(CONFUSION, "mature")
        assert mature == {("1", "1", "right"): 40, ("0", "1", "wrong"): 60}
        await world.labels.mature(T0 + 32 * DAY)
        assert world.net(CONFUSION, "mature") == mature
        (row,) = await world.rows(now=T0 + 32 * DAY)
        assert (row["state"], figure(row, "precision", "1"), row["coverage"]) == ("settled", 0.4, 1.0)

    run(world, body=body)


def test_what_has_no_label_counts_by_policy() -> None:
    """No chargeback is good: at maturity all others are negatives, and a label takes its row out of them."""
    world = World(label_maturity=1.0, label_unlabelled="0")

    async def body() -> None:
        for number in range(10):
            world.predict(f"p{number}", {"y": [0.9 if number < 4 else 0.1]})
        await world.feed({"id": "p0", "label": 1}, {"id": "p1", "label": 0}, {"id": "p9", "label": 1})
        await world.feed({"id": "p1", "label": 1, "observed_at": T0 + 100}, now=T0 + 100)
        (row,) = await world.rows(now=T0 + 200)
        assert (row["labelled"], figure(row, "precision", "1")) == (3, 1.0)
        assert figure(row, "precision", "1", "figures_with_policy") == 0.5
        await world.labels.mature(T0 + 2 * DAY)
        assert world.net(CONFUSION, "mature") == {
            ("1", "1", "right"): 2,
            ("0", "1", "wrong"): 2,
            ("1", "0", "wrong"): 1,
            ("0", "0", "right"): 5,
        }
        assert sum(world.net("model.performance.score", "mature").values()) == 10
        assert world.net("model.performance.rows", "mature") == {(): 10}

    run(world, body=body)


def test_a_label_after_maturity() -> None:
    """It counts as it comes, not in the cohort that was released, and is told as late."""
    world = World(label_maturity=1.0)

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        world.predict("b", {"y": [0.9]})
        await world.feed({"id": "a", "label": 1})
        await world.rows()
        await world.labels.mature(T0 + 2 * DAY)
        assert await world.feed({"id": "b", "label": 1, "observed_at": T0 + 2 * DAY}, now=T0 + 2 * DAY) == [
            "joined"
        ]
        await world.rows(now=T0 + 2 * DAY)
        await world.labels.second(T0 + 2 * DAY)
        assert world.net(CONFUSION) == {("1", "1", "right"): 2}
        assert world.net(CONFUSION, "mature") == {("1", "1", "right"): 1}
        assert world.samples("modeltap.labels.uncounted") == {("late",): 1}

    run(world, body=body)


def test_replicas_that_share_a_store() -> None:
    """A label joins wherever it comes, is counted there alone, and one replica releases the cohort."""
    store = Memory(Limits())
    one, other = World(store, label_maturity=1.0), World(store, label_maturity=1.0)

    async def body() -> None:
        one.predict("a", {"y": [0.9]})
        one.predict("b", {"y": [0.1]})
        await one.written(T0)
        assert await other.feed({"id": "a", "label": 1}) == ["joined"]
        assert await one.feed({"id": "a", "label": 1}) == ["duplicate"]
        assert await one.feed({"id": "b", "label": 1}) == ["joined"]
        assert other.net(CONFUSION) == {("1", "1", "right"): 1}
        assert one.net(CONFUSION) == {("1", "0", "wrong"): 1}
        for world in (one, other):
            (row,) = await world.rows()
        assert (row["labelled"], row["predicted"]) == (2, 2)
        for world in (one, other, one):
            await world.labels.mature(T0 + 2 * DAY)
        released = [sum(world.net(CONFUSION, "mature").values()) for world in (one, other)]
        assert sorted(released) == [0, 2]

    run(one, other, body=body)


def test_a_restart(tmp_path: Path) -> None:
    """SQLite keeps what waits, what was joined and the cohorts; versions of which nothing was seen since are known."""
    place = f"sqlite:{tmp_path}/pending.db"
    first = World(label_store=place)

    async def before() -> None:
        first.predict("a", {"y": [0.9]})
        first.predict("b", {"y": [0.4]})
        assert await first.feed({"id": "a", "label": 1}) == ["joined"]
        await first.labels.second(T0 + 60)

    run(first, body=before)
    second = World(label_store=place)

    async def after() -> None:
        assert await second.feed({"id": "a", "label": 1}) == ["duplicate"]
        assert await second.feed({"id": "b", "label": 0}) == ["joined"]
        assert second.net(CONFUSION) == {("0", "0", "right"): 1}
        (row,) = await second.rows()
        assert (row["labelled"], figure(row, "accuracy")) == (2, 1.0)

    run(second, body=after)


def test_classes_of_any_name() -> None:
    """Several classes, by their names; labels of a class that the model never answered have cells too."""
    world = World(known={"task": "multiclass", "positive_class": ""})

    async def body() -> None:
        answers, truths = ["a", "b", "c", "a"], ["a", "b", "b", "never"]
        world.predict("r", {"y": answers})
        assert await world.feed({"id": "r", "labels": truths}) == [("joined",) * 4]
        assert world.net(CONFUSION) == {
            ("a", "a", "right"): 1,
            ("b", "b", "right"): 1,
            ("b", "c", "wrong"): 1,
            ("never", "a", "wrong"): 1,
        }
        (row,) = await world.rows()
        assert figure(row, "accuracy") == metrics.accuracy_score(truths, answers)
        expected = metrics.f1_score(truths, answers, average="macro", zero_division=0)
        assert figure(row, "f1_macro") == pytest.approx(expected)

    run(world, body=body)


def test_figures_of_a_classifier_are_scikit_learns() -> None:
    """Known answers (D10) and a longer stream, through the wire's forms, the store and the cells."""
    world = World()
    rng = np.random.default_rng(11)
    score = np.round(rng.beta(2, 3, 400), 2)
    truth = (rng.random(400) < score).astype(int)

    async def body() -> None:
        world.predict("r", {"y": score.tolist()})
        await world.feed({"id": "r", "labels": truth.tolist()})
        (row,) = await world.rows()
        chosen = (score >= 0.5).astype(int)
        assert figure(row, "accuracy") == pytest.approx(metrics.accuracy_score(truth, chosen))
        assert figure(row, "precision", "1") == pytest.approx(metrics.precision_score(truth, chosen))
        assert figure(row, "recall", "1") == pytest.approx(metrics.recall_score(truth, chosen))
        assert figure(row, "matthews") == pytest.approx(metrics.matthews_corrcoef(truth, chosen))
        assert figure(row, "brier") == pytest.approx(metrics.brier_score_loss(truth, score), abs=1e-6)
        (area,) = (one for one in row["figures"] if one["name"] == "auc_roc")
        assert abs(area["value"] - metrics.roc_auc_score(truth, score)) <= area["bound"] + 1e-9

    run(world, body=body)


def test_figures_of_numbers_are_scikit_learns() -> None:
    """Known answers (D12)."""
    world = World(known={"task": "regression", "positive_class": ""})
    truth, predicted = [3, -0.5, 2, 7], [2.5, 0.0, 2.0, 8.0]

    async def body() -> None:
        world.predict("r", {"y": predicted})
        await world.feed({"id": "r", "labels": truth})
        (row,) = await world.rows()
        expected = {
            "mse": 0.375,
            "mae": 0.5,
            "rmse": 0.6123724,
            "r2": 0.9486081,
            "mape": 0.3273810,
            "bias": 0.25,
        }
        for name, value in expected.items():
            assert figure(row, name) == pytest.approx(value, abs=1e-6)
        assert world.net("model.performance.error")["squares",] == pytest.approx(1.5)

    run(world, body=body)


def test_intervals() -> None:
    """How often the truth lies within."""
    world = World(
        known={"task": "interval", "lower_output": "low", "upper_output": "high", "positive_class": ""}
    )

    async def body() -> None:
        world.predict("r", {"low": [0.5, 0.5], "high": [1.5, 1.5]})
        await world.feed({"id": "r", "labels": [1.0, 2.0]})
        (row,) = await world.rows()
        assert (figure(row, "interval_coverage"), figure(row, "interval_width")) == (0.5, 1.0)
        assert figure(row, "bias") == -0.5

    run(world, body=body)


def test_a_label_for_each_output() -> None:
    """Where there are several, each has labels of its own, by name."""
    world = World(known={"task": "regression", "positive_class": ""})

    async def body() -> None:
        world.predict("r", {"price": [2.5], "area": [10.5]})
        assert await world.feed({"id": "r", "labels": {"price": 2.5, "area": 12.5}}) == [("joined", "joined")]
        rows = {row["output"]: figure(row, "mse") for row in await world.rows()}
        assert rows == {"price": 0.0, "area": 4.0}

    run(world, body=body)


def test_weights() -> None:
    """A row counts as much as it weighs, and how many effective rows that makes is known."""
    world = World()

    async def body() -> None:
        world.predict("r", {"y": [0.9, 0.9]})
        await world.feed({"id": "r", "label": 1, "weight": 3}, {"id": "r", "row": 1, "label": 0})
        (row,) = await world.rows()
        (accuracy,) = (one for one in row["figures"] if one["name"] == "accuracy")
        assert (accuracy["value"], accuracy["rows"]) == (0.75, 2)
        assert accuracy["effective_rows"] == pytest.approx(16 / 10)
        assert world.net("model.performance.rows") == {(): 2}

    run(world, body=body)


def test_outcomes() -> None:
    """Summed by version, once; gains apart from losses; of names there are few."""
    world = World()

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        world.predict("a", {"y": [0.9]}, version="2")
        world.predict("b", {"y": [0.9]})
        item = {"id": "a", "label": 1, "outcomes": {"revenue": 12.5}}
        assert await world.feed(item, item, {"id": "b", "label": 0, "outcomes": {"revenue": -3}}) == [
            *("joined", "duplicate", "joined")
        ]
        assert world.samples("model.outcome.rows") == {
            ("iris", "1", "revenue", "added", "live"): 2,
            ("iris", "2", "revenue", "added", "live"): 1,
        }
        assert world.samples("model.outcome.sum") == {
            ("iris", "1", "revenue", "gain", "added", "live"): 12.5,
            ("iris", "1", "revenue", "loss", "added", "live"): 3,
            ("iris", "2", "revenue", "gain", "added", "live"): 12.5,
        }
        for number in range(20):
            world.predict(f"n{number}", {"y": [0.9]})
            await world.feed({"id": f"n{number}", "label": 1, "outcomes": {f"o{number}": 1}})
        names = {cell[2] for cell in world.samples("model.outcome.rows")}
        assert len(names) == 17 and "<other>" in names

    run(world, body=body)


def test_labels_of_another_kind() -> None:
    """They join, and count as unusable: the row is done with, and no figure is wrong."""
    world = World(known={"task": "regression", "positive_class": ""})

    async def body() -> None:
        world.predict("r", {"y": [0.5]})
        assert await world.feed({"id": "r", "label": "expensive"}) == ["joined"]
        assert world.net("model.performance.unusable") == {(): 1}
        (row,) = await world.rows()
        assert (row["unusable"], row["figures"]) == (1, [])

    run(world, body=body)


def test_several_classes_where_there_is_one() -> None:
    """A list is a label of another kind than the output's: it joins, and is in no sum."""
    world = World()

    async def body() -> None:
        world.predict("r", {"y": [0.9]})
        assert await world.feed({"id": "r", "label": ["a", "b"]}) == ["joined"]
        assert world.net("model.performance.unusable") == {(): 1}
        assert world.net(CONFUSION) == {}

    run(world, body=body)


def test_rows_that_cannot_wait() -> None:
    """Without an id that a caller knows, or without an output that a label can judge, they are in the ledger alone."""
    world = World(known={"task": "embedding", "positive_class": ""})
    nobody = World()

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        assert world.samples("model.label.predictions") == {("iris", "1", "unjudged", "live"): 1}
        nobody.predict("", {"y": [0.9]}, request_head=b"POST / HTTP/1.1\r\n\r\n")
        assert nobody.samples("model.label.predictions") == {("iris", "1", "no_key", "live"): 1}

    run(world, nobody, body=body)


def test_sampling() -> None:
    """By the key: a label of what is not kept is known as one, and the ledger says how many there are."""
    world = World(label_sample=0.5)

    async def body() -> None:
        for number in range(100):
            world.predict(str(number), {"y": [0.9]})
        words = await world.feed(*({"id": str(number), "label": 1} for number in range(100)))
        states = {cell[2]: value for cell, value in world.samples("model.label.predictions").items()}
        assert {word: words.count(word) for word in set(words)} == {
            "joined": states["kept"],
            "sampled_out": states["sampled_out"],
        }
        assert 20 < states["kept"] < 80
        assert world.samples("modeltap.labels.sample_ratio") == {(): 0.5}

    run(world, body=body)


class Broken(Memory):
    """A store that fails at everything that joins."""

    def take(self, *args: Any) -> Any:
        raise OSError("no disk")

    def counts(self) -> None:
        return None


def test_a_store_that_fails() -> None:
    """Labels are lost and counted, and nothing else comes of it."""
    world = World(Broken(Limits()))

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        assert await world.feed({"id": "a", "label": 1}) == ["lost"]
        await world.labels.second(T0)
        assert world.samples("modeltap.label_store.up") == {}
        assert world.samples("modeltap.label_store.lost") == {("memory", "failed"): 1}
        assert world.net(CONFUSION) == {}

    run(world, body=body)


class Hanging(Memory):
    """A store whose take waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self.go = threading.Event()

    def take(self, *args: Any) -> Any:
        assert self.go.wait(60)
        return super().take(*args)


def test_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told in good time; what the store hands out afterwards still counts, once."""
    store = Hanging()
    world = World(store)
    monkeypatch.setattr(labels, "_WAIT_SECONDS", 0.01)

    async def body() -> None:
        world.predict("a", {"y": [0.9]})
        assert await world.feed({"id": "a", "label": 1}) == ["lost"]
        store.go.set()
        monkeypatch.setattr(labels, "_WAIT_SECONDS", 60.0)
        await world.labels.ask(lambda store: store.counts(), None)
        await world.labels.second(T0 + 60)
        assert world.net(CONFUSION) == {("1", "1", "right"): 1}
        assert await world.feed({"id": "a", "label": 1}) == ["duplicate"]

    run(world, body=body)


def test_sources_are_few() -> None:
    """Anybody's word would make anybody's series."""
    world = World()

    async def body() -> None:
        await world.feed(*({"id": "a", "label": 1, "source": f"s{number}"} for number in range(40)))
        sources = {cell[0] for cell in world.samples("modeltap.labels")}
        assert len(sources) <= 17 and "<other>" in sources

    run(world, body=body)


def test_free_texts_are_no_classes() -> None:
    """What may be anybody's words is counted, never shown."""
    world = World(known={"task": "multiclass", "positive_class": ""})

    async def body() -> None:
        world.predict("a", {"y": ["no"]})
        await world.feed({"id": "a", "label": "she said that she would never come back to this shop again"})
        assert world.net(CONFUSION) == {("<other>", "no", "wrong"): 1}

    run(world, body=body)


def test_many_classes() -> None:
    """The first ones have cells; the others share one, and a confusion among them is no hit."""
    world = World(known={"task": "multiclass", "positive_class": ""})

    async def body() -> None:
        names = [f"c{number}" for number in range(40)]
        world.predict("a", {"y": names})
        await world.feed({"id": "a", "labels": [*names[:-1], names[-2]]})
        found = world.net(CONFUSION)
        assert sum(found.values()) == 40
        assert found["<other>", "<other>", "right"] == 19
        assert found["<other>", "<other>", "wrong"] == 1

    run(world, body=body)


def test_feedback_that_passes_through() -> None:
    """Seldon's own, by the puid of the answer."""
    world = World(known={"task": "multiclass", "positive_class": ""})

    async def body() -> None:
        answer = {"meta": {"puid": "p1"}, "data": {"names": ["y"], "ndarray": [["yes"]]}}
        request = {"data": {"names": ["x"], "ndarray": [[1.5]]}}
        one = exchange(
            "/api/v1.0/predictions",
            json.dumps(request).encode(),
            json.dumps(answer).encode(),
            start=int(T0 * 1e9),
        )
        world.engine.record(one, world.engine.understand(one), T0)
        world.engine.flush(T0)
        truth = {"request": request, "response": answer, "truth": {"data": {"ndarray": [["no"]]}}}
        world.labels.passed(
            exchange("/api/v1.0/feedback", json.dumps(truth).encode(), b"{}", start=int(T0 * 1e9) + 10**9)
        )
        await world.labels.second(T0 + 2)
        assert world.net(CONFUSION) == {("no", "yes", "wrong"): 1}
        assert world.samples("modeltap.labels") == {("seldon", "joined"): 1}

    run(world, body=body)


def test_pushed_rows_join_too() -> None:
    """By the ids that were pushed with them."""
    from exporter.decode.pushed import record

    world = World()

    async def body() -> None:
        pushed = {"model_name": "m", "predictions": {"score": [0.9, 0.1]}, "ids": ["a", "b"]}
        world.engine.push(record(pushed, T0), T0)
        world.engine.flush(T0)
        assert await world.feed({"id": "b", "label": 1}) == ["joined"]
        assert world.net(CONFUSION) == {("1", "0", "wrong"): 1}

    run(world, body=body)


def test_a_body_that_holds_nothing() -> None:
    """Its reason is told, as with observations."""
    world = World()

    async def body() -> None:
        with pytest.raises(Undecodable, match="not_json"):
            await world.labels.take(b"{", "json", T0)

    run(world, body=body)
