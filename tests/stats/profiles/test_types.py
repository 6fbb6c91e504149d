"""Types of columns: what cells can be read as, and what is read."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from exporter.stats.profiles.types import WrongCell, guessed, is_text, typed


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2.5", "", "NA", "nan", "-inf", " 3 "], "numeric"),
        (["1", "true"], "categorical"),
        (["true", "False", ""], "boolean"),
        (["TRUE", "FALSE"], "boolean"),
        (["yes", "no"], "categorical"),
        (["007", "1"], "categorical"),
        (["1_000"], "categorical"),
        (["0", "0.5", "-0"], "numeric"),
        (["2024-01-31", "2024-02-01T10:00:00Z"], "datetime"),
        (["2024-01-31 10:00", "2024-01-31 10:00:00.5+02:00"], "datetime"),
        (["2024-01-31", "2024-02-31"], "categorical"),
        (["2024", "2025"], "numeric"),
        (["the quick brown fox jumps", "over the lazy dog again"], "text"),
        (["x" * 257], "text"),
        (["New York", "Rio"], "categorical"),
        (["", "NA"], None),
        ([], None),
    ],
)
def test_written_cells_have_the_narrowest_type(cells: list[str], expected: str | None) -> None:
    """CSV: all cells decide."""
    assert guessed(cells, written=True) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2.5, None, math.nan], "numeric"),
        ([True, False, None], "boolean"),
        ([True, 1], "numeric"),
        ([1, "1"], "categorical"),
        (["1", "2"], "categorical"),
        (["true"], "categorical"),
        ([10**400, -(10**400)], "numeric"),
        ([[0.0] * 65, [1.0] * 65], "vector"),
        ([[0.0] * 65, [1.0] * 66], "categorical"),
        ([[0.0, "a"]], "categorical"),
        ([None, None], None),
        (np.array([1, 2]), "numeric"),
        (np.array([True]), "boolean"),
        (np.array(["a", "b"]), "categorical"),
        (np.array(["2024-01-01"], "datetime64[D]"), "datetime"),
        (np.zeros((3, 70)), "vector"),
    ],
)
def test_cells_with_types_of_their_own(cells: Any, expected: str | None) -> None:
    """JSON, Parquet, NumPy: a string is a word and no number, as live decoders have it."""
    assert guessed(cells, written=False) == expected


def test_missing_cells_are_split() -> None:
    """Null, NaN and empty are told apart, and all but NaN are masked."""
    cells = typed(["1", "", " ", "NA", "nan", "2"], "numeric", written=True)
    assert (cells.null, cells.nan, cells.empty) == (1, 1, 2)
    assert cells.missing.tolist() == [False, True, True, True, False, False]
    own = typed([1, None, math.nan, True], "numeric", written=False)
    assert (own.null, own.nan, own.empty) == (1, 1, 0)
    assert own.values.tolist()[3] == 1.0
    words = typed(["a", "", None, "b "], "categorical", written=False)
    assert (words.null, words.empty, words.values.tolist()) == (1, 1, ["a", "", None, "b"])


def test_categories_have_one_form_from_csv_and_json() -> None:
    """1, 1.0, "1"; true; trimmed: what CSV writes is what JSON means, after the bins' own canonical form."""
    own = typed([1, 1.0, "1", "1.0", True, "True", " x "], "categorical", written=False)
    assert own.values.tolist() == ["1", "1", "1", "1", "true", "true", "x"]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-01T01:00:00", 3600.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01 00:00:00.25Z", 0.25),
        ("1970-01-01 00:00:01,5", 1.5),
        (datetime(1970, 1, 2, tzinfo=UTC), 86400.0),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0.0),
        (datetime(1970, 1, 1, 2), 7200.0),
    ],
)
def test_times_without_a_zone_are_utc(cell: object, seconds: float) -> None:
    """ISO 8601 and datetimes as unix seconds."""
    assert typed([cell, None], "datetime", written=False).values.tolist()[0] == seconds


def test_times_may_be_numbers_with_a_unit() -> None:
    """Only where a schema says so; nothing looks like a time by its size."""
    assert typed(["1000", ""], "datetime", True, "ms").values.tolist()[0] == 1.0
    stamps = np.array(["1970-01-01T00:00:01", "NaT"], "datetime64[s]")
    cells = typed(stamps, "datetime", written=False)
    assert (cells.values.tolist()[0], cells.null) == (1.0, 1)


@pytest.mark.parametrize(
    ("cells", "kind", "written", "row", "expected"),
    [
        (["1", "x"], "numeric", True, 1, "'x', expected a number"),
        (["1", "007"], "numeric", True, 1, "this is a code"),
        ([1, "2"], "numeric", False, 1, "'2', expected a number"),
        ([1, [2]], "numeric", False, 1, "expected a number"),
        (["true", "1"], "boolean", True, 1, "expected true or false"),
        ([True, 1], "boolean", False, 1, "expected true or false"),
        (["2024-13-01"], "datetime", True, 0, "ISO 8601"),
        ([5], "datetime", False, 0, "ISO 8601"),
        ([[1.0], [1.0, 2.0]], "vector", False, 1, "a list of 1 numbers"),
        ([[1.0], "x"], "vector", False, 1, "a list of 1 numbers"),
        ([[1.0], [[2.0]]], "vector", False, 1, "a flat list"),
        ([["x"]], "vector", False, 0, "a list of numbers"),
        (np.array(["a"]), "numeric", False, 0, "a number"),
    ],
)
def test_a_wrong_cell_is_named(cells: Any, kind: str, written: bool, row: int, expected: str) -> None:
    """Its row, what it is, what was expected."""
    with pytest.raises(WrongCell, match=expected.replace("(", r"\(")) as caught:
        typed(cells, kind, written)
    assert caught.value.row == row


def test_vectors_become_one_table() -> None:
    """Nulls are NaN rows and masked; integers are numbers."""
    cells = typed([[1, 2], None, [math.nan, 0.5]], "vector", written=False)
    assert cells.values.shape == (3, 2)
    assert cells.missing.tolist() == [False, True, False]
    assert (cells.null, cells.nan) == (1, 1)


def test_text_is_told_by_length_and_words() -> None:
    """The rule by which live columns are told too: over 256 characters, or five words on average."""
    assert is_text(0, 10, 257)
    assert is_text(50, 10, 20)
    assert not is_text(49, 10, 256)
