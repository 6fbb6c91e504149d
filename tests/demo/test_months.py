"""The housing set replayed by its own timestamps: which months the rules' decision calls drift.

The months of the set are parts of the state, so they differ as populations do. What of the set's own score is true, and
what of ours is not, is told in docs/statistics.md.
"""

import csv
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.demo.data import FEATURES, LATER_FILE, TRAINING_FILE, find_directory, load, split
from exporter.demo.model import train
from exporter.stats import ColumnSpec, Layout, Windows
from exporter.stats.bins import FloatArray, NumericBins
from exporter.stats.drift import Drift, Pair
from exporter.stats.profiles.build import quantile_bins
from exporter.stats.profiles.levels import LEAST_PERIODS, Level
from exporter.stats.psi import PSI

DAY = 86400.0
EFFECT = 0.1
SCORE = "y_pred_proba"
Columns = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one file: columns, and the time of each row."""

    columns: Columns
    times: NDArray[np.object_]

    def of(self, month: str) -> NDArray[np.bool_]:
        return np.array([f"{time:%Y-%m}" == month for time in self.times])

    @property
    def months(self) -> list[str]:
        return sorted({f"{time:%Y-%m}" for time in self.times})


def read(name: str) -> Part:
    with (find_directory() / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {key: np.array([float(row[key]) for row in rows]) for key in (*FEATURES, SCORE)}
    times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows]
    return Part(columns, np.array(times, object))


def replay(part: Part, bins: Mapping[str, NumericBins], reference: Part) -> dict[str, dict[str, Drift]]:
    """PSI of each column over each month, at its last moment; rows go into rolling windows day by day."""
    layout = Layout(tuple(ColumnSpec(name, own) for name, own in bins.items()))
    # A pane is a day of UTC, so that a window is a whole month.
    windows = {days: Windows(layout, (days * DAY,), panes=days) for days in (28, 30, 31)}
    days = np.array([time.date() for time in part.times])
    found = {}
    for month in part.months:
        first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        length = monthrange(first.year, first.month)[1]
        now = first.timestamp()
        for number in range(length):
            now = (first + timedelta(days=number, hours=23)).timestamp()
            today = days == datetime.fromtimestamp(now, UTC).date()
            for each in windows.values():
                each.update(now, {name: part.columns[name][today] for name in bins})
        view = windows[length].read(now, length * DAY)
        found[month] = {
            name: against(own, own.count(reference.columns[name]), view.counts(name))
            for name, own in bins.items()
        }
    return found


def against(bins: NumericBins, reference: NDArray[np.int64], live: NDArray[np.int64]) -> Drift:
    found = PSI.measure(Pair(bins, reference, live))
    assert found is not None
    return found


def level(name: str, bins: NumericBins, part: Part) -> float:
    """Mean + 3 sigma over the reference's months, each against the rest of it."""
    values = part.columns[name]
    each = [part.of(month) for month in part.months]
    found = [against(bins, bins.count(values[~own]), bins.count(values[own])).value for own in each]
    assert len(found) >= LEAST_PERIODS
    return Level(name, "psi", 0, len(found), float(np.mean(found)), float(np.std(found, ddof=1))).limit


def alarms(found: dict[str, dict[str, Drift]], name: str, least: float = 0.0) -> list[str]:
    return [month for month, drifts in found.items() if drifts[name].exceeds(max(EFFECT, least))]


@pytest.fixture(scope="module")
def reference() -> Part:
    return read(TRAINING_FILE)


@pytest.fixture(scope="module")
def bins(reference: Part) -> dict[str, NumericBins]:
    return {name: quantile_bins(values) for name, values in reference.columns.items()}


@pytest.fixture(scope="module")
def later(reference: Part, bins: dict[str, NumericBins]) -> dict[str, dict[str, Drift]]:
    return replay(read(LATER_FILE), bins, reference)


def test_score_alarms_in_summer_and_no_feature_does(
    reference: Part, bins: dict[str, NumericBins], later: dict[str, dict[str, Drift]]
) -> None:
    """With the reference's own level: the set's own score in 2021-07, -08 and -09, in no other month; no feature."""
    found = {name: alarms(later, name, level(name, bins[name], reference)) for name in bins}
    assert found == {SCORE: ["2021-07", "2021-08", "2021-09"], **{name: [] for name in FEATURES}}


def test_without_a_level_nearly_every_month_is_another_population(
    reference: Part, bins: dict[str, NumericBins], later: dict[str, dict[str, Drift]]
) -> None:
    """Effect and critical value alone: the score in all months but 2021-12, the place in every one, and rightly so."""
    months = list(later)
    assert alarms(later, SCORE) == [month for month in months if month != "2021-12"]
    assert alarms(later, "Latitude") == alarms(later, "Longitude") == months
    own = replay(reference, bins, reference)
    assert alarms(own, "Latitude") == list(own)


def test_score_of_the_demos_forest_is_another() -> None:
    """Our forest, on rows that it was not fitted on: 2021-08, -09 and 2022-01; 2021-07 stays below its level."""
    periods = load()
    parts = split(periods.training)
    model = train(parts.fit)
    both = (parts.reference, parts.healthy)
    score = np.concatenate([model.predict(rows.features)[0] for rows in both])
    months = np.concatenate([rows.months for rows in both])
    times = np.array([datetime.fromisoformat(f"{month}-01") for month in months], object)
    own = quantile_bins(score)
    limit = level(SCORE, own, Part({SCORE: score}, times))
    live = model.predict(periods.later.features)[0]
    found = {
        month: {SCORE: against(own, own.count(score), own.count(live[periods.later.months == month]))}
        for month in sorted(set(periods.later.months.tolist()))
    }
    assert alarms(found, SCORE, limit) == ["2021-08", "2021-09", "2022-01"]
    assert 0.85 < found["2021-07"][SCORE].value / limit < 1.0
