"""L-infinity: the largest |q - p| of any bin, p reference and q live.

In [0, 1], 0 if equal; symmetric, a metric. Says which bin changed, and is blind to a change that is spread over
many. Shares as they are.

Yardsticks: without drift q - p of a bin is normal with variance v = s(1 - s)(1/N + 1/M), s the pooled share,
and skewed where few rows are expected, sd x skew = (1 - 2s)|1/N - 1/M|. Critical value: the largest over the
bins of z sd, z corrected for that skewness, at the level of one of B bins (Bonferroni). Floor: the mean of the
largest of as many independent deviations as would make up the variance.
"""

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.chance import largest_of, skewed, union_quantiles
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Table


def l_infinity(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis."""
    return np.asarray(np.abs(q - p).max(axis=-1, initial=0.0), np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    variance = counts.variance
    sd = np.sqrt(variance * counts.noise[:, None])
    uneven = np.abs(1.0 / counts.effective - 1.0 / counts.reference_rows)[:, None]
    third = np.abs(1.0 - 2.0 * counts.pooled) * uneven
    z = union_quantiles(counts.bins)[:, None]
    high = skewed(z, np.where(sd > 0, third / np.where(sd > 0, sd, 1.0), 0.0)) * sd
    largest = variance.max(axis=1, initial=0.0)
    alike = variance.sum(axis=1) / np.where(largest > 0, largest, 1.0)
    floor = largest_of(alike) * sd.max(axis=1, initial=0.0)
    return Found(counts, l_infinity(*counts.shares), floor, high.max(axis=1, initial=0.0))


L_INFINITY = Statistic("l_infinity", BOTH, 0.1, _compare)
