"""Bins: fixed cells into which the values of a column fall, so that counts add up across panes and replicas.

Refuses to know models, time, and where the edges came from. Invariant: every value falls into exactly one
bin, bins never change after construction, and `le` semantics hold: a numeric bin is (a, b], as in Prometheus
and OpenTelemetry (`numpy.histogram` uses [a, b) and gives other counts on every tied value).
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Values = NDArray[Any]  # one column of a batch: numbers, bools, strings or objects
Nulls = BoolArray | int | None  # a mask over the values, or how many null cells came besides them

NULL = "<null>"
NAN = "<nan>"
OTHER = "<other>"
UNSEEN = "<unseen>"
SPECIAL = (NULL, NAN, OTHER, UNSEEN)
LONGEST_CATEGORY = 128

# 2**(0/4) .. 2**(3/4) as literals: `pow` may differ in the last bit between C libraries, `ldexp` may not,
# and two replicas must have the same edges.
_QUARTERS = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)
# With -20 a column and window would need 20,016 bytes, 16 over what is promised.
_FINE_OCTAVES = (-19, 30)
# In quarter octaves. Denser towards 1, because most outputs are probabilities.
_COARSE_QUARTERS = (-40, -24, -16, -12, -8, -4, -2, 0, 4, 8, 16, 24, 40, 56, 80)

_WHOLE = re.compile(r"([+-]?\d+)\.0+")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numeric column made ready: `values` (float16/32/64, NaN where null or wrong), and two masks.

    `null` marks missing cells, `wrong` marks cells that are no number at all; None stands for "nowhere".
    """

    values: NDArray[np.floating[Any]]
    null: BoolArray | None = None
    wrong: BoolArray | None = None


def as_numbers(values: Values, null: BoolArray | None = None) -> Numbers:
    """Read any one-dimensional array as numbers: bools are 0 and 1, None is null, text is wrong, not parsed.

    float32 stays float32, so that it is compared with edges rounded the same way (see `NumericBins.locate`); float16
    becomes it, because sums of it are none.
    """
    if values.dtype == np.float16:
        return as_numbers(values.astype(np.float32), null)
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        if null is None or not null.any():
            return Numbers(values)
        return Numbers(np.where(null, values.dtype.type(np.nan), values), null)
    if values.dtype.kind in "iubf":
        return as_numbers(values.astype(np.float64), null)
    if values.dtype.kind != "O":
        missing = np.zeros(len(values), np.bool_) if null is None else null
        return Numbers(np.full(len(values), np.nan), null, ~missing)
    return _objects_as_numbers(values, null)


def _objects_as_numbers(values: Values, null: BoolArray | None) -> Numbers:
    numbers = np.full(len(values), np.nan)
    missing = np.zeros(len(values), np.bool_) if null is None else null.copy()
    wrong = np.zeros(len(values), np.bool_)
    for row, value in enumerate(values.tolist()):
        if value is None:
            missing[row] = True
        elif missing[row]:
            continue
        elif isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
            numbers[row] = _float(value)
        else:
            wrong[row] = True
    return Numbers(numbers, missing, wrong)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1.8e308: the tail of its sign
        return math.inf if value > 0 else -math.inf


@dataclass(frozen=True, slots=True)
class NumericBins:
    """Bins (-inf, e0], (e0, e1] .. (ek, +inf), then `<null>` and `<nan>`.

    `edges`: strictly increasing finite float64, may be empty (one bin). ±inf fall into the tails.
    `discrete`: the edges are the values themselves, so a quantile inside a bin is its upper edge.
    `labels`: one per bin; the upper bound in its shortest round-trip form, `+Inf` for the last.
    Raises ValueError for edges that are not finite or do not increase.
    """

    edges: tuple[float, ...]
    discrete: bool = False
    labels: tuple[str, ...] = field(init=False, repr=False, compare=False)
    array: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = tuple(float(edge) + 0.0 for edge in self.edges)  # + 0.0 turns -0.0 into 0.0
        array = np.array(edges, np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"edges must be finite, got {self.edges}")
        if (array[1:] <= array[:-1]).any():
            raise ValueError(f"edges must increase strictly, got {self.edges}")
        array.setflags(write=False)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "labels", (*map(repr, edges), "+Inf", NULL, NAN))

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def ranges(self) -> int:
        """How many bins hold numbers; they come first, so `counts[:ranges]` are those of a histogram."""
        return len(self.edges) + 1

    @property
    def null(self) -> int:
        """Index of the `<null>` bin."""
        return len(self.edges) + 1

    def locate(self, numbers: Numbers) -> IntArray:
        """Bin index of every cell, -1 where the cell is wrong.

        float32 values are compared with edges rounded to float32: a model that computes in float32 answers
        0.1 as 0.10000000149, which is its 0.1 and belongs into the bin that ends at 0.1.
        """
        values = numbers.values
        with np.errstate(over="ignore"):
            edges = self.array.astype(values.dtype, copy=False)
        indices = edges.searchsorted(values, side="left")
        nan = np.isnan(values)
        if nan.any():
            indices[nan] = self.null + 1
            if numbers.null is not None:
                indices[numbers.null] = self.null
            if numbers.wrong is not None:
                indices[numbers.wrong] = -1
        return indices.astype(np.int64, copy=False)

    def count(self, values: Values, nulls: Nulls = None) -> IntArray:
        """Counts per bin, int64, shape (size,). Cells that are no number are left out."""
        mask, extra = split_nulls(nulls)
        return _counts(self.locate(as_numbers(np.asarray(values), mask)), self.size, self.null, extra)


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """One bin per known category, then one for all the rest, then `<null>`.

    `rest` is `<unseen>` where the categories are all that the reference had, and `<other>` where rare ones
    were pooled or none is known yet: which of the two it was cannot be told without keeping rare categories.
    `hashed`: categories are written as hashes, and a cell's canonical form is hashed by this before it is looked up.
    Raises ValueError for repeated or reserved categories, or another `rest`.
    """

    categories: tuple[str, ...]
    rest: str = UNSEEN
    hashed: Callable[[str], str] | None = field(default=None, repr=False, compare=False)
    labels: tuple[str, ...] = field(init=False, repr=False, compare=False)
    codes: Mapping[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = {category: code for code, category in enumerate(self.categories)}
        if len(codes) != len(self.categories):
            raise ValueError(f"categories must be distinct, got {self.categories}")
        reserved = [category for category in self.categories if category in SPECIAL]
        if reserved:
            raise ValueError(f"reserved names cannot be categories: {reserved}")
        if self.rest not in (OTHER, UNSEEN):
            raise ValueError(f"rest must be {OTHER} or {UNSEEN}, got {self.rest!r}")
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "labels", (*self.categories, self.rest, NULL))

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def null(self) -> int:
        """Index of the `<null>` bin."""
        return len(self.categories) + 1

    def locate(self, values: Values, null: BoolArray | None = None) -> IntArray:
        """Bin index of every cell; a cell is first brought into the canonical form of categories."""
        if values.dtype.kind in "iubf":  # few distinct numbers: translate each once
            distinct, inverse = np.unique(values, return_inverse=True)
            codes = np.array([self._code(value) for value in distinct.tolist()], np.int64)
            indices = codes[inverse] if len(codes) else np.zeros(0, np.int64)
        else:
            indices = np.array(self._codes(values.tolist()), np.int64)
        if null is not None:
            indices[null] = self.null
        return indices

    def count(self, values: Values, nulls: Nulls = None) -> IntArray:
        """Counts per bin, int64, shape (size,)."""
        mask, extra = split_nulls(nulls)
        return _counts(self.locate(np.asarray(values), mask), self.size, self.null, extra)

    def _codes(self, cells: list[object]) -> list[int]:
        if self.hashed is not None:  # a cell that is written as a hash is no category
            return [self._code(cell) for cell in cells]
        try:
            found = list(map(self.codes.get, cells))
        except TypeError:  # an unhashable cell, such as a list
            return [self._code(cell) for cell in cells]
        return [self._code(cell) if code is None else code for cell, code in zip(cells, found, strict=True)]

    def _code(self, cell: object) -> int:
        text = canonical(cell)
        if text is None:
            return self.null
        return self.codes.get(text if self.hashed is None else self.hashed(text), len(self.categories))


Bins = NumericBins | CategoricalBins


def canonical(cell: object) -> str | None:
    """The one form of a category, the same from CSV and from JSON; None is null.

    1, 1.0, "1" and "1.0" are "1"; True, "True" and "true" are "true"; text is trimmed UTF-8; NaN is null.
    What is no scalar (a list, an object) has the form of no category and falls into the rest.
    """
    if cell is None:
        return None
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if isinstance(cell, str):
        return _canonical_text(cell.strip())
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (float, np.floating)):
        real = float(cell)
        if math.isnan(real):
            return None
        return str(int(real)) if real.is_integer() else repr(real)
    if isinstance(cell, (int, np.integer)):
        number = int(cell)
        return str(number) if number.bit_length() <= 1024 else OTHER  # Python refuses to print the largest
    return str(cell) if isinstance(cell, Hashable) else OTHER


def nameable(category: str) -> bool:
    """Whether a text may become a category with a bin of its own: not reserved, at most 128 characters."""
    return len(category) <= LONGEST_CATEGORY and category not in SPECIAL


def _canonical_text(text: str) -> str:
    if not text.isascii():  # JSON may hold a lone surrogate, which no label can carry
        text = text.encode("utf-8", "replace").decode()
    if text in ("True", "TRUE", "False", "FALSE"):
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def split_nulls(nulls: Nulls) -> tuple[BoolArray | None, int]:
    """The two ways to tell nulls, apart: (mask over the values, number of null cells besides them)."""
    if nulls is None:
        return None, 0
    if isinstance(nulls, (int, np.integer)):
        return None, int(nulls)
    return np.asarray(nulls, np.bool_), 0


def _counts(indices: IntArray, size: int, null: int, extra_nulls: int) -> IntArray:
    counts = np.bincount(indices[indices >= 0], minlength=size).astype(np.int64, copy=False)
    counts[null] += extra_nulls
    return counts


def _power(quarters: int) -> float:
    return math.ldexp(_QUARTERS[quarters % 4], quarters // 4)


def _signed(quarters: Iterable[int]) -> NumericBins:
    positive = [_power(step) for step in quarters]
    return NumericBins((*(-edge for edge in reversed(positive)), *positive))


@functools.cache
def fine_bins() -> NumericBins:
    """Edges for columns without a profile: ±2**(k/4), k = -76 .. 120 (2e-6 .. 1e9), 395 bins and 2 specials.

    The zero bin is (-2**-19, 2**-19]. Within the range a bin is at most 19 % of its value wide.
    """
    low, high = _FINE_OCTAVES
    return _signed(range(4 * low, 4 * high + 1))


@functools.cache
def coarse_bins() -> NumericBins:
    """The 30 bounds under which a column without a profile is exported; every one is an edge of `fine_bins`.

    ±2**e for e = -10 -6 -4 -3 -2 -1 -0.5 0 1 2 4 6 10 14 20. Fixed for good: replicas, versions and restarts
    must agree on them.
    """
    return _signed(_COARSE_QUARTERS)


def refined_bins(bins: NumericBins, low: float, high: float) -> NumericBins:
    """`bins` with every bin between `low` and `high` cut into eight, and steps beyond that double.

    For quantiles: deciles alone would put the 5 % quantile anywhere in the lowest tenth. Follows from the
    arguments only, so replicas with the same profile agree. Every edge of `bins` is kept.
    """
    edges = set(bins.edges)
    marks = sorted({low, high, *bins.edges})
    for start, end in itertools.pairwise(marks):
        edges.update(start + (end - start) * (part / 8) for part in range(1, 8))
    span = (marks[-1] - marks[0]) or 1.0
    for step in range(-3, 7):
        edges.update((marks[0] - math.ldexp(span, step), marks[-1] + math.ldexp(span, step)))
    return NumericBins(tuple(sorted(edge for edge in {*edges, *marks} if math.isfinite(edge))))


def group_starts(fine: NumericBins, coarse: NumericBins) -> NDArray[np.intp]:
    """First fine bin of every coarse bin, for `regroup`. Raises ValueError if an edge is not shared."""
    missing = sorted(set(coarse.edges) - set(fine.edges))
    if missing:
        raise ValueError(f"coarse edges that are no fine edges: {missing}")
    specials = (fine.ranges, fine.ranges + 1)
    return np.array([0, *(fine.array.searchsorted(coarse.array) + 1), *specials], np.intp)


def regroup(counts: IntArray, starts: NDArray[np.intp]) -> IntArray:
    """Counts on the coarse bins from those on the fine ones, exact; `starts` from `group_starts`."""
    return np.add.reduceat(counts, starts)
