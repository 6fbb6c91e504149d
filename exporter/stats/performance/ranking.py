"""Rankings: hits among the first k, reciprocal rank of the first hit, and discounted gain, per query.

Refuses to know items: a query is the relevance of its items in the order in which they were ranked. Invariant: a query
without a relevant item counts as 0 in every figure (as in scikit-learn), and is counted apart too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.performance.figures import Basis, Figure, share_mean, share_of
from exporter.stats.performance.sums import LARGEST, effective, usable

_HEAD = ("rows", "weight", "weight_squares", "reciprocal", "reciprocal_squares", "barren", "refused")
_PER_RANK = 3


@dataclass(frozen=True, slots=True)
class Ranked:
    """`relevance`: a row per query, items in ranked order, NaN after its last; 0: not relevant.

    `ideal`: relevances of all items that could have been ranked, in any order, NaN after the last; by default those
    that were.
    """

    relevance: FloatArray
    ideal: FloatArray | None = None
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class RankingLayout:
    """`depths`: the k of hit@k and NDCG@k."""

    depths: tuple[int, ...] = (1, 3, 5, 10)

    @property
    def size(self) -> int:
        return len(_HEAD) + _PER_RANK * len(self.depths)

    def sums(self, batch: Ranked) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.relevance))
        ideal = batch.relevance if batch.ideal is None else batch.ideal
        for side in (batch.relevance, ideal):
            fit = fit & ~((side < 0.0) | (side > LARGEST)).any(axis=1)
        w, gains, best = w[fit], np.nan_to_num(batch.relevance[fit]), np.nan_to_num(ideal[fit])
        best = -np.sort(-best, axis=1)
        hits = gains > 0.0
        first = (
            np.where(hits.any(axis=1), 1.0 / (1.0 + hits.argmax(axis=1)), 0.0) if gains.shape[1] else 0.0 * w
        )
        head = [float(len(w)), w.sum(), w @ w, w @ first, w @ (first * first)]
        parts = [*head, float((best <= 0.0).all(axis=1).sum()), float(len(fit) - fit.sum())]
        for depth in self.depths:
            share = _discounted(gains, best, depth)
            parts += [w @ hits[:, :depth].any(axis=1), w @ share, w @ (share * share)]
        return np.array(parts, np.float64)


def ranking_figures(layout: RankingLayout, sums: FloatArray) -> list[Figure]:
    """MRR, and hit rate and NDCG by depth."""
    rows, weight, squares, reciprocal, reciprocal_squares = sums[:5].tolist()
    if rows <= 0.0:
        return []
    whole = (weight, squares)
    basis = Basis(int(rows), effective(weight, squares))
    found = [share_mean("mrr", reciprocal, reciprocal_squares, whole, basis)]
    for place, depth in enumerate(layout.depths):
        at = len(_HEAD) + _PER_RANK * place
        hits, gain, gain_squares = sums[at : at + _PER_RANK].tolist()
        found.append(share_of("hit_rate", hits, whole, basis, str(depth)))
        mean = share_mean("ndcg", gain, gain_squares, whole, basis)
        found.append(mean and replace(mean, of=str(depth)))
    return [figure for figure in found if figure is not None]


def _discounted(gains: FloatArray, best: FloatArray, depth: int) -> FloatArray:
    """DCG over its largest possible value, linear gain, discount 1 / log2(1 + rank): Järvelin and Kekäläinen (2002)."""
    found = []
    for side in (gains, best):
        own = side[:, :depth]
        found.append(own @ (1.0 / np.log2(np.arange(2.0, own.shape[1] + 2.0))))
    return np.divide(found[0], found[1], out=np.zeros_like(found[0]), where=found[1] > 0.0)
