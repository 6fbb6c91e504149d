"""Cohorts: hours of predictions as a store's cells -> the tallies of each output, whole or so far.

Refuses to know stores and clocks. Invariant: an hour is mature when all of it is older than the maturity.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from exporter.analysis.performance import asked, costs, told
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.margins import GROUPED, HOUR_SECONDS, MET, UNLABELLED, parted
from exporter.analysis.performance.outcome import Place
from exporter.analysis.performance.scored import SCORE_EDGES, Tally
from exporter.pending.contract import Cohort

State = Literal["open", "mature", "settled"]
_GROUP: Final = re.compile(rf"([{GROUPED}{MET}])([0-3])\.(\d{{1,3}})")
_BINS: Final = len(SCORE_EDGES) + 1


@dataclass(slots=True)
class Period:
    """One output in one role over some hours. `labelled`: rows with a label; `supposed`: those without, by policy.

    `predicted` rows; `classes` and `bins`: how many by predicted class (id) and score bin. `asked`: rows whose label
    was asked for and came, weighted; `requested`: (how many were asked for, their weights). `expected`: (rows, cost).
    `outcomes`: by name, (rows, sum); `groups`: by segment and group, (rows with a label, rows).
    """

    what: What
    role: int
    labelled: Tally
    supposed: Tally
    predicted: float = 0.0
    classes: dict[int, float] = field(default_factory=dict)
    bins: list[float] = field(default_factory=lambda: [0.0] * _BINS)
    requested: list[float] = field(default_factory=lambda: [0.0, 0.0])
    expected: list[float] = field(default_factory=lambda: [0.0, 0.0])
    outcomes: dict[str, list[float]] = field(default_factory=dict)
    groups: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    asked: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.asked = Tally(self.what)

    def add(self, cells: Mapping[str, float]) -> None:
        """Take in the cells of one hour."""
        self.labelled.merge(Tally.of_cells(self.what, cells))
        for sign, tally in ((UNLABELLED, self.supposed), (asked.ASKED, self.asked)):
            own = {name[1:]: value for name, value in cells.items() if name[:1] == sign}
            if own:
                tally.merge(Tally.of_cells(self.what, own))
        self.predicted += cells.get("k", 0.0)
        for sums, names in (
            (self.requested, (asked.ROWS, asked.INVERSE)),
            (self.expected, (costs.ROWS, costs.SUM)),
        ):
            for place, name in enumerate(names):
                sums[place] += cells.get(name, 0.0)
        for name, value in cells.items():
            if name[:1] == "p":
                number = int(name[1:], 16)
                self.classes[number] = self.classes.get(number, 0.0) + value
            elif name[:1] == "q" and name[1:].isdecimal() and int(name[1:]) < _BINS:
                self.bins[int(name[1:])] += value
            elif name[:1] in (told.ROWS, told.SUM):
                own_sums = self.outcomes.setdefault(name[1:], [0.0, 0.0])
                own_sums[name[:1] == told.SUM] += value
            elif (group := _GROUP.fullmatch(name)) is not None:
                counts = self.groups.setdefault((int(group[2]), int(group[3])), [0.0, 0.0])
                counts[group[1] == GROUPED] += value

    def whole(self) -> Tally:
        """What counts at maturity."""
        found = Tally(self.what)
        found.merge(self.labelled)
        found.merge(self.supposed)
        return found


def periods(cohorts: Iterable[Cohort], whats: Mapping[int, What]) -> dict[Place, Period]:
    """By output and role; those of outputs that nobody knows are left out."""
    found: dict[Place, Period] = {}
    for cohort in cohorts:
        for (number, role), cells in parted(cohort.cells).items():
            what = whats.get(number)
            if what is not None:
                if (number, role) not in found:
                    found[number, role] = Period(what, role, Tally(what), Tally(what))
                found[number, role].add(cells)
    return found


def state(cohort: Cohort, maturity: float, now: float) -> State:
    """settled: released; mature: due; open: labels may still come."""
    if cohort.settled:
        return "settled"
    return "mature" if (cohort.hour + 1) * HOUR_SECONDS + maturity <= now else "open"


def due(cohorts: Iterable[Cohort], maturity: float, now: float) -> Iterator[Cohort]:
    """Those to be released."""
    return (one for one in cohorts if state(one, maturity, now) == "mature")
