"""Building profiles: which bins a column gets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.bins import OTHER, UNSEEN, CategoricalBins, NumericBins
from exporter.stats.profiles.build import MAX_BINS, PROBABILITIES, Column, ProfileConfig, build, value_bins
from exporter.stats.profiles.profile import LeftOut, Profile


def _built(column: Column, config: ProfileConfig | None = None) -> Profile:
    return build({"x": column}, config or ProfileConfig())


def _texts(**times: int) -> np.ndarray:
    return np.array([name for name, count in times.items() for _ in range(count)], object)


def test_numbers_get_quantile_bins() -> None:
    """Ten bins of equal count with open tails, exact moments and quantiles, nulls and NaN apart."""
    values = np.append(np.arange(1.0, 101.0) + 0.25, [np.nan] * 4)
    column = _built(Column(values, null=np.arange(104) >= 101)).column("x")
    assert column.bins == NumericBins(tuple(np.quantile(values[:100], np.arange(1, 10) / 10).tolist()))
    assert column.counts == (*[10] * 10, 3, 1)
    assert (column.rows, column.missing) == (104, 3)
    assert column.mean == pytest.approx(50.75)
    assert column.std == pytest.approx(np.std(values[:100]))
    assert (column.min, column.max) == (1.2, 110.0)
    assert [value for _, value in column.quantiles] == pytest.approx(np.quantile(values[:100], PROBABILITIES))


def test_tied_quantiles_are_merged() -> None:
    """A column that is mostly one value gets fewer bins, none of them twice."""
    values = np.concatenate((np.zeros(80), np.linspace(1, 2, 40)))
    bins = _built(Column(values)).column("x").bins
    assert isinstance(bins, NumericBins)
    assert bins.edges[0] == 0.0
    assert len(bins.edges) < 9


def test_few_distinct_values_get_bins_of_their_own() -> None:
    """Up to 20 distinct numbers are value bins; a value below the least one is told apart from it."""
    column = _built(Column(np.repeat([0.0, 1.0], [70, 30]))).column("x")
    assert column.bins == NumericBins((-0.5, 0.0, 1.0), discrete=True)
    assert column.counts == (0, 70, 30, 0, 0, 0)
    live = column.bins.count(np.array([-1.0, 0.0, 1.0, 2.0]))
    assert live.tolist() == [1, 1, 1, 1, 0, 0]
    assert len(_built(Column(np.arange(20.0).repeat(3))).column("x").counts) == 24


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20, unique=True))
def test_value_bins_hold_one_value_each(values: list[float]) -> None:
    """Every distinct value has a bin alone, whatever its magnitude."""
    distinct = np.unique(np.array(values) + 0.0)
    counts = value_bins(distinct).count(distinct)
    assert sorted(counts.tolist(), reverse=True)[: len(distinct)] == [1] * len(distinct)


def test_categories_need_ten_rows() -> None:
    """Frequent categories by frequency, rare ones pooled, and the rest says whether any was."""
    column = _built(Column(_texts(b=30, a=30, c=50, rare=9))).column("x")
    assert column.bins == CategoricalBins(("c", "a", "b"), OTHER)
    assert column.counts == (50, 30, 30, 9, 0)
    assert _built(Column(_texts(a=10, b=10))).column("x").bins == CategoricalBins(("a", "b"), UNSEEN)
    assert (column.mean, column.quantiles) == (None, ())


def test_only_twenty_categories_are_kept() -> None:
    """The twenty most frequent; texts that are reserved or very long are pooled."""
    times = {f"c{i:02}": 100 - i for i in range(25)}
    column = _built(Column(_texts(**times, **{"<null>": 500, "x" * 200: 500}))).column("x")
    assert isinstance(column.bins, CategoricalBins)
    assert column.bins.categories == tuple(sorted(times)[:20])
    assert column.counts[20] == 1000 + sum(100 - i for i in range(20, 25))


def test_categories_are_canonical_and_nulls_apart() -> None:
    """Bools, numbers and text of one meaning are one category; None and masked cells are null."""
    cells = np.array([True, "true", "True", None, 1, "1", " 1.0"] * 10, object)
    column = _built(Column(cells, null=np.arange(70) == 0)).column("x")
    assert column.bins.labels == ("1", "true", "<unseen>", "<null>")
    assert column.counts == (30, 29, 0, 11)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(100.0), "identifier: 100 distinct whole numbers in 100 rows"),
        (np.arange(100), "identifier: 100 distinct whole numbers in 100 rows"),
        (np.array([f"k{i}" for i in range(100)], object), "identifier: 100 distinct texts in 100 rows"),
        (np.array([f"k{i // 5}" for i in range(100)], object), "no category has 10 rows"),
        (np.array([None] * 5, object), "no value"),
        (np.array([math.nan, math.inf]), "no finite number"),
        (np.zeros(0), "no finite number"),
    ],
)
def test_columns_that_say_nothing_are_left_out_by_name(values: np.ndarray, reason: str) -> None:
    """Identifiers, free text and empty columns are named with the reason."""
    assert _built(Column(values)).left_out == (LeftOut("x", reason),)


def test_what_was_asked_for_is_no_identifier() -> None:
    """Predictions, targets and features chosen on purpose stay, however distinct; real numbers always do."""
    assert _built(Column(np.arange(100.0), "prediction")).names == ("x",)
    assert _built(Column(np.arange(100.0)), ProfileConfig(keep=frozenset("x"))).names == ("x",)
    assert _built(Column(np.arange(100.0) + 0.5)).names == ("x",)
    assert _built(Column(np.zeros(3), "ignored")).left_out == (LeftOut("x", "ignored"),)


def test_extreme_numbers_build_a_profile() -> None:
    """Infinities and 1e308 land in the tails and nothing becomes NaN."""
    huge = [math.inf, -math.inf, 1.7e308, -1.7e308, 1e200]
    values = np.concatenate((np.repeat(huge, 10), np.linspace(0, 1, 40)))
    profile = _built(Column(values))
    column = profile.column("x")
    assert (column.rows, column.min, column.max) == (90, 0.0, 1.0)
    assert column.counts[0] == 24
    assert all(0 <= value <= 1 for _, value in column.quantiles)
    assert "NaN" not in profile.to_json()


def test_the_order_of_columns_is_kept() -> None:
    """Columns stand as they were given, the payload's order."""
    columns = {name: Column(np.array([0.0, 1.0])) for name in ("b", "a", "c")}
    assert build(columns, ProfileConfig("m", "2")).names == ("b", "a", "c")


@pytest.mark.parametrize("bins", [1, MAX_BINS + 1])
def test_bins_have_limits(bins: int) -> None:
    """From 2 to 20 bins."""
    with pytest.raises(ValueError, match="from 2 to 20"):
        _built(Column(np.zeros(3)), ProfileConfig(bins=bins))


def test_bins_can_be_chosen() -> None:
    """The number of quantile bins is a setting."""
    values = np.random.default_rng(1).normal(size=1000)
    assert len(_built(Column(values), ProfileConfig(bins=20)).column("x").counts) == 22
