"""Figures of scores against scikit-learn: known answers, bounds that hold, losses, calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.score_figures import (
    area_precision_recall,
    area_roc,
    calibration_curve,
    score_figures,
)
from exporter.stats.performance.scores import ScoreBins, Scored, ScoreLayout
from exporter.stats.performance.sums import Account
from exporter.stats.profiles.performance import SCORE_EDGES
from tests.stats.performance.test_class_figures import D10_SCORE, D10_TRUTH

FIFTHS = (0.2, 0.4, 0.6, 0.8)
TWENTIETHS = SCORE_EDGES[:-1]


def _bins(
    truth: object, score: object, edges: tuple[float, ...] = TWENTIETHS, w: np.ndarray | None = None
) -> ScoreBins:
    layout = ScoreLayout(edges)
    account = Account(layout)
    account.update(Scored(np.asarray(truth, np.float64), np.asarray(score, np.float64), w))
    return layout.read(account.net)


def _figures(bins: ScoreBins) -> dict[str, Figure]:
    return {figure.name: figure for figure in score_figures(bins)}


def test_the_known_answers_in_five_bins() -> None:
    """D10: areas, their bounds, Brier score, log loss, ECE, MCE, and the positives and negatives by bin."""
    bins = _bins(D10_TRUTH, D10_SCORE, FIFTHS)
    assert bins.positives[0].tolist() == [0, 1, 1, 1, 2]
    assert bins.negatives[0].tolist() == [1, 2, 2, 1, 1]
    found = _figures(bins)
    assert found["auc_roc"].value == pytest.approx(0.7)
    assert found["auc_roc"].bound == pytest.approx(0.1)
    assert found["brier"].value == pytest.approx(0.2385417, abs=5e-8)
    assert found["log_loss"].value == pytest.approx(0.6639398, abs=5e-8)
    assert found["ece"].value == pytest.approx(0.1708333, abs=5e-8)
    assert found["mce"].value == pytest.approx(0.25)
    area = found["auc_pr"]
    assert area.value - area.bound <= 0.7551948 <= area.value + area.bound


def test_the_known_answers_of_four_rows() -> None:
    """D9: area .75 and average precision .8333333, exact where no bin has both classes; Brier score and log loss."""
    bins = _bins([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert area_roc(bins).value == pytest.approx(0.75)  # type: ignore[union-attr]
    assert area_roc(bins).bound <= 0.125 + 1e-12  # type: ignore[union-attr]
    fine = _bins([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], (0.2, 0.36, 0.5))
    assert area_roc(fine).value == pytest.approx(0.75)  # type: ignore[union-attr]
    assert area_roc(fine).bound == 0.0  # type: ignore[union-attr]
    area = area_precision_recall(fine)
    assert area is not None
    assert area.value - area.bound <= 0.8333333 <= area.value + area.bound
    assert _figures(_bins([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]))["brier"].value == pytest.approx(0.0375)
    spam = _bins([1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65])
    assert _figures(spam)["log_loss"].value == pytest.approx(0.2161618747, abs=1e-10)


def test_cells_at_a_threshold_are_the_known_ones() -> None:
    """D10 at .5 from bins alone: an edge just below it, since a threshold means above it."""
    bins = _bins(D10_TRUTH, D10_SCORE, (0.2, 0.4, 0.45, 0.6, 0.8))
    assert bins.around(0.45) == (2, 2)
    assert bins.around(0.5) == (2, 3)
    assert bins.around(0.1) == (-1, 0)
    assert bins.around(0.9) == (4, 5)
    table = bins.at(2)
    assert table.cells[0].tolist() == [[3.0, 4.0], [1.0, 4.0]]
    found = {(f.name, f.of): f.value for f in [*class_figures(table), *each_class(table)]}
    assert found["accuracy", ""] == pytest.approx(0.5833333, abs=5e-8)
    assert found["f1", "positive"] == pytest.approx(0.6153846, abs=5e-8)
    assert bins.at(-1).cells[0].tolist() == [[0.0, 7.0], [0.0, 5.0]]


@given(threshold=st.floats(-0.1, 1.1), seed=st.integers(0, 2**32))
def test_rates_at_any_threshold_lie_between_two_edges(threshold: float, seed: int) -> None:
    """Of true and of false positives; both are the rate itself where the threshold is an edge."""
    rng = np.random.default_rng(seed)
    truth, score = rng.integers(0, 2, 100), rng.random(100)
    bins = _bins(truth, score, FIFTHS)
    for at in (threshold, *FIFTHS):
        low, high = (bins.at(edge).cells[0, :, 1] for edge in reversed(bins.around(at)))
        own = np.bincount(truth[score > at], minlength=2)
        assert (low <= own).all() and (own <= high).all()
        assert at not in FIFTHS or (low == high).all()


def test_expected_cells_are_the_known_ones() -> None:
    """D10: TP 5.85, FP 2.15, FN 1, TN 3 without a label; accuracy, precision, recall and F1 from them."""
    bins = _bins(D10_TRUTH, D10_SCORE, (0.2, 0.4, 0.45, 0.6, 0.8))
    table = bins.expected_at(2)
    assert table.cells[1].ravel() == pytest.approx([3.0, 2.15, 1.0, 5.85])
    found = {(f.name, f.of): f.value for f in [*class_figures(table), *each_class(table)]}
    expected = {
        ("accuracy", ""): 0.7375,
        ("precision", "positive"): 0.73125,
        ("recall", "positive"): 0.8540146,
        ("f1", "positive"): 0.7878788,
        ("false_positive_rate", "positive"): 1 - 0.5825243,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=5e-8)


@given(seed=st.integers(0, 2**32), weighted=st.booleans(), bins=st.integers(1, 20), steep=st.floats(0.0, 3.0))
def test_areas_of_the_scores_are_within_the_bounds(
    seed: int, weighted: bool, bins: int, steep: float
) -> None:
    """Of any scores: scikit-learn's area and average precision are no further away than the bound says."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate(([0.0, 1.0], (rng.random(150) < rng.choice([0.05, 0.3, 0.9])).astype(float)))
    score = 1.0 / (1.0 + np.exp(-(steep * truth + rng.normal(size=len(truth)))))
    weights = rng.exponential(size=len(truth)) + 0.01 if weighted else None
    read = _bins(truth, score, tuple(np.arange(1, bins) / bins), weights)
    roc, pr = area_roc(read), area_precision_recall(read)
    assert roc is not None and pr is not None
    exact = metrics.roc_auc_score(truth, score, sample_weight=weights)
    assert abs(exact - roc.value) <= roc.bound + 1e-9
    precision = metrics.average_precision_score(truth, score, sample_weight=weights)
    assert abs(precision - pr.value) <= pr.bound + 1e-9
    assert pr.low <= precision <= pr.high
    assert roc.low <= roc.value <= roc.high


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_the_curve_are_scikit_learns(weighted: bool) -> None:
    """Brier score and log loss of a stream, with scores of 0 and 1 that are clipped and counted; the curve by bin."""
    rng = np.random.default_rng(8)
    score = np.concatenate((rng.random(500), [0.0, 1.0, 1.0]))
    truth = np.concatenate(((rng.random(500) < score[:500]).astype(float), [1.0, 1.0, 0.0]))
    weights = rng.exponential(size=503) if weighted else None
    bins = _bins(truth, score, FIFTHS, weights)
    found = _figures(bins)
    assert found["brier"].value == pytest.approx(
        metrics.brier_score_loss(truth, score, sample_weight=weights)
    )
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(truth, score, sample_weight=weights))
    assert bins.losses.clipped == 2
    codes = np.searchsorted(FIFTHS, score)
    w = np.ones(503) if weights is None else weights
    for place, point in enumerate(calibration_curve(bins)):
        own = codes == place
        assert point.rows == own.sum()
        assert point.score == pytest.approx(np.average(score[own], weights=w[own]))
        assert point.share == pytest.approx(np.average(truth[own], weights=w[own]))
        assert point.low < point.share < point.high
    parts = [w[codes == b] @ (truth - score)[codes == b] for b in range(5)]
    assert found["ece"].value == pytest.approx(np.abs(parts).sum() / w.sum())


def test_one_class_or_no_rows_have_no_area() -> None:
    """What is not defined is absent; constant scores have the area of a coin, with a bound that says so."""
    assert score_figures(_bins([], [])) == []
    names = {figure.name for figure in score_figures(_bins([1, 1], [0.2, 0.9]))}
    assert names == {"brier", "log_loss", "ece", "mce"}
    constant = area_roc(_bins([0, 1] * 200, [0.5] * 400))
    assert constant is not None
    assert (constant.value, constant.bound) == (0.5, 0.5)


def test_scores_that_are_no_probabilities_only_rank() -> None:
    """Margins have areas and no losses."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 300).astype(float)
    score = 3.0 * truth + rng.normal(size=300) - 10.0
    layout = ScoreLayout(tuple(np.quantile(score, np.arange(1, 20) / 20)), probability=False)
    bins = layout.read(layout.sums(Scored(truth, score)))
    found = _figures(bins)
    assert set(found) == {"auc_roc", "auc_pr"}
    assert abs(found["auc_roc"].value - metrics.roc_auc_score(truth, score)) <= found["auc_roc"].bound


def test_perfect_ranking_may_not_be() -> None:
    """An area of 1 from few rows has a lower limit below 1."""
    figure = area_roc(_bins([0] * 30 + [1] * 30, [0.1] * 30 + [0.9] * 30))
    assert figure is not None
    assert figure.value == figure.high == 1.0
    assert 0.8 < figure.low < 0.95
