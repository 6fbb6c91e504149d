"""Embeddings: a vector per input, as numbers or as base64 of little-endian 32-bit floats; one row each.

The vectors are one column of kind "vector"; of the inputs only their lengths are kept.
"""

from binascii import Error, a2b_base64
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.decode.columns import numeric_columns
from exporter.decode.generation import Gathered, fields
from exporter.decode.payload import text
from exporter.records.observation import Column, Columns, Observation, Undecodable

_NUMBERS: Final = frozenset({int, float})


def read(protocol: str, told: Gathered, asked: Any, answer: dict[str, Any]) -> Observation:
    """The Observation; raises Undecodable."""
    data = answer.get("data")
    if type(data) is not list or not data:
        raise Undecodable("missing_field")
    vectors = _vectors([fields(item).get("embedding") for item in data])
    rows = len(vectors)
    told.response_model = text(answer.get("model"))
    usage = fields(answer.get("usage"))
    told.usage(usage.get("prompt_tokens"), None)
    texts = [asked] if type(asked) is str else asked if type(asked) is list else []
    inputs: Columns = ()
    if texts and all(type(one) is str for one in texts):
        if len(texts) != rows:
            raise Undecodable("rows_differ")
        inputs = numeric_columns(("input_characters",), [float(len(one)) for one in texts])
    return Observation(
        protocol,
        rows,
        tuple(inputs),
        (Column("embedding", "vector", vectors),),
        told.request_model,
        generation=told.generation(),
        task="embedding",
    )


def _vectors(cells: list[Any]) -> NDArray[Any]:
    """Of shape (rows, width); Undecodable for anything but vectors of one width and one form."""
    if all(type(cell) is str for cell in cells):
        return _from_base64(cells)
    if not all(type(cell) is list for cell in cells):
        raise Undecodable("missing_field" if None in cells else "wrong_type")
    width = len(cells[0])
    if not width or any(len(cell) != width for cell in cells):
        raise Undecodable("ragged" if width else "bad_shape")
    flat = list(chain.from_iterable(cells))
    if not set(map(type, flat)) <= _NUMBERS:
        raise Undecodable("wrong_type")
    try:
        return np.fromiter(flat, np.float64, len(flat)).reshape(len(cells), width)
    except OverflowError as error:
        raise Undecodable("number_range") from error


def _from_base64(cells: list[str]) -> NDArray[Any]:
    try:
        raw = [a2b_base64(cell, strict_mode=True) for cell in cells]
    except (Error, ValueError) as error:
        raise Undecodable("wrong_type") from error
    width = len(raw[0])
    if not width or width % 4:
        raise Undecodable("bad_shape")
    if any(len(one) != width for one in raw):
        raise Undecodable("ragged")
    return np.frombuffer(b"".join(raw), "<f4").reshape(len(raw), width // 4)
