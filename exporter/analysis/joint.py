"""Joint: how far what columns have in common moved from the reference: correlations, whole rows, associations.

And where the middle of predictions went. Pure functions over copies of what was counted, for any thread. Refuses to
know Samples and JSON. Invariant: what is not known, or of too few rows, is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from exporter.stats import NumericBins, ProfileColumn, View
from exporter.stats.association import AssociationShift, cramer_shift, ndcg, rank_shifts
from exporter.stats.bins import IntArray
from exporter.stats.joint import JointParts, JointView
from exporter.stats.location import Known, Shift, mean_shift, median_shift, mode_shift
from exporter.stats.mahalanobis import Multivariate, multivariate
from exporter.stats.pairs import PairShift, shift
from exporter.stats.profiles.joint import Association

MAHALANOBIS, ASSOCIATION = "mahalanobis", "association_shift"
LOCATIONS = ("mean_shift", "median_shift", "mode_shift")
# The least that is called drift: in correlation, in strength, in deviations, in parts of what is expected.
EFFECT = 0.1


@dataclass(frozen=True, slots=True)
class JointState:
    """A copy of what one model version counted of whole rows, by length of the window."""

    parts: JointParts
    views: Mapping[float, JointView]


@dataclass(frozen=True, slots=True)
class JointFound:
    """What one window says. `correlations` by the pair's columns, `associations` by feature and prediction.

    `agreement`: by prediction, NDCG of the features by strength, in the order of the reference's.
    """

    correlations: Mapping[tuple[str, str], PairShift]
    distance: Multivariate | None
    features: int
    effective_rows: float
    associations: Mapping[tuple[str, str], AssociationShift]
    agreement: Mapping[str, float]


def judged(parts: JointParts, view: JointView, counted: tuple[View, ...]) -> JointFound:
    """`counted`: the windows of the same length of features and of outputs."""
    worth = _Worth(counted)
    pairs = {
        (one.a, one.b): moved
        for one, sums in zip(parts.pairs, view.pairs.T, strict=True)
        if (moved := shift(sums, one.sums, float(sums[0]) * worth.of(one.a, one.b), one.spread)) is not None
    }
    distance, effective = None, 0.0
    names = parts.precision.names if parts.precision is not None else ()
    if parts.precision is not None:
        effective = float(view.whole[0]) * worth.of(*names)
        distance = multivariate(view.whole, len(names), parts.precision.sums, effective)
    associations = _associations(parts, view, worth)
    return JointFound(pairs, distance, len(names), effective, associations, _agreement(parts, associations))


class _Worth:
    """Which share of rows is independent: the least of the columns' that take part."""

    def __init__(self, views: tuple[View, ...]) -> None:
        self._known: dict[str, float] = {}
        for view in views:
            compared = view.layout.compared.places
            shares = view.independent / np.maximum(view.cells[compared], 1)
            names = view.layout.names
            if len(compared) < len(names):
                names = tuple([names[place] for place in compared.tolist()])
            self._known.update(zip(names, np.where(shares == 0.0, 1.0, shares).tolist(), strict=True))

    def of(self, *names: str) -> float:
        return min([self._known.get(name, 1.0) for name in names], default=1.0)


def _associations(
    parts: JointParts, view: JointView, worth: _Worth
) -> dict[tuple[str, str], AssociationShift]:
    """Tables of ordered bins together where they are of one shape: a call costs more than a table."""
    found: dict[Association, AssociationShift | None] = dict.fromkeys(parts.associations)
    batches: dict[tuple[int, ...], list[tuple[Association, IntArray]]] = {}
    for one, table in zip(parts.associations, view.tables, strict=True):
        if one.rank is None:
            effective = float(table.sum()) * worth.of(one.feature, one.prediction)
            found[one] = cramer_shift(table, one.cramer, one.rows, effective)
        else:
            bins = parts.bins[one.feature], parts.bins[one.prediction]
            ordered = table[tuple(slice(own.ranges) for own in bins if isinstance(own, NumericBins))]
            batches.setdefault(ordered.shape, []).append((one, ordered))
    for batch in batches.values():
        tables = np.stack([table for _, table in batch])
        shares = np.array([worth.of(one.feature, one.prediction) for one, _ in batch])
        references = np.array([one.strength for one, _ in batch])
        rows = np.array([float(one.rows) for one, _ in batch])
        moved = rank_shifts(tables, references, rows, tables.sum(axis=(1, 2)) * shares)
        found.update(zip([one for one, _ in batch], moved, strict=True))
    return {(one.feature, one.prediction): own for one, own in found.items() if own is not None}


def _agreement(parts: JointParts, found: Mapping[tuple[str, str], AssociationShift]) -> dict[str, float]:
    """Of predictions all of whose features have an association, of two features or more."""
    kept: dict[str, float] = {}
    for output in dict.fromkeys(one.prediction for one in parts.associations):
        own = [(one.feature, output) for one in parts.associations if one.prediction == output]
        if len(own) > 1 and found.keys() >= set(own):
            sides = ([found[key].reference for key in own], [found[key].value for key in own])
            score = ndcg(*map(np.array, sides))
            if score is not None:
                kept[output] = score
    return kept


def locations(column: ProfileColumn, view: View) -> tuple[dict[str, Shift], float]:
    """By statistic how far the middle of a numeric column moved, in deviations of the reference; and effective rows."""
    bins = column.bins
    median = dict(column.quantiles).get(0.5)
    if not isinstance(bins, NumericBins) or column.mean is None or column.std is None or median is None:
        return {}, 0.0
    rows = view.rows(column.name)
    live = view.summary(column.name)
    if not rows or live.min is None or live.max is None:
        return {}, 0.0
    effective = live.count * view.effective_rows(column.name) / rows
    known = Known(column.mean, median, column.std, int(column.array[: bins.ranges].sum()))
    ends = [end for end in (live.min, live.max, column.min, column.max) if end is not None]
    counts = column.array, view.counts(column.name)
    found = {
        "mean_shift": mean_shift(live, known, effective),
        # Of a few values the median is one of them, and moves by whole steps.
        "median_shift": None if bins.discrete else median_shift(live, known, effective),
        "mode_shift": mode_shift(bins, counts, effective, (min(ends), max(ends)), column.std),
    }
    return {name: one for name, one in found.items() if one is not None}, effective
