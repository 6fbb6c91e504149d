"""Champion against challenger where traffic is split: no key has both, so hours of both are compared.

What each of them lost is in the cells of its hour already; a key that both answered is of the paired contest, and is
counted in cells of its own here, to be taken off. The champion is live; a canary is its challenger, and so is a live
version that came later. Mirrored rows have the keys of live ones, and synthetic ones are nobody's: neither is split.
Refuses to know stores. Invariants: what is added for an hour is never negative; a contest that ends (a version that
is retired) keeps what it has; above 0 the challenger is better.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.contests import LIVE, MOST, STATISTICS
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.margins import UNLABELLED, Margins, parted, placed
from exporter.analysis.performance.scored import CLASSIFIED, SCORES, Tally, errors_of, losses, positives
from exporter.analysis.role import ROLES
from exporter.pending.contract import Cohort
from exporter.pending.row import RowArray
from exporter.records.exchange import OTHER
from exporter.stats.bins import FloatArray
from exporter.stats.performance.contest import Contest
from exporter.stats.performance.split import ARM, SPLIT, advantage, arm_of, compared
from exporter.stats.performance.sums import ROWS

_CANARY: Final = ROLES.index("canary")
_SIDES: Final = (LIVE, _CANARY)
_CELL: Final = "y"
_SHARED: Final = re.compile(rf"{_CELL}([0-9a-f]{{16}})([0-7])([{''.join(STATISTICS)}])([0-{len(ARM) - 1}])")
_LETTERS: Final = {name: letter for letter, name in STATISTICS.items()}
# Losses that are outcomes, or of one: of these there have to be some.
_OF_OUTCOMES: Final = frozenset(("accuracy", "brier"))
# Why rows of a challenger are compared with nothing.
ALONE, SHARED, CROWDED = "alone", "shared", "crowded"
_MOST_LEFT: Final = 3 * MOST
Arrivals = Mapping[tuple[str, str, str], tuple[float, float]]


class Place(NamedTuple):
    """A contest."""

    model_name: str
    model_version: str
    output: str
    statistic: str
    champion: str
    role: str


class Left(NamedTuple):
    """Rows of a challenger that are compared with nothing."""

    model_name: str
    model_version: str
    output: str
    champion: str
    reason: str
    role: str


@dataclass(frozen=True, slots=True)
class Side:
    """One version in one role and hour; `arms`: its sums by statistic, `shared`: of keys that another one had too."""

    name: str
    version: str
    output: str
    role: int
    arms: dict[str, FloatArray]
    shared: dict[tuple[str, int, str], FloatArray]

    def apart(self, other: "Side", statistic: str) -> FloatArray:
        """Without the keys that the other had too."""
        own = self.arms[statistic]
        both = self.shared.get((other.version, other.role, statistic))
        return own if both is None else np.maximum(own - both, 0.0)


@dataclass(frozen=True, slots=True)
class Split:
    """What hours say so far: sums by contest, and rows that they leave out."""

    sums: Mapping[Place, FloatArray]
    left: Mapping[Left, float]


NOTHING: Final = Split({}, {})


# ---------------------------------------------------------------- keys that both had


def count(
    rows: RowArray,
    labels: NDArray[Any],
    sizes: Sequence[int],
    where: tuple[Mapping[int, What], Margins],
    sign: float,
) -> None:
    """Add rows whose key another side answered too to the cells of their hours; -1 withdraws it.

    `sizes`: rows of each label, one behind the other.
    """
    whats, margins = where
    for (number, role), (other, other_role), places in _shared(rows, sizes):
        what = whats.get(number)
        told = labels[places]
        fit = places[told["weight"] > 0]
        if what is None or not len(fit):
            continue
        head = f"{_CELL}{other:016x}{other_role}"
        for hour, _, own in placed(rows[fit]):
            cells = {}
            for name, sums in _arms_of_rows(what, rows[fit[own]], labels[fit[own]]):
                start = f"{head}{_LETTERS[name]}"
                cells.update({f"{start}{slot}": sign * value for slot, value in enumerate(sums.tolist())})
            margins.add(hour, what, role, cells)


def _shared(
    rows: RowArray, sizes: Sequence[int]
) -> Iterator[tuple[tuple[int, int], tuple[int, int], NDArray[np.intp]]]:
    """(side, other side, places of the rows of the first whose label met the other too)."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    places = np.flatnonzero(np.isin(rows["role"], _SIDES))
    # Most labels meet one row, or a live one and its mirror.
    places = places[np.bincount(label[places], minlength=len(sizes))[label[places]] > 1]
    found: defaultdict[tuple[tuple[int, int], tuple[int, int]], list[int]] = defaultdict(list)
    met: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for at in places.tolist():
        met[int(label[at])][at] = int(rows["version"][at]), int(rows["role"][at])
    for there in met.values():
        for at, own in there.items():
            for other in set(there.values()) - {own}:
                found[own, other].append(at)
    for (side, other), own_places in found.items():
        yield side, other, np.array(own_places, np.intp)


def _arms_of_rows(what: What, rows: RowArray, labels: NDArray[Any]) -> Iterator[tuple[str, FloatArray]]:
    weights = labels["weight"].astype(np.float64)
    for name, lost in losses(what, rows, labels).items():
        events = positives(what, rows, labels) if name == "brier" else np.asarray(lost > 0.0)
        yield name, arm_of(lost, events, weights)


# ---------------------------------------------------------------- hours


def arms(tally: Tally) -> dict[str, FloatArray]:
    """Sums of what its rows lost, by statistic, as `arm_of` makes them of rows."""
    found = {}
    if tally.what.form in CLASSIFIED and tally.pairs:
        every, wrong = np.zeros(3), np.zeros(3)
        for (truth, predicted), planes in tally.pairs.items():
            every += planes
            wrong += planes if truth != predicted else 0.0
        found["accuracy"] = np.array([*every, wrong[1], wrong[1], wrong[0]])
    if tally.what.form == "binary" and tally.scores is not None:
        bins = SCORES.read(np.maximum(tally.scores, 0.0))
        lost = float(bins.squared_errors.sum()), bins.losses.squared_squares
        found["brier"] = np.array([*bins.whole.sum(axis=1), *lost, bins.positives[ROWS].sum()])
    if tally.errors is not None:
        s = errors_of(tally.what).read(np.maximum(tally.errors, 0.0))
        head = s["rows"], s["weight"], s["weight_squares"]
        found["absolute_error"] = np.array([*head, s["over"] + s["under"], s["squares"], 0.0])
        found["squared_error"] = np.array([*head, s["squares"], s["fourths"], 0.0])
    return {name: np.maximum(sums, 0.0) for name, sums in found.items()}


def sides(cohort: Cohort, whats: Mapping[int, What], ripe: bool = True) -> list[Side]:
    """Who answered in an hour and has labels; two outputs that differ in what is known of them only are one.

    Where a class stands for labels that never come, it does so in an hour that is `ripe`; until then only some classes
    have labels, and nothing is compared.
    """
    there = [
        (what, role, cells)
        for (number, role), cells in parted(cohort.cells).items()
        if (what := whats.get(number)) is not None and role in _SIDES
    ]
    versions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for what, _, _ in there:
        versions[what.model_name, what.output].add(what.model_version)
    found: dict[tuple[str, str, str, int], Side] = {}
    for what, role, cells in there:
        # Of most models there is one version, and nothing to be read.
        rivals = len(versions[what.model_name, what.output]) > 1
        if not rivals or (tally := _tally(what, cells, ripe)) is None:
            continue
        place = what.model_name, what.output, what.model_version, role
        side = found.setdefault(place, Side(what.model_name, what.model_version, what.output, role, {}, {}))
        for name, sums in arms(tally).items():
            side.arms[name] = side.arms.get(name, 0.0) + sums
        for cell, value in cells.items():
            if (told := _SHARED.fullmatch(cell)) and (other := whats.get(int(told[1], 16))) is not None:
                key = other.model_version, int(told[2]), STATISTICS[told[3]]
                side.shared.setdefault(key, np.zeros(len(ARM)))[int(told[4])] += value
    return [found[place] for place in sorted(found)]


def _tally(what: What, cells: Mapping[str, float], ripe: bool) -> Tally | None:
    """Of all rows that count; None of none."""
    found = Tally.of_cells(what, cells)
    supposed = {name[1:]: value for name, value in cells.items() if name[:1] == UNLABELLED}
    if supposed.get("r", 0.0) > 0.0:
        if not ripe:
            return None
        found.merge(Tally.of_cells(what, supposed))
    return found if found.rows > 0.0 else None


def arrivals(cohorts: Iterable[Cohort], whats: Mapping[int, What]) -> Arrivals:
    """(first hour, minus rows in it) of each live version by name, output and version: who is less came first."""
    found: dict[tuple[str, str, str], tuple[float, float]] = {}
    for cohort in sorted(cohorts, key=lambda one: one.hour):
        for (number, role), cells in parted(cohort.cells).items():
            what = whats.get(number)
            if what is not None and role == LIVE and (rows := cells.get("k", 0.0)) > 0.0:
                key = what.model_name, what.output, what.model_version
                found.setdefault(key, (cohort.hour, -rows))
    return found


def pairs(found: Sequence[Side], came: Arrivals) -> Iterator[tuple[Side, Side]]:
    """(champion, challenger) of an hour."""

    def since(side: Side) -> tuple[float, float, str]:
        return *came.get((side.name, side.output, side.version), (np.inf, 0.0)), side.version

    for challenger in found:
        for champion in found:
            same = (champion.name, champion.output) == (challenger.name, challenger.output)
            rivals = same and champion.role == LIVE and champion.version != challenger.version
            if rivals and (challenger.role != LIVE or since(champion) < since(challenger)):
                yield champion, challenger


def add(split: Split, found: Sequence[Side], came: Arrivals) -> Split:
    """With an hour more, in which these answered."""
    sums, left = dict(split.sums), dict(split.left)
    for champion, challenger in pairs(found, came):
        role = ROLES[challenger.role]
        head = challenger.name, challenger.version, challenger.output
        names = [one for one in STATISTICS.values() if one in champion.arms and one in challenger.arms]
        for name in names:
            place = Place(*head, name, champion.version, role)
            stratum = compared(champion.apart(challenger, name), challenger.apart(champion, name))
            room = place in sums or len(sums) < MOST
            if stratum is not None and room and np.isfinite(stratum).all():
                sums[place] = sums.get(place, np.zeros(len(SPLIT))) + stratum
            # Rows are told once, whatever the number of statistics.
            if name == names[0]:
                for reason, rows in _left(challenger, champion, name, (stratum is not None, room)):
                    key = Left(*head, champion.version, reason, role)
                    key = key if key in left or len(left) < _MOST_LEFT else _crowd(reason, role)
                    left[key] = left.get(key, 0.0) + rows
    return Split(sums, left)


def _crowd(reason: str, role: str) -> Left:
    return Left(OTHER, OTHER, OTHER, OTHER, reason, role)


def _left(
    challenger: Side, champion: Side, statistic: str, how: tuple[bool, bool]
) -> Iterator[tuple[str, float]]:
    """Rows of an hour that are compared with nothing, by reason; `how`: comparable, and room for the contest."""
    comparable, room = how
    own = float(challenger.apart(champion, statistic)[ROWS])
    yield ALONE, 0.0 if comparable else own
    yield SHARED, float(challenger.arms[statistic][ROWS]) - own
    yield CROWDED, own if comparable and not room else 0.0


def together(cohorts: Sequence[Cohort], whats: Mapping[int, What], ripe: Callable[[Cohort], bool]) -> Split:
    """All hours that there are."""
    came = arrivals(cohorts, whats)
    found = NOTHING
    for cohort in cohorts:
        found = add(found, sides(cohort, whats, ripe(cohort)), came)
    return found


def contest(place: Place, sums: FloatArray) -> Contest | None:
    """What hours say of one."""
    return advantage(sums, place.statistic in _OF_OUTCOMES)
