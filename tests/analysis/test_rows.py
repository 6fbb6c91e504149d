"""rows.py: repeats and ages of rows, and what the reference says of both, as they are exported."""

import math
from typing import Any

import numpy as np
import pytest

from exporter.analysis.known import Known
from exporter.analysis.report import counters
from exporter.analysis.series import Key, Series
from exporter.analysis.window_report import gauges
from exporter.decode.columns import numeric_columns
from exporter.records.observation import Column, Observation
from exporter.records.quality_metrics import LAG_BUCKETS
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from exporter.stats.profiles.column import PayloadColumn
from exporter.stats.profiles.levels import PeriodSet
from tests.analysis.test_quality import cells
from tests.analysis.world import NOW, found

MODEL = ("m", "1", "live")


def series(profile: Profile | None = None, **known: Any) -> Series:
    return Series(Key("m", "1", "kserve_v1", "exact"), profile, Known(windows=(300.0,), **known), NOW)


def put(made: Series, now: float = NOW, **inputs: list[Any]) -> None:
    columns = tuple(cells(name, values) for name, values in inputs.items())
    made.add(Observation("kserve_v1", 1, columns, ()))
    made.flush(now)


def value(made: Series, name: str) -> Any:
    return found(counters([made.state()]), name)[MODEL]


def test_rows_that_come_again_within_the_hour_are_repeats() -> None:
    """Within an exchange and between them, whatever made the columns; after an hour a row is new."""
    made = series()
    put(made, a=[1.0, 1.0, 2.0], b=["x", "x", "x"])
    put(made, a=[2.0], b=["x"])
    put(made, a=[2.0], b=["y"])
    put(made, NOW + 3700, a=[1.0], b=["x"])
    assert (value(made, "model.duplicates"), value(made, "model.duplicates.checked")) == (2, 6)


def test_views_of_one_table_and_arrays_of_their_own_are_the_same_rows() -> None:
    """As decoders make them of JSON, and of tensors, alone and mixed in one batch."""
    made = series()
    table = tuple(numeric_columns(("a", "b"), [1.0, 2.0]))
    single = (Column("a", "numeric", np.array([1.0])), Column("b", "numeric", np.array([2.0])))
    for batch in ((table,), (single,), (table, single)):
        for columns in batch:
            made.add(Observation("kserve_v1", 1, columns, ()))
        made.flush(NOW)
    assert value(made, "model.duplicates") == 3


def test_ids_and_times_make_no_row_another() -> None:
    """They are no features."""
    made = series(id_columns=("id",), time_column="at")
    put(made, a=[1.0], id=["1"], at=[NOW])
    put(made, a=[1.0], id=["2"], at=[NOW + 1])
    assert value(made, "model.duplicates") == 1


def test_rows_that_cannot_be_put_together_are_not_looked_at() -> None:
    """Columns of unequal length, vectors of unequal width, no columns."""
    made = series()
    put(made, a=[1.0, 2.0], b=["x"])
    for width in (70, 71):
        made.add(Observation("kserve_v1", 1, (Column("v", "vector", np.zeros((1, width))),), ()))
    made.flush(NOW)
    put(made)
    assert value(made, "model.duplicates.checked") == 0


@pytest.mark.parametrize(
    ("known", "times"),
    [
        ({}, [NOW - 30, NOW - 30.0]),
        ({"time_unit": "ms"}, [(NOW - 30) * 1e3] * 2),
        ({"time_unit": "ns"}, [(NOW - 30) * 1e9] * 2),
        # 1_700_000_000 is 2023-11-14T22:13:20Z
        ({}, ["2023-11-14T22:12:50Z", "2023-11-14T22:12:50"]),
        ({}, ["2023-11-14T23:12:50+01:00", "2023-11-14 22:12:50.000"]),
    ],
)
def test_ages_are_counted_in_seconds_whatever_the_form(known: dict[str, str], times: list[Any]) -> None:
    """Numbers by their unit, texts by their zone; without one they are UTC."""
    made = series(time_column="at", **known)
    put(made, a=[1.0, 2.0], at=times)
    lag = value(made, "model.event.lag")
    assert lag.count == 2
    assert lag.counts[LAG_BUCKETS.index(60.0)] == 2
    assert lag.sum == pytest.approx(60.0)
    assert value(made, "model.event.time.latest") == pytest.approx(NOW - 30)
    assert "at" not in made.state().sides[0].layout.names


def test_what_lies_ahead_and_what_is_no_time_are_counted_apart() -> None:
    """Null is missing, another word is of another type, and a number too large is no time."""
    made = series(time_column="at")
    put(made, at=[NOW + 1, 1e30, math.inf, math.nan, None, -math.inf])
    put(made, at=["soon", None, "2024-01-01"])
    assert value(made, "model.event.lag").count == 0
    assert value(made, "model.event.future") == 2
    exported = list(counters([made.state()]))
    assert found(exported, "model.data.violations")["m", "1", "", "at", "unexpected_data_type", "live"] == 5
    assert found(exported, "model.feature.missing")["m", "1", "at", "null", "live"] == 2
    assert found(exported, "model.event.time.latest") == {}


def test_without_a_column_of_times_there_is_no_age() -> None:
    """No series at all, rather than zeros that look fresh."""
    made = series()
    put(made, a=[1.0])
    assert not [sample for sample in counters([made.state()]) if sample.name.startswith("model.event")]


def test_the_reference_tells_its_column_of_times_its_repeats_and_its_rate() -> None:
    """Without a setting the column of role time is taken, in its own unit; the rate is that of hours with rows."""
    columns = build({"a": Data(np.arange(900.0))}, ProfileConfig()).columns
    payload = (PayloadColumn("a", "feature", "numeric"), PayloadColumn("at", "time", "datetime", unit="ms"))
    periods = (PeriodSet(3600, 5), PeriodSet(86400, 1))
    profile = Profile(columns, 900, payload=payload, duplicates=0.25, periods=periods)
    made = series(profile)
    put(made, a=[1.0], at=[(NOW - 2) * 1e3])
    assert value(made, "model.event.lag").counts[LAG_BUCKETS.index(5.0)] == 1
    exported = list(counters([made.state()]))
    key = ("m", "1", profile.reference, "live")
    assert found(exported, "model.reference.duplicate_ratio") == {key: 0.25}
    assert found(exported, "model.reference.row_rate") == {key: 900 / 5 / 3600}
    assert not [
        labels
        for labels in found(exported, "model.data.violations")
        if "new_column" in labels and found(exported, "model.data.violations")[labels]
    ]


@pytest.mark.parametrize(
    ("age", "city", "expected"),
    [
        ([40.0] * 30, ["rome"] * 30, {"age": 1, "city": 1}),
        ([40.0] * 29, ["rome"] * 29, {"age": 0, "city": 0}),
        ([40.0] * 29 + [41.0], ["rome"] * 29 + ["oslo"], {"age": 0, "city": 0}),
        ([40.0] * 29 + [40.5], ["rome"] * 29 + [None], {"age": 0, "city": 0}),
        ([40.0] * 30, [f"no{n}" for n in range(30)], {"age": 1, "city": 0}),
    ],
)
def test_columns_that_stand_still(age: list[float], city: list[Any], expected: dict[str, int]) -> None:
    """One value in 30 or more; what the reference never had is no single value, and a fixed column is none at all."""
    words = np.array(["rome", "oslo"], object)[np.arange(900) % 2]
    columns = {"age": Data(np.arange(900.0) % 90), "city": Data(words), "fixed": Data(np.ones(900))}
    made = series(build(columns, ProfileConfig()))
    put(made, age=age, city=city, fixed=[1.0] * len(age))
    exported = found(gauges([made.state(NOW)]), "model.window.constant")
    assert {labels[3]: n for labels, n in exported.items()} == expected
