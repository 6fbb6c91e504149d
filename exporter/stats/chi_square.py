"""Chi-square distance: sum of (q - p)^2 / s over bins, p reference, q live, s the share of both together.

>= 0, 0 if equal, symmetric in the two samples. It is the statistic of Pearson's test of homogeneity, X = N M
sum of (q - p)^2 / (n + m), times (1/N + 1/M), so that it is a distance and does not grow with n; for small
drift it is PSI. Shares as they are. The test is of homogeneity, not of fit: a reference is a sample too, and
taking it as exact makes p-values far too small.

p-value: of X = distance / (1/n_eff + 1/M), chi-square with B - 1 degrees, exact; where bins are expected to
hold less than five rows it is too small, as for every such test. Floor as for PSI. The critical value allows
for thin bins: the variance of X is 2(B - 1) + (sum of 1/s - B^2 - 2B + 2)/N (Haldane, "The mean and variance of
chi-squared", 1939); of the last term double, and 0.2 B/N besides, were fitted to simulation. Where bins are
both thin and uneven about two windows in 1,000 still exceed it (docs/statistics.md).
"""

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.chance import Z_999, chi_square_tail
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Counts, Table

_THIN = 0.2


def chi_square(p: FloatArray, q: FloatArray, pooled: FloatArray) -> FloatArray:
    """Over the last axis; empty bins are left out."""
    terms = np.square(q - p) / np.where(pooled > 0, pooled, 1.0)
    return np.asarray(terms.sum(axis=-1), np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    value = chi_square(*counts.shares, counts.pooled)
    p_value = chi_square_tail(np.where(counts.sufficient, value / counts.noise, 0.0), counts.bins - 1)
    return Found(counts, value, counts.floor, counts.floor * _stretch(counts), p_value)


def _stretch(counts: Counts) -> FloatArray:
    """The 99.9 % quantile over the mean, by Wilson and Hilferty, with the degrees that the variance has."""
    k = np.maximum(counts.bins - 1.0, 1.0)
    sparse = (
        np.maximum(counts.inverse - np.square(counts.bins) - 2.0 * counts.bins + 2.0, 0.0) / counts.effective
    )
    ninth = 2.0 / (9.0 * k) * (1.0 + sparse / k)
    quantile = (1.0 - ninth + Z_999 * np.sqrt(ninth)) ** 3
    return np.asarray(quantile * (1.0 + _THIN * counts.bins / counts.effective), np.float64)


CHI_SQUARE = Statistic("chi_square", BOTH, 0.1, _compare)
