"""PSI against known answers, scipy and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from exporter.stats.bins import CategoricalBins, IntArray, NumericBins
from exporter.stats.drift import Pair
from exporter.stats.psi import Psi, psi, shares

counts = st.lists(st.integers(0, 1000), min_size=1, max_size=25)
pairs = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=25)

D4_REFERENCE, D4_LIVE = [10] * 10, [0] + [10] * 8 + [20]


def _array(values: list[int]) -> IntArray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("reference", "live", "alpha", "expected"),
    [
        pytest.param([50, 30, 20], [40, 40, 20], 0.0, 0.0510825624, id="D2 raw"),
        pytest.param([50, 30, 20], [40, 40, 20], 0.5, 0.0496794732, id="D2 Jeffreys"),
        pytest.param([50, 30, 20], [40, 40, 20], 1.0, 0.0483338280, id="D2 Laplace"),
        pytest.param([700, 300], [620, 380], 0.0, 0.0286199708, id="D2b raw"),
        pytest.param([50, 30, 20, 0], [45, 35, 0, 20], 0.5, 1.4688550763, id="D3 Jeffreys"),
        pytest.param([50, 30, 20, 0], [45, 35, 0, 20], 1.0, 1.1831199746, id="D3 Laplace"),
        pytest.param(D4_REFERENCE, D4_LIVE, 0.5, 0.3536735302, id="D4 Jeffreys"),
        pytest.param(D4_REFERENCE, D4_LIVE, 1.0, 0.2767747671, id="D4 Laplace"),
        pytest.param([100, 200, 400, 200, 100], [20, 30, 70, 50, 30], 0.0, 0.0524911062, id="2.4 raw"),
        pytest.param([100, 200, 400, 200, 100], [20, 30, 70, 50, 30], 0.5, 0.0524801439, id="2.4"),
    ],
)
def test_known_answers(reference: list[int], live: list[int], alpha: float, expected: float) -> None:
    """PSI of the published examples, to ten digits."""
    assert psi(_array(reference), _array(live), alpha) == pytest.approx(expected, abs=5e-11)


@given(pairs)
def test_it_is_the_sum_of_both_divergences(cells: list[tuple[int, int]]) -> None:
    """PSI equals KL(q|p) + KL(p|q) as scipy computes them."""
    reference, live = (_array(list(side)) for side in zip(*cells, strict=True))
    p, q = shares(reference), shares(live)
    expected = oracle.entropy(p, q) + oracle.entropy(q, p)
    assert psi(reference, live) == pytest.approx(expected, abs=1e-9)


@given(pairs, st.randoms(use_true_random=False))
def test_laws(cells: list[tuple[int, int]], random: object) -> None:
    """PSI is >= 0, 0 for equals, symmetric, and does not care for the order of bins."""
    reference, live = (_array(list(side)) for side in zip(*cells, strict=True))
    value = psi(reference, live)
    assert value >= 0.0
    assert psi(live, reference) == pytest.approx(value, abs=1e-12)
    assert psi(live, live) == 0.0
    order = np.random.default_rng(0).permutation(len(live))
    assert psi(reference[order], live[order]) == pytest.approx(value, abs=1e-9)


def test_smoothing_towards_nothing_gives_the_raw_value() -> None:
    """As alpha goes to 0 the value goes to the unsmoothed one."""
    assert psi(_array([50, 30, 20]), _array([40, 40, 20]), 1e-9) == pytest.approx(0.0510825624, abs=1e-9)


def test_constants_do_not_drift() -> None:
    """Known answer D7: two equal constants have PSI 0, although all other bins are empty."""
    bins = NumericBins((5.0,))
    drift = Psi().measure(Pair(bins, bins.count(np.full(100, 5.0)), bins.count(np.full(50, 5.0))))
    assert drift is not None
    assert (drift.value, drift.floor, drift.critical, drift.bins) == (0.0, 0.0, 0.0, 1)


def test_values_next_to_constants_drift() -> None:
    """Known answer D8 over le bins: the bin that is empty on both sides takes no part."""
    bins = NumericBins((0.0, 1.0, 2.0, 3.0, 4.0))
    reference = bins.count(np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 20))
    live = bins.count(np.repeat([0.0, 0.0, 1.0, 2.0, 3.0], 20))
    drift = Psi().measure(Pair(bins, reference, live))
    assert drift is not None
    assert drift.bins == 5
    assert drift.value == pytest.approx(psi(_array([20] * 5), _array([40, 20, 20, 20, 0])))
    assert drift.exceeds(0.1)


def test_the_worked_example_raises_no_alarm() -> None:
    """PSI twice its floor with 200 rows is below the critical value."""
    bins = NumericBins((20.0, 40.0, 60.0, 80.0))
    pair = Pair(bins, _array([100, 200, 400, 200, 100, 0, 0]), _array([20, 30, 70, 50, 30, 0, 0]))
    drift = Psi().measure(pair)
    assert drift is not None
    assert (drift.rows, drift.reference_rows, drift.bins) == (200, 1000, 5)
    assert drift.floor == pytest.approx(0.024)
    assert drift.excess == pytest.approx(0.0285, abs=5e-5)
    assert drift.critical == pytest.approx(0.1123, abs=5e-5)
    assert not drift.exceeds(0.0)


@given(counts)
def test_no_rows_are_insufficient(reference: list[int]) -> None:
    """With no live rows, or no reference, there is None, never NaN or 0."""
    bins = CategoricalBins(tuple(f"c{i}" for i in range(len(reference))))
    held, none = _array([*reference, 0, 0]), np.zeros(bins.size, np.int64)
    assert Psi().measure(Pair(bins, held, none)) is None
    assert Psi().measure(Pair(bins, none, held)) is None


@pytest.mark.parametrize(("bins", "rows"), [(5, 100), (10, 100), (10, 1000), (20, 500), (20, 20_000)])
def test_false_alarms_are_as_rare_as_stated(bins: int, rows: int) -> None:
    """Over 10,000 windows without drift about 0.1 % exceed the critical value; the mean is the floor."""
    rng = np.random.default_rng(bins * rows)
    p = np.full(bins, 1 / bins)
    reference = rng.multinomial(10_000, p, size=10_000)
    live = rng.multinomial(rows, p, size=10_000)
    edges = NumericBins(tuple(float(i) for i in range(bins - 1)))
    special = _array([0, 0])
    found = [
        Psi().measure(Pair(edges, np.concatenate((r, special)), np.concatenate((q, special))))
        for r, q in zip(reference, live, strict=True)
    ]
    known = [drift for drift in found if drift is not None]
    assert len(known) == len(found)
    # 10 are expected; by chance more than 25 happen less than once in 20,000 runs. The mean lies below the
    # floor where bins are thin (measured over 50,000 windows: 5 % at N/B = 10, 0.7 % at N/B = 100).
    assert sum(drift.value > drift.critical for drift in known) <= 25
    excess = np.mean([drift.value - drift.floor for drift in known])
    assert excess == pytest.approx(0, abs=0.1 * known[0].floor)


def test_shares_of_no_bins_are_refused() -> None:
    """Without bins there is no distribution."""
    with pytest.raises(ValueError, match="no bins"):
        shares(_array([]))
