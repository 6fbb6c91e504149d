"""Layout: places of columns in the flat vector, and how it grows."""

import numpy as np
import pytest

from exporter.stats.bins import OTHER, CategoricalBins, NumericBins, coarse_bins, fine_bins
from exporter.stats.layout import MAX_CATEGORIES, MAX_COLUMNS, ColumnSpec, Layout


def test_columns_lie_side_by_side() -> None:
    """Each column has the cells of its kept bins, one after another."""
    layout = Layout((ColumnSpec("x", NumericBins((0.0,))), ColumnSpec("c", CategoricalBins(("a",)))))
    assert layout.slice("x") == slice(0, 4)
    assert layout.slice("c") == slice(4, 7)
    assert layout.size == 7
    assert layout.names == ("x", "c")


def test_repeated_names_are_refused() -> None:
    """Two columns of one name raise ValueError."""
    with pytest.raises(ValueError, match="x"):
        Layout((ColumnSpec("x", NumericBins(())), ColumnSpec("x", NumericBins(()))))


def test_observed_columns_get_fixed_edges_or_their_categories() -> None:
    """Without a profile numbers get the fixed edges, text and bools what was seen."""
    layout = Layout.observed(
        {
            "f": np.array([1.5]),
            "i": np.array([1]),
            "o": np.array([1, None], object),
            "s": np.array(["b", "a", None, "x" * 200, ["no", "scalar"]], object),
            "b": np.array([True]),
            "empty": np.array([None], object),
        }
    )
    for name in ("f", "i", "o"):
        assert layout.column(name) == ColumnSpec(name, coarse_bins(), fine_bins())
    assert layout.column("s").bins == CategoricalBins(("a", "b"), OTHER)
    assert layout.column("b").bins == CategoricalBins(("false", "true"), OTHER)
    assert layout.column("empty").bins == CategoricalBins((), OTHER)


def test_growing_adds_columns_and_categories_in_place() -> None:
    """What is known keeps its place; a batch that brings nothing new gives the same object."""
    first = Layout.observed({"s": np.array(["b"], object)})
    second = first.grown({"s": np.array(["a", "b"], object), "x": np.array([1.0])})
    assert second.column("s").bins == CategoricalBins(("b", "a"), OTHER)
    assert second.names == ("s", "x")
    assert second.grown({"s": np.array(["a"], object)}) is second


def test_growth_is_bounded() -> None:
    """At most 20 categories and 1,000 columns are learnt."""
    many = np.array([f"c{i:03}" for i in range(100)], object)
    bins = Layout.observed({"s": many}).column("s").bins
    assert isinstance(bins, CategoricalBins)
    assert len(bins.categories) == MAX_CATEGORIES
    columns = {f"x{i}": np.zeros(0) for i in range(MAX_COLUMNS + 5)}
    assert len(Layout.observed(columns).columns) == MAX_COLUMNS


def test_columns_of_a_profile_never_grow() -> None:
    """Categories that a profile pooled stay pooled."""
    layout = Layout((ColumnSpec("s", CategoricalBins(("a",), OTHER)),))
    assert layout.grown({"s": np.array(["b"], object)}) is layout
