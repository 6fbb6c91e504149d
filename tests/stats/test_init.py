"""Contract of every statistic in the visible tuple, and the example of the package's docstring."""

import numpy as np
import pytest

import exporter.stats as stats
from exporter.stats import (
    STATISTICS,
    CategoricalBins,
    Comparison,
    NumericBins,
    Pair,
    Reference,
    Statistic,
    Windows,
)
from exporter.stats.bins import Bins
from exporter.stats.profiles.build import Column, ProfileConfig, build

BINS: list[Bins] = [
    NumericBins((0.0, 1.0)),
    NumericBins((0.0, 1.0), discrete=True),
    CategoricalBins(("a", "b")),
]


def test_names_resolve_and_statistics_differ() -> None:
    """Every exported name exists, and no two statistics share a name."""
    assert all(hasattr(stats, name) for name in stats.__all__)
    names = [statistic.name for statistic in STATISTICS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and " " not in name for name in names)


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
@pytest.mark.parametrize("bins", BINS, ids=lambda bins: type(bins).__name__)
def test_a_statistic_is_finite_or_absent(statistic: Statistic, bins: Bins) -> None:
    """For any counts a statistic gives finite numbers or None, and does not change its input."""
    rng = np.random.default_rng(11)
    for scale in (0, 1, 3, 50, 10**6, 10**12):
        reference, live = rng.integers(0, scale + 1, (2, bins.size))
        sums = reference * rng.normal(size=bins.size), live * rng.normal(size=bins.size)
        before = reference.tolist(), live.tolist()
        drift = statistic.measure(Pair(bins, reference, live, None, *sums, 1.0))
        assert (reference.tolist(), live.tolist()) == before
        if drift is not None:
            assert drift.statistic == statistic.name
            assert np.isfinite([drift.value, drift.floor, drift.critical, drift.p_value or 0.0]).all()
            assert drift.rows <= live.sum()
        if not live.sum():
            assert drift is None


def test_from_a_profile_to_drift() -> None:
    """The way of the analysis: profile, layout, updates, totals, summary, drift."""
    rng = np.random.default_rng(4)
    columns = {
        "age": Column(rng.normal(40, 10, 5000)),
        "city": Column(rng.choice(["Oslo", "Rome"], 5000).astype(object)),
        "answer": Column(rng.uniform(0, 1, 5000), "prediction"),
    }
    profile = build(columns, ProfileConfig())
    windows = Windows(profile.layout())
    batch = {"age": rng.normal(50, 10, 1000), "city": rng.choice(["Oslo", "Bern"], 1000).astype(object)}
    assert windows.update(7.0, batch) == ()
    view = windows.read(7.0, 300.0)
    assert sum(windows.totals().counts("age").tolist()) == 1000
    assert view.summary("age").mean == pytest.approx(50, abs=1)
    references = {
        column.name: Reference(column.array, None, column.std)
        for column in profile.columns
        if column.role != "target"
    }
    result = Comparison(windows.layout, references, STATISTICS).measure(view, {("age", "psi"): 0.01})
    for statistic in STATISTICS:
        for name in ("age", "city"):
            drift = statistic.measure(profile.column(name).pair(view.counts(name)))
            together = {one.statistic: one for one in result.of(name)}.get(statistic.name)
            assert (drift is None) == (together is None)
            if drift is not None:
                assert drift.exceeds(statistic.effect)
                assert together is not None
                assert together.value == pytest.approx(drift.value)
        assert statistic.measure(profile.column("answer").pair(view.counts("answer"))) is None
    assert result.drifted("psi") == (("age", "city"), 2)
    assert result.drifted("kolmogorov_smirnov") == (("age",), 1)
