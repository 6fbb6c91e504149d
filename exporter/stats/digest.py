"""Digest: a batch of columns turned into what a window adds: counts, moments, signed sums.

Refuses to know time. Invariant: nothing in a batch raises; each cell is counted once or is a misfit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.stats.bins import FloatArray, IntArray, Nulls, NumericBins, Values, as_numbers, split_nulls
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import moments_of


@dataclass(frozen=True, slots=True)
class Misfit:
    """Cells of a batch that could not be used: `reason` is extra_column, wrong_shape or wrong_type."""

    column: str
    reason: str
    cells: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A batch turned into what is added: `counts` (size,), `moments` (5, columns), `signed` (2, columns).

    `rows` is at least the largest count.
    """

    rows: int
    counts: IntArray
    moments: FloatArray
    signed: FloatArray
    misfits: tuple[Misfit, ...]


@dataclass(frozen=True, slots=True)
class _Located:
    """One column of a batch: bin index per cell (-1: wrong type), its numbers, null cells besides."""

    place: int
    indices: IntArray
    numbers: FloatArray | None
    more_nulls: int


def digest_batch(layout: Layout, batch: Mapping[str, Values], nulls: Mapping[str, Nulls]) -> Digest:
    """Locate every cell in the flat vector, count once, and take the moments; see `Windows.update`."""
    found = list(_locate_columns(layout, batch, nulls))
    extra = [name for name in batch if name not in layout.places]
    misfits = [Misfit(name, "extra_column", np.size(batch[name])) for name in extra]
    indices: list[IntArray] = [np.zeros(0, np.int64)]
    numbers: list[FloatArray] = [np.zeros(0)]
    lengths = np.zeros(len(layout.columns), np.intp)
    more = np.zeros(layout.size, np.int64)
    for item in found:
        if isinstance(item, Misfit):
            misfits.append(item)
            continue
        offset, column = layout.offsets[item.place], layout.columns[item.place]
        right = item.indices >= 0
        wrong = len(right) - int(np.count_nonzero(right))
        if wrong:
            misfits.append(Misfit(column.name, "wrong_type", wrong))
        indices.append((item.indices[right] if wrong else item.indices) + offset)
        more[offset + column.kept.null] = item.more_nulls
        if item.numbers is not None:
            numbers.append(item.numbers)
            lengths[item.place] = len(item.numbers)
    counts = np.bincount(np.concatenate(indices), minlength=layout.size).astype(np.int64, copy=False) + more
    moments, signed = moments_of(np.concatenate(numbers), lengths)
    rows = max(map(len, indices)) + int(more.sum())
    return Digest(rows, counts, moments, signed, tuple(misfits))


def _locate_columns(
    layout: Layout, batch: Mapping[str, Values], nulls: Mapping[str, Nulls]
) -> Iterator[_Located | Misfit]:
    for place, column in enumerate(layout.columns):
        if column.name in batch:
            yield _locate(place, column, np.asarray(batch[column.name]), nulls.get(column.name))


def _locate(place: int, column: ColumnSpec, values: Values, nulls: Nulls) -> _Located | Misfit:
    mask, more = split_nulls(nulls)
    if values.ndim != 1 or (mask is not None and mask.shape != values.shape):
        return Misfit(column.name, "wrong_shape", values.size)
    bins = column.kept
    if isinstance(bins, NumericBins):
        ready = as_numbers(values, mask)
        floats = ready.values.astype(np.float64, copy=False)
        return _Located(place, bins.locate(ready), floats, more)
    return _Located(place, bins.locate(values, mask), None, more)
