"""columns.py: which columns are counted, and which as counters, by the profile alone."""

import numpy as np
import pytest

from exporter.analysis.columns import MAX_COLUMNS, columns_of, series_of
from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.records.sample import Sample
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import BOUNDS, NOW, feed, found, v2

NAMES = [f"f{place:02}" for place in range(40)]


def profile(names: list[str] = NAMES) -> Profile:
    rng = np.random.default_rng(1)
    columns = {name: Data(rng.normal(size=400)) for name in names}
    return build({**columns, "y": Data(rng.normal(size=400), "prediction")}, ProfileConfig("iris", "1"))


def families(samples: list[Sample], place: int) -> set[str]:
    names = ("model.feature.bin", "model.reference.bin.rows", "model.column.squared_rows")
    return {
        labels[place] for name in names for labels in found(samples, name) if labels[place].startswith("f")
    }


def test_a_column_of_ten_bins_is_at_most_thirty_series() -> None:
    """Bins, reference, sums for effective rows and by sign, two reasons for missing values."""
    assert {series_of(column) for column in profile().columns} == {2 * 12 + 6}


@pytest.mark.parametrize(
    ("budget", "features"), [(29, -1), (30, 0), (59, 0), (60, 1), (30 * 4, 3), (10**6, 40)]
)
def test_outputs_come_first_then_features_in_order(budget: int, features: int) -> None:
    """Until one would be over the budget; the others are in windows only, and told."""
    chosen = columns_of(profile(), budget)
    assert chosen.exported == (set() if features < 0 else {"y", *NAMES[:features]})
    assert len(chosen.counted) == 41
    assert chosen.left_out == {"budget": 41 - len(chosen.exported), "room": 0, "profile": 0}
    narrow = columns_of(profile(), budget, wide=False)
    assert {column.name for column in narrow.counted} == narrow.exported == chosen.exported
    assert narrow.left_out == {"budget": 0, "room": 41 - len(chosen.exported), "profile": 0}


def test_columns_beyond_all_bounds_have_no_room() -> None:
    """So many of a side are counted; nothing without a profile."""
    names = [f"f{place}" for place in range(MAX_COLUMNS + 7)]
    chosen = columns_of(profile(names), 0)
    assert chosen.left_out == {"budget": MAX_COLUMNS + 1, "room": 7, "profile": 0}
    assert columns_of(None, 5).counted == ()


def test_traffic_has_no_say() -> None:
    """Two replicas with different drift export counters of the same columns; the rest is in their windows."""
    exported = []
    for moved in (NAMES[-1], NAMES[0]):
        made = Engine([profile()], Known(windows=(300.0,), series_budget=30 * 6), BOUNDS, NOW)
        cells = {name: [9.0 if name == moved else 0.0] * 200 for name in NAMES}
        feed(made, [v2(cells, {"y": [0.5] * 200})])
        samples = list(made.snapshot().samples())
        exported.append(families(samples, 2) | families(samples, 3))
        assert found(samples, "model.columns.left_out")["iris", "1", "budget", "live"] == 35
        state = made.windows(NOW)[0].sides[0]
        assert state.windows[300.0].rows(NAMES[-1]) == 200
    assert exported == [set(NAMES[:5])] * 2
    assert found(samples, "model.profile.mismatches") == {
        ("iris", reason): 0 for reason in ("missing_column", "extra_column", "wrong_type")
    }


def test_columns_that_no_profile_describes_are_told_when_refused() -> None:
    """Beyond the twenty that are counted."""
    made = Engine([], Known(windows=(300.0,)), BOUNDS, NOW)
    feed(made, [v2({name: [1.0] for name in NAMES}, {"y": [0.5]})] * 3)
    assert found(made.snapshot().samples(), "model.columns.left_out") == {
        ("iris", "1", "unprofiled", "live"): 20
    }
