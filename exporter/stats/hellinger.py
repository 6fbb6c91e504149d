"""Hellinger distance: sqrt(1 - sum of sqrt(p q)), p reference and q live.

In [0, 1], 0 if equal, 1 if no bin is shared; symmetric, a metric. Of smoothed shares. Source: Hellinger (1909), in the
normalisation of Le Cam. Its square is PSI / 8 for small drift and smaller for large, which gives the critical value;
the floor is the mean of the root of a chi-square variable, sqrt(k - 1/2 + 1/(8k)), k = B - 1.
"""

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Table


def hellinger(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis. Half the sum of squared differences of roots: 1 - sum loses digits near 0."""
    return np.asarray(np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2.0), np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    critical = np.sqrt(counts.critical / 8.0)
    k = np.maximum(counts.bins - 1, 1)
    mean = np.where(counts.bins > 1, np.sqrt(k - 0.5 + 1.0 / (8.0 * k)), 0.0)
    return Found(counts, hellinger(*counts.smooth), mean * np.sqrt(counts.noise / 8.0), critical)


HELLINGER = Statistic("hellinger", BOTH, 0.112, _compare)
