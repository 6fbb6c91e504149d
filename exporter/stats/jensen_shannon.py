"""Jensen-Shannon divergence: mean of KL(p|m) and KL(q|m) in bits, m the mean of the reference's p and the live q.

In [0, 1], 0 if equal, 1 if no bin is shared; symmetric. The divergence, not its root (peers call the root by the same
name, in base 2 or e). Of smoothed shares. Source: Lin, "Divergence measures based on the Shannon entropy" (1991). For
small drift it is PSI / (8 ln 2), which gives the yardsticks; for large drift it is smaller, so that they err quietly.
"""

import math

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.drift import BOTH, Found, Statistic
from exporter.stats.table import Table

_PSI = 8.0 * math.log(2.0)


def jensen_shannon(p: FloatArray, q: FloatArray) -> FloatArray:
    """Over the last axis; a bin that is 0 on a side adds nothing from that side."""
    middle = (p + q) / 2.0
    sides = (np.where(side > 0, side, 1.0) / np.where(side > 0, middle, 1.0) for side in (p, q))
    left, right = (np.log2(ratio) for ratio in sides)
    return np.asarray(np.clip((p * left + q * right).sum(axis=-1) / 2.0, 0.0, 1.0), np.float64)


def _compare(table: Table) -> Found:
    counts = table.every
    return Found(counts, jensen_shannon(*counts.smooth), counts.floor / _PSI, counts.critical / _PSI)


JENSEN_SHANNON = Statistic("jensen_shannon", BOTH, 0.018, _compare)
