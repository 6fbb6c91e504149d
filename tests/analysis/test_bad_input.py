"""What becomes of live cells that no reference has, as docs/observations.md says, with a profile and without."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.analysis.known import Known
from exporter.analysis.series import Key, Series
from exporter.analysis.window_report import gauges
from exporter.records.observation import Column, Observation
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import NOW, column

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(1)
PROFILE = build(
    {
        "number": Data(RNG.normal(0.0, 10.0, 900)),
        "word": Data(np.array(["true", "false", "red"], object)[RNG.integers(0, 3, 900)]),
    },
    ProfileConfig(),
)
INF, NAN = float("inf"), float("nan")
LOWEST, HIGHEST = "low", "high"  # outer bins, whatever their edges


def series(profile: Profile | None = PROFILE) -> Series:
    return Series(Key("m", "1", "p", "exact"), profile, Known(windows=(300.0,)), NOW)


def numbers(cells: list[float | None]) -> Column:
    nulls = cells.count(None)
    return Column("number", "numeric", np.array([NAN if c is None else c for c in cells]), nulls)


def bins(made: Series, name: str) -> dict[str, int]:
    """Counts by bin; the outer ones of numbers by their side."""
    side = made.state(NOW).sides[0]
    labels = list(side.layout.column(name).bins.labels)
    if name == "number":
        labels[0], labels[labels.index("<null>") - 1] = LOWEST, HIGHEST
    counts = side.windows[300.0].counts(name).tolist()
    return {label: count for label, count in zip(labels, counts, strict=True) if count}


@pytest.mark.parametrize(
    ("cells", "expected", "finite"),
    [
        pytest.param([-INF], {LOWEST: 1}, 0, id="-inf"),
        pytest.param([INF], {HIGHEST: 1}, 0, id="inf"),
        pytest.param([1e308, -1e308], {LOWEST: 1, HIGHEST: 1}, 0, id="1e308"),
        pytest.param([float(2**63)], {HIGHEST: 1}, 1, id="2^63"),
        pytest.param([float(10**90)], {HIGHEST: 1}, 1, id="10^90"),
        pytest.param([NAN, None], {"<nan>": 1, "<null>": 1}, 0, id="nan and null"),
        pytest.param([], {}, 0, id="empty"),
    ],
)
def test_numbers(cells: list[float | None], expected: dict[str, int], finite: int) -> None:
    """Each is counted once, moments take what is finite and no larger than they bear, and nothing exported is NaN."""
    made = series()
    made.add(Observation("p", len(cells), (numbers(cells), column(["red"] * len(cells), name="word")), ()))
    assert made.flush(NOW) == {}
    assert bins(made, "number") == expected
    view = made.state(NOW).sides[0].windows[300.0]
    assert view.summary("number").count == finite
    values = [sample.value for sample in gauges([made.state(NOW)])]
    assert not any(isinstance(value, float) and value != value for value in values)


def test_negative_zero_is_zero() -> None:
    """It falls where 0 does."""
    one, other = series(), series()
    one.add(Observation("p", 1, (numbers([-0.0]), column(["red"], name="word")), ()))
    other.add(Observation("p", 1, (numbers([0.0]), column(["red"], name="word")), ()))
    assert one.flush(NOW) == other.flush(NOW) == {}
    assert bins(one, "number") == bins(other, "number")


@pytest.mark.parametrize(
    ("inputs", "problems"),
    [
        ([numbers([1.0]), column(["red"], name="word")], {}),
        ([column(["red"], name="word"), numbers([1.0])], {}),
        ([numbers([1.0]), column(["red"], name="renamed")], {"missing_column": 1, "extra_column": 1}),
        ([numbers([1.0])], {"missing_column": 1}),
        ([], {"missing_column": 1}),
        ([numbers([1.0]), column(["red"], name="word"), column([1.0], name="more")], {"extra_column": 1}),
        ([column(["many"], name="number"), column(["red"], name="word")], {"wrong_type": 1}),
        ([column(["7", "x", "8"], name="number"), column(["red"] * 3, name="word")], {"wrong_type": 1}),
        ([Column("number", "vector", np.ones((1, 70))), column(["red"], name="word")], {"wrong_type": 1}),
    ],
    ids=["as expected", "reordered", "renamed", "missing", "no columns", "extra", "text", "mixed", "vector"],
)
def test_columns(inputs: list[Column], problems: dict[str, int]) -> None:
    """What does not fit is counted by exchange; what fits beside it is counted as ever."""
    made = series()
    made.add(Observation("p", 1, tuple(inputs), ()))
    assert made.flush(NOW) == problems
    if any(one.name == "number" and one.kind == "numeric" for one in inputs):
        assert sum(bins(made, "number").values()) == 1


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["true", "false"], {"true": 1, "false": 1}),
        (["True", " red ", "Red"], {"true": 1, "red": 1, "<unseen>": 1}),
        (["1", "0"], {"<unseen>": 2}),
        (["blue", None, ""], {"<unseen>": 2, "<null>": 1}),
    ],
    ids=["booleans", "forms", "digits", "others"],
)
def test_categories(cells: list[Any], expected: dict[str, int]) -> None:
    """Truth values are words, True is true; texts are trimmed, but not changed in case; others are unseen."""
    made = series()
    made.add(Observation("p", len(cells), (numbers([1.0] * len(cells)), column(cells, name="word")), ()))
    assert made.flush(NOW) == {}
    assert bins(made, "word") == expected


def test_truth_values_written_as_words_are_numbers_where_numbers_are_expected() -> None:
    """true is 1, false is 0."""
    made, plain = series(), series()
    made.add(
        Observation("p", 2, (column(["true", "false"], name="number"), column(["red"] * 2, name="word")), ())
    )
    plain.add(Observation("p", 2, (numbers([1.0, 0.0]), column(["red"] * 2, name="word")), ()))
    assert made.flush(NOW) == plain.flush(NOW) == {}
    assert bins(made, "number") == bins(plain, "number")


def test_predictions_without_a_reference() -> None:
    """A profile of features alone: answers have windows, and no statistic says how far they are from nothing."""
    made = series()
    inputs = (numbers([float(n % 20) for n in range(200)]), column(["red"] * 200, name="word"))
    answers = Column("score", "numeric", np.linspace(0.0, 1.0, 200))
    made.add(Observation("p", 200, inputs, (answers,)))
    assert made.flush(NOW) == {}
    samples = gauges([made.state(NOW)])
    counted = [one for one in samples if one.name == "model.window.rows" and one.labels[2] == "score"]
    assert [one.value for one in counted] == [200]
    assert {one.labels[2:4] for one in samples if one.name == "model.drift"} == {("", "number"), ("", "word")}


@pytest.mark.parametrize(
    ("cells", "drifted"),
    [([7.0] * 60, False), ([7.0] * 30 + [8.0] * 30, True), ([6.0] * 60, False), ([3.0] * 60, True)],
)
def test_one_distinct_value_in_the_reference(cells: list[float], drifted: bool) -> None:
    """The same value is no drift, nor one within half its size below it; others are, and every number is finite."""
    made = series(build({"number": Data(np.full(900, 7.0))}, ProfileConfig()))
    for cell in cells:  # of one request they would be worth one row
        made.add(Observation("p", 1, (numbers([cell]),), ()))
    assert made.flush(NOW) == {}
    samples = gauges([made.state(NOW)])
    shares = [one.value for one in samples if one.name == "model.drift.drifted_columns"]
    assert shares
    assert any(shares) == drifted
    assert all(np.isfinite(one.value) for one in samples if isinstance(one.value, float))


# Every line of both tables of bad input, and the tests that would fail if it were wrong.
PAGES = {
    "observations.md": {
        "`-0.0`": ["test_bad_input.test_negative_zero_is_zero"],
        "±inf, 1e308, integers beyond 64 bits": ["test_bad_input.test_numbers"],
        "NaN; null": ["test_bad_input.test_numbers"],
        "columns reordered": ["test_bad_input.test_columns"],
        "columns renamed": ["test_bad_input.test_columns"],
        "columns missing, extra": ["test_bad_input.test_columns"],
        "of another type": ["test_bad_input.test_columns"],
        "truth values as words": [
            "test_bad_input.test_categories",
            "test_bad_input.test_truth_values_written_as_words_are_numbers_where_numbers_are_expected",
        ],
        "mixed types in a column": ["test_bad_input.test_columns"],
        "categories that the reference does not have": ["test_bad_input.test_categories"],
        "an empty batch": ["test_bad_input.test_numbers"],
        "any, of a model or version that no profile is for": [
            "test_engine.test_most_specific_profile_is_chosen_and_how_it_was_found_is_told"
        ],
        "predictions, where the profile has none": ["test_bad_input.test_predictions_without_a_reference"],
        "a column of which the reference has one distinct value": [
            "test_bad_input.test_one_distinct_value_in_the_reference"
        ],
    },
    "profile.md": {
        "a newer `schema`, wrong JSON, duplicate edges, a hash that does not fit, any key that is wrong": [
            "test_profile.test_files_that_are_no_profiles",
            "test_profile.test_all_problems_are_listed_with_place_and_expectation",
            "test_profile.test_a_changed_file_is_noticed",
            "test_schema.test_each_problem_is_named",
        ],
        "one distinct value": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "no predictions": ["test_bad_input.test_predictions_without_a_reference"],
        "`-0.0`": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "±inf, 1e308, integers beyond 64 bits": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "booleans as strings": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "mixed types": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "cells that are not of the type a schema declares": [
            "test_types.test_a_wrong_cell_is_named",
            "test_profile.test_a_schema_fixes_types",
        ],
        "a weight that is negative, missing, NaN, infinite, no number, or beyond 1e-12 to 1e12": [
            "test_profile_weights.test_bad_weights_are_refused"
        ],
        "a weight of 0": ["test_profile_weights.test_rows_without_weight_are_as_if_not_there"],
        "keys first seen after 100,000 rows: of JSON lines, within nested Parquet columns, names in captured traffic": [
            "test_late.test_late_keys_are_told",
            "test_late.test_names_are_bounded",
        ],
        "a row of CSV that is shorter or longer than the header": [
            "test_profile.test_bad_files_end_with_status_2"
        ],
        "images in files: base64 columns": ["test_profile.test_images_in_files_are_words"],
        "images in files: paths": ["test_profile.test_images_in_files_are_words"],
        "no rows, a header alone": ["test_profile.test_bad_files_end_with_status_2"],
        "only missing cells, only NaN": ["test_profile.test_bad_cells_have_a_defined_outcome"],
        "lists of several widths, objects without columns": [
            "test_sources.test_lists_and_objects_that_are_no_columns"
        ],
        "vectors of another width than the earlier profile's": ["test_compare.test_vectors_of_another_width"],
        "columns renamed, missing, of another kind (compare)": [
            "test_compare.test_every_column_of_either_side_is_in_the_result"
        ],
    },
}


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_have_the_tables(page: str) -> None:
    """Each line of the tables is here with its tests, and each of these tests exists."""
    text = (ROOT / "docs" / page).read_text()
    section = re.search(r"^## Bad input$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in section[1].splitlines() if line.startswith("|")
    ]
    assert rows[2:] == list(PAGES[page])
    there = {
        f"{file.stem}.{name}"
        for file in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert {test for tests in PAGES[page].values() for test in tests} <= there
