"""Scores: per bin of the score the positive and negative rows, and sums of scores; beside them squared and log loss.

Bins are (a, b], the last one open above; a threshold means "positive above it", so that it is exact at every edge.
Refuses to know what a threshold is for. Invariant: every row with a truth, a finite score and a usable weight is in
exactly one bin; all others, and what is no probability where probabilities are expected, are counted as refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from exporter.stats.bins import BoolArray, FloatArray
from exporter.stats.performance.classes import Table
from exporter.stats.performance.sums import LARGEST, ROWS, SQUARES, WEIGHT, planes, settled, usable

NEGATIVE, POSITIVE = "negative", "positive"
# scikit-learn clips so too: log loss is finite whatever a model says.
CLIP = float(np.finfo(np.float64).eps)
_PER_BIN = 10
_REST = ("squared_squares", "log_loss", "log_loss_squares", "clipped", "refused")


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with a score; `truth`: 1 positive, 0 negative, anything else none."""

    truth: FloatArray
    score: FloatArray
    weights: FloatArray | None = None


class Losses(NamedTuple):
    """Weighted sums of the fourth power of score - truth, of log loss and its square; clipped and refused rows."""

    squared_squares: float
    log_loss: float
    log_loss_squares: float
    clipped: int
    refused: int


@dataclass(frozen=True, slots=True)
class ScoreBins:
    """Rows, weights and squared weights, (3, B), of positive and negative rows; weighted sums of the score and of its
    square over them, (B,) each, zeros where scores are no probabilities."""

    edges: tuple[float, ...]
    positives: FloatArray
    negatives: FloatArray
    positive_sums: FloatArray
    negative_sums: FloatArray
    positive_squares: FloatArray
    negative_squares: FloatArray
    losses: Losses
    probability: bool = True

    @property
    def whole(self) -> FloatArray:
        """All rows by bin, (3, B)."""
        return np.asarray(self.positives + self.negatives, np.float64)

    @property
    def scores(self) -> FloatArray:
        """Weighted sums of the score by bin: the positives to expect of a calibrated model."""
        return np.asarray(self.positive_sums + self.negative_sums, np.float64)

    @property
    def squared_errors(self) -> FloatArray:
        """Weighted sums of (score - truth)^2 by bin."""
        positives = self.positive_squares - 2.0 * self.positive_sums + self.positives[WEIGHT]
        return np.asarray(np.maximum(positives, 0.0) + self.negative_squares, np.float64)

    def at(self, edge: int) -> Table:
        """Confusion cells if what is above `edges[edge]` is called positive; -1: everything."""
        cells = np.zeros((3, 2, 2))
        for truth, rows in enumerate((self.negatives, self.positives)):
            cells[:, truth, 1] = rows[:, edge + 1 :].sum(axis=1)
            cells[:, truth, 0] = rows[:, : edge + 1].sum(axis=1)
        return Table((NEGATIVE, POSITIVE), cells, np.zeros(3))

    def expected_at(self, edge: int) -> Table:
        """The same cells as a calibrated model would have them on average, without any label: sums of p and 1 - p.

        Source: NannyML, confidence-based performance estimation; holds only if scores are calibrated.
        """
        whole = self.whole
        ratio = np.divide(whole, whole[WEIGHT], out=np.zeros_like(whole), where=whole[WEIGHT] > 0.0)
        positives = ratio * np.minimum(self.scores, whole[WEIGHT])
        rest = np.maximum(whole - positives, 0.0)
        zeros = np.zeros(len(self.edges) + 1)
        told = ScoreBins(
            self.edges, positives, rest, zeros, zeros, zeros, zeros, self.losses, self.probability
        )
        return told.at(edge)

    def around(self, threshold: float) -> tuple[int, int]:
        """The nearest edges at or below, and at or above, a threshold; -1 and the last bin where there is none.

        Shares of true and of false positives at the threshold lie between those at the two.
        """
        above = int(np.searchsorted(self.edges, threshold, side="left"))
        exact = above < len(self.edges) and self.edges[above] == threshold
        return (above if exact else above - 1), above


@dataclass(frozen=True, slots=True)
class ScoreLayout:
    """Bins between these edges, which increase strictly. `probability`: scores lie in [0, 1] and mean a chance."""

    edges: tuple[float, ...]
    probability: bool = True

    def __post_init__(self) -> None:
        array = np.array(self.edges, np.float64)
        if not np.isfinite(array).all() or (np.diff(array) <= 0.0).any():
            raise ValueError(f"edges that are finite and increase strictly expected, got {self.edges}")

    @property
    def bins(self) -> int:
        """One more than edges."""
        return len(self.edges) + 1

    @property
    def size(self) -> int:
        return _PER_BIN * self.bins + len(_REST)

    def sums(self, batch: Scored) -> FloatArray:
        weights, fit = usable(batch.weights, len(batch.truth))
        low, high = (0.0, 1.0) if self.probability else (-LARGEST, LARGEST)
        fit = (
            fit & (batch.score >= low) & (batch.score <= high) & ((batch.truth == 0.0) | (batch.truth == 1.0))
        )
        refused = float(len(fit) - fit.sum())
        truth, score, weights = batch.truth[fit] == 1.0, batch.score[fit].astype(np.float64), weights[fit]
        places = np.searchsorted(self.edges, score, side="left")
        parts = [planes(places[own], weights[own], self.bins).ravel() for own in (truth, ~truth)]
        for power in (1, 2):
            for own in (truth, ~truth):
                values = weights[own] * score[own] ** power if self.probability else np.zeros(own.sum())
                parts.append(np.bincount(places[own], values, minlength=self.bins).astype(np.float64))
        losses = _losses(truth, score, weights) if self.probability else [0.0] * 4
        return np.concatenate((*parts, [*losses, refused]))

    def read(self, sums: FloatArray) -> ScoreBins:
        """The bins of an account's sums."""
        found = sums[: -len(_REST)].reshape(_PER_BIN, self.bins)
        fourth, loss, squares, clipped, refused = sums[-len(_REST) :].tolist()
        losses = Losses(fourth, loss, squares, int(clipped), int(refused))
        rows = settled(found[:3]), settled(found[3:6])
        ones, twos = (found[6], found[7]), (found[8], found[9])
        return ScoreBins(self.edges, *rows, *ones, *twos, losses, self.probability)


def _losses(truth: BoolArray, score: FloatArray, weights: FloatArray) -> list[float]:
    away = (score - truth) ** 2
    own = np.where(truth, score, 1.0 - score)
    # Only what would be infinite, or near it, is clipped.
    kept = np.clip(own, CLIP, 1.0 - CLIP)
    loss = -np.log(kept)
    clipped = float((own < CLIP).sum())
    return [float(weights @ (away * away)), float(weights @ loss), float(weights @ (loss * loss)), clipped]


def totals(rows: FloatArray) -> tuple[int, float, float]:
    """Rows, weight and squared weights over all bins of (3, B)."""
    found = rows.sum(axis=1)
    return int(found[ROWS]), float(found[WEIGHT]), float(found[SQUARES])
