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
    """`values` of shape (cells,); `nulls` besides them, or a mask over them; `misfits`: places of the exchanges with
    unusable cells.
    """

    values: NDArray[Any]
    nulls: int | NDArray[np.bool_] = 0
    misfits: frozenset[int] = frozenset()


def numeric(columns: Sequence[Column]) -> Fitted:
    """Float64 values. Texts that write a number are read as one, for servers send numbers as classes or text."""
    values = joined(columns)
    if columns[0].kind == "numeric":
        return _with_nulls(values, columns)
    cells = values.tolist()
    known = {cell: _number(cell) for cell in set(cells)}
    found = [known[cell] for cell in cells]
    wrong = [place for place, cell in enumerate(cells) if cell is not None and known[cell] is None]
    numbers = np.array([np.nan if number is None else number for number in found], np.float64)
    null = np.array([cell is None for cell in cells], np.bool_)
    if wrong:
        numbers, null = np.delete(numbers, wrong), np.delete(null, wrong)
    return Fitted(numbers, null if null.any() else 0, owners(columns, wrong))


def categorical(columns: Sequence[Column]) -> Fitted:
    """Texts and None, or float64 as they came: categorical bins bring numbers into canonical form themselves."""
    return Fitted(joined(columns))


def joined(columns: Sequence[Column]) -> NDArray[Any]:
    """The values of all, one after another; the columns are of one kind."""
    return columns[0].values if len(columns) == 1 else np.concatenate([column.values for column in columns])


def _with_nulls(values: NDArray[Any], columns: Sequence[Column]) -> Fitted:
    """JSON nulls are NaN here, and told from true NaN; they stay in place, so that rows keep their requests.

    Where an exchange has both, which of the cells was which is not known; the first ones are taken for null.
    """
    if not any(column.nulls for column in columns):
        return Fitted(values)
    masks = []
    for column in columns:
        missing = np.isnan(column.values)
        masks.append(
            missing & (np.cumsum(missing) <= column.nulls) if column.nulls else np.zeros_like(missing)
        )
    return Fitted(values, np.concatenate(masks))


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
