"""Comparison: all columns at once find what each finds by itself."""

import numpy as np
import pytest

from exporter.stats import STATISTICS, Comparison, Pair, Reference, View, Windows
from exporter.stats.bins import CategoricalBins, NumericBins, refined_bins
from exporter.stats.layout import ColumnSpec, Layout

DECILES = NumericBins((-1.0, -0.5, 0.0, 0.5, 1.0))
LAYOUT = Layout(
    (
        ColumnSpec("constant", NumericBins((5.0,), discrete=True)),
        ColumnSpec("x", DECILES, refined_bins(DECILES, -4.0, 4.0)),
        *Layout.observed({"observed": np.zeros(1)}).columns,
        ColumnSpec("c", CategoricalBins(("a", "b", "c"))),
        ColumnSpec("alone", DECILES),
        ColumnSpec("y", DECILES),
    )
)


def view_of(seed: int, rows: int = 600, shift: float = 0.0) -> View:
    rng = np.random.default_rng(seed)
    windows = Windows(LAYOUT, (300.0,))
    values = rng.normal(shift, 1, rows)
    values[:7] = np.nan
    values[7:9] = np.inf
    batch = {
        "constant": np.full(rows, 5.0),
        "x": values,
        "observed": values,
        "c": rng.choice(["a", "b", "new", None], rows).astype(object),
        "alone": values,
        "y": values[:20],
    }
    windows.update(0.0, batch, {"x": 11}, np.full(rows // 10, 10))
    return windows.read(0.0, 300.0)


def references(view: View) -> dict[str, Reference]:
    names = ("constant", "x", "c", "y")
    return {name: Reference(view.counts(name), view.bin_sums(name), 1.0) for name in names}


def test_all_at_once_equals_each_alone() -> None:
    """Every number of every statistic is that of the pair by itself; columns without reference have none."""
    reference, live = view_of(1, 5000), view_of(2, shift=0.3)
    held = references(reference)
    result = Comparison(LAYOUT, held, STATISTICS).measure(live)
    assert result.columns == ("constant", "x", "c", "y")
    for name in result.columns:
        pair = Pair(
            LAYOUT.column(name).bins,
            held[name].counts,
            live.counts(name),
            live.effective_rows(name),
            held[name].sums,
            live.bin_sums(name),
            held[name].std,
        )
        alone = [drift for statistic in STATISTICS if (drift := statistic.measure(pair)) is not None]
        together = result.of(name)
        assert [one.statistic for one in together] == [one.statistic for one in alone]
        for left, right in zip(together, alone, strict=True):
            for field in (
                "value",
                "floor",
                "critical",
                "rows",
                "reference_rows",
                "bins",
                "effective_rows",
                "p_value",
            ):
                assert getattr(left, field) == pytest.approx(getattr(right, field), abs=1e-12), (left, field)
    assert result.of("alone") == result.of("observed") == ()
    assert result.of("y") == ()
    assert {one.statistic for one in result.of("x")} == {statistic.name for statistic in STATISTICS}


def test_several_views_equal_each_alone() -> None:
    """All windows measured together find what each finds alone, with levels of their own."""
    comparison = Comparison(LAYOUT, references(view_of(1, 5000)), STATISTICS)
    views = [view_of(2, 600, 1.0), view_of(3, 3000), view_of(4, 10)]
    levels = [{("x", "psi"): 9.0}, None, {}]
    together = comparison.measure_all(views, levels)
    for result, view, own in zip(together, views, levels, strict=True):
        alone = comparison.measure(view, own)
        assert [result.of(name) for name in result.columns] == [alone.of(name) for name in alone.columns]
        assert [result.drifted(s.name) for s in STATISTICS] == [alone.drifted(s.name) for s in STATISTICS]
    assert comparison.measure_all([], []) == ()


def test_what_is_told_of_many_columns_is_what_nouns_say() -> None:
    """`told` gives the names, numbers and levels of `of`, in the order that was asked; without reference nothing."""
    comparison = Comparison(LAYOUT, references(view_of(1, 5000)), STATISTICS)
    result = comparison.measure(view_of(2, 600, 1.0), {("x", "psi"): 9.0})
    found = result.told(("c", "x", "alone", "y"))
    assert list(found) == ["c", "x", "y"]
    for name, cells in found.items():
        nouns = [
            (d.statistic, [*d[1:8], np.nan if d.p_value is None else d.p_value], d.level)
            for d in result.of(name)
        ]
        for told, noun in zip(cells, nouns, strict=True):
            assert (told[0], told[2]) == (noun[0], noun[2])
            assert told[1] == pytest.approx(noun[1], abs=0.0, nan_ok=True)


def test_drifted_columns_are_above_all_yardsticks() -> None:
    """The share of drifted columns follows effect, critical value and the reference's own level."""
    held, live = references(view_of(1, 5000)), view_of(2, 3000, shift=1.0)
    comparison = Comparison(LAYOUT, held, STATISTICS)
    assert comparison.measure(live).drifted("psi") == (("x",), 3)
    assert comparison.measure(live).drifted("psi", effect=9.0) == ((), 3)
    result = comparison.measure(live, {("x", "psi"): 9.0})
    assert result.drifted("psi") == ((), 3)
    assert result.of("x")[0].level == 9.0
    for statistic in STATISTICS:
        drifted, of = result.drifted(statistic.name)
        nouns = [d for name in result.columns for d in result.of(name) if d.statistic == statistic.name]
        assert (len(drifted), of) == (sum(d.exceeds(statistic.effect) for d in nouns), len(nouns))
    with pytest.raises(KeyError):
        result.drifted("unheard of")


def test_what_does_not_fit_is_refused() -> None:
    """References over other bins, and views of other layouts, are errors that say so."""
    with pytest.raises(ValueError, match="'c': 5 bins are exported, its reference has 2"):
        Comparison(LAYOUT, {"c": Reference(np.array([1, 2]))}, STATISTICS)
    other = Windows(Layout((ColumnSpec("x", DECILES),)))
    with pytest.raises(ValueError, match="its own layout"):
        Comparison(LAYOUT, {}, STATISTICS).measure(other.totals())


def test_nothing_to_compare() -> None:
    """Without columns, references or rows there are no statistics, and no warnings."""
    for layout in (Layout(()), LAYOUT):
        result = Comparison(layout, {}, STATISTICS).measure(Windows(layout).totals())
        assert (result.columns, result.of("x"), result.drifted("psi")) == ((), (), ((), 0))
    held = references(view_of(1))
    empty = Comparison(LAYOUT, held, STATISTICS).measure(Windows(LAYOUT).totals())
    assert [empty.of(name) for name in empty.columns] == [()] * 4
