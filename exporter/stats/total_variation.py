"""Total variation: half the sum of |q - p|, the share of rows that would have to move; p reference, q live.

In [0, 1], 0 if equal, 1 if no bin is shared; symmetric, a metric. Shares as they are.

Yardsticks: without drift q - p of a bin is normal with variance v = s(1 - s)(1/N + 1/M), s the pooled share.
The mean of |q - p| is sqrt(2v / pi). The variance of the sum: (1 - 2/pi) times [sum of v, and of c_a c_b over
pairs of bins, c = s^2 / sqrt(s(1 - s))], for cov(|x|, |y|) <= (1 - 2/pi) r^2 sd(x) sd(y) at correlation r, with
equality for two bins. The critical value is mean + z sd, z corrected for the skewness of a sum of half-normal
deviations and of the rows outside of the fullest bin, and 1/(2N) besides, for counts are whole.
"""

import math

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.chance import Z_999, skewed
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Counts, Table

_RARE = 2.0  # by simulation: 1 leaves 2 false alarms in 1,000 where 19 of 20 bins share 5 % of 200 rows
_HALF_NORMAL_SKEW = math.sqrt(2.0) * (4.0 - math.pi) / (math.pi - 2.0) ** 1.5


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis."""
    return np.asarray(np.abs(q - p).sum(axis=-1) / 2.0, np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    mean, critical = _by_chance(counts)
    return Found(counts, total_variation(*counts.shares), mean, critical)


def _by_chance(counts: Counts) -> tuple[FloatArray, FloatArray]:
    variance = counts.variance
    deviation = np.sqrt(variance)
    together = np.where(variance > 0, np.square(counts.pooled) / np.where(variance > 0, deviation, 1.0), 0.0)
    mean = math.sqrt(2.0 / math.pi) * deviation.sum(axis=1)
    total = variance.sum(axis=1)
    pairs = np.square(together.sum(axis=1)) - np.square(together).sum(axis=1)
    sd = np.sqrt((1.0 - 2.0 / math.pi) * (total + np.maximum(pairs, 0.0)))
    # As many free bins as would vary alike: B - 1 if all are equally full, 1 if there are two.
    free = np.square(total) / np.where(total > 0, np.square(variance).sum(axis=1), 1.0) - 1.0
    z = skewed(Z_999, _HALF_NORMAL_SKEW / np.sqrt(np.maximum(free, 1.0)) + _RARE * _thin(counts))
    scale = np.sqrt(counts.noise) / 2.0
    return mean * scale, (mean + z * sd) * scale + 0.5 / counts.effective


def _thin(counts: Counts) -> FloatArray:
    """Skewness of the share outside of the fullest bin: it is what moves where one bin holds most rows."""
    outside = 1.0 - counts.pooled.max(axis=1, initial=0.0)
    sd = np.sqrt(outside * (1.0 - outside) * counts.noise)
    third = np.maximum(1.0 - 2.0 * outside, 0.0) * np.abs(
        1.0 / counts.effective - 1.0 / counts.reference_rows
    )
    return np.asarray(third / np.where(sd > 0, sd, 1.0), np.float64)


TOTAL_VARIATION = Statistic("total_variation", BOTH, 0.1, _compare)
