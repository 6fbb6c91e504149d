"""Reference performance from declared rows, against scikit-learn and the known answers."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, mean_absolute_error, mean_squared_error

from exporter.stats.profiles.performance import PerformanceTally


def test_classes_and_scores_equal_scikit_learn() -> None:
    """Confusion cells and Brier score of rows that come in two parts."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 500).astype(np.float64)
    score = np.clip(0.6 * truth + 0.5 * rng.random(500), 0, 1)
    label = (score >= 0.5).astype(np.float64)
    tally = PerformanceTally()
    for part in (slice(0, 123), slice(123, None)):
        tally.update(truth[part], label[part], score[part])
    found = tally.result()
    assert found is not None
    assert found.confusion is not None
    assert found.confusion.classes == ("0", "1")
    assert np.array(found.confusion.counts).tolist() == confusion_matrix(truth, label).tolist()
    assert found.calibration is not None
    assert found.calibration.brier == pytest.approx(brier_score_loss(truth, score))
    assert sum(found.calibration.n) == 500
    assert sum(found.calibration.positives) == truth.sum()
    assert found.errors is None


def test_weighted_rows_are_effective_ones() -> None:
    """Shares and Brier score are scikit-learn's of the weights; tables add up to what the rows are worth."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 4000).astype(np.float64)
    score = np.clip(0.6 * truth + 0.5 * rng.random(4000), 0, 1)
    label, weights = (score >= 0.5).astype(np.float64), rng.choice([1.0, 2.0, 7.0], 4000)
    tally = PerformanceTally()
    for part in (slice(0, 1234), slice(1234, None)):
        tally.update(truth[part], label[part], score[part], weights[part])
    found = tally.result()
    assert found is not None
    effective = weights.sum() ** 2 / (weights @ weights)
    assert found.rows == 4000
    assert found.confusion is not None
    cells = np.array(found.confusion.counts)
    assert cells.sum() == round(effective)
    expected = confusion_matrix(truth, label, sample_weight=weights) * effective / weights.sum()
    assert np.abs(cells - expected).max() < 1.0
    assert found.calibration is not None
    assert sum(found.calibration.n) == round(effective)
    # Forty bins are rounded, each by less than a row.
    brier = brier_score_loss(truth, score, sample_weight=weights)
    assert found.calibration.brier == pytest.approx(brier, abs=40 / effective)
    assert found.calibration.brier > 0.0


def test_equal_weights_change_no_performance() -> None:
    """Whatever they are."""
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 2, 300).astype(np.float64)
    score = rng.random(300)
    plain, equal = PerformanceTally(), PerformanceTally()
    plain.update(truth, (score > 0.5).astype(np.float64), score)
    equal.update(truth, (score > 0.5).astype(np.float64), score, np.full(300, 0.25))
    assert plain.result() == equal.result()


def test_weighted_errors_are_scikit_learns() -> None:
    """MSE and MAE of weighted rows, as means of effective ones."""
    rng = np.random.default_rng(7)
    target = rng.normal(size=900)
    prediction, weights = target + rng.normal(size=900), rng.choice([1.0, 5.0], 900)
    tally = PerformanceTally()
    tally.update(target, prediction, None, weights)
    errors = tally.result().errors  # type: ignore[union-attr]
    assert errors is not None
    mean_squares = mean_squared_error(target, prediction, sample_weight=weights)
    assert errors.squares / errors.n == pytest.approx(mean_squares)
    magnitude = mean_absolute_error(target, prediction, sample_weight=weights)
    assert errors.magnitude / errors.n == pytest.approx(magnitude)


def test_scores_fall_into_bins_with_inclusive_upper_edges() -> None:
    """D10's reading: a score on an edge belongs below it; 0 is in the first bin."""
    tally = PerformanceTally("yes")
    truth = np.array(["yes", "no", "yes", None], object)
    tally.update(truth, None, np.array([0.05, 0.0, 1.0, 0.5]))
    found = tally.result()
    assert found is not None
    assert found.calibration is not None
    assert found.calibration.n[0] == 2
    assert found.calibration.n[-1] == 1
    assert sum(found.calibration.n) == 3
    assert found.confusion is None


def test_numbers_have_errors() -> None:
    """D12: bias .25, MSE .375, MAE .5."""
    tally = PerformanceTally()
    target = np.concatenate(([3.0, -0.5, 2.0, 7.0], np.arange(100.0) + 0.5, [np.nan]))
    prediction = np.concatenate(([2.5, 0.0, 2.0, 8.0], np.arange(100.0) + 0.5, [1.0]))
    tally.update(target, prediction, None)
    errors = tally.result().errors  # type: ignore[union-attr]
    assert errors is not None
    assert (errors.n, errors.error, errors.squares, errors.magnitude) == (104, 1.0, 1.5, 2.0)
    assert errors.squares / errors.n == pytest.approx(mean_squared_error(target[:-1], prediction[:-1]))


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    """One score outside [0, 1], or no class that scores could mean."""
    tally = PerformanceTally()
    tally.update(np.array(["1", "0"], object), None, np.array([0.5, 1.5]))
    assert tally.result().calibration is None  # type: ignore[union-attr]
    other = PerformanceTally()
    other.update(np.array(["cat", "dog"], object), None, np.array([0.5, 0.5]))
    assert other.result().calibration is None  # type: ignore[union-attr]
    assert PerformanceTally().result() is None


def test_too_many_classes_have_no_table() -> None:
    """Over 64 classes: absent, and memory stays bounded."""
    tally = PerformanceTally()
    names = np.array([f"c{i}" for i in range(1000)], object)
    tally.update(names, names, np.zeros(1000))
    found = tally.result()
    assert found is not None
    assert found.confusion is None
    assert found.calibration is None
