"""Every statistic: known answers, another implementation, laws, and how often it errs without drift."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle
from scipy.spatial.distance import jensenshannon as scipy_distance

from exporter.stats import STATISTICS, CategoricalBins, Drift, NumericBins, Pair, Statistic
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.chi_square import CHI_SQUARE, chi_square
from exporter.stats.hellinger import HELLINGER, hellinger
from exporter.stats.jensen_shannon import JENSEN_SHANNON, jensen_shannon
from exporter.stats.kolmogorov_smirnov import (
    KOLMOGOROV_SMIRNOV,
    kolmogorov_smirnov,
    robust_excess,
    upper_bound,
)
from exporter.stats.l_infinity import L_INFINITY, l_infinity
from exporter.stats.psi import PSI, psi
from exporter.stats.table import smoothed
from exporter.stats.total_variation import TOTAL_VARIATION, total_variation
from exporter.stats.wasserstein import WASSERSTEIN, wasserstein
from tests.stats.simulation import (
    HELD_OUT,
    NORMAL,
    SHAPES,
    SHIFTS,
    Requests,
    Shape,
    in_requests,
    rates,
    shifted,
    without_drift,
)

STATISTIC = pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
pairs = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=25).filter(
    lambda cells: all(map(sum, zip(*cells, strict=True)))
)

D2 = [50, 30, 20], [40, 40, 20]
D2B = [700, 300], [620, 380]
D3 = [50, 30, 20, 0], [45, 35, 0, 20]
D4 = [10] * 10, [0] + [10] * 8 + [20]
EXAMPLE = [100, 200, 400, 200, 100], [20, 30, 70, 50, 30]


def numbers(reference: list[int], live: list[int]) -> Pair:
    """Counts over bins of numbers, nothing in the special ones."""
    bins = NumericBins(tuple(float(edge) for edge in range(len(reference) - 1)))
    return Pair(bins, np.array([*reference, 0, 0]), np.array([*live, 0, 0]))


def shares(counts: list[int]) -> FloatArray:
    return np.array(counts) / sum(counts)


def found(statistic: Statistic, pair: Pair) -> Drift:
    drift = statistic.measure(pair)
    assert drift is not None
    return drift


Distance = Callable[[FloatArray, FloatArray], FloatArray]


@pytest.mark.parametrize(
    ("distance", "sides", "expected"),
    [
        pytest.param(psi, D2, 0.0510825624, id="psi D2"),
        pytest.param(psi, D2B, 0.0286199708, id="psi D2b"),
        pytest.param(psi, EXAMPLE, 0.0524911062, id="psi 2.4"),
        pytest.param(jensen_shannon, D2, 0.0091859255, id="jensen_shannon D2"),
        pytest.param(jensen_shannon, D2B, 0.0717791352**2, id="jensen_shannon D2b"),
        pytest.param(jensen_shannon, D3, 0.4498201399**2, id="jensen_shannon D3"),
        pytest.param(jensen_shannon, D4, 0.2495107711**2, id="jensen_shannon D4"),
        pytest.param(jensen_shannon, EXAMPLE, 0.0094272764, id="jensen_shannon 2.4"),
        pytest.param(hellinger, D2, 0.0798513806, id="hellinger D2"),
        pytest.param(hellinger, D2B, 0.0597860853, id="hellinger D2b"),
        pytest.param(hellinger, D3, 0.4490226231, id="hellinger D3"),
        pytest.param(hellinger, D4, 0.2420302538, id="hellinger D4"),
        pytest.param(hellinger, EXAMPLE, 0.0809190687, id="hellinger 2.4"),
        pytest.param(total_variation, D2, 0.1, id="total_variation D2"),
        pytest.param(total_variation, D3, 0.25, id="total_variation D3"),
        pytest.param(total_variation, EXAMPLE, 0.1, id="total_variation 2.4"),
        pytest.param(l_infinity, D2, 0.1, id="l_infinity D2"),
        pytest.param(l_infinity, D3, 0.2, id="l_infinity D3"),
        pytest.param(l_infinity, EXAMPLE, 0.05, id="l_infinity 2.4"),
        pytest.param(kolmogorov_smirnov, D4, 0.1, id="kolmogorov_smirnov D4"),
        pytest.param(kolmogorov_smirnov, EXAMPLE, 0.1, id="kolmogorov_smirnov 2.4"),
    ],
)
def test_known_answers(distance: Distance, sides: tuple[list[int], list[int]], expected: float) -> None:
    """The published examples from shares as they are, to nine digits."""
    reference, live = map(shares, sides)
    assert distance(reference, live) == pytest.approx(expected, rel=3e-8, abs=5e-11)


@pytest.mark.parametrize(
    ("distance", "sides", "alpha", "expected"),
    [
        pytest.param(psi, D2, 0.5, 0.0496794732, id="psi D2"),
        pytest.param(psi, D2, 1.0, 0.0483338280, id="psi D2 Laplace"),
        pytest.param(psi, D3, 0.5, 1.4688550763, id="psi D3"),
        pytest.param(psi, D3, 1.0, 1.1831199746, id="psi D3 Laplace"),
        pytest.param(psi, D4, 0.5, 0.3536735302, id="psi D4"),
        pytest.param(psi, D4, 1.0, 0.2767747671, id="psi D4 Laplace"),
        pytest.param(psi, EXAMPLE, 0.5, 0.0524801439, id="psi 2.4"),
        pytest.param(jensen_shannon, EXAMPLE, 0.5, 0.0094253744, id="jensen_shannon 2.4"),
        pytest.param(hellinger, EXAMPLE, 0.5, 0.0809107594, id="hellinger 2.4"),
    ],
)
def test_known_answers_of_smoothed_shares(
    distance: Distance, sides: tuple[list[int], list[int]], alpha: float, expected: float
) -> None:
    """The published examples with alpha added to every bin."""
    reference, live = (smoothed(np.array(side), alpha=alpha) for side in sides)
    assert distance(reference, live) == pytest.approx(expected, abs=5e-11)
    assert reference.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sides", "statistic", "p_value"),
    [
        pytest.param(D2, 2.5396825, 0.2808762, id="D2"),
        pytest.param(D2B, 14.2602496, 1.5919151e-4, id="D2b"),
        pytest.param(D3, 40.6477733, 7.7664e-9, id="D3"),
        pytest.param(EXAMPLE, 9.083897, 0.0590363, id="2.4"),
    ],
)
def test_known_answers_of_chi_square(
    sides: tuple[list[int], list[int]], statistic: float, p_value: float
) -> None:
    """The test of homogeneity of the published examples: its statistic is the distance over 1/N + 1/M."""
    drift = found(CHI_SQUARE, numbers(*sides))
    assert drift.value / (1 / drift.rows + 1 / drift.reference_rows) == pytest.approx(statistic, rel=1e-7)
    assert drift.p_value == pytest.approx(p_value, rel=1e-4)


def test_the_worked_example() -> None:
    """Yardsticks, p-value and bounds of the worked example: PSI is twice its floor, and there is no alarm."""
    pair = numbers(*EXAMPLE)
    drifts = {statistic.name: statistic.measure(pair) for statistic in STATISTICS}
    assert drifts.pop("wasserstein") is None
    drift = found(PSI, pair)
    assert (drift.rows, drift.reference_rows, drift.bins, drift.effective_rows) == (200, 1000, 5, 200)
    assert drift.floor == pytest.approx(0.024)
    assert drift.excess == pytest.approx(0.0285, abs=5e-5)
    assert drift.critical == pytest.approx(0.1123 * 1.013, abs=1e-4)
    ks = found(KOLMOGOROV_SMIRNOV, pair)
    assert ks.p_value == pytest.approx(0.0713447, abs=5e-8)
    assert upper_bound(pair) == pytest.approx(0.45)
    assert robust_excess(ks) == 0.0
    assert not any(one.exceeds(0.0) for one in drifts.values() if one is not None)


def test_equal_and_opposite_extremes() -> None:
    """Equals are 0 for all; histograms that share no bin are at the end of each bounded range."""
    equal, apart = numbers([50, 50, 50], [20, 20, 20]), numbers([100, 0], [0, 100])
    for statistic in STATISTICS:
        if statistic is not WASSERSTEIN:
            assert found(statistic, equal).value == pytest.approx(0.0, abs=2e-3)
    p, q = shares([1, 0]), shares([0, 1])
    assert (jensen_shannon(p, q), hellinger(p, q), total_variation(p, q)) == (1.0, 1.0, 1.0)
    for bounded in (TOTAL_VARIATION, L_INFINITY, KOLMOGOROV_SMIRNOV):
        assert found(bounded, apart).value == 1.0


@given(pairs)
def test_other_implementations_agree(cells: list[tuple[int, int]]) -> None:
    """scipy's entropy, Jensen-Shannon distance, contingency test and two-sample test give the same numbers."""
    reference, live = (np.array(side) for side in zip(*cells, strict=True))
    p, q = smoothed(reference), smoothed(live)
    assert psi(p, q) == pytest.approx(oracle.entropy(p, q) + oracle.entropy(q, p), abs=1e-9)
    p, q = reference / reference.sum(), live / live.sum()
    assert np.sqrt(jensen_shannon(p, q)) == pytest.approx(scipy_distance(p, q, 2), abs=1e-7)
    assert hellinger(p, q) == pytest.approx(np.sqrt(max(0.0, 1 - np.sqrt(p * q).sum())), abs=1e-7)
    either = (reference + live) > 0
    if either.sum() > 1:
        expected = oracle.chi2_contingency([reference[either], live[either]], correction=False)
        pooled = (reference + live) / (reference.sum() + live.sum())
        scale = 1 / reference.sum() + 1 / live.sum()
        assert chi_square(p, q, pooled) / scale == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    values = np.arange(len(cells))
    sides = (np.repeat(values, 4 * side) for side in (reference, live))
    two = oracle.ks_2samp(*sides, method="asymp")
    assert kolmogorov_smirnov(p, q) == pytest.approx(two.statistic, abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=20)
)
def test_wasserstein_is_that_of_scipy(cells: list[tuple[float, int, int]]) -> None:
    """Atoms in any order, with any weights, are as far apart as scipy says."""
    places, reference, live = (np.array(side) for side in zip(*cells, strict=True))
    if not reference.sum() or not live.sum():
        return
    difference = live / live.sum() - reference / reference.sum()
    expected = oracle.wasserstein_distance(places, places, reference, live)
    assert wasserstein(places[None], difference[None]) == pytest.approx(expected, abs=1e-6)


def binned(values: FloatArray, bins: NumericBins) -> tuple[IntArray, FloatArray]:
    """Counts of all bins, and the sum of each one's values."""
    places = bins.array.searchsorted(values)
    return bins.count(values), np.bincount(places, values, bins.size)


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(lambda x: x + 2.0, 0.6963106238, id="D1"),
        pytest.param(lambda x: x, 0.0, id="equal"),
        pytest.param(lambda x: np.repeat(x, 3), 0.0, id="more rows"),
    ],
)
def test_wasserstein_of_value_bins(live: Callable[[FloatArray], FloatArray], expected: float) -> None:
    """Known answer D1: where each value has a bin the distance is exact, in units of the reference's sigma."""
    values = np.repeat(np.arange(1.0, 11.0), 10)
    bins = NumericBins(tuple(np.arange(0.5, 13.0).tolist()))
    (reference, own), (other, sums) = binned(values, bins), binned(live(values), bins)
    pair = Pair(bins, reference, other, None, own, sums, float(values.std()))
    assert found(WASSERSTEIN, pair).value == pytest.approx(expected, abs=1e-9)


def test_wasserstein_of_deciles_is_near_that_of_the_values() -> None:
    """Known answer D5 with ten bins, per-bin means instead of edges: within 3 % of the values' own distance."""
    x = oracle.norm.ppf((np.arange(1000) + 0.5) / 1000)
    bins = NumericBins(tuple(np.quantile(x, np.arange(1, 10) / 10).tolist()))
    for live in (x + 0.5, x * 2.0, x**2):
        (reference, own), (other, sums) = binned(x, bins), binned(live, bins)
        drift = found(WASSERSTEIN, Pair(bins, reference, other, None, own, sums, float(x.std())))
        exact = oracle.wasserstein_distance(x, live) / x.std()
        assert drift.value == pytest.approx(exact, rel=0.03)
        assert drift.value >= abs(live.mean() - x.mean()) / x.std() - 1e-9


def test_wasserstein_needs_sums_and_a_deviation() -> None:
    """Without sums, and for a constant reference, it is absent, not 0."""
    bins = NumericBins((5.0,))
    counts, sums = binned(np.full(100, 5.0), bins)
    assert WASSERSTEIN.measure(Pair(bins, counts, counts)) is None
    assert WASSERSTEIN.measure(Pair(bins, counts, counts, None, sums, sums, 0.0)) is None
    assert WASSERSTEIN.measure(Pair(bins, counts, counts, None, sums, sums)) is None


def test_constants_do_not_drift() -> None:
    """Known answer D7: two equal constants have distance 0, p 1, and no noise, although all other bins are empty."""
    bins = NumericBins((5.0,))
    pair = Pair(bins, bins.count(np.full(100, 5.0)), bins.count(np.full(50, 5.0)))
    for statistic in STATISTICS:
        drift = statistic.measure(pair)
        if statistic is not WASSERSTEIN:
            assert drift is not None
            assert (drift.value, drift.floor, drift.bins) == (0.0, 0.0, 1)
            assert drift.p_value in (None, 1.0)
            assert not drift.exceeds(0.0)


def test_values_next_to_constants_drift() -> None:
    """Known answer D8 over le bins: KS 0.2, and the bin that is empty on both sides takes no part."""
    bins = NumericBins((0.0, 1.0, 2.0, 3.0, 4.0))
    reference = bins.count(np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 20))
    live = bins.count(np.repeat([0.0, 0.0, 1.0, 2.0, 3.0], 20))
    pair = Pair(bins, reference, live)
    assert found(KOLMOGOROV_SMIRNOV, pair).value == pytest.approx(0.2)
    assert found(KOLMOGOROV_SMIRNOV, pair).bins == found(PSI, pair).bins == 5
    assert found(PSI, pair).exceeds(0.1)


def test_special_bins_count_where_they_belong() -> None:
    """Nulls change the statistics of all bins, and leave those of numbers alone."""
    bins = NumericBins((0.0, 1.0))
    reference, live = np.array([100, 100, 100, 0, 0]), np.array([50, 50, 50, 150, 0])
    assert found(PSI, Pair(bins, reference, live)).exceeds(0.1)
    drift = found(KOLMOGOROV_SMIRNOV, Pair(bins, reference, live))
    assert (drift.value, drift.rows, drift.effective_rows) == (0.0, 150, 150)
    half = found(KOLMOGOROV_SMIRNOV, Pair(bins, reference, live, 100.0))
    assert (half.rows, half.effective_rows) == (150, 50)


@STATISTIC
def test_kinds_are_kept(statistic: Statistic) -> None:
    """A statistic of ordered numbers is absent for categories."""
    bins = CategoricalBins(("a", "b"))
    pair = Pair(bins, np.array([50, 50, 0, 0]), np.array([50, 50, 0, 0]))
    assert (statistic.measure(pair) is not None) == ("categorical" in statistic.kinds)


@STATISTIC
@given(cells=pairs, data=st.randoms(use_true_random=False))
def test_laws(statistic: Statistic, cells: list[tuple[int, int]], data: object) -> None:
    """>= 0, 0 for equals, the same both ways; all but KS and Wasserstein do not care for the order of bins."""
    reference, live = (np.array(side) * 10 for side in zip(*cells, strict=True))
    bins = NumericBins(tuple(float(edge) for edge in range(len(cells) - 1)))
    rng = np.random.default_rng(len(cells))
    places = np.sort(rng.normal(size=len(cells)))

    def measured(left: IntArray, right: IntArray) -> float | None:
        sums = (np.append(side * places, [0, 0]) for side in (left, right))
        both = (np.append(side, [0, 0]) for side in (left, right))
        drift = statistic.measure(Pair(bins, *both, None, *sums, 1.0))
        return None if drift is None else drift.value

    value = measured(reference, live)
    assert measured(live, reference) == (None if value is None else pytest.approx(value, abs=1e-9))
    if value is None:
        return
    assert value >= 0.0
    assert measured(live, live) in (None, pytest.approx(0.0, abs=1e-12))
    order = rng.permutation(len(live))
    if "categorical" in statistic.kinds:
        assert measured(reference[order], live[order]) == pytest.approx(value, abs=1e-9)


@given(pairs)
def test_bounds_between_statistics(cells: list[tuple[int, int]]) -> None:
    """H^2 <= TVD <= sqrt(2) H, L-infinity and KS <= TVD, JSD in bits <= TVD, D <= its upper bound."""
    reference, live = (np.array(side) for side in zip(*cells, strict=True))
    p, q = reference / reference.sum(), live / live.sum()
    h, tvd, tiny = float(hellinger(p, q)), float(total_variation(p, q)), 1e-9
    assert h * h <= tvd + tiny
    assert tvd <= np.sqrt(2) * h + tiny
    assert max(l_infinity(p, q), kolmogorov_smirnov(p, q), jensen_shannon(p, q)) <= tvd + tiny
    pair = numbers(list(reference), list(live))
    assert kolmogorov_smirnov(p, q) - tiny <= upper_bound(pair) <= 1 + tiny


def test_the_true_distance_lies_between_the_bounds() -> None:
    """D of the values is at least that of the bins and at most the upper bound."""
    rng = np.random.default_rng(8)
    for shift in (0.0, 0.1, 1.0):
        reference, live = rng.normal(size=2000), rng.normal(shift, 1, 500)
        bins = NumericBins(tuple(np.quantile(reference, np.arange(1, 10) / 10).tolist()))
        pair = Pair(bins, bins.count(reference), bins.count(live))
        exact = oracle.ks_2samp(reference, live).statistic
        assert found(KOLMOGOROV_SMIRNOV, pair).value - 1e-12 <= exact <= upper_bound(pair) + 1e-12


@STATISTIC
def test_no_rows_are_insufficient(statistic: Statistic) -> None:
    """With no live rows, no reference, or fewer than five effective rows per bin, there is None, never NaN or 0."""
    held, none = np.array([50, 50, 0, 0]), np.zeros(4, np.int64)
    bins, sums = NumericBins((1.0,)), np.zeros(4)
    for reference, live, rows in (
        (held, none, None),
        (none, held, None),
        (none, none, None),
        (held, held, 9.9),
    ):
        assert statistic.measure(Pair(bins, reference, live, rows, sums, sums, 1.0)) is None
    assert statistic.measure(Pair(bins, held, held, 10.0, sums, sums, 1.0)) is not None


# ---------------------------------------------------------------- chance: the long form is tests/stats/simulation.py


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize(("bins", "rows"), [(5, 50), (10, 100), (20, 400), (10, 100_000)])
def test_false_alarms_are_as_rare_as_stated(shape: Shape, bins: int, rows: int) -> None:
    """Over 5,000 windows without drift about 0.1 % exceed the critical value, with no statistic more."""
    for name, rate in rates(without_drift(shape, bins, rows, 5000, bins * rows)).items():
        # 5 are expected; by chance more than 16 happen less than once in 100,000 runs.
        assert rate.known > 2500, name
        assert rate.alarms <= 16, name


@pytest.mark.parametrize("shape", HELD_OUT, ids=lambda shape: shape.name)
@pytest.mark.parametrize(("bins", "rows"), [(3, 150), (7, 300)])
def test_shapes_on_which_nothing_was_fitted(shape: Shape, bins: int, rows: int) -> None:
    """The same of distributions, bins and seeds that the constants of critical values have not seen."""
    for name, rate in rates(without_drift(shape, bins, rows, 5000, 77_777 + bins * rows)).items():
        assert rate.known > 2500, name
        assert rate.alarms <= 16, name


@pytest.mark.parametrize(("bins", "rows"), [(5, 200), (10, 500), (20, 10_000)])
def test_the_floor_is_the_mean_without_drift(bins: int, rows: int) -> None:
    """Over 5,000 windows of quantile bins the mean is the floor within 6 %; for Wasserstein within 16 %."""
    for name, rate in rates(without_drift(NORMAL, bins, rows, 5000, rows)).items():
        assert rate.bias == pytest.approx(1.0, abs=0.16 if name == "wasserstein" else 0.06), name


@pytest.mark.parametrize("copied", [0.5, 1.0])
def test_rows_of_one_request_raise_no_alarm(copied: float) -> None:
    """200 requests of 20 like rows: as rare with effective rows, and nearly always an alarm with all rows."""
    effective, plain = in_requests(NORMAL, 10, Requests(200, 20, copied), 600, 9)
    for name, rate in rates(effective).items():
        assert rate.known > 550, name
        assert rate.alarms <= 5, name
    for name in ("psi", "chi_square", "hellinger"):
        assert rates(plain)[name].rate > 0.5, name


def test_single_rows_are_all_effective() -> None:
    """Requests of one row, and requests whose rows have nothing to do with one another, lose no rows."""
    effective, plain = in_requests(NORMAL, 10, Requests(500, 1, 0.0), 20, 1)
    assert effective.effective.tolist() == plain.effective.tolist()
    effective, plain = in_requests(NORMAL, 10, Requests(500, 10, 0.0), 200, 2)
    assert effective.effective.mean() == pytest.approx(5000, rel=0.02)
    effective, _ = in_requests(NORMAL, 10, Requests(500, 10, 1.0), 20, 3)
    assert effective.effective.mean() == pytest.approx(500, rel=0.02)


@pytest.mark.parametrize(
    ("shift", "rows", "statistic", "least"),
    [
        ("mean + 0.5 sd", 500, "psi", 0.99),
        ("mean + 0.5 sd", 500, "kolmogorov_smirnov", 0.99),
        ("mean + 0.5 sd", 100, "wasserstein", 0.6),
        ("mean + 0.25 sd", 2000, "hellinger", 0.99),
        ("sd x 1.5", 500, "jensen_shannon", 0.99),
        ("sd x 1.5", 500, "total_variation", 0.9),
        ("5 % at + 4 sd", 2000, "chi_square", 0.8),
        ("5 % at + 4 sd", 2000, "l_infinity", 0.9),
    ],
)
def test_power(shift: str, rows: int, statistic: str, least: float) -> None:
    """Known shifts are found at so many rows in at least such a share of 300 windows."""
    assert rates(shifted(SHIFTS[shift], rows, 300, rows))[statistic].rate >= least


def test_families_are_told_apart() -> None:
    """Every statistic has its own name; the two that are tests have p-values."""
    pair = numbers(*EXAMPLE)
    tests = {s.name for s in STATISTICS if (d := s.measure(pair)) is not None and d.p_value is not None}
    assert tests == {"chi_square", "kolmogorov_smirnov"}
    assert HELLINGER.effect**2 * 8 == pytest.approx(PSI.effect, rel=0.01)
    assert JENSEN_SHANNON.effect * 8 * np.log(2) == pytest.approx(PSI.effect, rel=0.01)
