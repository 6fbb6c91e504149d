"""What of a model's outputs a label can judge: its classes, the score of one class, numbers, intervals.

`What` names one such output of one model version, and says how its pending rows are to be read; its text travels to
every replica that shares the store. Refuses to know keys, labels and time. Invariant: nothing raises for any outputs;
a row that says nothing (a null, no distribution) has no class and NaN.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import is_free
from exporter.analysis.batch import Members
from exporter.analysis.fit import joined, numeric
from exporter.analysis.known import Known
from exporter.analysis.task import PREDICTED, class_words
from exporter.pending.row import version_id
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.stats import canonical
from exporter.stats.outputs import distributions, two_classes

# What a pending row holds: a class; a class and the score of the positive one; a number; an interval and a number.
Form = Literal["classes", "binary", "number", "interval"]
NO_CLASS: Final = 0
MOST_OUTPUTS: Final = 8
FloatTable = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class What:
    """One output of one model version. `positive`: the class that a score is of; `scale`: of errors, 0: not known."""

    model_name: str
    model_version: str
    output: str
    form: Form
    positive: str = ""
    scale: float = 0.0

    @cached_property
    def text(self) -> str:
        """As the store keeps it."""
        fields = [self.model_name, self.model_version, self.output, self.form, self.positive, self.scale]
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def id(self) -> int:
        """As its rows have it."""
        return version_id(self.text)


def told(text: str) -> What | None:
    """What a text says; None if it is no such text."""
    try:
        name, version, output, form, positive, scale = json.loads(text)
        words = (name, version, output, form, positive)
    except (ValueError, TypeError):
        return None
    known = form in ("classes", "binary", "number", "interval") and isinstance(scale, (int, float))
    return What(*words, float(scale)) if known and all(isinstance(word, str) for word in words) else None


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of one output. `classes`: ids (`Words`), 0: none; `values`: score or number; `ends`: of an interval."""

    output: str
    form: Form
    classes: NDArray[np.uint64] | None = None
    values: FloatTable | None = None
    ends: NDArray[np.float32] | None = None
    positive: str = ""


class Words:
    """Names of classes by the ids that stand for them in rows and labels; the same on every replica.

    `fresh` are those that the store was not yet told. Bounded: what is over, or may be anybody's words, has an id, and
    the name `<other>`.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._ids: dict[str | float, int] = {}  # of texts and numbers as they came
        self._names: dict[int, str] = {}
        self.fresh: dict[int, str] = {}

    def id(self, cell: Any) -> int:
        """Of a class in any form; 0 of what is missing."""
        known = type(cell) is str or type(cell) is float
        found = self._ids.get(cell) if known else None
        if found is not None:
            return found
        name = canonical(cell)
        if name is None:
            return NO_CLASS
        number = version_id(name)
        if number not in self._names and len(self._names) < self._most and not is_free(name):
            self._names[number] = self.fresh[number] = name
        if known and len(self._ids) < self._most:
            self._ids[cell] = number
        return number

    def name(self, number: int) -> str:
        """Of an id."""
        return self._names.get(number, OTHER)

    def names(self) -> dict[int, str]:
        """All that are known, as a copy."""
        return dict(self._names)

    def learn(self, names: dict[int, str]) -> None:
        """What other replicas told the store."""
        for number, name in names.items():
            if len(self._names) < self._most and version_id(name) == number:
                self._names.setdefault(number, name)


def answers(
    names: Sequence[str], members: Members, task: str, known: Known, words: Words
) -> list[Answers] | str:
    """What can be judged of exchanges whose outputs have these names and the same kinds; else why nothing can be."""
    columns = {name: [member[place] for member in members] for place, name in enumerate(names)}
    kinds: dict[str, str] = {name: found[0].kind for name, found in columns.items()}
    if task in ("regression", "interval"):
        return _numbers(columns, kinds, task, known)
    texts = [name for name, kind in kinds.items() if kind == "categorical"]
    if task == UNKNOWN:
        certain = len(texts) == len(kinds) == 1 and numeric(columns[texts[0]]).misfits
        if not certain:
            return "task_unknown"
    elif task not in ("binary", "multiclass"):
        return "task"
    table, places = _table(columns, kinds)
    if len(texts) == 1:
        return [_chosen(texts[0], columns[texts[0]], table, (known, words) if task == "binary" else words)]
    if table is None or texts:
        return "outputs"
    return _by_score(table, places, task, (known, words))


def _table(columns: dict[str, Any], kinds: dict[str, str]) -> tuple[FloatTable | None, list[str]]:
    """The numbers side by side, or the one vector, and the names of its places where columns have them."""
    numbers = [name for name, kind in kinds.items() if kind == "numeric"]
    if numbers:
        return np.column_stack([joined(columns[name]) for name in numbers]), numbers
    vectors = [name for name, kind in kinds.items() if kind == "vector"]
    if len(vectors) != 1 or len({column.values.shape[1] for column in columns[vectors[0]]}) != 1:
        return None, []
    return joined(columns[vectors[0]]), []


def _chosen(name: str, column: Any, table: FloatTable | None, how: "tuple[Known, Words] | Words") -> Answers:
    """The classes that the model chose; with the score, where a binary one tells it in one number beside."""
    known, words = how if isinstance(how, tuple) else (None, how)
    classes = np.array([words.id(cell) for cell in joined(column).tolist()], np.uint64)
    if known is None or table is None or table.shape[1] != 1:
        return Answers(name, "classes", classes)
    score = table[:, 0]
    if not known.positive_class and words.name(int(classes.max(initial=0))) not in ("0", "1"):
        return Answers(name, "classes", classes)
    return Answers(name, "binary", classes, score, positive=canonical(known.positive_class) or "1")


def _by_score(
    table: FloatTable, places: list[str], task: str, how: tuple[Known, Words]
) -> list[Answers] | str:
    known, words = how
    if table.shape[1] == 1:
        if task != "binary":
            return "outputs"
        table = two_classes(table[:, 0])
        positive = canonical(known.positive_class) or "1"
        named = ["0" if positive == "1" else "1" if positive == "0" else OTHER, positive]
    else:
        named = [
            canonical(word) or OTHER
            for word in (class_words(places) if places else map(str, range(table.shape[1])))
        ]
    good = distributions(table)
    ids = np.array([words.id(name) for name in named], np.uint64)
    if table.shape[1] != 2:
        best = np.where(np.isnan(table), -1.0, table).argmax(axis=1)
        return [Answers(PREDICTED, "classes", np.where(good, ids[best], np.uint64(NO_CLASS)))]
    wanted = canonical(known.positive_class)
    place = named.index(wanted) if wanted in named else 1
    score = np.where(good, table[:, place], np.nan)
    chosen = np.where(score >= known.threshold, ids[place], ids[1 - place])
    chosen = np.where(good, chosen, np.uint64(NO_CLASS))
    return [Answers(PREDICTED, "binary", chosen, score, positive=named[place])]


def _numbers(columns: dict[str, Any], kinds: dict[str, str], task: str, known: Known) -> list[Answers] | str:
    found: dict[str, FloatTable] = {}
    for name, column in columns.items():
        if kinds[name] == "vector":
            table = joined(column) if len({one.values.shape[1] for one in column}) == 1 else None
            if table is not None and table.shape[1] == 1:
                found[name] = table[:, 0]
            continue
        fitted = numeric(column)
        if not fitted.misfits:
            found[name] = fitted.values
    if task == "interval":
        return _interval(found, known)
    if not found or len(found) > MOST_OUTPUTS:
        return "outputs"
    return [Answers(name, "number", values=values) for name, values in found.items()]


def _interval(found: dict[str, FloatTable], known: Known) -> list[Answers] | str:
    """The interval, and the number beside it or else its middle."""
    low = known.lower_output or next((name for name in found if name.lower().endswith("lower")), "")
    high = known.upper_output or next((name for name in found if name.lower().endswith("upper")), "")
    if low not in found or high not in found:
        return "outputs"
    others = [name for name in found if name not in (low, high)]
    middle = found[others[0]] if len(others) == 1 else (found[low] + found[high]) / 2.0
    ends = np.column_stack((found[low], found[high])).astype(np.float32)
    return [Answers(others[0] if len(others) == 1 else "interval", "interval", values=middle, ends=ends)]
