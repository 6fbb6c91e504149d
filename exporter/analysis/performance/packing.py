"""Packing: what a row of several numbers says, in the 14 bytes of a pending row that are its owner's.

They are `value`, `bins` and `segment` of the row one behind the other; `chance` and `groups` stay what they are.
Probabilities are kept as -ln p in 14 bits, steps of 0.0022: each is right to 0.25 % however small, down to where log
loss is clipped. Refuses to know names. Invariant: what was packed is read again to that precision.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.label import MARK_BITS
from exporter.pending.row import ROW_BYTES, RowArray
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.performance.scores import CLIP

ROOM: Final = 14
MOST_CHANCES: Final = 8  # classes all of whose chances have room
TOP: Final = 5  # of more classes the likeliest; of a ranking the first
NONE: Final = 255
_CHANCE_BITS: Final = 14
_NEVER: Final = (1 << _CHANCE_BITS) - 1
_STEP: Final = -np.log(CLIP) / (_NEVER - 1)
Bytes = NDArray[np.uint8]


def put(rows: RowArray, packed: Bytes) -> None:
    """Into rows that are contiguous, in place."""
    raw = rows.view("u1").reshape(-1, ROW_BYTES)
    raw[:, 18:30], raw[:, 34:36] = packed[:, :12], packed[:, 12:]


def taken(rows: RowArray) -> Bytes:
    """Out of rows, (n, 14)."""
    raw = np.ascontiguousarray(rows).view("u1").reshape(-1, ROW_BYTES)
    return np.ascontiguousarray(np.concatenate((raw[:, 18:30], raw[:, 34:36]), axis=1))


def _packed(numbers: NDArray[np.unsignedinteger[Any]], bits: int) -> Bytes:
    """Numbers of so many bits side by side, a row each, to the end of the bytes that they need."""
    raw = np.ascontiguousarray(numbers, "<u4").view("u1").reshape(*numbers.shape, 4)
    each = np.unpackbits(raw, axis=2, bitorder="little")[:, :, :bits]
    return np.packbits(each.reshape(len(numbers), -1), axis=1, bitorder="little")


def _unpacked(raw: Bytes, count: int, bits: int) -> NDArray[np.uint32]:
    """So many numbers of each row again."""
    each = np.unpackbits(raw, axis=1, count=count * bits, bitorder="little").reshape(len(raw), count, bits)
    whole = np.zeros((len(raw), count, 32), np.uint8)
    whole[:, :, :bits] = each
    return np.packbits(whole, axis=2, bitorder="little").view("<u4").reshape(len(raw), count)


def _roomy(packed: Bytes) -> Bytes:
    return np.pad(packed, ((0, 0), (0, ROOM - packed.shape[1])))


def chances(table: NDArray[np.floating[Any]]) -> Bytes:
    """Chances of classes, a row each: all of at most eight, else the five largest with their places."""
    shares = np.nan_to_num(np.asarray(table, np.float64))
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), CLIP)
    if shares.shape[1] <= MOST_CHANCES:
        return _roomy(_packed(_codes(shares), _CHANCE_BITS))
    best = np.argsort(-shares, axis=1, kind="stable")[:, :TOP]
    codes = _packed(_codes(np.take_along_axis(shares, best, axis=1)), _CHANCE_BITS)
    return np.concatenate((best.astype(np.uint8), codes), axis=1)


def all_chances(rows: RowArray, classes: int) -> FloatArray:
    """The chances of so many classes, at most eight, summing to 1."""
    found = _shares(_unpacked(taken(rows), classes, _CHANCE_BITS))
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), CLIP), np.float64)


def likeliest(rows: RowArray, classes: int) -> tuple[IntArray, FloatArray]:
    """Places of the likeliest classes, likeliest first, and their chances; of at most eight classes all."""
    if classes <= MOST_CHANCES:
        shares = all_chances(rows, classes)
        order = np.argsort(-shares, axis=1, kind="stable")
        return order.astype(np.int64), np.take_along_axis(shares, order, axis=1)
    raw = taken(rows)
    return raw[:, :TOP].astype(np.int64), _shares(_unpacked(raw[:, TOP:], TOP, _CHANCE_BITS))


def _codes(shares: FloatArray) -> NDArray[np.uint32]:
    found = np.rint(-np.log(np.clip(shares, CLIP, 1.0)) / _STEP)
    return np.where(shares < CLIP, _NEVER, found).astype(np.uint32)


def _shares(codes: NDArray[np.uint32]) -> FloatArray:
    return np.asarray(np.where(codes >= _NEVER, 0.0, np.exp(-_STEP * codes.astype(np.float64))), np.float64)


def marked(chosen: NDArray[np.bool_]) -> Bytes:
    """Which of at most 64 labels a row has."""
    return _roomy(np.packbits(chosen, axis=1, bitorder="little"))


def marks(rows: RowArray, labels: int) -> NDArray[np.bool_]:
    """The same again."""
    return np.unpackbits(taken(rows), axis=1, count=labels, bitorder="little").astype(np.bool_)


def ranked(items: NDArray[np.uint32]) -> Bytes:
    """The first five items of each row by their marks (0: none)."""
    return _roomy(_packed(items[:, :TOP], MARK_BITS))


def ranking(rows: RowArray) -> NDArray[np.uint32]:
    """The same again, (n, 5)."""
    return _unpacked(taken(rows), TOP, MARK_BITS)
