"""quality.py and quality_report.py: what is wrong with data, by column and reason, as it is exported."""

import math
from typing import Any

import numpy as np
import pytest

from exporter.analysis.known import Known
from exporter.analysis.report import counters
from exporter.analysis.series import Key, Series
from exporter.records.observation import Column, Observation
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import NOW, column, found

NAME = ("m", "1")


def reference() -> Profile:
    """Numbers 0 … 99, the words rome and oslo, and a label of 0 to 1."""
    rng = np.random.default_rng(3)
    return build(
        {
            "age": Data(np.arange(1000.0) % 100),
            "city": Data(np.array(["rome", "oslo"], object)[np.arange(1000) % 2]),
            "label": Data(rng.random(1000), "prediction"),
        },
        ProfileConfig(),
    )


def series(profile: Profile | None, **known: Any) -> Series:
    return Series(Key("m", "1", "kserve_v1", "exact"), profile, Known(windows=(300.0,), **known), NOW)


def put(made: Series, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]] | None = None) -> None:
    sides = [tuple(cells(name, values) for name, values in side.items()) for side in (inputs, outputs or {})]
    made.add(Observation("kserve_v1", max((len(one.values) for one in sides[0]), default=0), *sides))


def cells(name: str, values: list[Any]) -> Column:
    if values and isinstance(values[0], list):
        return Column(name, "vector", np.array(values, np.float64))
    if all(value is None or isinstance(value, float) for value in values):
        return Column(name, "numeric", np.array(values, np.float64), values.count(None))
    return column(values, values.count(None), name)


def violations(made: Series, every: bool = False) -> dict[tuple[str, str], int]:
    """(column, reason) -> rows; zeros only where every series is asked for."""
    exported = found(counters([made.state()]), "model.data.violations")
    return {(labels[2] or labels[3], labels[4]): n for labels, n in exported.items() if n or every}


def missing(made: Series, family: str = "model.feature.missing") -> dict[tuple[str, str], int]:
    return {labels[2:4]: n for labels, n in found(counters([made.state()]), family).items() if n}


def test_all_reasons_of_a_profile_are_there_before_the_first_row() -> None:
    """At 0, so that the first violation is an increase."""
    exported = violations(series(reference()), every=True)
    assert set(exported.values()) == {0}
    numeric = {"small_value", "big_value", "has_inf", "outlier_z", "outlier_iqr"}
    assert {reason for name, reason in exported if name == "age"} == numeric | {
        "missing_column",
        "unexpected_data_type",
    }
    assert {reason for name, reason in exported if name == "city"} == {
        *("invalid_utf8", "missing_column", "unexpected_data_type", "unexpected_value")
    }
    assert ("<other>", "new_column") in exported
    assert {reason for name, reason in exported if name == "label"} >= numeric
    silent = found(counters([series(reference()).state()]), "model.feature.missing")
    assert {labels[2:4] for labels in silent} == {
        *(("age", reason) for reason in ("absent", "null", "nan", "sentinel")),
        *(("city", reason) for reason in ("absent", "null", "empty", "sentinel")),
    }


@pytest.mark.parametrize(
    ("age", "city", "expected"),
    [
        (50.0, "rome", {}),
        (-1.0, "rome", {("age", "small_value"): 1}),
        (120.0, "rome", {("age", "big_value"): 1}),
        (400.0, "rome", {("age", "big_value"): 1, ("age", "outlier_z"): 1, ("age", "outlier_iqr"): 1}),
        (
            -math.inf,
            "rome",
            {("age", reason): 1 for reason in ("small_value", "has_inf", "outlier_z", "outlier_iqr")},
        ),
        (50.0, "paris", {("city", "unexpected_value"): 1}),
        (50.0, "r\ufffdme", {("city", "invalid_utf8"): 1, ("city", "unexpected_value"): 1}),
        (50.0, "r" + chr(0xDCFF), {("city", "invalid_utf8"): 1, ("city", "unexpected_value"): 1}),
        ("old", "rome", {("age", "unexpected_data_type"): 1}),
        (math.nan, None, {}),
        (None, "rome", {}),
    ],
)
def test_what_cannot_be_right_is_counted_by_reason(age: Any, city: Any, expected: dict[Any, int]) -> None:
    """Beside rows that are right; nulls and NaN are missing, not wrong."""
    made = series(reference())
    put(made, {"age": [20.0], "city": ["oslo"]}, {"label": [0.5]})
    put(made, {"age": [age], "city": [city]}, {"label": [0.5]})
    made.flush(NOW)
    assert violations(made) == expected
    checked = found(counters([made.state()]), "model.data.checked")
    assert checked[*NAME, "", "age", "live"] == checked[*NAME, "", "city", "live"] == 2
    assert checked[*NAME, "label", "", "live"] == 2


def test_columns_that_are_missing_or_new_are_counted_in_rows() -> None:
    """By the profile's names; names that it does not have share one."""
    made = series(reference())
    put(made, {"age": [20.0, 30.0], "colour": ["red", "blue"], "size": [1.0, 2.0]}, {"label": [0.5, 0.5]})
    made.flush(NOW)
    assert violations(made) == {("city", "missing_column"): 2, ("<other>", "new_column"): 2}


def test_columns_that_follow_none_or_have_none() -> None:
    """A payload without columns lacks them all."""
    made = series(reference())
    put(made, {}, {"label": [0.5]})
    made.flush(NOW)
    assert violations(made) == {("age", "missing_column"): 1, ("city", "missing_column"): 1}


def test_vectors_of_another_width_have_another_shape() -> None:
    """Numbers in place of a vector are of another type."""
    made = series(None)
    put(made, {"v": [[1.0] * 70, [2.0] * 70]})
    made.flush(NOW)
    put(made, {"v": [[1.0] * 71]})
    put(made, {"v": [1.0, 2.0, 3.0]})
    made.flush(NOW)
    assert violations(made) == {("v", "invalid_feature_shape"): 1, ("v", "unexpected_data_type"): 3}


def test_without_a_reference_what_can_be_said_is_said() -> None:
    """Infinity, encoding, and a column that turned from words to numbers; no limit, no unseen category."""
    made = series(None)
    put(made, {"n": [1.0, math.inf], "t": ["a", "\ufffd"]})
    made.flush(NOW)
    put(made, {"t": [1.0]})
    made.flush(NOW)
    assert violations(made) == {
        ("n", "has_inf"): 1,
        ("t", "invalid_utf8"): 1,
        ("t", "unexpected_data_type"): 1,
    }


def test_missing_values_of_both_sides_are_split_by_reason() -> None:
    """Outputs have a family of their own; declared values are those of inputs."""
    made = series(reference(), missing_values=("-999",))
    put(made, {"age": [None, math.nan, -999.0], "city": ["", None, "rome"]}, {"label": [None, 0.5, 0.5]})
    made.flush(NOW)
    assert missing(made) == {
        ("age", "null"): 1,
        ("age", "nan"): 1,
        ("age", "sentinel"): 1,
        ("city", "null"): 1,
    }
    assert missing(made, "model.prediction.missing") == {("label", "null"): 1}


def test_the_references_own_outliers_are_told() -> None:
    """What live shares of outliers are judged against; none in an even spread."""
    ratios = found(counters([series(reference()).state()]), "model.reference.outlier_ratio")
    profile = reference().reference
    assert ratios[*NAME, "", "age", profile, "outlier_z", "live"] == 0.0
    assert {labels[5] for labels in ratios} == {"outlier_z", "outlier_iqr"}


def test_a_million_rows_are_judged_at_once() -> None:
    """Counts are exact whatever the size."""
    made = series(reference())
    ages = np.arange(1_000_000.0)
    made.add(Observation("kserve_v1", len(ages), (Column("age", "numeric", ages),), ()))
    made.flush(NOW)
    assert violations(made)["age", "big_value"] == int(np.sum(ages > reference().column("age").max))
