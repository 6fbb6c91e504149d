"""What of a model's outputs a label can judge: its classes, the score of one class, chances of several, several labels,
numbers, intervals, rankings.

`What` names one such output of one model version, and says how its pending rows are to be read; its text travels to
every replica that shares the store. Refuses to know keys, labels and time. Invariant: nothing raises for any outputs;
a row that says nothing (a null, no distribution) has no class and NaN.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import is_free
from exporter.analysis.batch import Members
from exporter.analysis.fit import joined, numeric
from exporter.analysis.known import Known
from exporter.analysis.performance import packing
from exporter.analysis.performance.label import class_mark
from exporter.analysis.performance.targets import Target
from exporter.analysis.performance.targets import told as target_told
from exporter.analysis.task import PREDICTED, class_words
from exporter.pending.contract import TEXT_BYTES
from exporter.pending.row import version_id
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.records.segment import Segment
from exporter.records.segment import parse as segment_of
from exporter.stats import canonical
from exporter.stats.outputs import distributions, in_unit, two_classes
from exporter.stats.performance.classes import MOST_CLASSES

# What a pending row holds: a class; a class and the score of the positive one; a number; an interval and a number;
# which of several labels; chances of the likeliest classes; the first items of a ranking.
Form = Literal["classes", "binary", "number", "interval", "labels", "chances", "ranking"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
NO_CLASS: Final = 0
MOST_OUTPUTS: Final = 8
_QUANTILE: Final = re.compile(r"(?:.*[_.\-])?q(?:uantile)?[_\-]?(0?\.\d{1,9})", re.IGNORECASE | re.DOTALL)
_NAMES_BYTES: Final = TEXT_BYTES - 2048  # of classes; the rest is for names and segments
FloatTable = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class What:
    """One output of one model version. `positive`: the class that a score is of; `scale`: of errors, 0: not known;
    `classes`: those that places in a row stand for; `segments`: those that its groups are of; `target`: bins of the
    truth of numbers."""

    model_name: str
    model_version: str
    output: str
    form: Form
    positive: str = ""
    scale: float = 0.0
    classes: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    target: Target | None = None

    @cached_property
    def text(self) -> str:
        """As the store keeps it."""
        fields: list[Any] = [self.model_name, self.model_version, self.output, self.form, self.positive]
        fields.append(self.scale)
        if self.classes or self.segments or self.target is not None:
            fields += [self.classes, [segment.text for segment in self.segments]]
        if self.target is not None:
            fields.append(self.target.plain)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def id(self) -> int:
        """As its rows have it."""
        return version_id(self.text)

    @cached_property
    def level(self) -> float | None:
        """Of a predicted quantile, whose name ends in it, as in q0.9 or price_quantile_0.05; None of another number."""
        told = _QUANTILE.fullmatch(self.output) if self.form == "number" else None
        level = float(told[1]) if told is not None else 0.0
        return level if 0.0 < level < 1.0 else None

    @cached_property
    def class_ids(self) -> NDArray[np.uint64]:
        """Of `classes`, as rows and labels of one class have them."""
        return np.array([version_id(name) for name in self.classes], np.uint64)

    @cached_property
    def class_marks(self) -> NDArray[np.uint32]:
        """Of `classes`, as labels of several classes have them."""
        return np.array([class_mark(name) for name in self.classes], np.uint32)


def told(text: str) -> What | None:
    """What a text says; None if it is no such text."""
    try:
        name, version, output, form, positive, scale, *more = json.loads(text)
        words = (name, version, output, form, positive)
        parts: list[Any] = [*more, *((), (), None)[len(more) :]]
        classes, segments, target = parts
        extra = tuple(classes), tuple(map(segment_of, segments)), target_told(target)
    except (ValueError, TypeError, AttributeError):
        return None
    known = form in FORMS and isinstance(scale, (int, float))
    if not known or not all(isinstance(word, str) for word in (*words, *extra[0])):
        return None
    return What(*words, float(scale), *extra)


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of one output. `classes`: ids (`Words`), 0: none; `values`: score or number; `ends`: of an interval.

    `packed`: what says more than one thing, of the rows that are `good`; its places stand for `names`.
    """

    output: str
    form: Form
    classes: NDArray[np.uint64] | None = None
    values: FloatTable | None = None
    ends: NDArray[np.float32] | None = None
    positive: str = ""
    packed: NDArray[np.uint8] | None = None
    good: NDArray[np.bool_] | None = None
    names: tuple[str, ...] = ()


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
    if task == "multilabel":
        return _labels(*_table(columns, kinds), known, words)
    if task == "ranking":
        return _ranking(columns, kinds)
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
    if table.shape[1] != 2 and _fitting(named, most=packing.NONE):
        return [Answers(PREDICTED, "chances", packed=packing.chances(table), good=good, names=tuple(named))]
    if table.shape[1] != 2:
        best = np.where(np.isnan(table), -1.0, table).argmax(axis=1)
        return [Answers(PREDICTED, "classes", np.where(good, ids[best], np.uint64(NO_CLASS)))]
    wanted = canonical(known.positive_class)
    place = named.index(wanted) if wanted in named else 1
    score = np.where(good, table[:, place], np.nan)
    chosen = np.where(score >= known.threshold, ids[place], ids[1 - place])
    chosen = np.where(good, chosen, np.uint64(NO_CLASS))
    return [Answers(PREDICTED, "binary", chosen, score, positive=named[place])]


def _fitting(names: Sequence[str], most: int) -> bool:
    """Whether a `What` has room for these names, and they tell classes apart."""
    size = len(json.dumps(names, ensure_ascii=False).encode())
    free = OTHER in names or any(map(is_free, names))
    return (
        len(names) <= most
        and len({*map(class_mark, names)}) == len(names)
        and size <= _NAMES_BYTES
        and not free
    )


def _labels(table: FloatTable | None, places: list[str], known: Known, words: Words) -> list[Answers] | str:
    """Labels that are each there or not: by the threshold, of numbers in [0, 1]."""
    if table is None:
        return "outputs"
    listed = class_words(places) if places else map(str, range(table.shape[1]))
    named = tuple(canonical(word) or OTHER for word in listed)
    if not _fitting(named, MOST_CLASSES):
        return "outputs"
    for name in named:
        words.id(name)
    packed = packing.marked(np.nan_to_num(table) >= known.threshold)
    return [Answers(PREDICTED, "labels", packed=packed, good=in_unit(table), names=named)]


def _ranking(columns: dict[str, Any], kinds: dict[str, str]) -> list[Answers] | str:
    """Items in the order of their columns, or of the places of the one vector; the same one twice is no ranking."""
    vectors = [name for name, kind in kinds.items() if kind == "vector"]
    if vectors:
        table, _ = _table(columns, kinds)
        if table is None or len(columns) > 1:
            return "outputs"
        cells = table[:, : packing.TOP].tolist()
    else:
        first = list(columns.values())[: packing.TOP]
        cells = list(zip(*(joined(column).tolist() for column in first), strict=True))
    known: dict[Any, int] = {}
    for row in cells:
        for cell in row:
            if cell not in known:
                known[cell] = _item(cell)
    items = np.array([[known[cell] for cell in row] for row in cells], np.uint32)
    ordered = np.sort(items, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != 0)).any(axis=1)
    whole = np.array(
        [all(not isinstance(cell, float) or cell % 1 == 0 for cell in row if cell == cell) for row in cells]
    )
    good = (items[:, 0] != 0) & ~twice & whole
    return [Answers("ranking", "ranking", packed=packing.ranked(items), good=good)]


def _item(cell: Any) -> int:
    name = canonical(cell)
    return 0 if name is None else class_mark(name)


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
