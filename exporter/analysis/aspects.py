"""What a column is, decided once, and the columns by which it is counted: itself, or aspects that say nothing raw.

Numbers and categories are counted as they are. A text is counted by its length, script and form, a vector by its norm,
its zeros and its places on fixed directions, a time by its hour and weekday (`exporter/stats/aspects.py`): no text, no
place and no moment is kept. What a column is follows from its profile, or else from the first batch in which it was
seen, and never from later traffic: then it would be two things in one series.

Refuses to know models and time. Invariant: nothing raises; every cell is a value, a null, or the misfit of a named
exchange.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.fit import Fitted, joined, owners
from exporter.records.observation import Column
from exporter.stats import CategoricalBins, ColumnSpec, ProfileColumn
from exporter.stats.aspects import (
    ASPECTS,
    aspect_name,
    datetime_aspects,
    text_aspects,
    vector_aspects,
)
from exporter.stats.profiles.column import PayloadColumn
from exporter.stats.profiles.types import UNITS

ColumnType = Literal["numeric", "category", "text", "datetime", "vector"]
# A category that nobody declared has fewer characters and words than this; beyond it is a text, and may be a person's.
MAX_CATEGORY: Final = 64
MAX_WORDS: Final = 4
# One cell of so many characters makes a column text, whatever the others are.
_LONG: Final = 256
# Vectors of one batch are put together up to this size; larger ones are quicker, and smaller in all, one by one.
_TOGETHER_BYTES: Final = 1 << 20
_SPLIT: Final = ("text", "vector", "datetime")
_WORDS: Final = {
    "hour": tuple(map(str, range(24))),
    "weekday": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "form": ("valid", "invalid", "empty"),
}
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a column is. `width` of a vector; `centroid` and `aspects` where a profile tells them.

    `scale`: of a time that is written as a number, how many of its units are a second; 0 for one that is text.
    """

    type: ColumnType
    width: int = 0
    centroid: NDArray[np.float64] | None = None
    aspects: tuple[str, ...] = ()
    scale: float = 0.0

    def names(self, column: str) -> tuple[str, ...]:
        """The columns by which a column of that name is counted."""
        if self.type in ("numeric", "category"):
            return (column,)
        return tuple([aspect_name(column, aspect) for aspect in self.aspects or ASPECTS[self.type]])

    def telling(self, column: str) -> str:
        """The one of them that tells null, NaN and empty cells."""
        return aspect_name(column, "form") if self.type == "text" else self.names(column)[0]

    def specs(self, column: str) -> list[ColumnSpec]:
        """Those of them whose bins are known beforehand: a day has more hours than categories are learnt."""
        named = {aspect_name(column, aspect): words for aspect, words in _WORDS.items()}
        return [
            ColumnSpec(name, CategoricalBins(named[name]))
            for name in (self.names(column) if self.type in ("text", "datetime") else ())
            if name in named
        ]


def sighted(columns: Sequence[Column]) -> Nature:
    """What a column is by its first batch; the columns are of one kind.

    Numbers, vectors and truth values are what they are. Texts are times if all of them are ISO 8601; text if one is
    over 256 characters, or if they have 5 words or more on average; else categories.
    """
    kind = columns[0].kind
    if kind == "vector":
        return Nature("vector", width=columns[0].values.shape[1], aspects=_without_centroid())
    if kind == "numeric":
        return Nature("numeric")
    cells = [cell for column in columns for cell in column.values.tolist() if cell is not None]
    times = Counter(cells)
    if cells and all(moment(cell) is not None for cell in times):
        return Nature("datetime")
    words = sum([len(cell.split()) * count for cell, count in times.items()])
    if cells and (words > MAX_WORDS * len(cells) or max(map(len, times)) > _LONG):
        return Nature("text")
    return Nature("category")


def profiled(columns: Iterable[ProfileColumn], payload: Iterable[PayloadColumn] = ()) -> dict[str, Nature]:
    """What the columns of a profile are, by the names that payloads give them, in the profile's order.

    A profile holds the aspects of a text, a vector or a time as columns of that type, whose source is the payload's
    column. An image's are the payload's columns, for decoders tell of images no more than their aspects.
    """
    told = {column.name: column for column in payload}
    found: dict[str, Nature] = {}
    for column in columns:
        if column.type in _SPLIT and column.source != column.name:
            aspect = column.name.rpartition(":")[2]
            before = found.get(column.source) or _split(column, told.get(column.source))
            found[column.source] = replace(before, aspects=(*before.aspects, aspect))
        else:
            found[column.name] = Nature("numeric" if column.kind == "numeric" else "category")
    return found


def _split(column: ProfileColumn, told: PayloadColumn | None) -> Nature:
    kind: ColumnType = column.type  # type: ignore[assignment]
    if told is None:
        return Nature(kind)
    return Nature(kind, told.width or 0, told.centre(), scale=UNITS.get(told.unit or "", 0.0))


def counted(nature: Nature, name: str, columns: Sequence[Column]) -> dict[str, Fitted]:
    """The values by which a column of a text, a vector or a time is counted, by name.

    The columns are of one kind. Where that is another one than the column has, every exchange is a misfit.
    """
    wanted = "vector" if nature.type == "vector" else "numeric" if nature.scale else "categorical"
    if columns[0].kind != wanted:
        return {nature.names(name)[0]: misfits(columns)}
    if nature.type == "vector":
        found = _vectors(nature, columns)
    elif nature.type == "text":
        found = _texts(columns)
    elif nature.scale:
        found = _stamps(columns, nature.scale)
    else:
        found = _moments(columns)
    return {
        aspect_name(name, aspect): fitted
        for aspect, fitted in found.items()
        if not nature.aspects or aspect in nature.aspects
    }


def misfits(columns: Sequence[Column]) -> Fitted:
    """No values at all: each exchange is a misfit."""
    return Fitted(np.zeros(0), 0, frozenset(range(len(columns))))


def is_free(cell: str) -> bool:
    """Whether a text is too long, or of too many words, to be a category that nobody declared."""
    return len(cell) > MAX_CATEGORY or (cell.count(" ") >= MAX_WORDS and len(cell.split()) > MAX_WORDS)


def moment(cell: str) -> float | None:
    """Unix seconds of a date or a time in ISO 8601's extended form; UTC where no zone is told. None for other texts."""
    if not cell[:1].isdigit() or _MOMENT.fullmatch(cell) is None:
        return None
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _without_centroid() -> tuple[str, ...]:
    return tuple([aspect for aspect in ASPECTS["vector"] if aspect != "distance"])


# ---------------------------------------------------------------- cells -> values of aspects


def _texts(columns: Sequence[Column]) -> dict[str, Fitted]:
    cells = joined(columns)
    there = np.array([cell is not None for cell in cells.tolist()], np.bool_)
    found = text_aspects(cells[there])
    return {aspect: Fitted(values, len(cells) - len(values)) for aspect, values in found.items()}


def _moments(columns: Sequence[Column]) -> dict[str, Fitted]:
    cells = joined(columns).tolist()
    known = {cell: moment(cell) for cell in set(cells) if cell is not None}
    seconds = [known[cell] for cell in cells if cell is not None]
    wrong = [place for place, cell in enumerate(cells) if cell is not None and known[cell] is None]
    found = datetime_aspects(np.array([one for one in seconds if one is not None], np.float64))
    owner = owners(columns, wrong)
    return {aspect: Fitted(values, len(cells) - len(seconds), owner) for aspect, values in found.items()}


def _stamps(columns: Sequence[Column], scale: float) -> dict[str, Fitted]:
    """Of times that are numbers: what is no finite one is null, as it is no time."""
    cells = joined(columns)
    there = cells[np.isfinite(cells)].astype(np.float64) / scale
    found = datetime_aspects(there)
    return {aspect: Fitted(values, len(cells) - len(there)) for aspect, values in found.items()}


def _vectors(nature: Nature, columns: Sequence[Column]) -> dict[str, Fitted]:
    """Aspects of the vectors of the right width; the others are misfits."""
    right = [column for column in columns if not nature.width or column.values.shape[1] == nature.width]
    wrong = frozenset([place for place, column in enumerate(columns) if column not in right])
    if not right:
        return {nature.aspects[0]: Fitted(np.zeros(0), 0, wrong)} if nature.aspects else {}
    together = sum([column.values.nbytes for column in right]) <= _TOGETHER_BYTES
    alike = together and len({column.values.shape[1] for column in right}) == 1
    tables = [joined(right)] if alike else [column.values for column in right]
    if any(column.nulls for column in right):
        tables = [table[~np.isnan(table).all(axis=1)] for table in tables]
    nulls = sum([len(column.values) for column in right]) - sum(map(len, tables))
    parts: dict[str, list[NDArray[Any]]] = {}
    for table in tables:
        for aspect, values in vector_aspects(table, nature.centroid).items():
            parts.setdefault(aspect, []).append(values)
    return {
        aspect: Fitted(values[0] if len(values) == 1 else np.concatenate(values), nulls, wrong)
        for aspect, values in parts.items()
    }
