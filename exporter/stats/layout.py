"""Layout: where each column's bins lie in one flat vector, so that a batch of many columns is one add.

Refuses to know time and counts. Invariant: offsets follow from the order of columns alone, names are
distinct.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import (
    OTHER,
    Bins,
    BoolArray,
    CategoricalBins,
    FloatArray,
    NumericBins,
    Values,
    canonical,
    coarse_bins,
    fine_bins,
    group_starts,
    nameable,
)
from exporter.stats.compared import Compared
from exporter.stats.moments import Ranges

MAX_CATEGORIES = 20
MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column of a layout: its name, which is its key, and its bins.

    `fine`: narrower bins that are kept instead, for quantiles; counts over `bins` are summed from them.
    Raises ValueError if an edge of `bins` is no edge of `fine`. `grows`: categories are still being learnt.
    """

    name: str
    bins: Bins
    fine: NumericBins | None = None
    grows: bool = False
    starts: NDArray[np.intp] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = None
        if self.fine is not None and isinstance(self.bins, NumericBins):
            starts = group_starts(self.fine, self.bins)
        object.__setattr__(self, "starts", starts)

    @property
    def kept(self) -> Bins:
        """The bins that lie in the flat vector."""
        return self.bins if self.fine is None else self.fine

    @property
    def compared(self) -> bool:
        """Whether a reference can exist: what is learnt from traffic has none, and pays for none."""
        return not self.grows and self.fine != fine_bins()


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns side by side in a flat vector of `size` bins. Raises ValueError for repeated names.

    `tails`: which cells of the vector are the last range of a numeric column. `edges`: of the kept bins of each column,
    None for categories. `compared`: see there. `valued`: cells of values, not of null and NaN; `named`: those without
    the rest of the categories; `starts`: the first cell of each column; `ranges`: see there.
    """

    columns: tuple[ColumnSpec, ...]
    size: int = field(init=False, compare=False)
    offsets: tuple[int, ...] = field(init=False, repr=False, compare=False)
    places: dict[str, int] = field(init=False, repr=False, compare=False)
    compared: Compared = field(init=False, repr=False, compare=False)
    tails: BoolArray = field(init=False, repr=False, compare=False)
    valued: BoolArray = field(init=False, repr=False, compare=False)
    named: BoolArray = field(init=False, repr=False, compare=False)
    starts: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    ranges: Ranges = field(init=False, repr=False, compare=False)
    edges: tuple[FloatArray | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {column.name: place for place, column in enumerate(self.columns)}
        if len(places) != len(self.columns):
            repeated = [name for name, times in Counter(c.name for c in self.columns).items() if times > 1]
            raise ValueError(f"column names must be distinct, repeated: {repeated}")
        ends = np.cumsum([0, *(column.kept.size for column in self.columns)]).tolist()
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "offsets", tuple(ends[:-1]))
        object.__setattr__(self, "size", ends[-1])
        object.__setattr__(self, "compared", Compared.of(self.columns))
        tails, valued, named = np.zeros((3, ends[-1]), np.bool_)
        for column, offset in zip(self.columns, ends[:-1], strict=True):
            numeric = isinstance(column.kept, NumericBins)
            end = offset + column.kept.null
            valued[offset:end] = True
            named[offset : end if numeric else end - 1] = True
            if numeric:
                tails[end - 1] = True
        object.__setattr__(self, "tails", tails)
        object.__setattr__(self, "valued", valued)
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "starts", np.array(ends[:-1], np.intp))
        object.__setattr__(self, "ranges", _ranges([column.kept for column in self.columns], self.starts))
        kept = [column.kept for column in self.columns]
        edges = tuple(bins.array if isinstance(bins, NumericBins) else None for bins in kept)
        object.__setattr__(self, "edges", edges)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.places)

    def column(self, name: str) -> ColumnSpec:
        """Raises KeyError for a name that is not in the layout."""
        return self.columns[self.places[name]]

    def slice(self, name: str) -> slice:
        """Where the kept bins of the column lie in the flat vector."""
        place = self.places[name]
        return slice(self.offsets[place], self.offsets[place] + self.columns[place].kept.size)

    def grown(self, batch: Mapping[str, Values]) -> Layout:
        """This layout, with the columns and categories of `batch` that it lacks; itself if it lacks none.

        For models without a profile. Numbers get `coarse_bins` kept as `fine_bins`; text and bools get the
        categories seen so far (at most 20 per column) and `<other>`. At most 1,000 columns; what is over is
        left out. Columns that come from a profile never grow.
        """
        columns = [self._grown_column(column, batch.get(column.name)) for column in self.columns]
        new = [name for name in batch if name not in self.places]
        for name in new[: max(0, MAX_COLUMNS - len(columns))]:
            columns.append(_observed_column(name, np.asarray(batch[name])))
        return self if tuple(columns) == self.columns else Layout(tuple(columns))

    @staticmethod
    def observed(batch: Mapping[str, Values]) -> Layout:
        """The layout of columns that no profile describes; see `grown`."""
        return Layout(()).grown(batch)

    @staticmethod
    def _grown_column(column: ColumnSpec, values: Values | None) -> ColumnSpec:
        bins = column.bins
        if values is None or isinstance(bins, NumericBins) or not column.grows:
            return column
        if len(bins.categories) >= MAX_CATEGORIES:
            return column
        return ColumnSpec(column.name, _with_categories(bins, np.asarray(values)), grows=True)


def _ranges(kept: Sequence[Bins], starts: NDArray[np.intp]) -> Ranges:
    size = sum(bins.size for bins in kept)
    left, right, numbers = np.zeros(size), np.zeros(size), np.zeros(size, np.bool_)
    for bins, start in zip(kept, starts.tolist(), strict=True):
        if isinstance(bins, NumericBins):
            cells = slice(start, start + bins.ranges)
            right[cells] = np.append(bins.array, np.inf)
            left[cells] = right[cells] if bins.discrete else np.append(-np.inf, bins.array)
            numbers[cells] = True
    return Ranges(left, right, numbers, starts)


def _observed_column(name: str, values: Values) -> ColumnSpec:
    if values.dtype.kind in "iuf" or (values.dtype.kind == "O" and _all_numbers(values)):
        return ColumnSpec(name, coarse_bins(), fine_bins())
    return ColumnSpec(name, _with_categories(CategoricalBins((), OTHER), values), grows=True)


def _all_numbers(values: Values) -> bool:
    cells = [cell for cell in values.tolist() if cell is not None]
    return bool(cells) and all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in cells)


def _with_categories(bins: CategoricalBins, values: Values) -> CategoricalBins:
    if values.dtype.kind == "b":
        found = {"false", "true"}
    else:
        found = {text for cell in set(_scalars(values)) if (text := canonical(cell)) is not None}
    new = sorted(filter(nameable, found - set(bins.categories)))
    room = MAX_CATEGORIES - len(bins.categories)
    return CategoricalBins((*bins.categories, *new[:room]), bins.rest) if new else bins


def _scalars(values: Values) -> list[object]:
    scalars = (str, bytes, int, float, np.generic)
    return [cell if isinstance(cell, scalars) else None for cell in values.ravel().tolist()]
