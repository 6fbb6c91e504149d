"""batch.py: what alike exchanges are together, whatever their columns came in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.batch import Batch
from exporter.records.observation import Column, Columns, NumericTable
from tests.analysis.world import column

NAMES = ("a", "b")
ROWS = st.lists(st.floats(allow_nan=True), min_size=2, max_size=6).map(
    lambda cells: cells[: len(cells) // 2 * 2]
)


def table(*cells: float, kind: Any = np.float64) -> NumericTable:
    return NumericTable(NAMES, np.array(cells, kind))


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_a_table_holds_what_the_columns_hold(rows: list[list[float]]) -> None:
    """Exchanges one after another, each with its rows, NaN included."""
    members = [table(*cells) for cells in rows]
    batch = Batch(NAMES, list[Columns](members))
    assert batch.table is not None and batch.table.flags.c_contiguous
    for place in (0, 1):
        whole = np.concatenate([one.values for one in batch.columns(place)])
        np.testing.assert_array_equal(batch.table[place], whole)
    assert batch.gapless is not np.isnan(batch.table).any()
    sizes = [len(cells) // 2 for cells in rows]
    assert batch.rows == sum(sizes) == batch.table.shape[1]
    assert batch.requests is None if max(sizes) == 1 else batch.requests.tolist() == sizes


@pytest.mark.parametrize(
    "members",
    [
        [table(1.0, 2.0), tuple(table(3.0, 4.0))],
        [tuple(table(3.0, 4.0)), table(1.0, 2.0)],
        [(column(["x"]), column([1.0]))],
        [(Column("v", "vector", np.zeros((1, 3))),)],
        [()],
    ],
)
def test_without_a_table_columns_are_counted_one_by_one(members: Sequence[Columns]) -> None:
    """Columns that are not all of one table, texts, vectors, and none at all."""
    batch = Batch(NAMES, list(members))
    assert (batch.table, batch.gapless, batch.requests) == (None, False, None)
    assert batch.rows == len(members)


def test_one_column_is_a_table_of_its_own() -> None:
    """Of floats of 32 bits where all are; an exchange without rows keeps its place among the requests."""
    small = [(Column("y", "numeric", np.zeros(rows, np.float32)),) for rows in (2, 0, 1)]
    batch = Batch(("y",), list[Columns](small))
    assert batch.table is not None and batch.table.dtype == np.float32
    assert batch.requests is not None and batch.requests.tolist() == [2, 0, 1]
    assert (batch.rows, batch.table.shape) == (3, (1, 3))


def test_another_name_shares_the_table() -> None:
    """What was joined is not joined again."""
    batch = Batch(NAMES, [table(1.0, 2.0)])
    other = batch.renamed(("c", "d"))
    assert other.table is batch.table and other.names == ("c", "d") and other.rows == 1
