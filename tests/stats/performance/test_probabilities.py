"""Probabilities of several classes, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from exporter.stats.performance.probabilities import Likely, ProbabilityLayout, probability_figures
from exporter.stats.performance.sums import Account

LAYOUT = ProbabilityLayout((1, 2, 3))


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_scikit_learns(weighted: bool) -> None:
    """Log loss and top-k accuracy; the squared error is that of one-hot truths; parts add up."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(5), 400)
    truth = np.array([rng.choice(5, p=row) for row in p])
    w = rng.exponential(size=400) if weighted else None
    account = Account(LAYOUT)
    for part in (slice(0, 123), slice(123, None)):
        account.update(Likely(truth[part], p[part], None if w is None else w[part]))
    found = {(f.name, f.of): f.value for f in probability_figures(LAYOUT, account.net)}
    assert found["log_loss", ""] == pytest.approx(metrics.log_loss(truth, p, sample_weight=w))
    squared = ((p - np.eye(5)[truth]) ** 2).sum(axis=1)
    assert found["brier_classes", ""] == pytest.approx(np.average(squared, weights=w))
    for depth in LAYOUT.depths:
        expected = metrics.top_k_accuracy_score(truth, p, k=depth, sample_weight=w)
        assert found["top_k_accuracy", str(depth)] == pytest.approx(expected)


def test_the_known_answer() -> None:
    """D9: ["spam", "ham", "ham", "spam"]."""
    p = np.array([[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]])
    (loss, *_) = probability_figures(LAYOUT, LAYOUT.sums(Likely(np.array([1, 0, 0, 1]), p)))
    assert loss.value == pytest.approx(0.2161618747, abs=1e-10)


def test_what_is_no_probability_is_refused() -> None:
    """NaN, negative, a sum that is not 1, no truth; a certain mistake is clipped; ties hit nothing."""
    p = np.array([[np.nan, 1.0], [-0.5, 1.5], [0.5, 0.6], [0.5, 0.5], [0.0, 1.0], [0.5, 0.5]])
    sums = LAYOUT.sums(Likely(np.array([0, 0, 0, -1, 0, 0]), p))
    assert sums[-2:].tolist() == [1.0, 4.0]
    found = {(f.name, f.of): f.value for f in probability_figures(LAYOUT, sums)}
    assert found["top_k_accuracy", "1"] == 0.0
    assert found["top_k_accuracy", "2"] == 1.0
    assert probability_figures(LAYOUT, np.zeros(LAYOUT.size)) == []
