"""Drift: the frame in which two histograms over the same bins are compared, and thresholds that depend on n.

Refuses to know columns, models and time. Invariants: a comparison gives a finite number or None
("insufficient": too few rows to say anything), never NaN and never a 0 that means "unknown". Only occupied
bins take part, those with a count on at least one side: a bin that is empty on both says nothing, yet with
smoothing it would add to the statistic and to its noise floor (two equal constants would seem to differ).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from exporter.stats.bins import Bins, IntArray

# Below five rows per bin the chi-square approximation behind the critical value errs (simulated: 30 bins and
# 50 rows give 1.17 instead of 0.70).
ROWS_PER_BIN = 5
Z_999 = 3.0902  # the 99.9 % quantile of the normal distribution, to the digits that the fleet's rules use


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared: int64 counts, shape (bins.size,), of the reference and of the live window."""

    bins: Bins
    reference: IntArray
    live: IntArray

    def __post_init__(self) -> None:
        if not len(self.reference) == len(self.live) == self.bins.size:
            sizes = f"{len(self.reference)} and {len(self.live)}"
            raise ValueError(f"counts over {self.bins.size} bins expected on both sides, got {sizes}")

    def occupied(self) -> tuple[IntArray, IntArray]:
        """Reference and live counts of the bins that are occupied on at least one side."""
        either = (self.reference + self.live) > 0
        return self.reference[either], self.live[either]


@dataclass(frozen=True, slots=True)
class Drift:
    """One statistic of one column in one window.

    `floor` is its expectation when nothing has drifted, `critical` the value that it exceeds by chance once
    in 1,000 windows; both shrink as rows grow. `bins`: occupied bins.
    """

    statistic: str
    value: float
    floor: float
    critical: float
    rows: int
    reference_rows: int
    bins: int

    @property
    def excess(self) -> float:
        """max(0, value - floor): nearly unbiased where the value itself is too large at small n."""
        return max(0.0, self.value - self.floor)

    def exceeds(self, effect: float) -> bool:
        """Above chance and above `effect`, the smallest difference that matters to the owner."""
        return self.value > max(effect, self.critical)


class Statistic(Protocol):
    """A distance between two histograms. Pure, safe to call from any thread; called at every tick."""

    @property
    def name(self) -> str:
        """Value of the label `statistic`: lower case, words joined by underscores."""

    def measure(self, pair: Pair) -> Drift | None:
        """The statistic, or None if there are too few rows, or if it does not hold for this kind of bins."""


def sufficient(bins: int, rows: int, reference_rows: int) -> bool:
    """At least one row, and five per occupied bin, on both sides."""
    return bins > 0 and min(rows, reference_rows) >= ROWS_PER_BIN * bins


def noise_floor(bins: int, rows: float, reference_rows: float) -> float:
    """Expectation of PSI when nothing drifted: (B - 1)(1/N + 1/M), in nats, > 0 for B > 1.

    B occupied bins, N live and M reference rows, both > 0. Source: Yurdakul, "Statistical properties of
    population stability index" (2018): PSI / (1/N + 1/M) is asymptotically chi-square with B - 1 degrees.
    """
    return (bins - 1) * (1.0 / rows + 1.0 / reference_rows)


def critical_value(bins: int, rows: float, reference_rows: float, z: float = Z_999) -> float:
    """The value that PSI exceeds with probability 0.1 % when nothing drifted, in nats.

    floor * (1 - 2/(9k) + z sqrt(2/(9k)))^3 with k = B - 1; 0 for one bin, where PSI is always 0. Source:
    Wilson and Hilferty, "The distribution of chi-square" (1931); a closed form, so that PromQL can form the
    same number. Within 7 % of simulation for N >= 100, B <= 20.
    """
    if bins < 2:
        return 0.0
    ninth = 2.0 / (9.0 * (bins - 1))
    return float(noise_floor(bins, rows, reference_rows) * (1.0 - ninth + z * math.sqrt(ninth)) ** 3)
