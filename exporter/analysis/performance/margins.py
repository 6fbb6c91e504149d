"""Cells by the hour of the prediction: what is added to the cohorts of a store, gathered so that it is asked seldom.

A cell's name is the output's id, the role's place and a short name: those of `Tally.cells` for what was labelled, and
for what was predicted `k` (rows), `p…` (rows by predicted class), `q…` (rows by score bin), `v…` (rows by group; `w…`
those of them with a label). With a policy for what is never labelled, `~…` is the tally that all rows predicted and not
labelled would have under it: predictions add to it, labels take from it. Rows whose label was asked for have a tally of
own, `^…` (asked.py); costs, outcomes and contests (`x…`, `y…`) have letters too. Refuses to know stores and clocks.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.asked import ASKED, INVERSE, ROWS, inverse, weights
from exporter.analysis.performance.costs import NO_COSTS, Costs
from exporter.analysis.performance.grouped import parts
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import LABEL
from exporter.analysis.performance.scored import CLASSIFIED, Tally, predicted_classes, score_bins
from exporter.pending.row import NOT_ASKED, RowArray, version_id

HOUR_SECONDS: Final = 3600
_ID: Final = 17  # characters of id and role
UNLABELLED: Final = "~"
# How the cells of rows by group begin, and of those of them with a label.
GROUPED, MET = "v", "w"


class Margins:
    """`unlabelled`: the class that counts for rows without a label at maturity; "" leaves them out."""

    def __init__(self, unlabelled: str = "", costs: Costs = NO_COSTS) -> None:
        self._costs = costs
        self._unlabelled = version_id(unlabelled) if unlabelled else 0
        self._hours: dict[int, defaultdict[str, float]] = {}
        self._labelled: Counter[int] = Counter()

    def predicted(self, what: What, rows: RowArray) -> None:
        """Rows that wait now."""
        for hour, role, part in split(rows):
            cells = self._cells(hour)
            prefix = named(what.id, role)
            cells[f"{prefix}k"] += float(len(part))
            self._margin(cells, prefix + GROUPED, what, part)
            if what.form in CLASSIFIED:
                for number, count in Counter(predicted_classes(part, what).tolist()).items():
                    cells[f"{prefix}p{number:x}"] += float(count)
            if what.form in ("binary", "chances"):
                for place, count in score_bins(part, what):
                    cells[f"{prefix}q{place}"] += float(count)
            self.add(hour, what, role, self._costs.predicted(what, role, part))
            self._requested(part, (hour, what, role))
            self._suppose(what, (hour, role), part, 1.0)

    def labelled(self, what: What, rows: RowArray, labels: NDArray[Any], sign: float = 1.0) -> None:
        """Rows that were joined with these labels; -1: labels that were withdrawn."""
        for hour, role, places in placed(rows):
            part = rows[places]
            tally = Tally(what)
            tally.update(part, labels[places])
            prefix = named(what.id, role)
            cells = self._cells(hour)
            for name, value in tally.cells():
                cells[prefix + name] += sign * value
            self._margin(cells, prefix + MET, what, part, sign)
            self._labelled[hour] += len(part) if sign > 0 else 0
            if (weighted := inverse(part, labels[places])) is not None:
                own = Tally(what)
                own.update(*weighted)
                self.add(hour, what, role, {ASKED + name: sign * value for name, value in own.cells()})
            self._suppose(what, (hour, role), part, -sign)

    def add(self, hour: int, what: What, role: int, cells: Mapping[str, float]) -> None:
        """Cells of anybody's, by their short names."""
        own, prefix = self._cells(hour), named(what.id, role)
        for name, value in cells.items():
            own[prefix + name] += value

    def _requested(self, rows: RowArray, at: tuple[int, What, int]) -> None:
        there = rows["chance"] != NOT_ASKED
        if there.any():
            self.add(*at, {ROWS: float(there.sum()), INVERSE: float(weights(rows[there]).sum())})

    def _margin(
        self, cells: defaultdict[str, float], start: str, what: What, rows: RowArray, sign: float = 1.0
    ) -> None:
        """Rows by the group that they had when they were predicted."""
        for segment, group, own in parts(what, rows["groups"]):
            cells[f"{start}{segment}.{group}"] += sign * float(np.count_nonzero(own))

    def _suppose(self, what: What, at: tuple[int, int], rows: RowArray, sign: float) -> None:
        if not self._unlabelled or what.form not in CLASSIFIED:
            return
        labels = np.zeros(len(rows), LABEL)
        labels["klass"], labels["weight"], labels["number"] = self._unlabelled, 1.0, np.nan
        tally = Tally(what)
        tally.update(rows, labels)
        cells, prefix = self._cells(at[0]), named(what.id, at[1]) + UNLABELLED
        for name, value in tally.cells():
            cells[prefix + name] += sign * value

    def _cells(self, hour: int) -> defaultdict[str, float]:
        return self._hours.setdefault(hour, defaultdict(float))

    def drain(self) -> Iterator[tuple[int, dict[str, float], int]]:
        """(hour, cells, labelled rows in them) that were gathered since the last time."""
        hours, self._hours = self._hours, {}
        labelled, self._labelled = self._labelled, Counter()
        for hour, cells in hours.items():
            yield hour, {name: value for name, value in cells.items() if value}, labelled[hour]


def named(number: int, role: int) -> str:
    """How the names of the cells of one output in one role begin."""
    return f"{number:016x}{role}"


def parted(cells: Mapping[str, float]) -> dict[tuple[int, int], dict[str, float]]:
    """Cells by output and role, under their short names; names that say nothing here are passed over."""
    found: dict[tuple[int, int], dict[str, float]] = {}
    for name, value in cells.items():
        head, rest = name[:_ID], name[_ID:]
        try:
            at = int(head[:-1], 16), int(head[-1])
        except (ValueError, IndexError):
            continue
        found.setdefault(at, {})[rest] = value
    return found


def split(rows: RowArray) -> Iterator[tuple[int, int, RowArray]]:
    """(hour, role, rows)."""
    for hour, role, places in placed(rows):
        yield hour, role, rows[places]


def placed(rows: RowArray) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
    """(hour, role, places of the rows)."""
    marks = rows["seconds"].astype(np.int64) // HOUR_SECONDS * 8 + rows["role"]
    for mark in np.unique(marks).tolist():
        yield mark // 8, mark % 8, np.flatnonzero(marks == mark)
