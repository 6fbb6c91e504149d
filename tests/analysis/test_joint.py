"""joint.py, joint_report.py: correlations, whole rows, associations and middles, through the engine."""

import json
from typing import Any

import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.joint import EFFECT
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges
from exporter.parts.drift_page import page
from exporter.records.sample import Sample
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import BOUNDS, NOW, feed, found, v2

ROWS = 4000
MODEL = ("iris", "1")
CITIES = np.array(["rome", "oslo", "bern"], object)


def rows(seed: int, count: int, change: str = "") -> dict[str, Any]:
    """Two features that go together, one alone, a city, and an answer that is made of them."""
    rng = np.random.default_rng(seed)
    a, noise, c, extra = rng.normal(size=(4, count))
    b = noise if change == "apart" else 0.8 * a + 0.6 * noise
    city = rng.integers(0, 3, count)
    weights = (0.1, 1.5) if change == "other reasons" else (1.5, 0.1)
    y = weights[0] * a + weights[1] * c + 0.5 * city + 0.5 * extra + (1.0 if change == "higher" else 0.0)
    return {"a": a, "b": b, "c": c, "city": CITIES[city], "y": y}


def reference() -> Profile:
    data = rows(1, ROWS)
    columns = {name: Data(values) for name, values in data.items() if name != "y"}
    return build(columns | {"y": Data(data["y"], "prediction")}, ProfileConfig(*MODEL))


REFERENCE = reference()


def engine(profile: Profile = REFERENCE) -> Engine:
    return Engine([profile], Known(windows=(300.0, 3600.0)), BOUNDS, NOW)


def fed(change: str = "", count: int = 600, each: int = 1, copies: int = 1) -> list[Sample]:
    """Gauges after so many rows, `each` a request; `copies` of every row within it."""
    made, data = engine(), rows(2, count // copies, change)
    cells = {name: np.repeat(values, copies).tolist() for name, values in data.items()}
    exchanges = []
    for start in range(0, count, each):
        part = {name: own[start : start + each] for name, own in cells.items()}
        exchanges.append(v2({name: own for name, own in part.items() if name != "y"}, {"y": part["y"]}))
    feed(made, exchanges)
    return gauges(made.windows(NOW))


def beyond(samples: list[Sample], statistic: str, window: str = "5m") -> dict[tuple[str, str], bool]:
    """By output and feature, whether the distance is above its critical value and the effect."""
    values, critical = found(samples, "model.drift"), found(samples, "model.drift.critical_value")
    return {
        (labels[2], labels[3]): value > max(critical[labels], EFFECT)
        for labels, value in values.items()
        if labels[5] == statistic and labels[4] == window
    }


def test_without_drift_nothing_is_beyond_chance() -> None:
    """Every statistic is there with its yardsticks, in every window, and none alarms."""
    samples = fed()
    told = ("5m", REFERENCE.reference, "live")
    pair = (*MODEL, "a", "b", *told)
    data = rows(2, 600)
    correlation = found(samples, "model.window.correlation")[pair]
    assert correlation == pytest.approx(np.corrcoef(data["a"], data["b"])[0, 1])
    own = found(samples, "model.reference.correlation")[*MODEL, "a", "b", *told[1:]]
    change = found(samples, "model.drift.correlation")[pair]
    assert change == pytest.approx(abs(correlation - own))
    assert change < found(samples, "model.drift.correlation_critical_value")[pair] < 0.1
    assert 0.001 < found(samples, "model.drift.correlation_p_value")[pair] <= 1.0
    whole = (*MODEL, "", "", "5m", "mahalanobis", *told[1:])
    distance = found(samples, "model.drift")[whole]
    assert distance == pytest.approx(3.0, abs=0.3)
    assert found(samples, "model.drift.noise_floor")[whole] == pytest.approx(3.0, abs=0.05)
    assert distance < found(samples, "model.drift.critical_value")[whole] < 4.0
    for statistic in ("mean_shift", "median_shift", "mode_shift"):
        assert beyond(samples, statistic) == {("y", ""): False}
    assert beyond(samples, "association_shift") == dict.fromkeys(
        [("y", name) for name in ("a", "b", "c", "city")], False
    )
    assert found(samples, "model.drift.association_ndcg")[*MODEL, "y", *told] > 0.98
    windows = {labels[4] for labels in found(samples, "model.drift") if labels[5] == "mahalanobis"}
    assert windows == {"5m", "1h"}


def test_each_change_is_seen_by_its_statistic() -> None:
    """Features that part, answers that have other reasons, answers that rise."""
    apart = fed("apart")
    pair = (*MODEL, "a", "b", "5m", REFERENCE.reference, "live")
    assert found(apart, "model.drift.correlation")[pair] > 0.6
    assert found(apart, "model.drift.correlation_p_value")[pair] < 1e-9
    assert beyond(apart, "mahalanobis") == {("", ""): True}
    reasons = beyond(fed("other reasons"), "association_shift")
    assert (reasons["y", "a"], reasons["y", "c"]) == (True, True)
    ranking = found(fed("other reasons"), "model.drift.association_ndcg")
    assert ranking[*MODEL, "y", "5m", REFERENCE.reference, "live"] < 0.9
    higher = fed("higher")
    assert beyond(higher, "mean_shift") == beyond(higher, "median_shift") == {("y", ""): True}


def test_too_few_rows_have_none() -> None:
    """Absent, never NaN and never 0; the reference is told all the same."""
    samples = fed(count=3)
    assert found(samples, "model.window.correlation") == {}
    assert {labels[5] for labels in found(samples, "model.drift")} == set()
    assert found(samples, "model.reference.correlation")
    assert len(found(samples, "model.reference.association")) == 4
    assert all(np.isfinite(one.value) for one in fed(count=60) if isinstance(one.value, float))


def test_rows_of_one_request_that_repeat_count_once() -> None:
    """Of twenty copies of every row the yardsticks are those of the rows, and nothing alarms."""
    alone, copied = fed(count=100), fed(count=2000, each=20, copies=20)
    cell = (*MODEL, "", "", "5m", "mahalanobis", REFERENCE.reference, "live")
    rows_of = [found(one, "model.drift.effective_rows")[cell] for one in (alone, copied)]
    assert rows_of[1] == pytest.approx(rows_of[0], rel=0.1)
    assert not any(beyond(copied, "association_shift").values())
    assert beyond(copied, "mahalanobis") == {("", ""): False}


def test_the_page_has_them_too() -> None:
    """In GET /v1/drift: by window what columns have in common, by column where the middle went."""
    made, data = engine(), rows(3, 500, "apart")
    inputs = {name: values.tolist() for name, values in data.items() if name != "y"}
    feed(made, [v2(inputs, {"y": data["y"].tolist()})])
    told = json.loads(page(NOW, made.windows(NOW), frozenset(), {}))["models"][0]
    window = next(one for one in told["windows"] if one["window"] == "5m")
    (pair,) = [one for one in window["correlations"] if one["columns"] == ["a", "b"]]
    assert pair["drifted"]
    assert pair["reference"] == pytest.approx(0.8, abs=0.02)
    assert (window["multivariate"]["columns"], window["multivariate"]["drifted"]) == (3, True)
    assert window["associations"][0]["feature"] == "a"
    assert 0.0 < window["association_ndcg"]["y"] <= 1.0
    answers = next(one for one in told["columns"] if one["column"] == "y" and one["window"] == "5m")
    assert set(answers["location"]) == {"mean_shift", "median_shift", "mode_shift"}
    assert (answers["peaks"], answers["reference_peaks"]) == (1, 1)
    assert not answers["location"]["mean_shift"]["drifted"]
    only = {"column": frozenset({"y"})}
    assert json.loads(page(NOW, made.windows(NOW), frozenset(), only))["models"][0]["windows"] == []


def test_batches_of_any_size_say_the_same() -> None:
    """One exchange of all rows, one a row, and some in between: the same sums."""
    values = [found(fed(each=each), "model.window.correlation") for each in (1, 7, 600)]
    assert values[0] == pytest.approx(values[1])
    assert values[0] == pytest.approx(values[2])


def test_exchanges_that_lack_a_column_count_in_what_they_have() -> None:
    """Rows without c are in the pair of a and b, and in no distance of whole rows."""
    made, data = engine(), rows(4, 200)
    cells = {name: data[name].tolist() for name in ("a", "b")}
    feed(made, [v2(cells, {"y": data["y"].tolist()})])
    samples = gauges(made.windows(NOW))
    assert len(found(samples, "model.window.correlation")) >= 1
    assert beyond(samples, "mahalanobis") == {}
    assert {feature for _, feature in beyond(samples, "association_shift")} == {"a", "b"}
    assert found(samples, "model.drift.association_ndcg") == {}


def test_a_reference_that_is_exchanged_begins_anew() -> None:
    """What was counted by another reference says nothing."""
    made, data = engine(), rows(5, 300)
    inputs = {name: values.tolist() for name, values in data.items() if name != "y"}
    feed(made, [v2(inputs, {"y": data["y"].tolist()})])
    assert found(gauges(made.windows(NOW)), "model.window.correlation")
    other = build({"a": Data(data["a"]), "y": Data(data["y"], "prediction")}, ProfileConfig(*MODEL))
    made.use([other], NOW + 1)
    samples = gauges(made.windows(NOW + 1))
    assert found(samples, "model.window.correlation") == found(samples, "model.reference.correlation") == {}
