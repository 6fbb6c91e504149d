"""labels.py: outputs that say several things, and groups, over POST /v1/feedback's decoder, join and cohorts: figures
are scikit-learn's, and fairlearn's known answers."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from exporter.analysis.performance.judged import What
from exporter.records.segment import parse_all
from tests.labels import DAY, T0, World, figure, run

ERROR = "model.performance.error"
GROUP = "model.performance.group"


def test_chances_of_few_classes() -> None:
    """Log loss, squared error, top-k hits and the calibration of the likeliest class, of three classes."""
    rng = np.random.default_rng(5)
    table = rng.dirichlet((0.4, 0.5, 0.6), size=400)
    truth = rng.integers(0, 3, size=400)
    world = World(known={"task": "multiclass", "positive_class": ""}, label_maturity=1.0)

    async def body() -> None:
        names = ("cat", "dog", "owl")
        world.predict("q", {f"p.{name}": table[:, at].tolist() for at, name in enumerate(names)})
        answered = await world.feed({"id": "q", "labels": [names[at] for at in truth.tolist()]})
        assert answered == [("joined",) * 400]
        (row,) = await world.rows()
        chosen = table.argmax(axis=1)
        assert figure(row, "accuracy") == metrics.accuracy_score(truth, chosen)
        assert figure(row, "log_loss") == pytest.approx(metrics.log_loss(truth, table), rel=3e-4)
        hot = np.eye(3)[truth]
        assert figure(row, "brier_classes") == pytest.approx(((table - hot) ** 2).sum(1).mean(), rel=1e-3)
        for depth in (1,):
            hits = metrics.top_k_accuracy_score(truth, table, k=depth, labels=[0, 1, 2])
            assert figure(row, "top_k_accuracy", str(depth)) == pytest.approx(hits)
        best = table.max(axis=1)
        bins = np.searchsorted(np.arange(1, 20) / 20, best)
        gaps = [abs((chosen == truth)[bins == b].sum() - best[bins == b].sum()) for b in range(20)]
        assert figure(row, "ece") == pytest.approx(sum(gaps) / 400, rel=1e-2)
        assert not any(one["name"] == "auc_roc" for one in row["figures"])
        # What is exported adds up to the same, and to the same again when the cohort has matured.
        arrived = {cell[0]: value for cell, value in world.net(ERROR).items()}
        assert arrived["log_loss"] / arrived["weight"] == pytest.approx(figure(row, "log_loss"))
        right = sum(
            value for cell, value in world.net("model.performance.score").items() if cell[0] == "right"
        )
        assert right == (chosen == truth).sum()
        await world.labels.mature(T0 + 2 * DAY)
        mature = {cell[0]: value for cell, value in world.net(ERROR, "mature").items()}
        assert mature == pytest.approx(arrived)

    run(world, body=body)


def test_chances_of_many_classes() -> None:
    """Of forty classes the five likeliest are kept: top-k hits are scikit-learn's, and log loss is told by nobody."""
    rng = np.random.default_rng(6)
    table = rng.dirichlet([0.2] * 40, size=300)
    truth = np.where(rng.random(300) < 0.6, table.argmax(axis=1), rng.integers(0, 40, size=300))
    world = World(known={"task": "multiclass", "positive_class": ""})

    async def body() -> None:
        world.predict("q", {f"p_{at}": table[:, at].tolist() for at in range(40)})
        await world.feed({"id": "q", "labels": truth.tolist()})
        (row,) = await world.rows()
        for depth in (1, 3, 5):
            hits = metrics.top_k_accuracy_score(truth, table, k=depth, labels=range(40))
            assert figure(row, "top_k_accuracy", str(depth)) == pytest.approx(hits)
        assert figure(row, "accuracy") == metrics.accuracy_score(truth, table.argmax(axis=1))
        assert not any(one["name"] in ("log_loss", "brier_classes") for one in row["figures"])

    run(world, body=body)


def test_several_labels_of_a_row() -> None:
    """Cells of each label, all right, Hamming loss; a class that the model does not know is one that it missed."""
    rng = np.random.default_rng(7)
    table = rng.random((250, 3))
    truth = rng.random((250, 3)) < 0.4
    names = np.array(("red", "green", "blue"))
    world = World(known={"task": "multilabel", "positive_class": ""})

    async def body() -> None:
        world.predict("q", {f"p.{name}": table[:, at].tolist() for at, name in enumerate(names)})
        await world.feed({"id": "q", "labels": [names[own].tolist() for own in truth]})
        (row,) = await world.rows()
        called = table >= 0.5
        assert figure(row, "subset_accuracy") == pytest.approx(metrics.accuracy_score(truth, called))
        cells = world.net("model.performance.label")
        for at, name in enumerate(names):
            assert figure(row, "precision", name) == metrics.precision_score(truth[:, at], called[:, at])
            assert figure(row, "f1", name) == pytest.approx(metrics.f1_score(truth[:, at], called[:, at]))
            found = [cells.get((name, outcome), 0) for outcome in ("true_negative", "false_positive")]
            assert found == metrics.confusion_matrix(truth[:, at], called[:, at])[0].tolist()
        world.predict("r", {f"p.{name}": [0.9] for name in names})
        await world.feed({"id": "r", "label": ["red", "mauve"]})
        assert world.net("model.performance.label")["<other>", "false_negative"] == 1

    run(world, body=body)


def test_rankings() -> None:
    """Hits, reciprocal rank and NDCG, of a relevant item, of several, and of grades."""
    world = World(known={"task": "ranking", "positive_class": ""})

    async def body() -> None:
        columns = (["a", "a", "b"], ["b", "c", "c"], ["c", "b", "d"])
        world.predict("q", {f"item_{at}": column for at, column in enumerate(columns)})
        answered = await world.feed(
            {"id": "q", "row": 0, "label": "b"},
            {"id": "q", "row": 1, "label": ["b", "z"]},
            {"id": "q", "row": 2, "label": {"c": 3, "b": 1, "y": 2}},
        )
        assert answered == ["joined"] * 3
        (row,) = await world.rows()
        assert figure(row, "mrr") == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
        assert figure(row, "hit_rate", "1") == pytest.approx(1 / 3)
        assert figure(row, "hit_rate", "3") == 1.0
        wanted = (
            (1 / math.log2(3)),
            (1 / math.log2(4)) / (1 + 1 / math.log2(3)),
            metrics.ndcg_score([[1, 3, 0, 2]], [[3, 2, 1, 0]], k=3),
        )
        assert figure(row, "ndcg", "3") == pytest.approx(sum(wanted) / 3)
        sums = {cell[0]: value for cell, value in world.net(ERROR).items()}
        assert sums["reciprocal_rank"] / sums["weight"] == pytest.approx(figure(row, "mrr"))
        assert sums["hit_1"] == 1

    run(world, body=body)


def test_predicted_quantiles() -> None:
    """Outputs whose names end in a level have pinball loss, and the share of truths that they reached."""
    rng = np.random.default_rng(8)
    truth = rng.normal(size=200)
    outputs = {f"price.q{level}": np.full(200, at) for level, at in ((0.1, -1.0), (0.5, 0.25), (0.9, 1.5))}
    world = World(known={"task": "regression", "positive_class": ""})

    async def body() -> None:
        world.predict("q", {name: values.tolist() for name, values in outputs.items()} | {"q": [0.0] * 200})
        for row, own in enumerate(truth.tolist()):
            await world.feed({"id": "q", "row": row, "labels": dict.fromkeys((*outputs, "q"), own)})
        rows = {row["output"]: row for row in await world.rows()}
        assert not any(one["name"] == "pinball" for one in rows["q"]["figures"])
        for name, predicted in outputs.items():
            loss = metrics.mean_pinball_loss(truth, predicted, alpha=float(name[-3:]))
            reached = (truth <= predicted).mean()
            assert figure(rows[name], "pinball") == pytest.approx(loss)
            assert figure(rows[name], "quantile_reached") == pytest.approx(reached)
        arrived: dict[str, dict[str, float]] = {}
        for labels, value in world.samples(ERROR).items():
            arrived.setdefault(labels[2], {})[labels[3]] = value
        for name, predicted in outputs.items():
            assert arrived[name]["reached"] / arrived[name]["weight"] == (truth <= predicted).mean()
            assert arrived[name]["pinball"] / 200 == pytest.approx(figure(rows[name], "pinball"))
        assert "pinball" not in arrived["q"]

    run(world, body=body)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *(("q0.9", 0.9), ("Q.05", 0.05), ("price_quantile_0.25", 0.25), ("y-q-0.5", 0.5), ("a.b.q0.1", 0.1)),
        *(("q", None), ("faq0.5", None), ("q1.5", None), ("q0.0", None), ("y", None), ("q0.9x", None)),
    ],
)
def test_names_of_quantiles(name: str, level: float | None) -> None:
    """Only what says that it is one, between 0 and 1; and only of a number."""
    assert What("m", "1", name, "number").level == level
    assert What("m", "1", name, "classes").level is None


def test_items_that_are_no_ranking() -> None:
    """The same item twice, a first place that is empty, and fractions, which are scores: nobody guesses."""
    world = World(known={"task": "ranking", "positive_class": ""})

    async def body() -> None:
        world.predict("q", {"item_0": ["a", "a"], "item_1": ["a", "b"]})
        world.predict("r", {"item_0": [0.5, 7.0], "item_1": [0.25, 8.0]})
        found = world.samples("model.label.predictions")
        assert found == {("iris", "1", "kept", "live"): 2, ("iris", "1", "unjudged", "live"): 2}

    run(world, body=body)


# D13: what fairlearn says of it.
TRUTH = [1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1]
CALLED = [1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0]
SEX = ["F"] * 8 + ["M"] * 8


@pytest.mark.parametrize("told", ["with the prediction", "with the label"])
def test_groups(told: str) -> None:
    """Selection, true and false positive rates by group, wherever the group is told: fairlearn's, ten times over."""
    world = World(known={"label_groups": parse_all(["sex=F|M", "age<=30|50"])})

    async def body() -> None:
        early = told == "with the prediction"
        for time in range(10):
            inputs: dict[str, Any] = {"sex": SEX, "age": [30.0, 31.0] * 8} if early else {}
            world.predict(f"q{time}", {"y": [0.9 if one else 0.1 for one in CALLED]}, inputs=inputs)
            for row, (label, sex) in enumerate(zip(TRUTH, SEX, strict=True)):
                item = {"id": f"q{time}", "row": row, "label": label}
                await world.feed(item if early else item | {"groups": {"sex": sex, "shoe": "41"}})
        (found,) = await world.rows()
        (sex,) = (one for one in found["segments"] if one["segment"] == "sex")
        rates = {
            (group, one["name"]): one["value"] for group, listed in sex["groups"].items() for one in listed
        }
        assert rates == pytest.approx(
            {
                **{("F", "selection_rate"): 0.5, ("M", "selection_rate"): 0.25},
                **{("F", "true_positive_rate"): 0.75, ("M", "true_positive_rate"): 1 / 3},
                **{("F", "false_positive_rate"): 0.25, ("M", "false_positive_rate"): 0.2},
            }
        )
        assert (sex["apart"]["parity_difference"], sex["apart"]["parity_ratio"]) == (0.25, 0.5)
        assert sex["apart"]["odds_difference"] == pytest.approx(0.4166667)
        assert sex["apart"]["odds_ratio"] == pytest.approx(0.4444444)
        cells = world.net(GROUP)
        assert cells["sex", "F", "1", "right"] == 30
        whole = [
            value
            for (seg, group, _, how), value in cells.items()
            if (seg, group) == ("sex", "F") and how != "missed"
        ]
        assert sum(whole) == 80
        coverage = world.samples("model.label.segment")
        place = ("iris", "1", "predicted_class")
        if early:
            assert cells["age", "<=30", "1", "right"] + cells["age", "<=50", "1", "right"] == 40
            assert found["coverage_by_group"]["sex"] == {"F": 1.0, "M": 1.0}
            assert coverage[*place, "age", "<=30", "joined", "live"] == 80
        assert coverage[*place, "<class>", "1", "kept", "live"] == 60
        assert coverage[*place, "<score>", "0.9", "joined", "live"] == 60

    run(world, body=body)


def test_a_corrected_group() -> None:
    """What a label gave to one group is withdrawn from that group, and goes to the other."""
    world = World(known={"label_groups": parse_all(["sex=F|M"])}, label_maturity=1.0)

    async def body() -> None:
        world.predict("a", {"y": [0.9]}, inputs={"sex": ["F"]})
        world.predict("b", {"y": [0.9]}, inputs={"sex": ["X"]})
        await world.feed({"id": "a", "label": 1, "groups": {"sex": "M"}}, {"id": "b", "label": 0})
        assert world.net(GROUP)["sex", "M", "1", "right"] == 1
        assert world.net(GROUP)["sex", "<other>", "1", "wrong"] == 1
        await world.feed({"id": "a", "label": 1, "observed_at": T0 + 90}, now=T0 + 100)
        assert {cell[1] for cell in world.net(GROUP)} == {"F", "<other>"}
        await world.rows()
        await world.labels.mature(T0 + 2 * DAY)
        assert world.net(GROUP, "mature") == world.net(GROUP)

    run(world, body=body)


def test_errors_by_group() -> None:
    """Numbers: errors over and under by group, and their mean."""
    world = World(known={"task": "regression", "label_groups": parse_all(["city=rome"])})

    async def body() -> None:
        world.predict("a", {"y": [1.0, 2.0, 5.0]}, inputs={"city": ["rome", "rome", "bonn"]})
        await world.feed({"id": "a", "labels": [3.0, 1.0, 5.5]})
        sums = world.net("model.performance.group_error")
        assert sums["city", "rome", "over"] == 1 and sums["city", "rome", "under"] == 2
        assert sums["city", "<other>", "squares"] == 0.25
        (row,) = await world.rows()
        (city,) = row["segments"]
        assert [one["value"] for one in city["groups"]["rome"]] == [1.5, 2.5]

    run(world, body=body)
