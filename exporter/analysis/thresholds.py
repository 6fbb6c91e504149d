"""Scores on either side of declared thresholds, and how many of them are near; one model version's.

Refuses to know Samples. Invariant: every predicted row is at one position of each threshold, `missing` included, so
that shares of any set of replicas and any time are sums divided by sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.batch import Batch
from exporter.analysis.fit import joined
from exporter.analysis.known import Known
from exporter.analysis.task import class_words
from exporter.records.threshold import Threshold

# Where a row lies; the inner two are within the band.
POSITIONS: Final = ("below", "just_below", "just_above", "above", "missing")
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class ThresholdState:
    """Rows by position, in the order of POSITIONS."""

    threshold: Threshold
    counts: tuple[int, ...]


class Thresholds:
    """Those that the owner declared for a model of this name."""

    def __init__(self, known: Known, model_name: str) -> None:
        self._positive = known.positive_class
        chosen = [one for one in known.thresholds if fnmatchcase(model_name, one.model)]
        self._counts = [(one, np.zeros(len(POSITIONS), np.int64)) for one in chosen]

    def update(self, batch: Batch) -> None:
        """Count the outputs of exchanges that are alike in names and kinds."""
        for threshold, counts in self._counts:
            found = self._scores(batch, threshold)
            if found is None:
                counts[-1] += batch.rows
                continue
            counts += _placed(found, threshold)
            # Rows of exchanges without the column.
            counts[-1] += max(0, batch.rows - len(found))

    def states(self) -> tuple[ThresholdState, ...]:
        """A copy."""
        return tuple(ThresholdState(one, tuple(counts.tolist())) for one, counts in self._counts)

    def _scores(self, batch: Batch, threshold: Threshold) -> Scores | None:
        """Of each row; None where there is no such score, or more than one that could be meant."""
        kinds: dict[str, str] = {name: batch.columns(at)[0].kind for at, name in enumerate(batch.names)}
        if threshold.output:
            names = [threshold.output] if kinds.get(threshold.output) in ("numeric", "vector") else []
        else:
            names = [name for name in kinds if kinds[name] == "numeric"]
            names = names or [name for name in kinds if kinds[name] == "vector"]
        columns = [batch.columns(batch.names.index(name)) for name in names]
        if len(names) == 1 and kinds[names[0]] == "vector":
            if len({column.values.shape[1] for column in columns[0]}) != 1:
                return None
            table = joined(columns[0])
            place = self._place(list(map(str, range(table.shape[1]))), threshold)
            return None if place is None else table[:, place]
        if not names or "vector" in {kinds[name] for name in names}:
            return None
        place = self._place(class_words(names), threshold) if len(names) > 1 else 0
        return None if place is None else joined(columns[place])

    def _place(self, words: Sequence[str], threshold: Threshold) -> int | None:
        wanted = threshold.klass or self._positive
        if wanted in words:
            return words.index(wanted)
        if threshold.klass or len(words) > 2:
            return 0 if len(words) == 1 and not threshold.klass else None
        return len(words) - 1


def _placed(scores: Scores, threshold: Threshold) -> NDArray[np.int64]:
    """Rows by position. The band is closed on both sides; the value itself is just above."""
    ends = (round(threshold.value + side * threshold.band, 12) for side in (-1, 1))
    low, high = np.array(tuple(ends), scores.dtype)
    edges = np.array((low, threshold.value, np.nextafter(high, np.inf, dtype=scores.dtype)), scores.dtype)
    places = np.searchsorted(edges, scores, side="right")
    places[np.isnan(scores)] = len(POSITIONS) - 1
    return np.bincount(places, minlength=len(POSITIONS))
