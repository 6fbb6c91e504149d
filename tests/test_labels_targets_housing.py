"""The housing set replayed: whether houses cost more than the median, as a number; which months' truth is another one.

The months of the set are parts of the state, so that the reference's own months differ as much as most later ones.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from exporter.analysis.performance.cohorts import periods
from exporter.analysis.performance.margins import HOUR_SECONDS
from exporter.analysis.performance.truth_report import truth
from exporter.demo import data
from exporter.pending.contract import Cohort
from exporter.stats.drift import Pair
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.profiles.column import ProfileColumn
from exporter.stats.psi import PSI
from tests.labels import DAY, World, run

Months = Mapping[str, list[tuple[float, float, float]]]  # (time, prediction, truth)


def months(name: str, truths: Mapping[str, str] | None = None) -> Months:
    found = defaultdict(list)
    with open(data.find_directory() / name, newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()
            own = row["clf_target"] if truths is None else truths[row["id"]]
            found[row["timestamp"][:7]].append((at, float(row["y_pred_proba"]), float(own)))
    return found


def later() -> Months:
    with open(data.find_directory() / "california_housing_analysis_gt.csv", newline="") as file:
        truths = {row["id"]: row["clf_target"] for row in csv.DictReader(file)}
    return months(data.LATER_FILE, truths)


def level(column: ProfileColumn, reference: Months) -> float:
    """Mean + 3 sigma of the reference's months, each against the rest."""
    each = [column.bins.count(np.array([own for *_, own in rows])) for rows in reference.values()]
    found = [PSI.measure(Pair(column.bins, column.array - own, own)) for own in each]
    values = [one.value for one in found if one is not None]
    assert len(values) == 8
    return float(np.mean(values) + 3 * np.std(values, ddof=1))


def month(cohort: Cohort) -> str:
    return f"{datetime.fromtimestamp(cohort.hour * HOUR_SECONDS, UTC):%Y-%m}"


def test_the_truth_of_one_month_is_another_one() -> None:
    """From replayed traffic and late labels, by the reference's own months: 2021-06 drifted, and no other month."""
    reference, found = months(data.TRAINING_FILE), later()
    rows = [row for listed in reference.values() for row in listed]
    own = build(
        {
            "y": Column(np.array([score for _, score, _ in rows]), "prediction"),
            "clf_target": Column(np.array([truth for *_, truth in rows]), "target"),
        },
        ProfileConfig("iris", "*"),
    )
    world = World(
        known={"task": "regression", "positive_class": ""},
        profiles=[own],
        label_age=366.0,
        label_maturity=60.0,
    )
    told: dict[str, dict[str, Any]] = {}

    async def body() -> None:
        for listed in found.values():
            for day, of_day in groupby(listed, lambda row: row[0] // DAY):
                part, at = list(of_day), (day + 0.5) * DAY
                world.predict(f"{day}", {"y": [score for _, score, _ in part]}, at=at)
                labels = [
                    {"id": f"{day}", "row": row, "label": own, "observed_at": at + 40 * DAY}
                    for row, (*_, own) in enumerate(part)
                ]
                assert set(await world.feed(*labels, now=at + 40 * DAY)) == {"joined"}
        reading = await world.labels.reading(max(at for at, *_ in listed) + 41 * DAY)
        known = {
            place: replace(one, levels={("psi", 0): level(own.column("clf_target"), reference)})
            for place, one in reading.truths.items()
        }
        for name, cohorts in groupby(reading.cohorts, month):
            ((_, role), period), *_ = periods(cohorts, reading.whats).items()
            told[name] = truth(period, role, known)

    run(world, body=body)
    psi = {name: one["statistics"][0] for name, one in told.items()}
    assert {one["statistic"] for one in psi.values()} == {"psi"}
    assert {name: sum(one["bins"].values()) for name, one in told.items()} == {
        name: len(listed) for name, listed in found.items()
    }
    assert [name for name, one in psi.items() if one["drifted"]] == ["2021-06"]
    assert psi["2021-06"]["value"] == pytest.approx(0.982, abs=0.01)
    assert psi["2021-07"]["value"] < psi["2021-07"]["reference_level"] == pytest.approx(0.939, abs=0.001)
    # Days are alike, for the set goes from place to place: 744 labels are worth 183 at most.
    assert all(14 < one["effective_rows"] < 200 for one in psi.values())
    beyond = [name for name, one in psi.items() if one["value"] > max(0.1, one["critical_value"])]
    assert beyond == ["2021-06", "2021-07", "2021-10", "2022-01", "2022-03"]
