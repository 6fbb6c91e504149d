"""The first pass over reference rows: what is needed to choose bins, in memory that does not grow with them.

Takes typed payload columns, turns them into the columns that are counted (aspects included), and remembers moments,
frequent texts, a sample of rows and how distinct everything is. Refuses to know files and bins. Invariant: what it
says does not depend on how the rows were cut into chunks, but for rounding in the last bits of a mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.stats.aspects import aspect_name, datetime_aspects, text_aspects, vector_aspects
from exporter.stats.bins import BoolArray, FloatArray, Values
from exporter.stats.moments import COUNT, LARGEST, combine, empty_moments, moments_of
from exporter.stats.profiles.sketch import (
    Distinct,
    Hashes,
    Hitters,
    RowSample,
    hash_numbers,
    hash_texts,
    mixed,
)
from exporter.stats.profiles.types import Typed, is_text, word_count
from exporter.stats.profiles.weights import Weighed, weighted_moments, weighted_quantiles, weights_of

MAX_VALUES = 20
IDENTIFIER_SHARE = 0.95
_COUNTED_ROLES = {"score": "prediction"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a payload column is read: `role` and `type` as in a profile; `keep`: never taken for an identifier.

    `private`: its categories may be left out if they point at persons, False where the user asked for it by type.
    """

    name: str
    role: str = "feature"
    type: str = "numeric"
    keep: bool = False
    unit: str | None = None
    centroid: tuple[float, ...] = ()
    private: bool = True
    group: bool = False

    @property
    def counted_role(self) -> str:
        """The role of what is counted of it."""
        return _COUNTED_ROLES.get(self.role, self.role)

    @property
    def counted(self) -> bool:
        """Whether it has bins: ids, weights and the time by which rows are ordered have none."""
        return self.role not in ("time", "id", "weight", "split", "ignored") and self.type != "identifier"


@dataclass(frozen=True, slots=True)
class Counted:
    """Values of one counted column: float64, or objects of str and None; `null` masks its missing cells."""

    values: Values
    null: BoolArray | None = None

    @property
    def numeric(self) -> bool:
        return self.values.dtype.kind == "f"


def counted(plan: Plan, cells: Typed) -> dict[str, Counted]:
    """The counted columns of a payload column, by name."""
    if plan.type in ("numeric", "categorical", "boolean"):
        return {plan.name: Counted(cells.values, cells.missing if cells.missing.any() else None)}
    if plan.type == "text":
        found = text_aspects(cells.values)
    elif plan.type == "datetime":
        found = datetime_aspects(cells.values)
    else:
        centre = np.array(plan.centroid) if plan.centroid else None
        found = dict(vector_aspects(cells.values, centre))
    null = cells.missing if cells.missing.any() else None
    return {aspect_name(plan.name, aspect): Counted(values, null) for aspect, values in found.items()}


class PayloadSurvey:
    """What is missing in a payload column, how distinct it is, and whether it only ever rises or falls."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows = self.null = self.nan = self.empty = 0
        self.distinct = Distinct()
        self.whole = True
        self._rises = self._falls = True
        self._last: float | None = None
        self._words = self._longest = self._filled = 0
        self.width: int | None = None

    def update(self, cells: Typed) -> Hashes:
        """Add cells; returns a hash for each."""
        self.rows += len(cells.values)
        self.null, self.nan, self.empty = (
            self.null + cells.null,
            self.nan + cells.nan,
            self.empty + cells.empty,
        )
        if cells.values.ndim == 2:
            self.width = cells.values.shape[1]
            hashes = _row_hashes([hash_numbers(column) for column in cells.values.T], len(cells.values))
        elif cells.values.dtype.kind == "f":
            hashes = hash_numbers(cells.values)
            self._order(cells.values[~cells.missing])
        else:
            hashes = hash_texts(cells.values.tolist())
            self._read(cells.values.tolist())
        self.distinct.update(hashes[~cells.missing])
        return hashes

    @property
    def filled(self) -> int:
        """Cells that are there."""
        return self.rows - self.null - self.empty

    @property
    def is_text(self) -> bool:
        """Whether its strings are free text, by all of them."""
        return is_text(self._words, self._filled, self._longest)

    def identifier(self) -> str | None:
        """Why it is taken for an identifier; None if it is none."""
        kind, distinct = self.plan.type, self.distinct.count
        numbers = kind == "numeric" and self.whole
        if self.plan.keep or distinct <= MAX_VALUES or not (numbers or kind == "categorical"):
            return None
        if distinct > IDENTIFIER_SHARE * self.filled:
            what = "whole numbers" if numbers else "texts"
            return f"identifier: {distinct} distinct {what} in {self.filled} rows"
        if numbers and (self._rises or self._falls):
            return f"identifier: whole numbers that never {'fall' if self._rises else 'rise'} from row to row"
        return None

    def _order(self, values: FloatArray) -> None:
        finite = values[np.abs(values) <= LARGEST]
        self.whole = self.whole and bool((finite == np.floor(finite)).all())
        if not len(finite) or not (self._rises or self._falls):
            return
        steps = np.diff(finite if self._last is None else np.concatenate(([self._last], finite)))
        self._rises = self._rises and not bool((steps < 0).any())
        self._falls = self._falls and not bool((steps > 0).any())
        self._last = float(finite[-1])

    def _read(self, cells: Sequence[str | None]) -> None:
        texts = [cell for cell in cells if cell is not None]
        self._filled += len(texts)
        self._words += sum(map(word_count, texts))
        self._longest = max(self._longest, max(map(len, texts), default=0))


class NumberSurvey:
    """Moments of a counted column of numbers, and its values while they are few."""

    def __init__(self) -> None:
        self.block = empty_moments(1)
        self.few: FloatArray | None = np.zeros(0)

    def update(self, values: FloatArray, weights: FloatArray | None = None) -> None:
        """Add values; NaN where missing."""
        if weights is None:
            block, _ = moments_of(values, np.array([len(values)]))
        else:
            block = weighted_moments(values, weights)
        if self.block[COUNT, 0] == 0:
            self.block = block
        elif block[COUNT, 0]:
            self.block = combine(np.stack((self.block, block)))
        if self.few is not None:
            finite = values[np.abs(values) <= LARGEST]
            few = np.unique(np.concatenate((self.few, finite)) + 0.0)
            self.few = few if len(few) <= MAX_VALUES else None


class Survey:
    """All columns of one pass. `update` takes a typed column for each plan, all of one length."""

    def __init__(self, plans: Sequence[Plan], limit: int | None = None) -> None:
        """`limit`: rows of the sample, else chosen by the number of columns."""
        self.rows = 0
        self.payload = {plan.name: PayloadSurvey(plan) for plan in plans}
        self.numbers: dict[str, NumberSurvey] = {}
        self.texts: dict[str, Hitters] = {}
        self.owners: dict[str, str] = {}  # payload column of each counted one
        self.duplicates = Distinct()
        self.sample: RowSample | None = None
        self.weighed: Weighed | None = None
        self._limit = limit

    def update(self, chunk: Mapping[str, Typed]) -> None:
        """Add rows."""
        rows = max((len(cells.values) for cells in chunk.values()), default=0)
        self.rows += rows
        hashes = []
        batch: dict[str, Counted] = {}
        for name, survey in self.payload.items():
            found = survey.update(chunk[name])
            if survey.plan.role == "feature":
                hashes.append(found)
            if survey.plan.counted:
                for own, column in counted(survey.plan, chunk[name]).items():
                    if self.owners.setdefault(own, name) == name:
                        batch[own] = column
        if hashes:
            self.duplicates.update(_row_hashes(hashes, min(map(len, hashes))))
        self._columns(batch, rows, weights_of([own.plan for own in self.payload.values()], chunk))

    def _columns(self, batch: dict[str, Counted], rows: int, weights: FloatArray | None) -> None:
        numeric = [name for name, column in batch.items() if column.numeric]
        if self.sample is None:
            self.sample = RowSample(len(numeric) + (weights is not None), self._limit)
        table = np.full((rows, self.sample.columns), np.nan)
        if weights is not None:
            self.weighed = self.weighed or Weighed()
            self.weighed.update(weights)
            table[:, -1] = weights
        for place, name in enumerate(numeric):
            values = batch[name].values
            table[: len(values), place] = values
            self.numbers.setdefault(name, NumberSurvey()).update(values, weights)
        self.sample.update(table)
        for name, column in batch.items():
            if not column.numeric:
                times = Counter(column.values.tolist())
                times.pop(None, None)
                self.texts.setdefault(name, Hitters()).update(times)

    def finite(self, name: str) -> FloatArray:
        """The sampled finite values of a counted column of numbers."""
        values = self._sampled(name)
        return values[np.abs(values) <= LARGEST]

    def quantiles(self, name: str, probabilities: Sequence[float]) -> FloatArray:
        """Of those values, by weight where rows have one."""
        weights = self.weights()
        if weights is None:
            return np.asarray(np.quantile(self.finite(name), probabilities))
        return weighted_quantiles(
            self.finite(name), weights[np.abs(self._sampled(name)) <= LARGEST], probabilities
        )

    def weights(self) -> FloatArray | None:
        """The weights of the sampled rows as parts of effective rows; None where they have none."""
        if self.weighed is None or self.sample is None:
            return None
        return self.sample.table()[:, -1] * self.weighed.scale

    def _sampled(self, name: str) -> FloatArray:
        return self.table()[:, list(self.numbers).index(name)]

    def table(self) -> FloatArray:
        """The sampled rows, a column for each of `numbers`, in its order."""
        if self.sample is None:
            return np.zeros((0, len(self.numbers)))
        return self.sample.table()[:, : len(self.numbers)]

    @property
    def duplicate_share(self) -> float | None:
        """Share of rows whose features repeat an earlier row; None without features."""
        has_features = any(survey.plan.role == "feature" for survey in self.payload.values())
        return 1.0 - self.duplicates.count / self.rows if self.rows and has_features else None


def _row_hashes(columns: Sequence[Hashes], rows: int) -> Hashes:
    """A hash per row of the hashes of its cells, in their order."""
    found = np.zeros(rows, np.uint64)
    for column in columns:
        found = mixed(found * np.uint64(31) + column[:rows])
    return found
