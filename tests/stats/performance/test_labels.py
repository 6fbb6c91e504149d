"""Several labels for a row, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from exporter.stats.performance.labels import LabelLayout, Labelled, label_figures
from exporter.stats.performance.sums import Account

LAYOUT = LabelLayout(("x", "y", "z"))


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_scikit_learns(weighted: bool) -> None:
    """Per label, and over all of a row's."""
    rng = np.random.default_rng(2)
    truth = (rng.random((300, 3)) < [0.5, 0.1, 0.8]).astype(float)
    predicted = np.where(rng.random((300, 3)) < 0.8, truth, 1 - truth)
    w = rng.exponential(size=300) if weighted else None
    account = Account(LAYOUT)
    account.update(Labelled(truth, predicted, w))
    figures = label_figures(LAYOUT, account.net)
    found = {(figure.name, figure.of): figure.value for figure in figures}
    assert found["subset_accuracy", ""] == pytest.approx(
        metrics.accuracy_score(truth, predicted, sample_weight=w)
    )
    assert found["hamming_loss", ""] == pytest.approx(metrics.hamming_loss(truth, predicted, sample_weight=w))
    for name in ("precision", "recall", "f1"):
        expected = getattr(metrics, f"{name}_score")(truth, predicted, average=None, sample_weight=w)
        assert [found[name, label] for label in LAYOUT.labels] == pytest.approx(expected.tolist())


def test_rows_that_are_no_labels_are_refused() -> None:
    """NaN or another number in any label; no rows have no figures."""
    sums = LAYOUT.sums(Labelled(np.array([[1, 0, np.nan], [1, 0, 2.0], [1, 0, 0]]), np.ones((3, 3))))
    assert sums[-1] == 2.0
    assert LAYOUT.table(sums, 0).whole[0] == 1.0
    assert label_figures(LAYOUT, np.zeros(LAYOUT.size)) == []


@pytest.mark.parametrize("labels", [(), tuple(map(str, range(21)))])
def test_labels_are_bounded(labels: tuple[str, ...]) -> None:
    """1 to 20."""
    with pytest.raises(ValueError, match="1 to 20 labels"):
        LabelLayout(labels)
