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

PAGE = (Path(__file__).parents[2] / "docs" / "observations.md").read_text()
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


def test_the_page_has_the_table() -> None:
    """Every case here is told there."""
    section = re.search(r"^## Bad input$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    for word in (
        "-0.0",
        "±inf",
        "1e308",
        "64 bits",
        "NaN",
        "reordered",
        "renamed",
        "missing",
        "another type",
    ):
        assert word in section[1]
    for word in ("truth values as words", "mixed", "empty batch"):
        assert word in section[1].lower()
