"""Outputs of classifiers and intervals: which rows are probabilities, and what they say about their own certainty.

Refuses to know names, models and time. Invariant: nothing raises for any floats; a row that is no distribution gives
NaN and never a number that looks like one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
Table = NDArray[np.floating[Any]]

# How far from 1 the probabilities of a row may add up: float16 outputs of some hundred classes are that far off.
TOLERANCE: Final = 1e-3


def in_unit(values: Table) -> BoolArray:
    """Which rows, or values of one dimension, lie in [0, 1] throughout; NaN does not."""
    within: BoolArray = (values >= 0.0) & (values <= 1.0)
    return within if within.ndim == 1 else np.asarray(within.all(axis=1))


def distributions(table: Table) -> BoolArray:
    """Which rows of a table (rows, classes) are distributions: all in [0, 1], adding up to 1 ± TOLERANCE."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = table.sum(axis=1, dtype=np.float64)
        near: BoolArray = np.abs(total - 1.0) <= TOLERANCE
    return in_unit(table) & near


def two_classes(positive: Table) -> NDArray[np.float64]:
    """The table (rows, 2) of a binary output that tells the positive class alone."""
    share = np.asarray(positive, np.float64)
    table = np.empty((len(share), 2))
    table[:, 0], table[:, 1] = 1.0 - share, share
    return table


def certainty(table: Table, good: BoolArray | None = None) -> dict[str, NDArray[np.float64]]:
    """Per row of a table of distributions: `confidence`, `margin` and `entropy`; NaN for a row that is none.

    `good`: which rows are distributions, where that is known.

    confidence = max p, in [1/k, 1]. margin = the largest p less the second, in [0, 1]. entropy = -sum p ln p in nats,
    in [0, ln k], with 0 ln 0 = 0 and p divided by its sum. Source: Shannon, "A mathematical theory of communication"
    (1948); for margin Scheffer et al., "Active hidden Markov models for information extraction" (2001).
    """
    shares = np.asarray(table, np.float64)
    good = (distributions(shares) if good is None else good) & (shares.shape[1] > 1)
    if not good.all():
        shares = np.where(good[:, None], shares, np.nan)
    shares = shares / shares.sum(axis=1, keepdims=True)
    top = np.partition(shares, shares.shape[1] - 2, axis=1)[:, -2:] if shares.shape[1] > 1 else shares[:, :1]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    return {
        "confidence": top[:, -1],
        "margin": top[:, -1] - top[:, 0],
        "entropy": np.where(good, -(shares * logs).sum(axis=1) + 0.0, np.nan),
    }


def widths(lower: Table, upper: Table) -> NDArray[np.float64]:
    """upper - lower, in the output's unit; NaN where one is not finite. Negative where they are crossed."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.asarray(upper, np.float64) - np.asarray(lower, np.float64)
    return np.where(np.isfinite(found), found, np.nan)
