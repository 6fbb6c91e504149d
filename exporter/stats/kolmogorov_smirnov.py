"""Kolmogorov-Smirnov distance: the largest |F - G| at any bin edge, F and G the shares at or below it.

In [0, 1], 0 if equal; symmetric. Of finite numbers only, shares as they are. The distance of the values
themselves lies between it and `upper_bound`; with quantile bins the two differ by at most the share of a bin.

Yardsticks: D / sqrt(1/N + 1/M) has Kolmogorov's distribution where the edges are dense; at fewer edges it is
smaller, so that critical value and p-value err quietly. The floor takes the edges into account: a maximum at
discrete places is lower by 0.5826 sqrt(distance) (Chernoff 1965; Broadie, Glasserman and Kou 1997), the
distance being that of a row's edges on average, sum of squared shares.
"""

import math

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.chance import KOLMOGOROV_999, KOLMOGOROV_MEAN, kolmogorov_tail
from exporter.stats.drift import NUMERIC, Drift, Found, Pair, Statistic
from exporter.stats.table import Table

_DISCRETE = 0.5826  # -zeta(1/2) / sqrt(2 pi)
_ROBUST = 1.8


def kolmogorov_smirnov(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis, bins in order."""
    return np.asarray(np.abs(np.cumsum(q - p, axis=-1)).max(axis=-1, initial=0.0), np.float64)


def upper_bound(pair: Pair) -> float:
    """The distance of the values themselves is at most this: in a bin all of one side may come first."""
    p, q = (share[0] for share in pair.table().numbers.shares)
    f, g = np.cumsum(p), np.cumsum(q)
    return float(np.maximum(f - (g - q), g - (f - p)).max(initial=0.0))


def robust_excess(drift: Drift) -> float:
    """max(0, D - 1.8 sqrt(1/N + 1/M)): what is left beyond chance at about 0.3 %. Source: Deequ, `Distance`."""
    chance = 1.0 / drift.effective_rows + 1.0 / drift.reference_rows
    return max(0.0, drift.value - _ROBUST * math.sqrt(chance))


def _compare(table: Table) -> Found:
    counts = table.numbers
    value, scale = kolmogorov_smirnov(*counts.shares), np.sqrt(counts.noise)
    below = np.cumsum(counts.pooled, axis=1)
    widest = np.sqrt(np.maximum(below * (1.0 - below), 0.0)).max(axis=1, initial=0.0)
    apart = np.sqrt(np.square(counts.pooled).sum(axis=1))
    mean = np.maximum(KOLMOGOROV_MEAN - _DISCRETE * apart, math.sqrt(2.0 / math.pi) * widest)
    one = counts.bins < 2
    critical = np.where(one, 0.0, KOLMOGOROV_999) * scale
    return Found(counts, value, np.where(one, 0.0, mean) * scale, critical, kolmogorov_tail(value / scale))


KOLMOGOROV_SMIRNOV = Statistic("kolmogorov_smirnov", NUMERIC, 0.1, _compare)
