"""The band of a figure: what it was over periods of the reference's test rows, when nothing was wrong.

Refuses to know rows. Invariant: a figure is outside only if its whole interval is, so neither chance in the live rows
nor the usual change from period to period is an alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.stats.performance.figures import LOWER_IS_BETTER, Figure

LEAST_PERIODS = 8
SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Band:
    """Mean and standard deviation (ddof 1) of one figure over the periods of one length; `of` as in `Figure`."""

    figure: str
    of: str
    seconds: int
    periods: int
    mean: float
    std: float

    @property
    def low(self) -> float:
        """mean - 3 sigma."""
        return self.mean - SIGMAS * self.std

    @property
    def high(self) -> float:
        """mean + 3 sigma."""
        return self.mean + SIGMAS * self.std

    def judge(self, figure: Figure) -> str:
        """`insufficient`, `inside`, `worse` or `better`: outside by all of its interval. Bias has no better side.

        Raises ValueError for another figure.
        """
        if (figure.name, figure.of) != (self.figure, self.of):
            raise ValueError(f"a band of {self.figure} {self.of} does not judge {figure.name} {figure.of}")
        if figure.state != "ready":
            return "insufficient"
        below, above = figure.high < self.low, figure.low > self.high
        if not (below or above):
            return "inside"
        good = above != (self.figure in LOWER_IS_BETTER)
        return "better" if good and self.figure != "bias" else "worse"


def bands_of(periods: Sequence[Mapping[tuple[str, str], float]], seconds: int) -> list[Band]:
    """Bands of the figures, by name and `of`, that at least eight of these periods have."""
    values: dict[tuple[str, str], list[float]] = {}
    for period in periods:
        for key, value in period.items():
            values.setdefault(key, []).append(value)
    return [
        Band(*key, seconds, len(own), float(np.mean(own)), float(np.std(own, ddof=1)))
        for key, own in values.items()
        if len(own) >= LEAST_PERIODS
    ]
