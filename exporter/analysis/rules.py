"""An owner's rules, judged on inputs and outputs of one model version: how many rows each saw, and how many broke it.

All exchanges of a batch are judged at once, rule by rule. A missing value breaks no rule but not_null; a column that is
not there breaks that one too, and the others have nothing to judge. Cells are judged as what is written: "1.0" and 1
are the text "1", and a text that writes a number is one. Bounded: so many rows of a batch are read as texts or dates.
A rule that fails is switched off, counted, and logged once.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import moment
from exporter.analysis.expression import Mismatch, truth
from exporter.analysis.fit import joined
from exporter.analysis.missing import Missing
from exporter.records import expression, pattern
from exporter.records.expression import Reference
from exporter.records.observation import Column, Observation
from exporter.records.rule import ISO, Rule
from exporter.stats.bins import canonical
from exporter.stats.duplicates import Repeats, row_hashes

log = logging.getLogger(__name__)
MAX_TEXTS: Final = 4096
MAX_DATE: Final = 64
UNIQUE_SECONDS: Final = 3600.0
_FAILURES: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
Cells = NDArray[Any]


@dataclass(frozen=True, slots=True)
class RuleState:
    """A copy of what one rule counted. `failures` is 1 for a rule that is off."""

    rule: Rule
    checked: int
    broken: int
    failures: int


class Rules:
    """`update` judges a batch, `states` are copies. Not for two threads at once."""

    def __init__(self, rules: Sequence[Rule], missing_values: tuple[str, ...] = ()) -> None:
        self._rules = [_Running(rule) for rule in rules]
        self._missing = Missing(missing_values)
        wanted = {column for one in self._rules for column in one.columns.values()}
        self._inputs = {column.name: column for column in wanted if column.side == "input"}
        self._outputs = {column.name: column for column in wanted if column.side == "output"}
        self._repeats: Repeats | None = None

    def update(self, observations: Sequence[Observation], now: float, answered: bool = True) -> None:
        """Judge a batch; of requests that have no answer by what asks neither for one nor for other rows."""
        if not self._rules or not observations:
            return
        found = [self._columns(one) for one in observations]
        for running in self._rules:
            if running.failures or not (answered or running.of_requests):
                continue
            try:
                self._judge(running, observations, found, now)
            except _FAILURES:
                running.failures = 1
                log.exception("rule %s failed and is switched off", running.rule.name)

    def states(self) -> tuple[RuleState, ...]:
        """A copy."""
        return tuple([RuleState(one.rule, one.checked, one.broken, one.failures) for one in self._rules])

    def _columns(self, one: Observation) -> dict[Reference, Column]:
        """The columns that any rule names, without what is declared to be missing."""
        found = {}
        for wanted, columns in ((self._inputs, one.inputs), (self._outputs, one.outputs)):
            if wanted:
                for column in columns:
                    place = wanted.get(column.name)
                    if place is not None and column.kind != "vector":
                        found[place] = column
        if self._missing.declared:
            found |= {
                place: self._missing.cleared([column])[0]
                for place, column in found.items()
                if place.side == "input"
            }
        return found

    def _judge(
        self,
        running: "_Running",
        observations: Sequence[Observation],
        found: Sequence[dict[Reference, Column]],
        now: float,
    ) -> None:
        if running.rule.kind == "not_null":
            place = running.columns[""]
            absent = sum([one.rows for one, has in zip(observations, found, strict=True) if place not in has])
            running.count(absent, absent)
        for arrays in _batches(tuple(running.columns.values()), found):
            cells = dict(zip(running.columns, arrays, strict=True))
            if running.rule.kind == "unique":
                kept = _there(cells)[""]
                running.count(len(kept), self._repeated(running.rule.name, kept, now))
            else:
                running.judge(cells)

    def _repeated(self, name: str, cells: Cells, now: float) -> int:
        if self._repeats is None:
            self._repeats = Repeats(UNIQUE_SECONDS)
        return self._repeats.see(row_hashes([cells], hash(name)), now)


class _Running:
    """A rule made ready, and its counts."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.checked = self.broken = self.failures = 0
        self._holds = _CHECKS[rule.kind](rule)
        if rule.kind == "check":
            self.columns = expression.parse(rule.text).columns
        else:
            self.columns = {"": Reference(rule.side, rule.column)}

    @property
    def of_requests(self) -> bool:
        """Whether a request alone can be judged; one that is sent again after it failed is no repeat."""
        return self.rule.kind != "unique" and all(one.side == "input" for one in self.columns.values())

    def count(self, checked: int, broken: int) -> None:
        self.checked += checked
        self.broken += broken

    def judge(self, cells: dict[str, Cells]) -> None:
        """Columns of one length, by the names that the rule has for them."""
        if self.rule.kind != "not_null":
            cells = _there(cells)
        if self.rule.kind in ("regex", "date"):
            cells = {name: values[:MAX_TEXTS] for name, values in cells.items()}
        rows = len(next(iter(cells.values())))
        try:
            holds = self._holds(cells, rows)
        except Mismatch:
            return
        self.count(rows, rows - int(np.count_nonzero(holds)))


def _batches(
    places: tuple[Reference, ...], found: Sequence[dict[Reference, Column]]
) -> Iterator[list[Cells]]:
    """The cells of those columns, of all exchanges that have all of them in one length; by their kinds."""
    groups: dict[tuple[str, ...], list[list[Column]]] = {}
    for has in found:
        try:
            columns = [has[place] for place in places]
        except KeyError:
            continue
        if len(columns) == 1 or len({len(column.values) for column in columns}) == 1:
            groups.setdefault(tuple([column.kind for column in columns]), []).append(columns)
    for members in groups.values():
        yield [joined(cells) for cells in zip(*members, strict=True)]


def _there(cells: dict[str, Cells]) -> dict[str, Cells]:
    """The rows in which no value is missing."""
    gone = np.logical_or.reduce([_gone(values) for values in cells.values()])
    return {name: values[~gone] for name, values in cells.items()} if gone.any() else cells


def _gone(values: Cells) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        found: NDArray[np.bool_] = np.isnan(values)
        return found
    return np.array([cell is None for cell in values.tolist()], np.bool_)


# ---------------------------------------------------------------- kinds of rules -> which rows hold

Holds = Callable[[dict[str, Cells], int], NDArray[np.bool_]]


def _by_cell(good: Callable[[str], bool]) -> Holds:
    """Judges each different cell once, as it is written."""

    def holds(cells: dict[str, Cells], _: int) -> NDArray[np.bool_]:
        listed = cells[""].tolist()
        known = {cell: good(canonical(cell) or "") for cell in set(listed)}
        return np.array([known[cell] for cell in listed], np.bool_)

    return holds


def _range(rule: Rule) -> Holds:
    low = -np.inf if rule.low is None else rule.low
    high = np.inf if rule.high is None else rule.high

    def holds(cells: dict[str, Cells], _: int) -> NDArray[np.bool_]:
        values = cells[""]
        if values.dtype.kind != "f":
            values = np.array(list(map(_number, values.tolist())), np.float64)
        return (values >= low) & (values <= high)

    return holds


def _number(cell: str) -> float:
    """What a text writes; what writes no number is in no range."""
    try:
        return float(cell) if "_" not in cell else np.nan
    except ValueError:
        return np.nan


def _set(rule: Rule) -> Holds:
    words = frozenset([canonical(word) for word in rule.words])
    return _by_cell(words.__contains__)


def _length(rule: Rule) -> Holds:
    low = 0.0 if rule.low is None else rule.low
    high = np.inf if rule.high is None else rule.high
    return _by_cell(lambda cell: low <= len(cell) <= high)


def _regex(rule: Rule) -> Holds:
    found = re.compile(rule.text)
    return _by_cell(lambda cell: len(cell) <= pattern.MAX_TEXT and found.fullmatch(cell) is not None)


def _date(rule: Rule) -> Holds:
    if rule.text == ISO:
        return _by_cell(lambda cell: moment(cell) is not None)
    return _by_cell(lambda cell: len(cell) <= MAX_DATE and _is_date(cell, rule.text))


def _is_date(cell: str, form: str) -> bool:
    try:
        datetime.strptime(cell, form)
    except ValueError:
        return False
    return True


def _not_null(_: Rule) -> Holds:
    def holds(cells: dict[str, Cells], _: int) -> NDArray[np.bool_]:
        values = cells[""]
        if values.dtype.kind == "f":
            return ~np.isnan(values)
        return np.array([cell is not None and bool(cell.strip()) for cell in values.tolist()], np.bool_)

    return holds


def _check(rule: Rule) -> Holds:
    tree = expression.parse(rule.text).tree
    return lambda cells, rows: truth(tree, cells, rows)


def _unique(_: Rule) -> Holds:
    return lambda _, rows: np.ones(rows, np.bool_)  # judged with the memory of the series


_CHECKS: Final[dict[str, Callable[[Rule], Holds]]] = {
    "range": _range,
    "set": _set,
    "length": _length,
    "regex": _regex,
    "date": _date,
    "not_null": _not_null,
    "unique": _unique,
    "check": _check,
}
