"""What a model's outputs are (its task), who said so, and what the outputs then say beyond their values.

The task comes from the configuration, else the profile, else the server, else it is guessed, once, after GUESS_ROWS
rows. Whether numbers are probabilities is settled the same way: they are while all rows have been, and after GUESS_ROWS
rows it no longer changes. What later contradicts task or form is counted by row and changes nothing: a series that
silently became another would look like drift.

Refuses to know Samples and windows. `read` is given the outputs of exchanges that are alike in names and kinds.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.batch import Batch
from exporter.analysis.fit import joined, numeric
from exporter.analysis.guess import Evidence, guess
from exporter.analysis.known import Known
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.records.observation import TASKS, Column
from exporter.stats.outputs import certainty, distributions, in_unit, two_classes, widths

GUESS_ROWS: Final = 1000
# The output under which classes are counted that were chosen here, from probabilities.
PREDICTED: Final = "predicted_class"
# Of these nothing follows and nothing can contradict them.
_INERT: Final = ("ranking", UNKNOWN)
_PLACED: Final = re.compile(r"(.*)_(\d+)")
Table = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the outputs of a batch say: derived columns (by name), classes chosen, rows that contradict the task."""

    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)
    contradictions: int = 0


class Outputs:
    """The task of one model version. `task` is one of TASKS; `source` says who told it."""

    def __init__(self, known: Known, profiled: str | None = "") -> None:
        self._known = known
        told = profiled if profiled in TASKS and profiled != UNKNOWN else ""
        interval = "interval" if known.lower_output and known.upper_output else ""
        self.task = known.task or interval or told or UNKNOWN
        self.source = "configured" if known.task or interval else "profile" if told else UNKNOWN
        self.contradictions = 0
        self._evidence = Evidence()
        self._probable = True  # no row yet says that the outputs are no probabilities
        self._settled = False
        self._classes: set[int] = set()  # of a binary output, as numbers

    def told(self, task: str) -> None:
        """What the server says by an answer; the first word counts, and only where nobody else has one."""
        if self.source == UNKNOWN and task in TASKS and not self._settled:
            self.task, self.source = task, "server"

    def read(self, batch: Batch) -> Reading:
        """Take in a batch of exchanges whose outputs have the same names and kinds."""
        if not batch.names or (self._settled and self.task in _INERT):
            return Reading()
        columns = {name: batch.columns(place) for place, name in enumerate(batch.names)}
        kinds: dict[str, str] = {name: found[0].kind for name, found in columns.items()}
        rows = sum([len(found.values) for found in next(iter(columns.values()))])
        numbers = _numbers(batch, columns, kinds)
        table = self._table(numbers, columns, kinds)
        if not self._settled:
            self._learn(rows, columns, table)
        found = (
            self._interval(numbers) if self.task == "interval" else self._classified(numbers, table, kinds)
        )
        contradictions = found.contradictions or self._contradicting(columns, kinds)
        self.contradictions += contradictions
        return Reading(found.columns, found.classes, contradictions)

    # ---------------------------------------------------------------- what the task is

    def _learn(self, rows: int, columns: dict[str, list[Column]], table: Table | None) -> None:
        self._evidence.add(rows, columns, table)
        if table is not None and not _probable(table, self.task).all():
            self._probable = False
        if self._evidence.rows < GUESS_ROWS:
            return
        self._settled = True
        if self.source == UNKNOWN:
            self.task = guess(self._evidence)
            self.source = UNKNOWN if self.task == UNKNOWN else "guessed"
        self._evidence = Evidence()  # what it holds is needed no more

    def _table(
        self, numbers: dict[str, Table], columns: dict[str, list[Column]], kinds: dict[str, str]
    ) -> Table | None:
        """Numbers side by side, or the one vector; None where there are neither, or vectors of several widths."""
        if numbers:
            found = list(numbers.values())
            return found[0][:, None] if len(found) == 1 else np.column_stack(found)
        vectors = [name for name in kinds if kinds[name] == "vector"]
        if len(vectors) != 1:
            return None
        vector = columns[vectors[0]]
        return joined(vector) if len({column.values.shape[1] for column in vector}) == 1 else None

    # ---------------------------------------------------------------- what outputs say

    def _classified(self, numbers: dict[str, Table], table: Table | None, kinds: dict[str, str]) -> Reading:
        """Certainty and class of the rows that are probabilities, where the task has them and the outputs are such."""
        if table is None or not self._probable:
            return Reading()
        chosen = "categorical" in kinds.values()
        alone = table.shape[1] == 1
        if self.task not in ("binary", "multiclass") or (alone and (chosen or self.task != "binary")):
            return Reading()
        if alone:
            table = two_classes(table[:, 0])
        good = distributions(table)
        wrong = int(len(good) - np.count_nonzero(good) - np.count_nonzero(np.isnan(table).any(axis=1)))
        if not good.any():
            return Reading(contradictions=wrong)
        found = certainty(table, good)
        if not good.all():
            found = {name: values[good] for name, values in found.items()}
        classes = Counter[str]() if chosen else self._choose(table[good], list(numbers))
        return Reading(found, classes, wrong)

    def _choose(self, table: Table, names: list[str]) -> Counter[str]:
        """How often each class was the model's choice: by the threshold for two classes, else the largest."""
        words = self._words(names, table.shape[1])
        if table.shape[1] == 2:
            positive = words.index(self._known.positive_class) if self._known.positive_class in words else 1
            above = table[:, positive] >= self._known.threshold
            places = np.where(above, positive, 1 - positive)
        else:
            places = table.argmax(axis=1)
        counts = np.bincount(places, minlength=len(words)).tolist()
        return Counter({word: count for word, count in zip(words, counts, strict=True) if count})

    def _words(self, names: list[str], width: int) -> list[str]:
        """The classes that the places of a table stand for."""
        if len(names) == 1 and width == 2:
            positive = self._known.positive_class or "1"
            return ["0" if positive == "1" else "1" if positive == "0" else OTHER, positive]
        return class_words(names) if len(names) == width else list(map(str, range(width)))

    def _interval(self, numbers: dict[str, Table]) -> Reading:
        low, high = self._known.lower_output, self._known.upper_output
        low = low or next((name for name in numbers if _ends(name, "lower")), "")
        high = high or next((name for name in numbers if _ends(name, "upper")), "")
        if low not in numbers or high not in numbers:
            return Reading()
        found = widths(numbers[low], numbers[high])
        return Reading(
            {"width": found[np.isfinite(found)]}, contradictions=int(np.count_nonzero(found < 0.0))
        )

    def _contradicting(self, columns: dict[str, list[Column]], kinds: dict[str, str]) -> int:
        """Rows whose outputs are of a kind that the task cannot have, or of a third class of two."""
        present = set(kinds.values())
        if self.task == "binary" and "categorical" in present:
            return self._third(columns)
        wrong = {
            "regression": not present & {"numeric"} and not _numerals(columns),
            "interval": not present & {"numeric"},
            "multilabel": False,
            "embedding": present == {"categorical"},
        }.get(self.task, False)
        return sum([len(column.values) for column in next(iter(columns.values()))]) if wrong else 0

    def _third(self, columns: dict[str, list[Column]]) -> int:
        cells: Counter[object] = Counter()
        for found in columns.values():
            if found[0].kind == "categorical":
                cells.update(joined(found).tolist())
        for cell in cells:
            if cell is not None and len(self._classes) < 2:
                self._classes.add(hash(cell))
        return sum([n for cell, n in cells.items() if cell is not None and hash(cell) not in self._classes])


def class_words(names: Sequence[str]) -> list[str]:
    """Classes by the names of their columns: y_0, y_1, … are 0, 1, …; what all have before a dot says nothing."""
    placed = [_PLACED.fullmatch(name) for name in names]
    if len({found[1] if found else "" for found in placed}) == 1 and all(placed):
        return [found[2] for found in placed if found]
    bases = {name.rpartition(".")[0] for name in names}
    return [name.rpartition(".")[2] for name in names] if len(bases) == 1 else list(names)


def _numbers(batch: Batch, columns: dict[str, list[Column]], kinds: dict[str, str]) -> dict[str, Table]:
    """The columns of numbers, each joined."""
    if batch.table is not None:
        return dict(zip(batch.names, batch.table, strict=True))
    return {name: joined(found) for name, found in columns.items() if kinds[name] == "numeric"}


def _probable(table: Table, task: str) -> NDArray[np.bool_]:
    """Which rows may be probabilities; those with NaN say nothing about it."""
    unknown = np.isnan(table).any(axis=1)
    if table.shape[1] == 1 or task == "multilabel":
        return in_unit(table) | unknown
    return distributions(table) | unknown


def _numerals(columns: dict[str, list[Column]]) -> bool:
    """Whether categories are whole numbers, as decoders have those of outputs."""
    return all(not numeric(found).misfits for found in columns.values() if found[0].kind == "categorical")


def _ends(name: str, word: str) -> bool:
    return re.search(rf"(?:^|[._\-:]){word}$", name.lower()) is not None
