"""Windows: exact eviction, reading without change, merging."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.bins import CategoricalBins, IntArray, NumericBins, coarse_bins, fine_bins, refined_bins
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.window import Windows

LAYOUT = Layout(
    (ColumnSpec("x", NumericBins((0.0, 1.0))), ColumnSpec("c", CategoricalBins(("a",)))),
)
LENGTHS = (12.0, 120.0)

batches = st.lists(st.floats(-5, 5), max_size=4)
steps = st.one_of(st.floats(0, 3), st.floats(0, 400), st.floats(-3, 0))
streams = st.lists(st.tuples(steps, batches), max_size=25)


def _batch(values: list[float]) -> dict[str, np.ndarray]:
    array = np.array(values, np.float64)
    return {"x": array, "c": np.where(array > 0, "a", "b").astype(object)}


def _timed(stream: list[tuple[float, list[float]]]) -> list[tuple[float, list[float]]]:
    now, timed = 1000.0, []
    for step, values in stream:
        now += step
        timed.append((now, values))
    return timed


def _within(timed: list[tuple[float, list[float]]], now: float, length: float) -> list[float]:
    """The values whose pane is one of the last twelve: the definition, by brute force."""
    pane = length / 12
    last = math.floor(now / pane)
    return [v for at, values in timed for v in values if last - 12 < math.floor(at / pane) <= last]


def _counts(windows: Windows, now: float, length: float, name: str) -> list[int]:
    return windows.read(now, length).counts(name).tolist()


def _expected(values: list[float], name: str) -> list[int]:
    bins = LAYOUT.column(name).bins
    return bins.count(_batch(values)[name]).tolist()


@given(streams, st.floats(0, 200))
def test_a_window_holds_exactly_the_rows_of_its_panes(
    stream: list[tuple[float, list[float]]], later: float
) -> None:
    """Counts and moments equal those of the rows in the last twelve panes, also when the clock slips back."""
    timed = _timed(stream)
    windows = Windows(LAYOUT, LENGTHS)
    for at, values in timed:
        assert windows.update(at, _batch(values)) == ()
    now = max([at for at, _ in timed], default=1000.0) + later
    for length in LENGTHS:
        inside = _within(timed, now, length)
        assert _counts(windows, now, length, "x") == _expected(inside, "x")
        assert _counts(windows, now, length, "c") == _expected(inside, "c")
        summary = windows.read(now, length).summary("x")
        assert summary.count == len(inside)
        view = windows.read(now, length)
        places = np.searchsorted([0.0, 1.0], inside)
        assert view.bin_sums("x") == pytest.approx([*np.bincount(places, inside, 3), 0, 0], abs=1e-9)
        assert view.effective_rows("x") == len(inside)
        if inside:
            assert summary.mean == pytest.approx(np.mean(inside), abs=1e-9)
            assert summary.std == pytest.approx(np.std(inside), abs=1e-6)
            assert (summary.min, summary.max) == (min(inside), max(inside))


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(-5, 200), batches), max_size=25), st.floats(0, 200))
def test_rows_that_belong_to_another_time(
    stream: list[tuple[float, float, list[float]]], later: float
) -> None:
    """Rows said to be older lie in the panes of their time, or in none; the totals have them all."""
    now, timed = 1000.0, []
    windows = Windows(LAYOUT, LENGTHS)
    for step, age, values in stream:
        now += step
        timed.append((min(now - age, now), values))
        windows.update(now, _batch(values), at=now - age)
    now += later
    for length in LENGTHS:
        inside = _within(timed, now, length)
        assert _counts(windows, now, length, "x") == _expected(inside, "x")
        assert windows.read(now, length).summary("x").count == len(inside)
    assert windows.totals().rows("x") == sum(len(values) for _, values in timed)


@given(streams, st.lists(st.floats(-1e9, 1e9), max_size=5))
def test_reading_changes_nothing(stream: list[tuple[float, list[float]]], times: list[float]) -> None:
    """Reads at any time, far ahead or back, leave every later answer as it was."""
    read_often, never_read = Windows(LAYOUT, LENGTHS), Windows(LAYOUT, LENGTHS)
    timed = _timed(stream)
    for at, values in timed:
        for now in times:
            read_often.read(now, 12.0).summary("x")
            read_often.totals()
        read_often.update(at, _batch(values))
        never_read.update(at, _batch(values))
    for now in [at for at, _ in timed] + times:
        assert read_often.read(now, 12.0).flat.tolist() == never_read.read(now, 12.0).flat.tolist()


@given(streams, st.lists(st.booleans(), min_size=25, max_size=25), st.floats(0, 200))
def test_merging_equals_one_window_over_both(
    stream: list[tuple[float, list[float]]], owners: list[bool], later: float
) -> None:
    """A stream dealt out to two windows and merged equals the stream in one."""
    timed = sorted(_timed(stream))
    one, two, whole = (Windows(LAYOUT, LENGTHS) for _ in range(3))
    for (at, values), first in zip(timed, owners, strict=False):
        requests = np.array([1, len(values) - 1]) if values else None
        (one if first else two).update(at, _batch(values), requests=requests)
        whole.update(at, _batch(values), requests=requests)
    one.merge(two)
    now = (timed[-1][0] if timed else 0.0) + later
    for length in LENGTHS:
        merged, expected = one.read(now, length), whole.read(now, length)
        assert merged.flat.tolist() == expected.flat.tolist()
        assert merged.moments == pytest.approx(expected.moments, abs=1e-6)
        assert merged.sums == pytest.approx(expected.sums, abs=1e-9)
        assert merged.clusters.tolist() == expected.clusters.tolist()
    assert one.totals().flat.tolist() == whole.totals().flat.tolist()
    assert one.signed_sums("x") == pytest.approx(whole.signed_sums("x"))


def test_merging_refuses_another_shape() -> None:
    """Layouts, lengths and panes must agree."""
    with pytest.raises(ValueError, match="merge only if"):
        Windows(LAYOUT, (12.0,)).merge(Windows(LAYOUT, (24.0,)))


def test_totals_only_grow() -> None:
    """What left the windows stays in the totals, split into positive and negative sums."""
    windows = Windows(LAYOUT, LENGTHS)
    for now in (0.0, 1e6, -1e6):
        windows.update(now, {"x": np.array([-2.0, 3.0])}, {"x": 1})
    assert windows.totals().counts("x").tolist() == [3, 0, 3, 3, 0]
    assert windows.signed_sums("x") == (9.0, 6.0)
    assert windows.totals().summary("x").mean == pytest.approx(0.5)
    assert windows.totals().summary("x").missing == 3


def test_a_clock_far_back_counts_on() -> None:
    """After a jump back over many windows new rows count at once, and the far future is forgotten."""
    windows = Windows(LAYOUT, (12.0,))
    for second in range(12):
        windows.update(1e6 + second, {"x": np.array([2.0])})
    windows.update(5.0, {"x": np.array([0.5])})
    assert _counts(windows, 5.0, 12.0, "x") == [0, 1, 0, 0, 0]
    assert _counts(windows, 1e9, 12.0, "x") == [0, 0, 0, 0, 0]


def test_a_view_keeps_what_it_showed() -> None:
    """Later updates do not change a view that was read before."""
    windows = Windows(LAYOUT, (12.0,))
    windows.update(0.0, {"x": np.array([0.5])})
    view, totals = windows.read(0.0, 12.0), windows.totals()
    windows.update(0.0, {"x": np.array([0.5])})
    assert view.rows("x") == totals.rows("x") == 1


def test_an_empty_window_says_so() -> None:
    """Without rows there are zeros and None, never NaN."""
    view = Windows(LAYOUT).read(0.0, 300.0)
    assert view.counts("x").tolist() == [0] * 5
    assert view.summary("x").mean is None
    assert view.summary("c").rows == 0


def test_memory_is_bounded_per_column_and_window() -> None:
    """At most 20 KB per column and window, with the finest bins and with sums and clusters, whatever the traffic."""
    names = [f"x{i}" for i in range(50)]
    observed = Layout.observed({name: np.zeros(1) for name in names})
    assert observed.column("x0").kept == fine_bins()
    edges = NumericBins(tuple(range(1, 20)))
    profiled = Layout(tuple(ColumnSpec(name, edges, refined_bins(edges, 0.0, 20.0)) for name in names))
    rng = np.random.default_rng(1)
    for layout in (observed, profiled):
        windows = Windows(layout)
        before = windows.nbytes
        for now in range(0, 7200, 100):
            windows.update(float(now), {name: rng.normal(size=50) for name in names})
        assert windows.nbytes == before
        assert sum(ring.nbytes for ring in windows.rings) / len(names) / len(windows.lengths) <= 20_000


def test_a_pane_may_count_beyond_32_bits() -> None:
    """Counts that outgrow the narrow panes widen them instead of wrapping."""
    windows = Windows(LAYOUT, (12.0,))
    for _ in range(3):
        windows.update(0.0, {"x": np.array([0.5])}, {"x": 2**31})
    counts: IntArray = windows.read(0.0, 12.0).counts("x")
    assert counts.tolist() == [0, 3, 0, 3 * 2**31, 0]


def test_growing_keeps_what_was_counted() -> None:
    """A window taken over into a grown layout has the same counts and counts on."""
    first = Layout.observed({"s": np.array(["b"], object)})
    windows = Windows(first, (12.0,))
    windows.update(0.0, {"s": np.array(["b", "z"], object)})
    batch = {"x": np.array([0.3, 2.0]), "s": np.array(["a", "b"], object)}
    windows = windows.extended(windows.layout.grown(batch))
    assert windows.update(0.0, batch) == ()
    view = windows.read(0.0, 12.0)
    labels = windows.layout.column("s").bins.labels
    assert dict(zip(labels, view.counts("s").tolist(), strict=True)) == {
        "b": 2, "a": 1, "<other>": 1, "<null>": 0,
    }  # fmt: skip
    assert view.flat.tolist() == windows.totals().flat.tolist()
    assert view.summary("x").count == 2
    with pytest.raises(ValueError, match="missing from the new layout"):
        windows.extended(first)


def test_counts_are_over_the_exported_bins() -> None:
    """A column kept in finer bins is counted over its own, and its quantiles come from the finer ones."""
    layout = Layout.observed({"x": np.zeros(1)})
    windows = Windows(layout, (12.0,))
    values = np.random.default_rng(2).uniform(0, 1, 1000)
    windows.update(0.0, {"x": values})
    view = windows.read(0.0, 12.0)
    bins = layout.column("x").bins
    assert view.counts("x").tolist() == bins.count(values).tolist()
    median = dict(view.summary("x").quantiles)[0.5]
    assert median == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("lengths", "panes"), [((), 12), ((1.0, 1.0), 12), ((0.0,), 12), ((1.0,), 0)])
def test_lengths_that_make_no_sense_are_refused(lengths: tuple[float, ...], panes: int) -> None:
    """No lengths, equal ones, zero and no panes raise ValueError."""
    with pytest.raises(ValueError, match="lengths"):
        Windows(LAYOUT, lengths, panes)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 5, 200]))
def test_summaries_are_those_of_each_column(seed: int, rows: int) -> None:
    """All columns at once: the same as one by one, for numbers, values, categories, nulls, infinities and no rows."""
    rng = np.random.default_rng(seed)
    layout = Layout(
        (
            ColumnSpec("fine", coarse_bins(), fine_bins()),
            ColumnSpec("word", CategoricalBins(("a", "b"))),
            ColumnSpec("values", NumericBins((-0.5, 0.0, 1.0, 2.0), discrete=True)),
            ColumnSpec("one", NumericBins(())),
            ColumnSpec("none", coarse_bins(), fine_bins()),
        )
    )
    windows = Windows(layout, (60.0,))
    odd = rng.normal(size=rows) * 10.0 ** rng.integers(-3, 5)
    odd[rng.random(rows) < 0.1] = np.inf
    odd[rng.random(rows) < 0.1] = np.nan
    words = np.array(["a", "b", "c", None], object)[rng.integers(0, 4, rows)]
    values = rng.integers(0, 4, rows).astype(np.float64)
    windows.update(1.0, {"fine": odd, "word": words, "values": values, "one": odd}, {"fine": rows})
    view = windows.read(1.0, 60.0)
    found = view.summaries(layout.names)
    for name in layout.names:
        alone = view.summary(name)
        assert dict(found[name].quantiles) == pytest.approx(dict(alone.quantiles), rel=1e-9, abs=1e-12)
        assert replace(found[name], quantiles=()) == replace(alone, quantiles=())
    constant = dict(zip(layout.names, view.constant.tolist(), strict=True))
    real = [word for word in words.tolist() if word is not None]
    assert constant["word"] == (len(set(real)) == 1 and real[0] != "c")
    assert constant["values"] == (len(set(values.tolist())) == 1)
    assert not constant["none"]
    assert view.values[1] == len(real)
    assert view.effective_rows("values") == rows
