"""Packing: what a row of several numbers says, in the 16 bytes of a pending row that are its owner's.

They are `klass`, `value`, `bins` and `segment` of the row one behind the other; `groups` stay what they are. Chances
are kept as -ln p in steps of 0.0006, so that each is right to 0.03 % however small, down to where log loss is clipped.
Refuses to know names. Invariant: what was packed is read again to that precision.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.pending.row import ROW_BYTES, RowArray
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.performance.scores import CLIP

ROOM: Final = 16
MOST_CHANCES: Final = 8  # classes all of whose chances have room
TOP: Final = 5  # of more classes the likeliest; of a ranking the first
NONE: Final = 255
_ABSENT, _NEVER = 65535, 65534
_STEP: Final = -np.log(CLIP) / (_NEVER - 1)
Bytes = NDArray[np.uint8]


def put(rows: RowArray, packed: Bytes) -> None:
    """Into rows that are contiguous, in place."""
    raw = rows.view("u1").reshape(-1, ROW_BYTES)
    raw[:, 16:30], raw[:, 34:36] = packed[:, :14], packed[:, 14:]


def taken(rows: RowArray) -> Bytes:
    """Out of rows, (n, 16)."""
    raw = np.ascontiguousarray(rows).view("u1").reshape(-1, ROW_BYTES)
    return np.ascontiguousarray(np.concatenate((raw[:, 16:30], raw[:, 34:36]), axis=1))


def chances(table: NDArray[np.floating[Any]]) -> Bytes:
    """Chances of classes, a row each: all of at most eight, else the five largest with their places."""
    shares = np.nan_to_num(np.asarray(table, np.float64))
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), CLIP)
    if shares.shape[1] <= MOST_CHANCES:
        codes = np.full((len(shares), MOST_CHANCES), _ABSENT, "<u2")
        codes[:, : shares.shape[1]] = _codes(shares)
        return codes.view("u1")
    best = np.argsort(-shares, axis=1, kind="stable")[:, :TOP]
    found = np.zeros((len(shares), ROOM), np.uint8)
    found[:, :TOP] = best
    found[:, TOP : 3 * TOP] = _codes(np.take_along_axis(shares, best, axis=1)).view("u1")
    return found


def all_chances(rows: RowArray, classes: int) -> FloatArray:
    """The chances of so many classes, at most eight, summing to 1."""
    found = _shares(taken(rows).view("<u2")[:, :classes])
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), CLIP), np.float64)


def likeliest(rows: RowArray, classes: int) -> tuple[IntArray, FloatArray]:
    """Places of the likeliest classes, likeliest first, and their chances; of at most eight classes all."""
    if classes <= MOST_CHANCES:
        shares = all_chances(rows, classes)
        order = np.argsort(-shares, axis=1, kind="stable")
        return order.astype(np.int64), np.take_along_axis(shares, order, axis=1)
    raw = taken(rows)
    codes = np.ascontiguousarray(raw[:, TOP : 3 * TOP]).view("<u2")
    return raw[:, :TOP].astype(np.int64), _shares(codes)


def _codes(shares: FloatArray) -> NDArray[np.uint16]:
    found = np.rint(-np.log(np.clip(shares, CLIP, 1.0)) / _STEP)
    return np.ascontiguousarray(np.where(shares < CLIP, _NEVER, found), "<u2")


def _shares(codes: NDArray[np.uint16]) -> FloatArray:
    return np.asarray(np.where(codes >= _NEVER, 0.0, np.exp(-_STEP * codes.astype(np.float64))), np.float64)


def marked(chosen: NDArray[np.bool_]) -> Bytes:
    """Which of at most 64 labels a row has."""
    bits = np.packbits(chosen, axis=1, bitorder="little")
    return np.pad(bits, ((0, 0), (0, ROOM - bits.shape[1])))


def marks(rows: RowArray, labels: int) -> NDArray[np.bool_]:
    """The same again."""
    return np.unpackbits(taken(rows), axis=1, count=labels, bitorder="little").astype(np.bool_)


def ranked(items: NDArray[np.uint32]) -> Bytes:
    """The first five items of each row by their marks of 24 bits (0: none), three bytes each."""
    found = np.zeros((len(items), ROOM), np.uint8)
    short = items[:, :TOP]
    for byte in range(3):
        found[:, byte : 3 * short.shape[1] : 3] = (short >> np.uint32(8 * byte)) & np.uint32(0xFF)
    return found


def ranking(rows: RowArray) -> NDArray[np.uint32]:
    """The same again, (n, 5)."""
    raw = taken(rows)[:, : 3 * TOP].astype(np.uint32)
    return np.asarray(raw[:, 0::3] | raw[:, 1::3] << 8 | raw[:, 2::3] << 16, np.uint32)
