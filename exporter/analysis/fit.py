"""Columns of one name from several exchanges -> one array of the kind that its bins count.

Refuses to know models, time and bins. Invariant: nothing raises; every cell is a value, a null, or the misfit of a
named exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.records.observation import Column

_WORDS = {"true": 1.0, "false": 0.0, "<nan>": float("nan")}  # as the decoders write them


@dataclass(frozen=True, slots=True)
class Fitted:
    """`values` of shape (cells,), `nulls` besides them; `misfits`: places of the exchanges with unusable cells."""

    values: NDArray[Any]
    nulls: int = 0
    misfits: frozenset[int] = frozenset()


def numeric(columns: Sequence[Column]) -> Fitted:
    """Float64 values. Texts that write a number are read as one, for servers send numbers as classes or text."""
    values = joined(columns)
    if columns[0].kind == "numeric":
        return _without_nulls(values, sum([column.nulls for column in columns]))
    cells = values.tolist()
    known = {cell: _number(cell) for cell in set(cells)}
    found = [known[cell] for cell in cells]
    wrong = [place for place, cell in enumerate(cells) if cell is not None and known[cell] is None]
    kept = np.array([number for number in found if number is not None], np.float64)
    return Fitted(kept, len(cells) - len(kept) - len(wrong), owners(columns, wrong))


def categorical(columns: Sequence[Column]) -> Fitted:
    """Texts and None, or float64 as they came: categorical bins bring numbers into canonical form themselves."""
    return Fitted(joined(columns))


def joined(columns: Sequence[Column]) -> NDArray[Any]:
    """The values of all, one after another; the columns are of one kind."""
    return columns[0].values if len(columns) == 1 else np.concatenate([column.values for column in columns])


def _without_nulls(values: NDArray[Any], nulls: int) -> Fitted:
    """JSON nulls are NaN here; they are taken out, for they are counted apart from true NaN."""
    if not nulls:
        return Fitted(values)
    missing = np.isnan(values)
    true_nan = max(0, int(missing.sum()) - nulls)
    return Fitted(np.concatenate((values[~missing], np.full(true_nan, np.nan))), nulls)


def _number(cell: object) -> float | None:
    """The number that a text writes; None for null and for other texts."""
    if not isinstance(cell, str) or "_" in cell:
        return None
    found = _WORDS.get(cell)
    if found is not None:
        return found
    try:
        return float(cell)
    except ValueError:
        return None


def owners(columns: Sequence[Column], cells: Sequence[int]) -> frozenset[int]:
    """Places of the columns in which those cells of the joined array lie."""
    if not cells:
        return frozenset()
    ends = np.cumsum([len(column.values) for column in columns])
    return frozenset(np.searchsorted(ends, cells, side="right").tolist())
