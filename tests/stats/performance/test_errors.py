"""Errors of numbers against scikit-learn and known answers; predicted intervals and quantiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from exporter.stats.performance.errors import (
    ErrorLayout,
    Measured,
    QuantileLayout,
    Ranged,
    RangeLayout,
    error_figures,
    quantile_figures,
    range_figures,
)
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.sums import Account


def _figures(
    truth: object, predicted: object, layout: ErrorLayout | None = None, w: object = None
) -> dict[str, Figure]:
    layout = layout or ErrorLayout()
    account = Account(layout)
    weights = None if w is None else np.asarray(w, np.float64)
    account.update(Measured(np.asarray(truth, np.float64), np.asarray(predicted, np.float64), weights))
    return {figure.name: figure for figure in error_figures(layout, account.net)}


def test_the_known_answers() -> None:
    """D12."""
    found = _figures([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    expected = {
        "mse": 0.375,
        "mae": 0.5,
        "rmse": 0.6123724,
        "r2": 0.9486081,
        "mape": 0.3273810,
        "bias": 0.25,
        "error_variance": 0.3125,
    }
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(expected, abs=5e-8)


@given(seed=st.integers(0, 2**32), weighted=st.booleans(), centre=st.sampled_from([0.0, 50.0, -1e6]))
def test_figures_are_scikit_learns(seed: int, weighted: bool, centre: float) -> None:
    """Of any stream, far from 0 too; MSE = bias^2 + variance."""
    rng = np.random.default_rng(seed)
    truth = centre + rng.normal(size=80)
    predicted = truth + rng.normal(size=80) * rng.choice([0.1, 1.0, 10.0]) + rng.normal()
    w = rng.exponential(size=80) if weighted else None
    found = {
        name: figure.value for name, figure in _figures(truth, predicted, ErrorLayout(centre), w).items()
    }
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(truth, predicted, sample_weight=w))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, predicted, sample_weight=w))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, predicted, sample_weight=w))
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, predicted, sample_weight=w))
    assert found["mape"] == pytest.approx(
        metrics.mean_absolute_percentage_error(truth, predicted, sample_weight=w)
    )
    assert found["mse"] == pytest.approx(found["bias"] ** 2 + found["error_variance"])
    explained = metrics.explained_variance_score(truth, predicted, sample_weight=w)
    assert 1.0 - found["error_variance"] * (1.0 - found["r2"]) / found["mse"] == pytest.approx(explained)


def test_standard_errors_are_those_of_many_draws() -> None:
    """Within 8 % of the deviation over 2,000 draws of 500 rows; R^2 has the truth's own scatter in it."""
    rng = np.random.default_rng(6)
    draws = []
    for _ in range(2000):
        truth = rng.normal(5.0, 2.0, 500)
        draws.append(_figures(truth, truth + rng.normal(0.3, 1.0, 500), ErrorLayout(5.0)))
    for name in ("bias", "mse", "rmse", "mae", "error_variance", "r2"):
        spread = np.std([draw[name].value for draw in draws])
        assert np.mean([draw[name].error for draw in draws]) == pytest.approx(spread, rel=0.08), name


def test_a_truth_near_zero_has_no_percentage() -> None:
    """It is counted apart and in every other figure; of nothing but zeros MAPE is absent."""
    layout = ErrorLayout(near_zero=0.1)
    found = _figures([0.05, -0.1, 2.0, 4.0], [1.0, 1.0, 1.0, 4.0], layout)
    assert found["mape"].value == pytest.approx(0.25)
    assert found["mape"].basis.rows == 2
    assert found["mae"].basis.rows == 4
    batch = Measured(np.array([0.05, -0.1, 2.0]), np.ones(3))
    assert layout.read(layout.sums(batch))["near_zero"] == 2.0
    assert "mape" not in _figures([0.0, 0.0], [1.0, 2.0])


def test_what_is_not_defined_is_absent() -> None:
    """No rows: nothing. A constant truth: no R^2. No number: refused and counted."""
    assert _figures([], []) == {}
    assert "r2" not in _figures([3.0] * 9, np.arange(9.0))
    assert "r2" not in _figures([1e6 + 0.1] * 9, np.arange(9.0), ErrorLayout(5.0))
    layout = ErrorLayout()
    sums = layout.sums(Measured(np.array([np.nan, 1.0, np.inf, 1e61]), np.array([1.0, np.nan, 1.0, 1.0])))
    assert layout.read(sums)["refused"] == 4.0
    assert error_figures(layout, sums) == []


def test_residuals_have_bins() -> None:
    """Prediction - truth, upper edges inclusive, by weight."""
    layout = ErrorLayout(edges=(-1.0, 0.0, 1.0))
    sums = layout.sums(
        Measured(np.zeros(5), np.array([-2.0, -1.0, 0.0, 0.5, 3.0]), np.array([1.0, 1, 1, 1, 7]))
    )
    assert layout.residuals(sums).tolist() == [2.0, 1.0, 1.0, 7.0]


def test_perfect_predictions_have_no_error() -> None:
    """All zeros, R^2 of 1, and nothing is divided by 0."""
    found = _figures([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert {name: figure.value for name, figure in found.items() if figure.value} == {"r2": 1.0}


def test_intervals_are_covered_and_wide() -> None:
    """Coverage with limits included, both sides apart, mean width; crossed ones are refused."""
    layout = RangeLayout()
    truth, low, high = (
        np.array([0.0, 1.0, -3.0, 5.0, 0.0]),
        np.full(5, -1.0),
        np.array([1.0, 1.0, 2.0, 1.0, -2.0]),
    )
    sums = layout.sums(Ranged(truth, low, high))
    found = {figure.name: figure.value for figure in range_figures(sums)}
    assert found == pytest.approx(
        {"interval_coverage": 0.5, "interval_below": 0.25, "interval_above": 0.25, "interval_width": 2.25}
    )
    assert layout.read(sums)["refused"] == 1.0
    assert range_figures(np.zeros(layout.size)) == []


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_loss_is_scikit_learns(level: float) -> None:
    """And the share of truths below a quantile that is right is its level."""
    rng = np.random.default_rng(1)
    truth, predicted = rng.normal(size=4000), np.full(4000, np.quantile(rng.normal(size=100_000), level))
    layout = QuantileLayout(level)
    found = {f.name: f for f in quantile_figures(layout.sums(Measured(truth, predicted)))}
    assert found["pinball"].value == pytest.approx(metrics.mean_pinball_loss(truth, predicted, alpha=level))
    assert found["quantile_reached"].low <= level <= found["quantile_reached"].high
    assert quantile_figures(np.zeros(layout.size)) == []


def test_a_level_lies_between_0_and_1() -> None:
    """Others are refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        QuantileLayout(1.0)
