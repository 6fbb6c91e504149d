"""Clusters: rows of one request are not independent, so that N rows may say as little as a few.

Three counters per column: rows whose request is known, the sum over requests of their rows squared (T), and the
sum over requests and bins of the counts squared (S). They add up over panes and replicas, and PromQL forms the same
number from them. Refuses to know names and time. A row whose request is not known counts as one of its own.
"""

from __future__ import annotations

import numpy as np

from exporter.stats.bins import FloatArray, IntArray

ROWS, SQUARED_ROWS, SQUARED_BINS = range(3)
# At most so many cells are counted at once: 16 MiB.
_CELLS = 1 << 21


def effective_rows(rows: FloatArray, agreement: FloatArray, clusters: IntArray | FloatArray) -> FloatArray:
    """n_eff = N / (1 + rho (T/N - 1)): as many independent rows would make the shares as uncertain.

    rho = max(0, (a - A) / (1 - A)), a = (S - N) / (T - N) how often two rows of one request fall into the same bin, A
    = sum of the squared shares (`agreement`) how often any two do. Shape (columns,) each, `clusters` (3, columns). N
    where T = N, which is one row per request. The factor is taken from the rows whose request is known, and holds for
    all. Source: Kish, "Survey sampling" (1965), design effect 1 + rho (m - 1), m the mean cluster as a row meets it.
    """
    known, squared, matched = clusters.astype(np.float64)
    pairs = squared - known
    a = (matched - known) / np.where(pairs > 0, pairs, 1.0)
    rest = 1.0 - agreement
    rho = np.clip((a - agreement) / np.where(rest > 0, rest, 1.0), 0.0, 1.0)
    factor = 1.0 + rho * pairs / np.where(known > 0, known, 1.0)
    return np.asarray(rows / np.where((pairs > 0) & (rest > 0), factor, 1.0), np.float64)


def squared_bins(bins: IntArray, lengths: IntArray, size: int) -> IntArray:
    """Sum over requests of squared counts, per bin, shape (size,).

    `bins` (columns, rows): the bin of every cell, below `size`; `lengths`: rows of each request, in order.
    """
    found = np.zeros(size, np.int64)
    many = lengths > 1
    if not many.all():
        alone = np.repeat(~many, lengths)
        found += np.bincount(bins[:, alone].ravel(), minlength=size)
        bins, lengths = bins[:, ~alone], lengths[many]
    step = max(1, _CELLS // max(size, 1))
    ends = np.cumsum(lengths)
    for first in range(0, len(lengths), step):
        part = lengths[first : first + step]
        start = int(ends[first] - part[0])
        owners = np.repeat(np.arange(len(part)) * size, part)
        keys = bins[:, start : start + len(owners)] + owners
        counts = np.bincount(keys.ravel(), minlength=len(part) * size).reshape(len(part), size)
        found += np.einsum("ij,ij->j", counts, counts)
    return found
