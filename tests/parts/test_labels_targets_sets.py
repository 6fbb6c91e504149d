"""Two real sets replayed over predictions, late labels and cohorts: which periods' truth is another one.

Prices of used cars (synthetic, by NannyML), whose truth changes on a day that its makers chose, at the same mean; and
houses above the median, as a number, whose months are parts of the state and differ as much in the reference.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from exporter.analysis.performance.cohorts import periods
from exporter.analysis.performance.margins import HOUR_SECONDS
from exporter.analysis.performance.truth_report import truth, windows
from exporter.demo import data
from exporter.pending.contract import Cohort
from exporter.stats import Profile
from exporter.stats.drift import Pair
from exporter.stats.profiles.build import Column, ProfileConfig, build, build_from
from exporter.stats.profiles.column import ProfileColumn
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.tally import Extras
from exporter.stats.profiles.types import typed
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


def prices(name: str, step: int) -> list[tuple[float, float, float]]:
    """Every so many rows of a file; the truth of the later ones lies in a file of its own, in the same order."""
    folder = data.find_directory()
    with open(folder / f"regression_synthetic_{name}.csv", newline="") as file:
        head, *rows = csv.reader(file)
    if name == "analysis":
        with open(folder / "regression_synthetic_analysis_targets.csv", newline="") as file:
            truths = list(csv.reader(file))[1:]
        assert [row[0] for row in rows] == [row[0] for row in truths]
        head, rows = [*head, "y_true"], [[*row, own[1]] for row, own in zip(rows, truths, strict=True)]
    at, score, truth = map(head.index, ("timestamp", "y_pred", "y_true"))
    return [
        (
            datetime.fromisoformat(row[at]).replace(tzinfo=UTC).timestamp(),
            float(row[score]),
            float(row[truth]),
        )
        for row in rows[::step]
    ]


def profile_of(rows: Sequence[tuple[float, float, float]]) -> Profile:
    """With the levels of days."""
    cells = dict(zip(("at", "y", "price"), map(list, zip(*rows, strict=True)), strict=True))
    plans = [Plan("at", "time", "datetime", unit="s"), Plan("y", "prediction"), Plan("price", "target")]
    chunk = {plan.name: typed(np.array(cells[plan.name]), plan.type, False, plan.unit) for plan in plans}
    extras = Extras(time="at", lengths=(86_400,))
    return build_from(plans, lambda _: [chunk], ProfileConfig("iris", "*"), extras, (PSI,))


def test_the_truth_of_prices_changes_on_one_day() -> None:
    """Every sixth row, by hours: each day until 2017-02-27 is as the reference, each from 2017-02-28 on is not."""
    rows = sorted(prices("analysis", 6))
    world = World(
        known={"task": "regression", "positive_class": ""},
        profiles=[profile_of(prices("reference", 3))],
        label_age=60.0,
        label_maturity=2.0,
    )
    found: dict[str, dict[str, Any]] = {}

    async def body() -> None:
        for hour, of_hour in groupby(rows, lambda row: row[0] // HOUR_SECONDS):
            part, at = list(of_hour), (hour + 0.5) * HOUR_SECONDS
            world.predict(f"{hour}", {"y": [score for _, score, _ in part]}, at=at)
            labels = [
                {"id": f"{hour}", "row": row, "label": own, "observed_at": at + DAY}
                for row, (*_, own) in enumerate(part)
            ]
            assert set(await world.feed(*labels, now=at + DAY)) == {"joined"}
        reading = await world.labels.reading(rows[-1][0] + 3 * DAY)
        for day in range(int(rows[0][0] // DAY) + 1, int(rows[-1][0] // DAY)):
            span = 2 * DAY, (day + 1) * DAY + 2 * DAY
            (told, _) = windows(reading.cohorts, reading.whats, reading.truths, span)
            assert told["window"] == "24h"
            found[f"{datetime.fromtimestamp(day * DAY, UTC):%m-%d}"] = told

    run(world, body=body)
    psi = {day: one["statistics"][0] for day, one in found.items()}
    assert len(psi) == 22
    assert [day for day, one in psi.items() if one["drifted"]] == [day for day in psi if day >= "02-28"]
    assert all(one["value"] < one["critical_value"] for day, one in psi.items() if day < "02-28")
    assert all(0.005 < one["reference_level"] < 0.05 for one in psi.values())
    assert all(0.6 * one["labels"] < one["effective_rows"] for day, one in found.items() if day < "02-28")
