"""Selection: whether rows that got a label are like all rows, by counts over the same bins.

A figure of labelled rows holds for all rows only if labels do not choose. Refuses to know what bins are: scores,
classes, groups, hours. Invariant: labelled rows are among all rows, and the yardsticks allow for that: shares of n rows
drawn from N without replacement vary by 1/n - 1/N of what a row does (Cochran, "Sampling techniques", 1977, 2.6), not
by 1/n + 1/N as of two samples (see `chance.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import IntArray
from exporter.stats.chance import critical_value, noise_floor, sufficient
from exporter.stats.psi import psi

_PRIOR = 0.5


@dataclass(frozen=True, slots=True)
class Selection:
    """PSI of labelled against all rows, by chance on average, and exceeded by chance in 0.1 %."""

    value: float
    floor: float
    critical: float
    labelled: int
    rows: int

    def exceeds(self, effect: float = 0.1) -> bool:
        """Chosen: beyond chance, and by more than `effect`."""
        return self.value > max(self.critical, effect)


def selection(labelled: IntArray, every: IntArray) -> Selection | None:
    """How labelled rows differ from all; None below five labelled rows per occupied bin, or if all have a label.

    Raises ValueError where a bin has more labelled rows than rows.
    """
    if labelled.shape != every.shape or (labelled > every).any() or (labelled < 0).any():
        raise ValueError(f"labelled rows among all rows of the same bins expected, got {labelled} of {every}")
    there = every > 0
    bins, n, total = int(there.sum()), int(labelled.sum()), int(every.sum())
    if not bool(sufficient(bins, n, total)) or n == total:
        return None
    p = np.asarray((every[there] + _PRIOR) / (total + _PRIOR * bins), np.float64)
    q = np.asarray((labelled[there] + _PRIOR) / (n + _PRIOR * bins), np.float64)
    value = float(psi(p, q))
    rows = 2.0 / (1.0 / n - 1.0 / total)  # two samples of as many have this variance
    return Selection(
        value, float(noise_floor(bins, rows, rows)), float(critical_value(bins, rows, rows)), n, total
    )
