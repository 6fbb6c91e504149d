"""duplicates.py: hashes that tell rows apart, and a table that forgets but does not invent."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.duplicates import MAX_CELLS, PLACES, Repeats, row_hashes, table_hashes

CELLS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.nan])
WORDS = st.sampled_from(["", "a", "b", None])


def told(cell: Any) -> Any:
    """What tells a cell from others: NaN is one value here, as 0 and -0 are."""
    return "nan" if isinstance(cell, float) and math.isnan(cell) else cell


@given(st.lists(st.tuples(CELLS, CELLS, WORDS), max_size=30))
def test_equal_rows_are_equal_hashes_and_no_others(rows: list[tuple[Any, ...]]) -> None:
    """Numbers and words in one row; against sets of tuples."""
    kinds = (float, float, object)
    columns = [np.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds)]
    hashes = row_hashes(columns)
    assert len(hashes) == len(rows)
    assert len(set(hashes.tolist())) == len({tuple(map(told, row)) for row in rows})


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_width_of_a_float_and_the_form_of_a_table_make_no_difference(rows: list[list[float]]) -> None:
    """The same row as columns, as a table, as a vector, in 32 or 64 bits."""
    table = np.array(rows)
    expected = row_hashes(list(table.T), salt=7).tolist()
    assert table_hashes(table.T, salt=7).tolist() == expected
    assert row_hashes([table], salt=7).tolist() == expected
    assert row_hashes([column.astype(np.float32) for column in table.T], salt=7).tolist() == expected


def test_values_that_change_places_are_another_row() -> None:
    """So are the same values under other names, which the salt stands for."""
    one, other = np.array([1.0]), np.array([2.0])
    assert row_hashes([one, other]) != row_hashes([other, one])
    assert row_hashes([one], salt=1) != row_hashes([one], salt=2)


def test_hashes_spread() -> None:
    """No two of 200,000 rows that differ in the last bit only, or in one of many places, share a hash."""
    near = np.nextafter(np.full(100_000, 1.0), 2.0) + np.arange(100_000) * np.finfo(float).eps
    assert len(np.unique(row_hashes([near]))) == len(near)
    grid = np.indices((10, 10, 10, 10, 10)).reshape(5, -1).astype(np.float64)
    hashes = table_hashes(grid)
    assert len(np.unique(hashes)) == len(hashes)
    filled = np.bincount((hashes & np.uint64(PLACES - 1)).astype(np.int64), minlength=PLACES)
    assert np.count_nonzero(filled) / PLACES == pytest.approx(1.0 - math.exp(-100_000 / PLACES), abs=0.01)


@given(st.lists(st.lists(st.integers(0, 20), max_size=10), max_size=10))
def test_repeats_within_and_between_batches(batches: list[list[int]]) -> None:
    """Each row counts once for each time that it comes again; a table this empty forgets nothing."""
    repeats, seen, expected, found = Repeats(60.0), set(), 0, 0
    for batch in batches:
        for row in batch:
            expected += row in seen
            seen.add(row)
        found += repeats.see(row_hashes([np.array(batch, np.float64)]), 0.0)
    assert found == expected


def test_what_is_older_than_the_window_is_no_repeat() -> None:
    """To the second; each time that a row comes it is young again."""
    repeats, row = Repeats(60.0), row_hashes([np.array([1.0])])
    assert [repeats.see(row, now) for now in (0.0, 60.0, 121.0, 181.0, 0.0)] == [0, 1, 0, 1, 1]


@pytest.mark.parametrize("between", [1_000, 10_000, 100_000])
def test_recall_is_as_stated(between: int) -> None:
    """exp(-n / PLACES) of 5,000 rows are found after n others, and none of what never came."""
    rng = np.random.default_rng(5)
    rows, others = rng.random(5_000), rng.random(between)
    repeats = Repeats(60.0)
    assert repeats.see(row_hashes([rows]), 0.0) == 0
    assert repeats.see(row_hashes([others]), 0.0) == 0
    # The rows that come again do not get in each other's way more than they did.
    crowded = math.exp(-between / PLACES) * (1.0 - 2_500 / PLACES)
    assert repeats.see(row_hashes([rows]), 0.0) / len(rows) == pytest.approx(crowded, abs=0.02)


def test_of_too_many_cells_the_first_rows_are_hashed() -> None:
    """Bounded work; rows as wide as that are hashed one at a time, wider ones not at all."""
    assert len(row_hashes([np.zeros(MAX_CELLS)] * 3)) == MAX_CELLS // 3
    assert len(table_hashes(np.zeros((2, MAX_CELLS)))) == MAX_CELLS // 2
    assert len(row_hashes([np.zeros((2, MAX_CELLS + 1))])) == 0
    assert len(row_hashes([])) == 0
