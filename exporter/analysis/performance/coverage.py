"""Coverage: how many rows began to wait, and how many of them met a label, by group, predicted class and score.

What shows whether labels choose. Refuses to know Samples. Bounded: so many outputs; classes beyond the first ones, and
those whose names nobody knows, are `<other>`. A group is the one that a row had when it was predicted.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from exporter.analysis.performance.grouped import parts
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.scored import (
    BINS,
    CLASSIFIED,
    predicted_classes,
    score_bins,
)
from exporter.pending.row import RowArray
from exporter.records.exchange import OTHER
from exporter.stats.performance.classes import MOST_CLASSES

CLASSES: Final = "<class>"
SCORES: Final = "<score>"
_MOST: Final = 256


class Place(NamedTuple):
    """One output of one model version in one role."""

    model_name: str
    model_version: str
    output: str
    role: str


class Coverage:
    """`add` rows; `counts`: by (segment, group) of each place. Nothing in it falls."""

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name
        self._classes: dict[Place, dict[int, str]] = {}
        self._counts: dict[Place, Counter[tuple[str, str]]] = {}

    def add(self, what: What, role: str, rows: RowArray) -> None:
        """Rows of one output in one role."""
        place = Place(what.model_name, what.model_version, what.output, role)
        counts = self._counts.get(place)
        if counts is None:
            if len(self._counts) >= _MOST:
                return
            counts = self._counts[place] = Counter(
                {(segment.column, group): 0 for segment in what.segments for group in segment.groups}
            )
        for number, group, own in parts(what, rows["groups"]):
            segment = what.segments[number]
            counts[segment.column, segment.groups[group]] += int(np.count_nonzero(own))
        if what.form in CLASSIFIED:
            for number, count in Counter(predicted_classes(rows, what).tolist()).items():
                counts[CLASSES, self._class(place, number)] += count
        if what.form in ("binary", "chances"):
            for number, count in score_bins(rows, what):
                counts[SCORES, BINS[number]] += count

    def _class(self, place: Place, number: int) -> str:
        """Its label value, settled when it is first seen."""
        known = self._classes.setdefault(place, {})
        if number not in known and len(known) < 1024:
            kept = sum(value != OTHER for value in known.values())
            known[number] = self._name(number) if kept < MOST_CLASSES else OTHER
        return known.get(number, OTHER)

    def counts(self) -> Iterator[tuple[Place, str, str, int]]:
        """(place, segment, group, rows)."""
        for place, counts in list(self._counts.items()):
            for (segment, group), count in list(counts.items()):
                yield place, segment, group, count
