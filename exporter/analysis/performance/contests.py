"""Champion against challenger: rows that the live model and another one both scored, judged by the label of both.

What a row says is by how much the challenger was better, so that noise which both share is none. Sums are kept as
cells of the challenger, by hour, and so of the whole fleet. Refuses to know stores. Invariants: above 0 is better,
whatever the statistic; a key with another number than one live row is passed over; who is compared answers alike.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.margins import HOUR_SECONDS, Margins, parted
from exporter.analysis.performance.scored import CLASSIFIED, losses
from exporter.analysis.role import ROLES
from exporter.pending.contract import Cohort
from exporter.pending.row import RowArray
from exporter.stats.bins import FloatArray
from exporter.stats.performance.contest import Contest, Paired, PairedLayout, together

LIVE: Final = ROLES.index("live")
_CELL: Final = "x"
_SUMS: Final = PairedLayout()
# Figures that are compared, by the letter of their cells; the last two of numbers.
STATISTICS: Final = {"a": "accuracy", "b": "brier", "e": "absolute_error", "s": "squared_error"}
_LETTERS: Final = {name: letter for letter, name in STATISTICS.items()}
MOST: Final = 256


@dataclass(frozen=True, slots=True)
class Duel:
    """A challenger in its role against the champion, by one statistic."""

    challenger: What
    role: str
    champion: What
    statistic: str
    contest: Contest


def paired(
    rows: RowArray, sizes: Sequence[int], whats: Mapping[int, What]
) -> Iterator[tuple[What, What, NDArray[np.intp], NDArray[np.intp]]]:
    """(champion, challenger, places of the rows of each); `sizes`: rows of each label, one behind the other."""
    if max(sizes, default=0) < 2:
        return
    found: dict[tuple[int, int, int], tuple[list[int], list[int]]] = {}
    roles, versions = rows["role"].tolist(), rows["version"].tolist()
    for first, last in pairwise(np.cumsum([0, *sizes]).tolist()):
        live = [at for at in range(first, last) if roles[at] == LIVE] if last - first > 1 else []
        if len(live) == 1:
            for at in range(first, last):
                if at != live[0]:
                    pair = versions[live[0]], versions[at], roles[at]
                    ours, theirs = found.setdefault(pair, ([], []))
                    ours.append(live[0])
                    theirs.append(at)
    for (champion, challenger, _), (ours, theirs) in found.items():
        known = whats.get(champion), whats.get(challenger)
        if known[0] is not None and known[1] is not None and _alike(known[0], known[1]):
            yield known[0], known[1], np.array(ours), np.array(theirs)


def _alike(champion: What, challenger: What) -> bool:
    return (champion.form in CLASSIFIED) is (challenger.form in CLASSIFIED)


def count(
    rows: RowArray,
    labels: NDArray[Any],
    sizes: Sequence[int],
    where: tuple[Mapping[int, What], Margins],
    sign: float,
) -> None:
    """Add what labels say of pairs to the cells of their hours; -1 withdraws it."""
    whats, margins = where
    for champion, challenger, ours, theirs in paired(rows, sizes, whats):
        told = labels[ours]
        fit = told["weight"] > 0
        if not fit.any():
            continue
        ours, theirs, told = ours[fit], theirs[fit], told[fit]
        for name, advantage in _advantages(champion, challenger, (rows[ours], rows[theirs]), told):
            _add(
                margins,
                (champion, challenger, name),
                rows[theirs],
                Paired(advantage, told["weight"].astype(np.float64)),
                sign,
            )


def _advantages(
    champion: What, challenger: What, sides: tuple[RowArray, RowArray], labels: NDArray[Any]
) -> Iterator[tuple[str, FloatArray]]:
    """Loss of the champion less that of the challenger, of every statistic that both have."""
    ours, theirs = losses(champion, sides[0], labels), losses(challenger, sides[1], labels)
    for name in ours.keys() & theirs.keys():
        yield name, ours[name] - theirs[name]


def _add(margins: Margins, names: tuple[What, What, str], rows: RowArray, pairs: Paired, sign: float) -> None:
    champion, challenger, statistic = names
    marks = rows["seconds"].astype(np.int64) // HOUR_SECONDS * 8 + rows["role"]
    for mark in np.unique(marks).tolist():
        places = np.flatnonzero(marks == mark)
        assert pairs.weights is not None
        sums = _SUMS.sums(Paired(pairs.difference[places], pairs.weights[places]))
        head = f"{_CELL}{champion.id:016x}{_LETTERS[statistic]}"
        cells = {f"{head}{slot}": sign * value for slot, value in enumerate(sums.tolist())}
        margins.add(mark // 8, challenger, mark % 8, cells)


def duels(cohorts: Iterable[Cohort], whats: Mapping[int, What]) -> list[Duel]:
    """Every contest in these hours."""
    sums: dict[tuple[int, int, int, str], FloatArray] = {}
    for cohort in cohorts:
        for (number, role), cells in parted(cohort.cells).items():
            for name, value in cells.items():
                if (cell := _told(name)) is not None:
                    champion, letter, slot = cell
                    place = number, role, champion, letter
                    if place in sums or len(sums) < MOST:
                        sums.setdefault(place, np.zeros(_SUMS.size))[slot] += value
    found = []
    for (number, role, champion, letter), own in sums.items():
        one, other = whats.get(number), whats.get(champion)
        contest = together(np.maximum(own, 0.0), False) if one is not None and other is not None else None
        if contest is not None and one is not None and other is not None and role < len(ROLES):
            found.append(Duel(one, ROLES[role], other, STATISTICS[letter], contest))
    return found


def champion_of(one: Duel) -> str:
    """Its version; of a model of another name that, too."""
    other = one.champion
    same = other.model_name == one.challenger.model_name
    return other.model_version if same else f"{other.model_name} {other.model_version}"


def _told(name: str) -> tuple[int, str, int] | None:
    """(champion, letter, slot) of a cell; None of another one."""
    if len(name) != 19 or name[0] != _CELL or name[17] not in STATISTICS or not name[18].isdecimal():
        return None
    try:
        return int(name[1:17], 16), name[17], min(int(name[18]), _SUMS.size - 1)
    except ValueError:
        return None
