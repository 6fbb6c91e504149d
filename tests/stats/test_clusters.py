"""Clusters: counters of rows that come together, and how many independent rows they are worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats import clusters as module
from exporter.stats.bins import CategoricalBins, NumericBins, refined_bins
from exporter.stats.clusters import effective_rows, squared_bins
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.window import Windows

EDGES = NumericBins((0.0, 1.0))
LAYOUT = Layout(
    (
        ColumnSpec("x", EDGES, refined_bins(EDGES, -3.0, 3.0)),
        *Layout.observed({"n": np.zeros(1)}).columns,
        ColumnSpec("c", CategoricalBins(("a",))),
    )
)
requests = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=8)


def brute(groups: list[list[int]]) -> tuple[int, int, int]:
    """N, T and S by definition."""
    rows = sum(map(len, groups))
    squared = sum(len(group) ** 2 for group in groups)
    return rows, squared, sum(group.count(value) ** 2 for group in groups for value in set(group))


@given(requests, st.booleans())
def test_counters_are_those_of_the_definition(groups: list[list[int]], chunked: bool) -> None:
    """Rows, sum of rows squared, sum of squared bin counts, over many columns, in one pass or in many."""
    lengths = np.array([len(group) for group in groups], np.int64)
    cells = np.array([value for group in groups for value in group], np.int64)
    module._CELLS, before = (4 if chunked else module._CELLS), module._CELLS
    try:
        found = squared_bins(np.stack((cells, 7 - cells)), lengths, 8)
    finally:
        module._CELLS = before
    assert found[:4].sum() == found[4:].sum() == brute(groups)[2]
    assert found[:4].tolist() == found[4:][::-1].tolist()


@given(requests)
def test_windows_count_them_over_exported_bins(groups: list[list[int]]) -> None:
    """A batch of requests adds their counters to every compared column; others have none."""
    values = np.array([float(value) for group in groups for value in group])
    texts = np.where(values > 1, "a", "b").astype(object)
    windows = Windows(LAYOUT, (12.0,))
    windows.update(
        0.0, {"x": values, "n": values, "c": texts}, requests=np.array([len(g) for g in groups], int)
    )
    binned = [[int(EDGES.array.searchsorted(float(value))) for value in group] for group in groups]
    two = [[int(value > 1) for value in group] for group in groups]
    assert windows.read(0.0, 12.0).clusters.T.tolist() == [list(brute(binned)), list(brute(two))]


def test_rows_of_unknown_requests_are_not_known() -> None:
    """Columns of another length than the requests tell are left out; nulls beside an array are rows by themselves."""
    windows = Windows(LAYOUT, (12.0,))
    batch = {"x": np.array([0.5, 0.5, 0.5, 2.0]), "c": np.array(["a"] * 3, object)}
    windows.update(0.0, batch, {"x": 2}, np.array([3, 1]))
    view = windows.read(0.0, 12.0)
    assert view.clusters.T.tolist() == [[6, 9 + 1 + 2, 9 + 1 + 2], [0, 0, 0]]
    assert view.effective_rows("c") == 3
    assert view.effective_rows("x") < 6
    assert view.effective_rows("n") == 0


def test_without_requests_every_row_is_its_own() -> None:
    """No vector, and a vector of ones, say the same."""
    for lengths in (None, np.ones(4, np.int64)):
        windows = Windows(LAYOUT, (12.0,))
        windows.update(0.0, {"x": np.array([0.5, 0.5, 0.5, 2.0])}, {"x": 1}, lengths)
        assert windows.read(0.0, 12.0).clusters[:, 0].tolist() == [5, 5, 5]
        assert windows.read(0.0, 12.0).effective_rows("x") == 5.0


@pytest.mark.parametrize(
    ("rows", "clusters", "agreement", "expected"),
    [
        pytest.param(100, [100, 100, 100], 0.1, 100, id="one row each"),
        pytest.param(100, [100, 1000, 1000], 0.1, 10, id="ten like rows each"),
        pytest.param(100, [100, 1000, 100 + 90], 0.1, 100, id="ten rows of nothing in common"),
        pytest.param(200, [100, 1000, 1000], 0.1, 20, id="half of the rows known"),
        pytest.param(100, [0, 0, 0], 0.1, 100, id="none known"),
        pytest.param(100, [100, 1000, 1000], 1.0, 100, id="a constant"),
        pytest.param(0, [0, 0, 0], 0.0, 0, id="nothing"),
    ],
)
def test_effective_rows(rows: int, clusters: list[int], agreement: float, expected: float) -> None:
    """N where requests do not matter, as many as requests where their rows are alike."""
    counters = np.array(clusters, np.int64)[:, None]
    found = effective_rows(np.array([float(rows)]), np.array([agreement]), counters)
    assert found.tolist() == pytest.approx([expected])
