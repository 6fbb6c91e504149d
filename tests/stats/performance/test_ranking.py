"""Rankings against scikit-learn and the known answer."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from exporter.stats.performance.ranking import Ranked, RankingLayout, ranking_figures
from exporter.stats.performance.sums import Account

LAYOUT = RankingLayout((1, 3, 5))


def _figures(batch: Ranked, layout: RankingLayout = LAYOUT) -> dict[tuple[str, str], float]:
    account = Account(layout)
    account.update(batch)
    return {(figure.name, figure.of): figure.value for figure in ranking_figures(layout, account.net)}


def test_the_known_answer() -> None:
    """D14: importances .70, .50, .05 that now rank the other way round."""
    found = _figures(Ranked(np.array([[0.05, 0.5, 0.7]])))
    assert found["ndcg", "3"] == pytest.approx(0.6876396241, abs=1e-10)


def test_figures_are_scikit_learns() -> None:
    """NDCG at every depth; with one relevant item a query, MRR and hits are what its rank says."""
    rng = np.random.default_rng(3)
    relevance, score = rng.integers(0, 4, (200, 8)).astype(float), rng.normal(size=(200, 8))
    order = np.argsort(-score, axis=1)
    found = _figures(Ranked(np.take_along_axis(relevance, order, axis=1)))
    for depth in LAYOUT.depths:
        assert found["ndcg", str(depth)] == pytest.approx(ndcg_score(relevance, score, k=depth))
    single = np.eye(8)[rng.integers(0, 8, 200)]
    found = _figures(Ranked(np.take_along_axis(single, order, axis=1)))
    rank = np.take_along_axis(single, order, axis=1).argmax(axis=1) + 1
    assert found["mrr", ""] == pytest.approx(label_ranking_average_precision_score(single, score))
    assert found["hit_rate", "3"] == pytest.approx((rank <= 3).mean())


def test_what_could_have_been_ranked_counts() -> None:
    """The ideal of all items is higher than that of those shown; lists of several lengths end in NaN."""
    shown = np.array([[0.0, 1.0, np.nan], [2.0, np.nan, np.nan]])
    every = np.array([[3.0, 1.0, 0.0, np.nan], [2.0, 0.0, np.nan, np.nan]])
    found = _figures(Ranked(shown, every))
    own = 1 / np.log2(3) / (3 + 1 / np.log2(3))
    assert found["ndcg", "3"] == pytest.approx((own + 1.0) / 2.0)
    assert found["mrr", ""] == pytest.approx(0.75)
    assert found["hit_rate", "1"] == 0.5


def test_queries_without_a_relevant_item_are_zeros() -> None:
    """As in scikit-learn; they are counted apart, negative relevance is refused."""
    relevance = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    sums = LAYOUT.sums(Ranked(relevance))
    assert sums[5:7].tolist() == [1.0, 1.0]
    assert _figures(Ranked(relevance))["ndcg", "1"] == 0.5
    assert _figures(Ranked(np.zeros((0, 3)))) == {}
    assert _figures(Ranked(np.zeros((2, 0))))["mrr", ""] == 0.0
