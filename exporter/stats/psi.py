"""PSI, the population stability index: sum of (q - p) ln(q / p) over bins, p reference and q live.

Nats, >= 0, 0 if equal, no upper limit, symmetric, indifferent to the order of bins: KL(q|p) + KL(p|q), the Jeffreys
divergence. Of smoothed shares, or one rare category would decide it. Source of the yardsticks: Yurdakul (2018), see
`chance.py`. The critical value of the limit alone is exceeded in 1.7 of 1,000 windows where bins hold about ten rows
(simulated); it is raised by up to a tenth there.
"""

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Counts, Table


def psi(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis; bins that are 0 on both sides are left out."""
    either = (p > 0) | (q > 0)
    ratio = np.log(np.where(either, q, 1.0) / np.where(either, p, 1.0))
    return np.asarray(((q - p) * ratio).sum(axis=-1), np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    return Found(counts, psi(*counts.smooth), counts.floor, counts.critical * (1.0 + _thin(counts)))


def _thin(counts: Counts) -> FloatArray:
    """0.4 times the mean of 1/(N s) over bins, which is B/N if they are equally full; 0.1 at most."""
    mean = counts.inverse / np.maximum(counts.bins, 1)
    return np.asarray(np.minimum(0.4 * mean / counts.effective, 0.1), np.float64)


PSI = Statistic("psi", BOTH, 0.1, _compare)
