"""Sums by group: what a model decides about the groups of each segment, and how often it is right.

Of classes, one against all others: rows of a group rightly of it, wrongly called so, and missed; of numbers, errors
over and under, and their squares. Refuses to know names. Invariant: of the classes of a group, what is right and what
is wrong adds up to its rows; sums of parts are those of the whole.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.segments import Places
from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import Table
from exporter.stats.performance.fairness import fairness, group_rates
from exporter.stats.performance.figures import Basis, Figure, mean_of
from exporter.stats.performance.scores import NEGATIVE, POSITIVE
from exporter.stats.performance.sums import SQUARES, WEIGHT, effective

RIGHT, WRONG, MISSED = range(3)
OUTCOMES: Final = ("right", "wrong", "missed")
_CELL: Final = re.compile(r"b([0-3])\.(\d{1,3})\.([0-3])\.([0-9a-f]{1,16})\.([0-2])")
ERRORS: Final = ("weight", "over", "under", "squares")
# Place of the segment, place of the group, class (0 of numbers), place in OUTCOMES or ERRORS -> three sums.
Cell = tuple[int, int, int, int]
Cells = dict[Cell, FloatArray]
Pairs = Mapping[tuple[int, int], FloatArray]


def parts(what: What, places: Places) -> Iterator[tuple[int, int, Any]]:
    """(segment, group, the rows that are in it)."""
    for number, segment in enumerate(what.segments):
        own = places[:, number]
        for place in np.unique(own).tolist():
            if place < len(segment.groups):  # not NONE, nor what a broken store hands out
                yield number, place, own == place


def add_pairs(cells: Cells, at: tuple[int, int], pairs: Pairs) -> None:
    """Rows of one group by true and predicted class."""
    for (truth, predicted), planes in pairs.items():
        if truth == predicted:
            _add(cells, (*at, truth, RIGHT), planes)
        else:
            _add(cells, (*at, predicted, WRONG), planes)
            _add(cells, (*at, truth, MISSED), planes)


def add_errors(cells: Cells, at: tuple[int, int], errors: FloatArray, weights: FloatArray) -> None:
    """Prediction less truth of rows of one group; three sums of each: rows, weighted, weighted squares."""
    good = np.abs(errors) <= 1e60  # as everywhere: the fourth power of what is larger does not add up
    e, w = errors[good], weights[good]
    sides = (np.ones_like(e), np.maximum(e, 0.0), np.maximum(-e, 0.0), e * e)
    for number, side in enumerate(sides):
        second = w * w if number == 0 else w * side * side
        _add(cells, (*at, 0, number), np.array([len(e), (w * side).sum(), second.sum()], np.float64))


def _add(cells: Cells, at: Cell, sums: FloatArray) -> None:
    cells[at] = cells[at] + sums if at in cells else sums.astype(np.float64)


# ---------------------------------------------------------------- out


def table_of(cells: Cells, at: tuple[int, int], number: int) -> Table:
    """One class against all others in one group."""
    sums = {outcome: cells.get((*at, number, outcome), np.zeros(3)) for outcome in range(3)}
    whole = np.zeros(3)
    for (segment, group, _, outcome), own in cells.items():
        if (segment, group) == at and outcome != MISSED:
            whole = whole + own
    rest = np.maximum(whole - sums[RIGHT] - sums[WRONG] - sums[MISSED], 0.0)
    found = np.array([[rest, sums[WRONG]], [sums[MISSED], sums[RIGHT]]])
    return Table((NEGATIVE, POSITIVE), np.maximum(np.moveaxis(found, 2, 0), 0.0), np.zeros(3))


def report(what: What, cells: Cells, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """What can be said of each segment: figures by group, and how far groups are apart, class by class."""
    for number, segment in enumerate(what.segments):
        places = list(enumerate(segment.groups))
        if what.form in ("number", "interval"):
            errors = {name: _error_figures(cells, (number, place)) for place, name in places}
            yield {"segment": segment.column, "groups": {name: own for name, own in errors.items() if own}}
            continue
        for klass in {cell[2] for cell in cells if cell[0] == number}:
            name = names.get(klass)
            if name is None or what.positive not in ("", name):
                continue
            tables = {group: table_of(cells, (number, place), klass) for place, group in places}
            tables = {group: table for group, table in tables.items() if table.whole[0] > 0}
            rates = {group: list(group_rates(table).values()) for group, table in tables.items()}
            yield {"segment": segment.column, "class": name, "groups": rates, "apart": fairness(tables)}


def _error_figures(cells: Cells, at: tuple[int, int]) -> list[Figure]:
    """Mean absolute error and root of the mean square of numbers in one group."""
    weight = np.maximum(cells.get((*at, 0, 0), np.zeros(3)), 0.0)
    if weight[0] <= 0:
        return []
    over, under, squares = (np.maximum(cells.get((*at, 0, number), np.zeros(3)), 0.0) for number in (1, 2, 3))
    whole = (float(weight[WEIGHT]), float(weight[SQUARES]))
    basis = Basis(int(weight[0]), effective(*whole))
    absolute = over + under
    figures = (
        mean_of("mae", float(absolute[1]), float(absolute[2]), whole, basis),
        mean_of("mse", float(squares[1]), float(squares[2]), whole, basis),
    )
    return [one for one in figures if one is not None]


def coded(cells: Cells) -> Iterator[tuple[str, float]]:
    """Names of cells, and what is not 0."""
    for (segment, group, number, outcome), sums in cells.items():
        for plane, value in enumerate(sums.tolist()):
            if value:
                yield f"b{segment}.{group}.{outcome}.{number:x}.{plane}", value


def decoded(cells: Mapping[str, float]) -> Cells:
    """The cells that these names say."""
    found: Cells = defaultdict(lambda: np.zeros(3))
    for name, value in cells.items():
        if (told := _CELL.fullmatch(name)) is not None:
            segment, group, outcome, number, plane = told.groups()
            found[int(segment), int(group), int(number, 16), int(outcome)][int(plane)] = value
    return dict(found)
