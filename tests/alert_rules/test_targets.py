"""The recorded distances of a numeric truth: labels that two replicas joined and released, against exporter/stats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from alert_rules.promql import family, interpolate
from dashboards.targets import independent_share
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.catalogue import metric
from exporter.stats import STATISTICS, Drift, Pair, Profile
from exporter.stats.bins import NumericBins
from exporter.stats.clusters import effective_rows
from exporter.stats.profiles.build import Column, ProfileConfig, build
from tests.alert_rules.scenes import Json, digits, parts, selector, truth
from tests.alert_rules.test_cost import told
from tests.alert_rules.test_generate import ROOT, promtool
from tests.labels import DAY, T0, World, run

HOURS, ROWS = 12, 50
READ = ("model.performance.target", "model.performance.target_sum", "model.reference.target_bin")


def profile() -> Profile:
    truth = np.random.default_rng(21).normal(100.0, 10.0, 3000)
    return build({"price": Column(truth, "target"), "y": Column(truth, "prediction")}, ProfileConfig("iris"))


def truths() -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Labels by hour: moved, and alike within each hour."""
    rng = np.random.default_rng(22)
    return [rng.normal(rng.normal(103.0, 4.0), 9.0, ROWS).round(6) for _ in range(HOURS)]


def series_of(weights: Sequence[float]) -> list[Json]:
    """What the replicas export before and after the release of all hours, as counters over an hour."""
    store = Memory(Limits())
    known = {"task": "regression", "positive_class": ""}
    worlds = [World(store, known, profiles=[profile()], label_maturity=1.0) for _ in "ab"]
    found: list[Json] = []

    async def body() -> None:
        for hour, values in enumerate(truths()):
            at = T0 + hour * 3600.0
            worlds[hour % 2].predict(f"r{hour}", {"y": values + 1.0}, at=at)
            await worlds[hour % 2].written(at)
            told = [
                {"id": f"r{hour}", "row": row, "label": value, "weight": weights[row], "observed_at": at + 1}
                for row, value in enumerate(values.tolist())
            ]
            for place, world in enumerate(worlds):
                assert set(await world.feed(*told[place::2], now=T0 + DAY)) == {"joined"}
            # Each replica releases some of the hours.
            for world in worlds:
                await world.rows()
            await worlds[hour % 3 == 0].labels.mature(at + 2 * DAY)
        for name, world in zip("ab", worlds, strict=True):
            for one in world.labels.samples():
                if one.name in READ:
                    labels = dict(zip(metric(one.name).labels, map(str, one.labels), strict=True))
                    labels |= {"job": "modeltap", "instance": name}
                    value = f"{float(one.value)!r}"  # type: ignore[arg-type]
                    steady = one.name == "model.reference.target_bin"
                    values = f"{value}x6" if steady else f"0 0 {value} {value}x4"
                    found.append({"series": selector(family(one.name), labels), "values": values})

    run(*worlds, body=body)
    assert all(world.net(READ[0], "mature") for world in worlds)
    return found


def wanted(weights: Sequence[float]) -> tuple[Mapping[str, Drift], float]:
    """The same by exporter/stats on the pooled labels: statistics, and independent rows."""
    column = profile().column("price")
    own = np.array(weights)
    assert isinstance(column.bins, NumericBins)
    edges, size = column.bins.array, column.bins.size
    hours = [np.bincount(edges.searchsorted(values), own, size) for values in truths()]
    counts = np.sum(hours, axis=0)
    scale = counts.sum() / (HOURS * (own @ own))
    shares = counts / counts.sum()
    clusters = [
        counts.sum() * scale,
        HOURS * (own.sum() * scale) ** 2,
        sum((each * scale) @ (each * scale) for each in hours),
    ]
    effective = effective_rows(
        np.array(clusters[:1]), np.array([shares @ shares]), np.array(clusters).reshape(3, 1)
    )[0]
    pair = Pair(column.bins, column.array, counts * scale, float(effective))  # type: ignore[arg-type]
    found = (one.measure(pair) for one in STATISTICS if one.name != "wasserstein")
    return {one.statistic: one for one in found if one is not None}, float(effective)


@pytest.mark.parametrize("weights", [[1.0] * ROWS, [1.0, 3.0] * (ROWS // 2)], ids=["rows", "weights"])
def test_the_fleets_distances_are_those_of_the_pooled_labels(
    tmp_path: Path, weights: Sequence[float]
) -> None:
    """Value, floor, critical value and excess of every statistic to ten digits, and the effective rows."""
    expected, effective = wanted(weights)
    assert effective < 0.8 * HOURS * ROWS
    key = {
        "job": "modeltap", "model_name": "iris", "model_version": "1", "role": "live",
        "reference": profile().reference, "target": "y",
    }  # fmt: skip
    cases = [digits(selector("column:model_effective_rows:increase1h", key), "1h", (key, effective))]
    for name, drift in expected.items():
        own = {**key, "statistic": name}
        for what, value in parts(drift).items():
            cases.append(digits(selector(f"column:model_{what}:1h", own), "1h", (own, value)))
    assert len(cases) == 1 + 7 * 4 + 1
    # A column more for Prometheus, and what a weight is worth.
    cases.append(truth('{__name__=~"column.*", target="y"}', "1h", told()["hour"] + 1))
    panel = interpolate(independent_share(), {"__range": "1h", "role": "live"})
    shown = {name: value for name, value in key.items() if name not in ("job", "target")} | {"output": "y"}
    cases.append(digits(f"({panel})", "1h", (shown, effective / (HOURS * sum(weights)))))
    scene = {"interval": "10m", "input_series": series_of(weights), "promql_expr_test": cases}
    document = {
        "rule_files": [str(ROOT / "alert_rules" / "drift.yaml")],
        "evaluation_interval": "1h",
        "tests": [scene],
    }
    path = tmp_path / "targets_test.yaml"
    path.write_text(yaml.safe_dump(document, width=10_000))
    promtool("test", "rules", path)
