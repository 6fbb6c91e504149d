"""Drift: how far a live window is from its reference, and the yardsticks by which that is judged.

Three yardsticks, each of which depends on n: the noise floor (expectation when nothing drifted), the critical value
(exceeded by chance in 0.1 % of windows), and the reference's own level (what the statistic does from one period of the
reference to another). Refuses to know columns, models and time. Invariant: a comparison gives finite numbers or None
("insufficient": too few rows to say anything), never NaN and never a 0 that means "unknown".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from exporter.stats.bins import Bins, BoolArray, FloatArray, IntArray, NumericBins
from exporter.stats.table import Counts, Table

Kind = Literal["numeric", "categorical"]
NUMERIC: tuple[Kind, ...] = ("numeric",)
BOTH: tuple[Kind, ...] = ("numeric", "categorical")


class Drift(NamedTuple):
    """One statistic of one column in one window.

    `rows` and `reference_rows` took part, of `bins` occupied bins; `effective_rows` of the live rows count as
    independent. `floor` and `critical` shrink as those grow. `p_value`: of a difference at least as large by chance,
    where the statistic has one. `level`: mean + 3 sigma of the statistic over the reference's periods, if known.
    """

    statistic: str
    value: float
    floor: float
    critical: float
    rows: int
    reference_rows: int
    bins: int
    effective_rows: float
    p_value: float | None = None
    level: float | None = None

    @property
    def excess(self) -> float:
        """max(0, value - floor): nearly unbiased where the value itself is too large at small n."""
        return max(0.0, self.value - self.floor)

    def exceeds(self, effect: float) -> bool:
        """Drifted: above all yardsticks that exist and above `effect`, the least that matters to the owner."""
        return self.value > max(effect, self.floor, self.critical, self.level or 0.0)

    def told(self, effect: float) -> dict[str, Any]:
        """As JSON has it; what is not known is None."""
        return {
            "statistic": self.statistic,
            "value": self.value,
            "noise_floor": self.floor,
            "critical_value": self.critical,
            "reference_level": self.level,
            "effect": effect,
            "drifted": self.exceeds(effect),
            "p_value": self.p_value,
            "effective_rows": self.effective_rows,
            "reference_rows": self.reference_rows,
            "bins": self.bins,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared: int64 counts, shape (bins.size,), of the reference and of the live window.

    `effective_rows`: how many of the live rows are independent (None: all). `reference_sums`, `live_sums`: sum of the
    values of each bin; `std`: of the reference's numbers; without them there is no Wasserstein distance.
    """

    bins: Bins
    reference: IntArray
    live: IntArray
    effective_rows: float | None = None
    reference_sums: FloatArray | None = None
    live_sums: FloatArray | None = None
    std: float | None = None

    def __post_init__(self) -> None:
        sums = [one for one in (self.reference_sums, self.live_sums) if one is not None]
        if not all(len(one) == self.bins.size for one in (self.reference, self.live, *sums)):
            sizes = ", ".join(str(len(one)) for one in (self.reference, self.live, *sums))
            raise ValueError(f"counts over {self.bins.size} bins expected on both sides, got {sizes}")

    def table(self) -> Table:
        """A table of this one row."""
        ranges = np.zeros((1, self.bins.size), np.bool_)
        if isinstance(self.bins, NumericBins):
            ranges[0, : self.bins.ranges] = True
        rows = float(self.live.sum()) if self.effective_rows is None else self.effective_rows
        sums = None
        if self.reference_sums is not None and self.live_sums is not None:
            sums = self.reference_sums[None], self.live_sums[None]
        std = np.array([np.nan if self.std is None else self.std])
        return Table(self.reference[None], self.live[None], ranges, np.array([rows]), sums, std)


@dataclass(frozen=True, slots=True)
class Found:
    """A statistic of every row of a table; where not `known` the numbers mean nothing."""

    counts: Counts
    value: FloatArray
    floor: FloatArray
    critical: FloatArray
    p_value: FloatArray | None = None
    known: BoolArray | None = None

    def numbers(self) -> tuple[FloatArray | IntArray, ...]:
        """What a `Drift` tells, in its order: value, floor, critical, rows, reference rows, bins, effective rows, p."""
        counts, p_value = self.counts, self.p_value
        p = np.full(len(self.value), np.nan) if p_value is None else p_value
        sizes = counts.rows, counts.reference_rows, counts.bins, counts.effective
        return self.value, self.floor, self.critical, *sizes, p

    def ready(self) -> BoolArray:
        """Which rows have a statistic: enough rows on both sides, and all that it needs."""
        return self.counts.sufficient if self.known is None else self.counts.sufficient & self.known


@dataclass(frozen=True, slots=True)
class Statistic:
    """A distance between two histograms. `compare` is pure, may be called from any thread, and raises nothing.

    `name`: value of the label `statistic`. `kinds`: for which columns it holds; elsewhere it is absent. `effect`: the
    least value that is called drift unless the owner says otherwise.
    """

    name: str
    kinds: tuple[Kind, ...]
    effect: float
    compare: Callable[[Table], Found]

    def measure(self, pair: Pair) -> Drift | None:
        """The statistic of one pair; None if there are too few rows, or if it does not hold for such bins."""
        if (NUMERIC[0] if isinstance(pair.bins, NumericBins) else BOTH[1]) not in self.kinds:
            return None
        found = self.find(pair.table())
        return self.drift(found, 0) if found.ready()[0] else None

    def values(self, bins: Bins, table: Table) -> FloatArray:
        """`measure` of every row of a table over the same bins; NaN where that is None."""
        found = self.find(table)
        holds = (NUMERIC[0] if isinstance(bins, NumericBins) else BOTH[1]) in self.kinds
        return np.where(found.ready() & holds, found.value, np.nan)

    def find(self, table: Table) -> Found:
        """`compare`, without the warnings that rows without counts would give."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.compare(table)

    def drift(self, found: Found, row: int, level: float | None = None) -> Drift:
        """One row as a noun."""
        counts = found.counts
        return Drift(
            self.name,
            float(found.value[row]),
            float(found.floor[row]),
            float(found.critical[row]),
            int(counts.rows[row]),
            int(counts.reference_rows[row]),
            int(counts.bins[row]),
            float(counts.effective[row]),
            None if found.p_value is None else float(found.p_value[row]),
            level,
        )
