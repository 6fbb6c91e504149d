"""targets.py: labels in the bins of a reference's target, hours as clusters, distances as other columns have them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import label_bytes, labels_of
from exporter.analysis.performance.scored import Tally
from exporter.analysis.performance.targets import Known, Target, clustered, rows_of, sums_of, target_of
from exporter.stats import Drift, Profile
from exporter.stats.bins import FloatArray
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.profiles.column import ProfileColumn
from exporter.stats.profiles.levels import Level

SEED = 7


def profile(**changes: Any) -> Profile:
    """Of a feature, an answer and the truth, of which every hundredth row has none."""
    rng = np.random.default_rng(SEED)
    truth = rng.gamma(2.0, 50.0, 4000)
    truth[::100] = np.nan
    columns = {
        "x": Column(rng.normal(size=4000)),
        "y": Column(truth + rng.normal(size=4000), "prediction"),
        "price": Column(truth, "target"),
    }
    return build(columns | changes, ProfileConfig("iris", "1"))


def known(levels: dict[tuple[str, int], float] | None = None) -> Known:
    found = target_of(profile(), "y", several=False)
    assert found is not None
    return Known.of(profile(), *found) if levels is None else Known(found[0], found[1].counts, levels)


def labels(values: Any, weights: Any = None) -> Any:
    own = np.ones(len(values)) if weights is None else weights
    return labels_of([label_bytes(float(one), weight, 9) for one, weight in zip(values, own, strict=True)])


def hours(target: Target, parts: Any, weights: Any = None) -> FloatArray:
    """The sums of hours that are whole."""
    found = np.zeros(target.size)
    for place, part in enumerate(parts):
        own = None if weights is None else weights[place]
        each = labels(part, own)
        found += clustered(target, sums_of(target, each, each["weight"].astype(np.float64)))
    return found


def by_name(found: list[Drift]) -> dict[str, Drift]:
    return {one.statistic: one for one in found}


def test_labels_fall_into_the_references_bins() -> None:
    """(a, b], tails open; what says no number is in no bin, NaN in its own; weights count."""
    target = Target("0a1b2c3d", (0.0, 10.0))
    raw = [label_bytes(value, 1.0, 9) for value in (0.0, 1e-9, 10.0, 10.5, -np.inf, np.inf)]
    raw += [label_bytes("cheap", 1.0, 9), label_bytes(float("nan"), 1.0, 0), label_bytes(5.0, 2.5, 9)]
    raw += [label_bytes(5.0, weight, 9) for weight in (0.0, -1.0)]
    given = labels_of(raw)
    found = sums_of(target, given, given["weight"].astype(np.float64))
    assert dict(zip(target.bins.labels, found, strict=False)) == {
        "0.0": 2,
        "10.0": 4.5,
        "+Inf": 2,
        "<null>": 0,
        "<nan>": 1,
    }
    assert found[-3:].tolist() == [7 + 2.5**2, 0, 0]


def test_distances_are_those_of_numpy_and_scipy() -> None:
    """Seeded labels that moved: PSI, Jensen-Shannon, total variation, L-infinity, KS of the same histograms."""
    one, rng = known(), np.random.default_rng(SEED + 1)
    moved = rng.gamma(2.0, 60.0, 1500)
    found = by_name(one.drift(hours(one.target, np.array_split(moved, 300))))
    edges = np.array([-np.inf, *one.target.edges, np.inf])
    live = np.histogram(-moved, -edges[::-1])[0][::-1].astype(float)
    base = np.array(one.counts[: len(live)], float)
    p, q = ((side + 0.5) / (side.sum() + 0.5 * len(live)) for side in (base, live))
    shares = base / base.sum(), live / live.sum()
    assert found["psi"].value == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-12)
    assert found["jensen_shannon"].value == pytest.approx(jensenshannon(p, q, 2) ** 2, rel=1e-9)
    assert found["total_variation"].value == pytest.approx(abs(shares[0] - shares[1]).sum() / 2, rel=1e-12)
    assert found["l_infinity"].value == pytest.approx(abs(shares[0] - shares[1]).max(), rel=1e-12)
    chi = stats.chi2_contingency(np.stack((base, live)), correction=False)
    harmonic = live.sum() * base.sum() / (live.sum() + base.sum())
    assert found["chi_square"].value * harmonic == pytest.approx(chi.statistic, rel=1e-12)
    tall = [np.repeat(np.arange(len(side)), side.astype(int)) for side in (base, live)]
    assert found["kolmogorov_smirnov"].value == pytest.approx(stats.ks_2samp(*tall).statistic, rel=1e-12)
    assert found["psi"].exceeds(0.01)
    assert found["psi"].reference_rows == base.sum()


def test_the_same_world_is_no_drift() -> None:
    """Of many seeded windows without drift about one in a thousand is above the critical value."""
    one, rng = known(), np.random.default_rng(SEED + 2)
    above = 0
    shares = np.array(one.counts) / sum(one.counts)
    for _ in range(300):
        counts = rng.multinomial(20, shares, 40).astype(float)
        sums = np.zeros(one.target.size)
        for hour in counts:
            sums += clustered(one.target, np.concatenate((hour, [hour.sum(), 0.0, 0.0])))
        psi = by_name(one.drift(sums))["psi"]
        assert 600 < psi.effective_rows <= 800
        above += psi.value > psi.critical
    assert above <= 3


def test_hours_that_agree_are_worth_less() -> None:
    """Each hour all in one bin: as many independent rows as hours; each as the whole: all rows."""
    target = Target("0a1b2c3d", (1.0, 2.0, 3.0))
    rng = np.random.default_rng(SEED + 3)
    alike = hours(target, [np.full(50, one) for one in rng.choice([0.5, 1.5, 2.5, 3.5], 60)])
    rows, effective = rows_of(target, alike)
    assert rows.sum() == 3000
    assert effective == pytest.approx(60, rel=0.1)
    mixed = hours(target, [np.tile([0.5, 1.5, 2.5, 3.5], 10)] * 60)
    assert rows_of(target, mixed)[1] == 2400


def test_weights_make_rows() -> None:
    """All of one weight are rows of 1; of different ones Kish's number, with the shares of weights."""
    target, rng = Target("0a1b2c3d", (1.0,)), np.random.default_rng(SEED + 4)
    values = [rng.choice([0.5, 1.5], 10) for _ in range(50)]
    plain, heavy = (hours(target, values, [np.full(10, weight)] * 50) for weight in (1.0, 4.0))
    assert rows_of(target, plain)[0].tolist() == rows_of(target, heavy)[0].tolist()
    assert rows_of(target, plain)[1] == pytest.approx(rows_of(target, heavy)[1])
    weights = rng.choice([1.0, 3.0], (50, 10))
    counts, effective = rows_of(target, hours(target, values, weights))
    kish = weights.sum() ** 2 / (weights**2).sum()
    assert counts.sum() == pytest.approx(kish, abs=1.0)
    assert effective <= kish + 1e-9
    share = weights[np.array(values) < 1.0].sum() / weights.sum()
    assert counts[0] / counts.sum() == pytest.approx(share, abs=0.005)
    assert rows_of(target, np.zeros(target.size))[0].sum() == 0


def test_which_output_a_target_is_of() -> None:
    """The only one, or the one with its name; categories, aspects and profiles without a target have none."""
    own = profile()
    assert target_of(None, "y", several=False) is None
    assert target_of(own, "y", several=True) is None
    found = target_of(own, "price", several=True)
    assert found is not None
    assert found[0].reference == own.reference
    words = Column(np.array(["a", "b"] * 2000, object), "target")
    assert target_of(profile(price=words), "y", several=False) is None
    assert target_of(profile(price=Column(np.arange(4000) / 7)), "y", several=False) is None


def test_a_reference_has_no_missing_truth() -> None:
    """A row without a label is none; levels are those of the column."""
    own = profile()
    column = own.column("price")
    assert isinstance(column, ProfileColumn)
    found = target_of(own, "y", several=False)
    assert found is not None
    level = Level("price", "psi", 86_400, 9, 0.5, 0.25)
    made = Known.of(replace(own, levels=(level, replace(level, column="x"))), *found)
    assert sum(made.counts) == column.rows - 40
    assert made.counts[-2:] == (0, 0)
    assert made.levels == {("psi", 86_400): 1.25}


def test_too_few_labels_say_nothing() -> None:
    """Below five effective rows per bin there is no statistic; a level beyond the value is no drift."""
    one = known({("psi", 0): 5.0})
    assert one.drift(hours(one.target, [[1.0, 2.0]])) == []
    assert one.drift(np.zeros(one.target.size)) == []
    moved = np.random.default_rng(SEED).gamma(2.0, 90.0, 900)
    psi = by_name(one.drift(hours(one.target, np.array_split(moved, 300))))["psi"]
    assert psi.value > psi.critical
    assert psi.level == 5.0
    assert not psi.exceeds(0.1)


def test_a_tally_without_a_target_has_none() -> None:
    """Outputs without such a reference cost nothing."""
    assert Tally(What("m", "1", "y", "number")).target is None
    assert not any(name[:1] == "y" for name, _ in Tally(What("m", "1", "y", "number")).cells())
