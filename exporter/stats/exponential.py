"""Exponential: counts in base-2 exponential buckets of one fixed scale, as OpenTelemetry and Prometheus have them.

Bucket i counts values in (base^i, base^(i+1)] with base = 2^(1/8), scale 3; its middle is within 4.4 % of each of them.
Law: merge is addition, whatever the streams were, since the scale never changes. Values up to 2^-40 in size are zero,
those beyond 2^40 and infinite ones are in the last bucket, NaN is not counted. Invariant: no count goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SCALE: Final = 3
_PER_DOUBLING: Final = 1 << SCALE
LOWEST: Final = -40 * _PER_DOUBLING  # index of the first bucket
BUCKETS: Final = 80 * _PER_DOUBLING
ZERO_THRESHOLD: Final = 2.0**-40
# Upper bounds of the buckets within one doubling, for a mantissa in [0.5, 1).
_MANTISSAS: Final = 2.0 ** (np.arange(_PER_DOUBLING) / _PER_DOUBLING - 1.0)

Counts = NDArray[np.int64]


class Exponentials:
    """One column: `zero`, and rows for positive and for negative values."""

    def __init__(self) -> None:
        self.zero = 0
        self.counts: Counts = np.zeros((2, BUCKETS), np.int64)

    def update(self, values: NDArray[np.float64]) -> None:
        """Count a batch."""
        update_all([self], [values])

    def merge(self, other: Exponentials) -> None:
        """Take in all that `other` counted."""
        self.zero += other.zero
        self.counts += other.counts

    def used(self, negative: bool) -> tuple[int, tuple[int, ...]]:
        """Index of the first bucket that counted, and the counts from there to the last one that did."""
        row = self.counts[int(negative)]
        found = np.flatnonzero(row)
        if not found.size:
            return 0, ()
        first, last = int(found[0]), int(found[-1])
        return LOWEST + first, tuple(row[first : last + 1].tolist())


def update_all(columns: Sequence[Exponentials], batches: Sequence[NDArray[np.float64]]) -> None:
    """Count a batch of each column: together they cost little more than one."""
    values = np.concatenate(batches)
    sizes = np.abs(values)
    owners = np.repeat(np.arange(len(batches)), list(map(len, batches)))
    near = sizes <= ZERO_THRESHOLD
    if near.any():
        for column, zeros in zip(
            columns, np.bincount(owners[near], minlength=len(columns)).tolist(), strict=True
        ):
            column.zero += zeros
    large = sizes > ZERO_THRESHOLD  # NaN is neither
    if not large.all():
        values, sizes, owners = values[large], sizes[large], owners[large]
    cells = (2 * owners + (values < 0.0)) * BUCKETS + places(sizes)
    counts = np.bincount(cells, minlength=2 * BUCKETS * len(columns)).reshape(-1, 2, BUCKETS)
    for column, more in zip(columns, counts, strict=True):
        column.counts += more


def places(sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bucket, from 0, of sizes above the zero threshold."""
    mantissas, exponents = np.frexp(np.minimum(sizes, 2.0**40))
    index = (exponents - 1) * _PER_DOUBLING + np.searchsorted(_MANTISSAS, mantissas) - 1 - LOWEST
    # Sizes end at 2^40 and begin above 2^-40, so no bucket is below the first.
    return np.minimum(index, BUCKETS - 1).astype(np.intp)
