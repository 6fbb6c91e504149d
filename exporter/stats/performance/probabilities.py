"""Probabilities of several classes: log loss, squared error, and whether the true class is among the k most likely.

Refuses to know names: a truth is a place. Invariant: every row with a truth and probabilities that are numbers in
[0, 1] and sum to 1 is in all sums; all others are counted as refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.performance.figures import Basis, Figure, mean_of, share_of
from exporter.stats.performance.scores import CLIP
from exporter.stats.performance.sums import effective, usable

_HEAD = ("rows", "weight", "weight_squares", "log_loss", "log_loss_squares", "squared", "squared_squares")
_REST = ("clipped", "refused")
# float32 probabilities of a thousand classes sum to 1 within this.
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Likely:
    """`truth`: places of classes, -1 for none or for a class without a probability; `probabilities`: a row each."""

    truth: IntArray
    probabilities: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class ProbabilityLayout:
    """`depths`: the k of the top-k hits, 1 being accuracy."""

    depths: tuple[int, ...] = (1, 3, 5)

    @property
    def size(self) -> int:
        return len(_HEAD) + len(self.depths) + len(_REST)

    def sums(self, batch: Likely) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.truth))
        p = batch.probabilities
        fit = fit & (batch.truth >= 0) & (batch.truth < p.shape[1]) & ((p >= 0.0) & (p <= 1.0)).all(axis=1)
        fit = fit & (np.abs(p.sum(axis=1) - 1.0) <= _TOLERANCE)
        w, truth, p = w[fit], batch.truth[fit], p[fit].astype(np.float64)
        own = p[np.arange(len(truth)), truth]
        loss = -np.log(np.clip(own, CLIP, 1.0))
        squared = (p * p).sum(axis=1) - 2.0 * own + 1.0
        # Of equal ones the true class comes last: a constant answer hits nothing.
        rank = (p >= own[:, None]).sum(axis=1)
        parts = [
            float(len(w)),
            w.sum(),
            w @ w,
            w @ loss,
            w @ (loss * loss),
            w @ squared,
            w @ (squared * squared),
        ]
        parts += [w @ (rank <= depth) for depth in self.depths]
        return np.array([*parts, float((own < CLIP).sum()), float(len(fit) - fit.sum())], np.float64)


def probability_figures(layout: ProbabilityLayout, sums: FloatArray) -> list[Figure]:
    """Log loss, Brier score over all classes (0 to 2), and the top-k hits by depth."""
    return [figure for figure in _figures(layout, sums) if figure is not None]


def _figures(layout: ProbabilityLayout, sums: FloatArray) -> Iterator[Figure | None]:
    rows, weight, squares, *losses = sums[: len(_HEAD)].tolist()
    if rows <= 0.0:
        return
    whole, basis = (weight, squares), Basis(int(rows), effective(weight, squares))
    yield mean_of("log_loss", losses[0], losses[1], whole, basis)
    yield mean_of("brier_classes", losses[2], losses[3], whole, basis)
    hits = sums[len(_HEAD) : len(_HEAD) + len(layout.depths)].tolist()
    for depth, own in zip(layout.depths, hits, strict=True):
        yield share_of("top_k_accuracy", own, whole, basis, str(depth))


@dataclass(frozen=True, slots=True)
class Near:
    """`rank`: of the true class among the likeliest, from 1; 0: not among those that are known."""

    rank: IntArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class TopLayout:
    """Top-k hits alone, where the likeliest classes are known and not what all others have."""

    depths: tuple[int, ...] = (1, 3, 5)

    @property
    def size(self) -> int:
        return 4 + len(self.depths)

    def sums(self, batch: Near) -> FloatArray:
        w, fit = usable(batch.weights, len(batch.rank))
        w, rank = w[fit], batch.rank[fit]
        hits = [w @ ((rank > 0) & (rank <= depth)) for depth in self.depths]
        return np.array([float(len(w)), w.sum(), w @ w, *hits, float(len(fit) - fit.sum())], np.float64)


def top_figures(layout: TopLayout, sums: FloatArray) -> list[Figure]:
    """The top-k hits by depth."""
    rows, weight, squares, *hits = sums[:-1].tolist()
    basis = Basis(int(rows), effective(weight, squares))
    found = [
        share_of("top_k_accuracy", own, (weight, squares), basis, str(depth))
        for depth, own in zip(layout.depths, hits, strict=True)
    ]
    return [figure for figure in found if figure is not None]
