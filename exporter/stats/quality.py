"""Data quality in numbers: limits that a reference sets, and how many values of a batch lie beyond each.

Limits are intervals, so all columns and all reasons are judged at once: one look at everything with the tightest of
them, and the rest for the few values outside. Refuses to know models and time. Invariants: counts add up over batches
and replicas; NaN and nulls lie beyond nothing; nothing raises.

Outliers by two yardsticks, both from the reference: the modified z-score |x - median| / (1.4826 MAD) above 3.5
(Iglewicz and Hoaglin 1993), and Tukey's fences, 1.5 interquartile ranges below and above the quartiles. Where half of
the reference is one value, MAD or range are 0 and the yardstick is absent. `share` is how much of the reference itself
lies beyond: what is normal for this column.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray, NumericBins
from exporter.stats.profiles.column import ProfileColumn

SMALL: Final = "small_value"
BIG: Final = "big_value"
INFINITE: Final = "has_inf"
OUTLIER_Z: Final = "outlier_z"
OUTLIER_IQR: Final = "outlier_iqr"
LIMITS: Final = (SMALL, BIG, INFINITE, OUTLIER_Z, OUTLIER_IQR)
MAX_Z: Final = 3.5
FENCE: Final = 1.5
_MAD_OF_NORMAL: Final = 1.4826  # standard deviations
_POINTS: Final = 4_000  # of a reference, evenly spaced in probability
_MAX_LAYOUTS: Final = 64
_HUGE: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Limit:
    """Values below `low` or above `high` count; `share` of the reference lies there, None where not known."""

    low: float
    high: float
    share: float | None = None


def limits(column: ProfileColumn | None) -> dict[str, Limit]:
    """The limits of a column of numbers by reason, in the order of LIMITS; without a reference only infinity is one."""
    found = {INFINITE: Limit(-_HUGE, _HUGE)}
    if column is None:
        return found
    if column.min is not None:
        found[SMALL] = Limit(column.min, math.inf)
    if column.max is not None:
        found[BIG] = Limit(-math.inf, column.max)
    points = _points(column)
    if len(points):
        low, middle, high = points[[_POINTS // 4, _POINTS // 2, 3 * _POINTS // 4]].tolist()
        deviation = float(np.median(np.abs(points - middle))) * _MAD_OF_NORMAL * MAX_Z
        spread = (high - low) * FENCE
        if deviation > 0.0:
            found[OUTLIER_Z] = _measured(points, middle - deviation, middle + deviation)
        if spread > 0.0:
            found[OUTLIER_IQR] = _measured(points, low - spread, high + spread)
    return {reason: found[reason] for reason in LIMITS if reason in found}


class Judge:
    """`count` the values of a batch beyond the limits of their columns."""

    def __init__(self, limits_of: Mapping[str, Mapping[str, Limit]]) -> None:
        self._limits = dict(limits_of)
        self._boxes: dict[tuple[str, ...], _Boxes] = {}

    def count(self, batch: Mapping[str, NDArray[Any]]) -> dict[tuple[str, str], int]:
        """(column, reason) -> values beyond, of one-dimensional columns of numbers; what is none is left out."""
        names = tuple([name for name in batch if name in self._limits and batch[name].dtype.kind == "f"])
        values = [batch[name] for name in names]
        flat = np.concatenate(values) if values else np.zeros(0)
        if not len(flat):
            return {}
        boxes = self._boxes_of(names)
        places, owners = boxes.outside(flat, list(map(len, values)))
        return boxes.split(flat[places], owners) if len(places) else {}

    def _boxes_of(self, names: tuple[str, ...]) -> _Boxes:
        found = self._boxes.get(names)
        if found is None:
            if len(self._boxes) >= _MAX_LAYOUTS:
                self._boxes.clear()
            found = self._boxes[names] = _Boxes(names, [self._limits[name] for name in names])
        return found


class _Boxes:
    """The limits of some columns as arrays, shape (columns,) for each reason."""

    def __init__(self, names: tuple[str, ...], limits_of: Sequence[Mapping[str, Limit]]) -> None:
        self._names = names
        none = Limit(-math.inf, math.inf)
        self._bounds: list[tuple[str, FloatArray, FloatArray]] = []
        for reason in LIMITS:
            chosen = [one.get(reason, none) for one in limits_of]
            low, high = np.array([one.low for one in chosen]), np.array([one.high for one in chosen])
            self._bounds.append((reason, low, high))
        self._low = np.max([low for _, low, _ in self._bounds], axis=0)
        self._high = np.min([high for _, _, high in self._bounds], axis=0)

    def outside(self, flat: NDArray[Any], sizes: list[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places of the values beyond the tightest limits of their columns, and whose they are."""
        rows = sizes[0]
        if sizes.count(rows) == len(sizes):
            table = flat.reshape(len(sizes), rows)
            wrong = (table < self._low[:, None]) | (table > self._high[:, None])
            places = np.flatnonzero(wrong)
            return places, places // rows
        places = np.flatnonzero((flat < np.repeat(self._low, sizes)) | (flat > np.repeat(self._high, sizes)))
        return places, np.searchsorted(np.cumsum(sizes), places, side="right")

    def split(self, values: NDArray[Any], owners: NDArray[np.intp]) -> dict[tuple[str, str], int]:
        """How many of those values lie beyond which limit."""
        found: dict[tuple[str, str], int] = {}
        for reason, low, high in self._bounds:
            wrong = owners[(values < low[owners]) | (values > high[owners])]
            for at, count in enumerate(np.bincount(wrong).tolist()):
                if count:
                    found[self._names[at], reason] = count
        return found


def _bent(levels: FloatArray) -> FloatArray:
    """The scale of probabilities on which exponential tails are straight lines."""
    low, high = np.log(np.minimum(2.0 * levels, 1.0)), np.log(np.minimum(2.0 * (1.0 - levels), 1.0))
    return low - high


_LEVELS: Final = (np.arange(_POINTS) + 0.5) / _POINTS
_BENT: Final = _bent(_LEVELS)


def _measured(points: FloatArray, low: float, high: float) -> Limit:
    beyond = np.count_nonzero((points < low) | (points > high))
    return Limit(low, high, beyond / len(points))


def _points(column: ProfileColumn) -> FloatArray:
    """The reference as evenly probable values: exact for few distinct ones, else between its quantiles.

    Between them, and down to one row at the extreme, the tails fall off exponentially, as those of most columns do:
    straight lines would put too much of the reference far outside.
    """
    bins = column.bins
    if not isinstance(bins, NumericBins):
        return np.zeros(0)
    if bins.discrete:
        counts = np.array(column.counts[: len(bins.edges)], np.float64)
        if not counts.sum():
            return np.zeros(0)
        return bins.array[np.searchsorted(np.cumsum(counts) / counts.sum(), _LEVELS)]
    if column.min is None or column.max is None or not column.quantiles:
        return np.zeros(0)
    rows = max(1, column.rows - column.missing)
    extreme = min(1.0 / rows, column.quantiles[0][0] / 2)
    shares, values = zip((extreme, column.min), *column.quantiles, (1.0 - extreme, column.max), strict=True)
    found: FloatArray = np.interp(_BENT, _bent(np.array(shares)), np.array(values))
    return found
