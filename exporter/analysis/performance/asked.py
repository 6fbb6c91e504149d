"""Rows whose label was asked for -> what they say of all rows, each weighted by one over its chance of being asked.

The chance stands in the row itself, so that it is known when the label comes, whatever the settings are then and on
whatever replica. The sum of such weights estimates the rows there were (Horvitz and Thompson); a figure of weighted
rows is their ratio (Hájek), which is steadier. Refuses to know stores.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance import listed
from exporter.analysis.performance.scored import Tally
from exporter.pending.row import CHANCES, NOT_ASKED, RowArray
from exporter.stats.performance.sums import SQUARES, WEIGHT

# How the cells of their tally begin, and those of the rows that were asked for and of their weights.
ASKED = "^"
ROWS, INVERSE = "j", "i"


class Sums(NamedTuple):
    """Weighted sums of one output. Of numbers `over`, `under` and `squares` of errors, else 0 and what is `right`: of
    several labels all of a row, of a ranking its first item."""

    weight: float
    weight_squares: float
    right: float
    over: float
    under: float
    squares: float


def inverse(rows: RowArray, labels: NDArray[Any]) -> tuple[RowArray, NDArray[Any]] | None:
    """Those that were asked for, their labels weighted; None without any."""
    there = np.flatnonzero(rows["chance"] != NOT_ASKED)
    if not len(there):
        return None
    own, told = rows[there], labels[there].copy()
    told["weight"] *= weights(own)
    return own, told


def weights(rows: RowArray) -> NDArray[np.float64]:
    """One over the chance of each."""
    return np.asarray(CHANCES / np.maximum(rows["chance"].astype(np.float64), 1.0), np.float64)


def sums(tally: Tally) -> Sums:
    """What is exported of a tally of weighted rows."""
    if tally.errors is not None:
        _, weight, squares, *_ = tally.errors.tolist()
        named = tally.layout.read(tally.errors)
        return Sums(weight, squares, 0.0, named["over"], named["under"], named["squares"])
    if tally.listed is not None and not tally.pairs:
        return Sums(*listed.totals(tally.what, tally.listed), 0.0, 0.0, 0.0)
    whole = sum(tally.pairs.values(), np.zeros(3))
    right = sum(float(planes[WEIGHT]) for (truth, chosen), planes in tally.pairs.items() if truth == chosen)
    return Sums(float(whole[WEIGHT]), float(whole[SQUARES]), right, 0.0, 0.0, 0.0)
