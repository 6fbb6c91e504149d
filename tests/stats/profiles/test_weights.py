"""Weights of reference rows: equal ones are none, whole ones are repeated rows, in whatever parts they come."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import skew

from exporter.stats.profiles.build import Chunk, ProfileConfig, build_from
from exporter.stats.profiles.profile import Profile, parse
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import typed
from exporter.stats.profiles.weights import (
    Weighed,
    apportioned,
    unfit,
    weighted_moments,
    weighted_quantiles,
)

RNG = np.random.default_rng(11)
ROWS = 900
WHOLE = st.integers(1, 9)


def _data(rows: int = ROWS) -> dict[str, np.ndarray]:
    x = RNG.gamma(2.0, size=rows)
    x[::17] = np.nan
    return {
        "x": x,
        "y": 3 * x + RNG.normal(size=rows),
        "few": RNG.integers(0, 5, rows).astype(float),
        "word": RNG.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]).astype(object),
        "answer": RNG.choice(["no", "yes"], rows).astype(object),
    }


def _profile(data: dict[str, np.ndarray], weights: np.ndarray | None = None, step: int = 250) -> Profile:
    plans = [Plan(name, type="numeric") for name in ("x", "y", "few")]
    plans += [Plan("word", type="categorical"), Plan("answer", "prediction", "categorical")]
    own = dict(data)
    if weights is not None:
        plans.append(Plan("w", "weight", keep=True))
        own["w"] = weights
    rows = len(own["x"])

    def chunks(wanted: Sequence[Plan]) -> Iterable[Chunk]:
        for start in range(0, rows, step):
            part = slice(start, start + step)
            yield {plan.name: typed(own[plan.name][part], plan.type, False) for plan in wanted}

    return build_from(plans, chunks, ProfileConfig(pairs=(("x", "y"),)))


def test_equal_weights_are_no_weights() -> None:
    """Whatever they are: the same bins of values, counts, moments, pairs and associations."""
    data = _data()
    plain, equal = _profile(data), _profile(data, np.full(ROWS, 2.5))
    for name in ("few", "word", "answer"):
        assert equal.column(name).bins == plain.column(name).bins
        assert equal.column(name).counts == plain.column(name).counts
    assert equal.column("x").rows == ROWS
    assert equal.column("x").mean == pytest.approx(plain.column("x").mean)
    assert equal.column("few").sums == pytest.approx(plain.column("few").sums)
    assert equal.pairs[0].n == plain.pairs[0].n
    assert equal.pairs[0].correlation == pytest.approx(plain.pairs[0].correlation)
    # The bins of x and y end at other quantiles there.
    assert [a.cramer for a in equal.associations[2:]] == pytest.approx(
        [a.cramer for a in plain.associations[2:]]
    )
    assert equal.payload[-1].effective_rows == pytest.approx(ROWS)
    assert equal.precision == plain.precision is not None


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3])
def test_the_scale_of_weights_is_nothing(scale: float) -> None:
    """Not even where all weights of the file add up to less than 1."""
    data, weights = _data(), RNG.integers(1, 6, ROWS)
    own, scaled = _profile(data, weights.astype(float)), _profile(data, weights * scale)
    for column in own.columns:
        other = scaled.column(column.name)
        assert other.counts == column.counts
        for name in ("mean", "std", "skewness"):
            assert getattr(other, name) == pytest.approx(getattr(column, name)), (column.name, name)
    assert scaled.pairs[0].correlation == pytest.approx(own.pairs[0].correlation)


def test_whole_weights_are_repeated_rows() -> None:
    """Moments and correlations to the last digits, shares to within an effective row."""
    data, weights = _data(), RNG.integers(1, 6, ROWS)
    own = _profile(data, weights.astype(float))
    again = _profile({name: np.repeat(values, weights) for name, values in data.items()})
    effective = weights.sum() ** 2 / (weights @ weights)
    assert own.payload[-1].effective_rows == pytest.approx(effective)
    assert own.rows == ROWS
    for column in own.columns:
        other = again.column(column.name)
        assert column.rows == round(effective)
        if column.mean is not None:
            assert (column.mean, column.std) == (pytest.approx(other.mean), pytest.approx(other.std))
            assert column.skewness == pytest.approx(other.skewness)
            assert (column.min, column.max) == (other.min, other.max)
        if column.name not in ("x", "y"):
            assert column.bins == other.bins
            shares = np.array(other.counts) * effective / other.rows
            assert np.abs(np.array(column.counts) - shares).max() < 1.0
            assert column.balance.keys() == other.balance.keys()
    assert own.column("x").missing == pytest.approx(
        again.column("x").missing * effective / weights.sum(), abs=1
    )
    assert own.pairs[0].correlation == pytest.approx(again.pairs[0].correlation)
    strengths = [a.cramer for a in again.associations]
    assert [a.cramer for a in own.associations] == pytest.approx(strengths, abs=0.05)
    assert own.precision is not None
    assert again.precision is not None
    assert own.precision.names == again.precision.names
    assert (own.precision.mean, own.precision.scale) == (
        pytest.approx(again.precision.mean),
        pytest.approx(again.precision.scale),
    )
    # Its shrinkage is that of fewer rows.
    assert own.precision.shrinkage > again.precision.shrinkage
    complete = np.isfinite(data["x"])
    assert own.precision.rows == round(weights[complete].sum() ** 2 / np.square(weights[complete]).sum())
    ours, theirs = (
        (np.linalg.inv(np.array(one.matrix)) - one.shrinkage * np.eye(3)) / (1.0 - one.shrinkage)
        for one in (own.precision, again.precision)
    )
    assert ours == pytest.approx(theirs)


def test_deciles_hold_equal_weight() -> None:
    """Edges are quantiles of the weights, so that each bin has a tenth of the effective rows."""
    data = _data() | {"x": RNG.normal(size=ROWS)}
    found = _profile(data, np.exp(data["x"])).column("x")
    counts = np.array(found.counts[: found.bins.null])
    assert np.abs(counts / counts.sum() - 0.1).max() < 0.02
    assert found.mean == pytest.approx(1.0, abs=0.2)  # exp(x) moves a standard normal by 1


def test_parts_of_weighted_rows_do_not_matter() -> None:
    """However they are cut: the same profile, but for last bits."""
    data, weights = _data(), RNG.random(ROWS) + 0.1
    one, other = _profile(data, weights, ROWS), _profile(data, weights, 77)
    assert [c.bins for c in one.columns] == [c.bins for c in other.columns]
    assert [c.counts for c in one.columns] == [c.counts for c in other.columns]
    assert [c.mean for c in one.columns[:3]] == pytest.approx([c.mean for c in other.columns[:3]])


def test_few_rows_of_a_large_weight_name_no_category() -> None:
    """Ten rows are counted as rows: nine with all of the weight are nine persons still."""
    data = _data(200) | {"word": np.array(["rare"] * 9 + ["often"] * 191, object)}
    found = _profile(data, np.array([1000.0] * 9 + [1.0] * 191)).column("word")
    assert found.bins.labels[0] == "often"
    assert "rare" not in found.bins.labels


def test_the_file_says_what_the_rows_are_worth() -> None:
    """It is read back with its hash; without weights the key is not there."""
    data = _data()
    found = _profile(data, RNG.random(ROWS) + 0.1)
    assert parse(found.to_json().encode()) == found
    assert "effective_rows" in found.to_json()
    assert "effective_rows" not in _profile(data).to_json()


@given(
    arrays.arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e6, 1e6).map(lambda v: round(v, 3))),
    st.data(),
)
@settings(max_examples=40)
def test_moments_and_quantiles_of_whole_weights(values: np.ndarray, data: st.DataObject) -> None:
    """As of the repeated values, by numpy and scipy."""
    weights = np.array(data.draw(st.lists(WHOLE, min_size=len(values), max_size=len(values))))
    repeated = np.repeat(values, weights)
    count, mean, squares, low, high, cubes = weighted_moments(values, weights.astype(float))[:, 0]
    assert count == len(repeated)
    assert mean == pytest.approx(repeated.mean(), rel=1e-9, abs=1e-6)
    assert squares / count == pytest.approx(repeated.var(), rel=1e-6, abs=1e-6)
    assert (low, high) == (values.min(), values.max())
    if repeated.std() > 1.0:
        assert cubes / count / (squares / count) ** 1.5 == pytest.approx(skew(repeated), rel=1e-6, abs=1e-6)
    wanted = (0.01, 0.1, 0.25, 0.5, 0.7, 0.99)
    expected = np.quantile(repeated, wanted, method="inverted_cdf")
    for found in (weights.astype(float), weights * 0.1):
        assert weighted_quantiles(values, found, wanted).tolist() == expected.tolist()


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=40), st.floats(1e-3, 10.0))
@settings(max_examples=60)
def test_apportioned_counts_add_up(sums: list[float], scale: float) -> None:
    """To the rounded whole, none off by a row."""
    found = apportioned(np.array(sums), scale)
    assert abs(found.sum() - sum(sums) * scale) <= 0.5 + 1e-6
    assert np.abs(found - np.array(sums) * scale).max() <= 1.0 + 1e-6


def test_what_is_no_weight() -> None:
    """Negative, missing, infinite, and what would drown in a sum or swallow it."""
    values = np.array([0.0, 1e-12, 1.0, 1e12, -1.0, np.nan, np.inf, 1e13, 1e-13])
    assert unfit(values).tolist() == [4, 5, 6, 7, 8]
    assert Weighed().effective == 0.0
    assert np.isinf(weighted_moments(np.array([np.nan]), np.ones(1))[3, 0])
