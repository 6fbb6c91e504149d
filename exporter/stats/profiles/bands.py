"""The first reader of test rows: the performance of all of them, and of each period by itself, which gives bands.

Refuses to know files. Invariants: a period counts towards a band only where the figure is `ready` in it; where there is
no band, `periods` of the performance says why; memory is bounded by the number of periods that are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from exporter.stats.bins import FloatArray, Values
from exporter.stats.performance.band import LEAST_PERIODS, bands_of
from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.classes import MOST_CLASSES, Table
from exporter.stats.performance.errors import ErrorLayout, error_figures
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.score_figures import score_figures
from exporter.stats.performance.scores import Losses, ScoreBins
from exporter.stats.profiles.levels import PeriodSet
from exporter.stats.profiles.performance import Calibration, Confusion, Errors, Performance, PerformanceTally

MAX_PERIODS = 1000
# Their sums are not kept in a profile, or only of all rows: these have no value there.
_UNKNOWN = ("log_loss", "mape")


class TestRows:
    """Adds up test rows, typed as the plans say. `lengths`: of periods, in seconds."""

    __test__ = False  # no test class, whatever pytest makes of its name

    def __init__(self, positive: str | None = None, lengths: tuple[int, ...] = ()) -> None:
        self._whole = PerformanceTally(positive)
        self._periods: dict[int, dict[int, PerformanceTally]] = {length: {} for length in lengths}
        self._full: set[int] = set()

    @property
    def rows(self) -> int:
        """Test rows so far."""
        return self._whole.rows

    def update(
        self,
        target: Values,
        prediction: Values | None,
        score: Values | None,
        times: FloatArray | None = None,
        weights: FloatArray | None = None,
    ) -> None:
        """Add rows of one chunk; `times` in unix seconds, not finite: in no period. `weights`: above 0; else 1."""
        self._whole.update(target, prediction, score, weights)
        if times is None:
            return
        for length, tallies in self._periods.items():
            for slot, rows in _slots(times, length):
                if slot not in tallies and (length in self._full or len(tallies) >= MAX_PERIODS):
                    self._full.add(length)
                    tallies.clear()
                    break
                own = tallies.setdefault(slot, PerformanceTally(self._whole.positive))
                sides = (side if side is None else side[rows] for side in (prediction, score, weights))
                own.update(target[rows], *sides)

    def result(self) -> Performance | None:
        """The performance with its bands; None if no row was declared."""
        whole = self._whole.result()
        if whole is None:
            return None
        periods, bands = [], []
        for length, tallies in self._periods.items():
            found = bands_of([_values(tallies[slot].result()) for slot in sorted(tallies)], length)
            periods.append(PeriodSet(length, len(tallies), "" if found else self._absent(length)))
            bands += found
        return replace(whole, periods=tuple(periods), bands=tuple(bands))

    def _absent(self, length: int) -> str:
        if length in self._full:
            return "more periods than are kept"
        if len(self._periods[length]) < LEAST_PERIODS:
            return f"fewer than {LEAST_PERIODS} periods in the test rows"
        return "too few rows in a period for any figure"


def performance_figures(found: Performance) -> list[Figure]:
    """Figures of a profile's performance, as far as its sums go; of Brier score and MSE only the values hold."""
    figures = []
    if found.confusion is not None:
        table = _table(found.confusion)
        figures += class_figures(table)
        figures += each_class(table) if len(found.confusion.classes) <= MOST_CLASSES else []
    if found.calibration is not None:
        figures += score_figures(_bins(found.calibration))
    if found.errors is not None:
        figures += _error_figures(found.errors)
    return [figure for figure in figures if figure.name not in _UNKNOWN]


def _slots(times: FloatArray, length: int) -> Iterator[tuple[int, Values]]:
    """Periods, and the rows of each."""
    timed = np.flatnonzero(np.isfinite(times) & (np.abs(times) < 1e12))
    slots = np.floor_divide(times[timed], length).astype(np.int64)
    order = np.argsort(slots, kind="stable")
    distinct, starts = np.unique(slots[order], return_index=True)
    yield from zip(distinct.tolist(), np.split(timed[order], starts[1:]), strict=False)


def _values(found: Performance | None) -> Mapping[tuple[str, str], float]:
    ready = [f for f in performance_figures(found) if f.state == "ready"] if found is not None else []
    return {(figure.name, figure.of): figure.value for figure in ready}


def _planes(counts: Values) -> FloatArray:
    """Rows of weight 1."""
    return np.repeat(np.asarray(counts, np.float64)[None], 3, axis=0)


def _table(confusion: Confusion) -> Table:
    return Table(confusion.classes, _planes(np.array(confusion.counts)), np.zeros(3))


def _bins(own: Calibration) -> ScoreBins:
    positives = np.array(own.positives)
    scores, positive_scores = np.array(own.score), np.array(own.positive_score)
    squares = np.array(own.squares)
    # Squares of both classes in one place: only their total matters, to the Brier score and to the noise.
    return ScoreBins(
        own.edges[:-1],
        _planes(positives),
        _planes(np.array(own.n) - positives),
        positive_scores,
        scores - positive_scores,
        squares,
        np.zeros_like(squares),
        Losses(float(squares.sum()), 0.0, 0.0, 0, 0),
    )


def _error_figures(errors: Errors) -> list[Figure]:
    layout, n = ErrorLayout(), float(errors.n)
    sums = dict.fromkeys(layout.read(np.zeros(layout.size)), 0.0)
    over, under = ((errors.magnitude + sign * errors.error) / 2.0 for sign in (1.0, -1.0))
    sums |= {"rows": n, "weight": n, "weight_squares": n, "over": over, "under": under}
    sums |= {"squares": errors.squares, "fourths": errors.squares**2 / n}
    sums |= {"truth_above": max(errors.target, 0.0), "truth_below": max(-errors.target, 0.0)}
    sums["truth_squares"] = errors.target_squares
    return error_figures(layout, np.array([*sums.values(), 0.0]))
