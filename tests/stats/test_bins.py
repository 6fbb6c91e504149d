"""Bins: where values fall, and what the bins are called."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.bins import (
    NULL,
    OTHER,
    UNSEEN,
    CategoricalBins,
    NumericBins,
    as_numbers,
    canonical,
    coarse_bins,
    fine_bins,
    group_starts,
    refined_bins,
    regroup,
)

floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


def test_bins_are_closed_above_as_le_is() -> None:
    """A value equal to an edge falls into the bin that ends there (known answer D8)."""
    bins = NumericBins((0.0, 1.0, 2.0, 3.0, 4.0))
    reference = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 20)
    current = np.repeat([0.0, 0.0, 1.0, 2.0, 3.0], 20)
    assert bins.count(reference)[: bins.ranges].tolist() == [20, 20, 20, 20, 20, 0]
    assert bins.count(current)[: bins.ranges].tolist() == [40, 20, 20, 20, 0, 0]


def test_decile_edges_give_known_counts() -> None:
    """Known answer D4: deciles of 1..100 against the same values plus 10."""
    reference = np.arange(1.0, 101.0)
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    bins = NumericBins(tuple(edges.tolist()))
    assert bins.edges == pytest.approx((10.9, 20.8, 30.7, 40.6, 50.5, 60.4, 70.3, 80.2, 90.1))
    assert bins.count(reference)[:10].tolist() == [10] * 10
    assert bins.count(reference + 10)[:10].tolist() == [0] + [10] * 8 + [20]


def test_labels_are_upper_bounds_and_special_bins() -> None:
    """Numeric labels are the upper bounds in shortest round-trip form, then `+Inf` and the special bins."""
    bins = NumericBins((-0.0, 0.1, 1e16))
    assert bins.labels == ("0.0", "0.1", "1e+16", "+Inf", "<null>", "<nan>")
    assert CategoricalBins(("a", "b"), OTHER).labels == ("a", "b", "<other>", "<null>")
    assert CategoricalBins(()).labels == ("<unseen>", "<null>")


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (math.nan,), (math.inf,), (0.0, -0.0)])
def test_edges_that_do_not_increase_are_refused(edges: tuple[float, ...]) -> None:
    """Edges that repeat, fall or are not finite raise ValueError."""
    with pytest.raises(ValueError, match="edges must"):
        NumericBins(edges)


@pytest.mark.parametrize(
    ("categories", "rest"), [(("a", "a"), OTHER), (("<null>",), OTHER), (("a",), "<null>")]
)
def test_categories_that_clash_are_refused(categories: tuple[str, ...], rest: str) -> None:
    """Repeated and reserved categories and an unknown rest raise ValueError."""
    with pytest.raises(ValueError, match=r"categories|rest"):
        CategoricalBins(categories, rest)


def test_special_numbers_have_a_defined_place() -> None:
    """Infinities and 1e308 fall into the tails, -0.0 is 0.0, NaN and null have bins of their own."""
    bins = NumericBins((-1.0, 0.0, 1.0))
    values = np.array([-math.inf, -1e308, -0.0, 1e308, math.inf, math.nan, math.nan])
    null = np.array([False] * 6 + [True])
    assert bins.count(values, null).tolist() == [2, 1, 0, 2, 1, 1]
    assert bins.count(values, 5).tolist() == [2, 1, 0, 2, 5, 2]


def test_objects_are_read_as_numbers_cell_by_cell() -> None:
    """In an object array None is null, bools are 0 and 1, huge integers go to the tail, text is wrong."""
    cells = np.array([None, True, 10**400, -(10**400), "1", 0.5, [1], 2, np.complex64(1)], object)
    numbers = as_numbers(cells)
    assert NumericBins((0.0, 1.0)).locate(numbers).tolist() == [3, 1, 2, 0, -1, 1, -1, 2, -1]
    assert NumericBins((0.0, 1.0)).count(np.array(["1", "2"])).sum() == 0


def test_float32_meets_edges_rounded_to_float32() -> None:
    """0.1 computed in float32 belongs into the bin that ends at 0.1."""
    bins = NumericBins((0.1, 0.2))
    assert bins.count(np.array([0.1, 0.2], np.float32))[:3].tolist() == [1, 1, 0]


@given(st.lists(floats, max_size=50), st.lists(st.floats(-1e6, 1e6), unique=True, max_size=10))
def test_every_number_falls_into_exactly_one_bin(values: list[float], edges: list[float]) -> None:
    """Counts add up to the number of values, and each value lies within the bounds of its bin."""
    bins = NumericBins(tuple(sorted({edge + 0.0 for edge in edges})))
    array = np.array(values, np.float64)
    assert bins.count(array).sum() == len(values)
    bounds = (-math.inf, *bins.edges, math.inf)
    for value, index in zip(values, bins.locate(as_numbers(array)).tolist(), strict=True):
        if math.isnan(value):
            assert bins.labels[index] == "<nan>"
        else:
            assert bounds[index] < value <= bounds[index + 1] or value == -math.inf


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        (1, "1"), (1.0, "1"), ("1", "1"), ("1.0", "1"), (np.int64(1), "1"), (np.float32(1), "1"),
        (True, "true"), ("True", "true"), ("FALSE", "false"), (np.True_, "true"), ("  a b ", "a b"),
        (b"caf\xc3\xa9", "café"), (b"\xff", "\ufffd"), (None, None), (math.nan, None), (1.5, "1.5"),
        ("01", "01"), ("1.50", "1.50"), (math.inf, "inf"), (10**30, str(10**30)), ("", ""), ([1], "<other>"),
        ("a\ud800", "a?"),
    ],
)  # fmt: skip
def test_categories_have_one_canonical_form(cell: object, form: str | None) -> None:
    """The same category from CSV and from JSON has the same form."""
    assert canonical(cell) == form


def test_an_integer_too_long_to_print_is_no_category() -> None:
    """An integer of thousands of digits falls into the rest instead of raising."""
    assert canonical(10**5000) == OTHER
    assert CategoricalBins(("1",)).count(np.array([10**5000, 1], object)).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        (np.array(["1", "true", "x", None, "<null>"], object), [1, 1, 2, 1]),
        (np.array([1, 1, 7]), [2, 0, 1, 0]),
        (np.array([1.0, math.nan, 2.5]), [1, 0, 1, 1]),
        (np.array([True, False]), [0, 1, 1, 0]),
        (np.array(["1", " true"]), [1, 1, 0, 0]),
        (np.array([["list"], None, 1], object), [1, 0, 1, 1]),
        (np.zeros(0), [0, 0, 0, 0]),
        (np.array([], object), [0, 0, 0, 0]),
    ],
)
def test_categories_are_counted_in_any_array(values: np.ndarray, counts: list[int]) -> None:
    """Text, numbers, bools and objects are counted in canonical form; what is not known is the rest."""
    bins = CategoricalBins(("1", "true"), UNSEEN)
    if values.dtype == object and values.ndim == 2:
        values = values.ravel()
    assert bins.count(values).tolist() == counts


def test_null_mask_beats_the_value() -> None:
    """A masked categorical cell is null whatever it holds."""
    bins = CategoricalBins(("a",))
    mask = np.array([True, False])
    assert bins.count(np.array(["a", "a"], object), mask).tolist() == [1, 0, 1]
    assert bins.labels[bins.null] == NULL


def test_fixed_edges_are_signed_and_exponential() -> None:
    """The fine set has four edges per octave from 2**-19 to 2**30, both signs, and a bin around zero."""
    edges = fine_bins().array
    assert (edges == -edges[::-1]).all()
    positive = edges[edges > 0]
    assert positive[0] == 2.0**-19
    assert positive[-1] == 2.0**30
    assert positive[1:] / positive[:-1] == pytest.approx(2**0.25, rel=1e-15)
    zero = fine_bins().labels[fine_bins().locate(as_numbers(np.array([0.0])))[0]]
    assert float(zero) == 2.0**-19


def test_export_edges_are_thirty_of_the_fine_ones() -> None:
    """The coarse set is fixed; changing it would break series that exist."""
    positive = [2.0**e for e in (-10, -6, -4, -3, -2, -1)]
    positive += [0.7071067811865476, 1.0, 2.0, 4.0, 16.0, 64.0, 1024.0, 16384.0, 1048576.0]
    assert coarse_bins().edges == tuple(-edge for edge in positive[::-1]) + tuple(positive)
    assert set(coarse_bins().edges) <= set(fine_bins().edges)


@given(st.lists(floats, max_size=200))
def test_regrouping_equals_counting(values: list[float]) -> None:
    """Coarse counts summed from fine ones equal coarse counts of the values."""
    array = np.array(values, np.float64)
    fine, coarse = fine_bins(), coarse_bins()
    assert regroup(fine.count(array), group_starts(fine, coarse)).tolist() == coarse.count(array).tolist()


def test_regrouping_refuses_foreign_edges() -> None:
    """A coarse edge that is no fine edge raises ValueError that names it."""
    with pytest.raises(ValueError, match=r"0\.3"):
        group_starts(NumericBins((0.0, 1.0)), NumericBins((0.3,)))


@given(
    st.lists(st.floats(-1e300, 1e300), unique=True, max_size=20),
    st.floats(-1e300, 1e300),
    st.floats(-1e300, 1e300),
)
def test_refined_bins_keep_every_edge(edges: list[float], low: float, high: float) -> None:
    """Refining adds edges and takes none away, whatever the range."""
    bins = NumericBins(tuple(sorted({edge + 0.0 for edge in edges})))
    assert set(bins.edges) <= set(refined_bins(bins, low, high).edges)
