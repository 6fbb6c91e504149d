"""Snapshot: the rolling part of windows as bytes, so that they outlive a restart.

Totals are not in it: an exported counter that came back a little smaller would be read as a reset, and its whole
life would fall into one window. Invariant: what `from_bytes` returns reads as the windows did that were written;
bytes that were damaged, cut, or written by something else raise SnapshotError and nothing else.

A line of JSON (version, layout, its digest, lengths, panes, arrays), zlib-compressed arrays, SHA-256 of both.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

import numpy as np

from exporter.stats.bins import Bins, CategoricalBins, NumericBins, fine_bins
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.ring import Ring
from exporter.stats.window import Windows

VERSION = 1
_MAGIC = b"modeltap windows\n"
_DIGEST = 32
_OBSERVED = "observed"  # instead of the 394 edges of `fine_bins`
# Larger than any window of 1,000 columns; bytes that claim more are not unpacked.
_LARGEST = 1 << 31


class SnapshotError(ValueError):
    """Bytes that are no snapshot, or not of these windows; the text says what was expected."""


def layout_digest(layout: Layout) -> str:
    """SHA-256 of all that decides where a value is counted: names, order, edges, categories."""
    return _sha256(_describe(layout))


def to_bytes(windows: Windows) -> bytes:
    """The rolling part of the windows; takes milliseconds per hundred columns, mostly in zlib."""
    windows.settle()
    arrays = [array for ring in windows.rings for array in ring.arrays]
    columns = _describe(windows.layout)
    head = {
        "version": VERSION,
        "digest": _sha256(columns),
        "columns": columns,
        "lengths": list(windows.lengths),
        "panes": windows.panes,
        "dtypes": [array.dtype.str for array in arrays],
    }
    packed = zlib.compress(
        b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays), 1
    )
    body = json.dumps(head, separators=(",", ":")).encode() + b"\n" + packed
    return _MAGIC + hashlib.sha256(body).digest() + body


def from_bytes(raw: bytes, layout: Layout | None = None) -> Windows:
    """Windows with the rolling part of those that were written, and totals at zero.

    With `layout` the snapshot must be of that layout; without, the one that was written is used (columns that no
    profile describes). To have other lengths or totals, take it in with `Windows.merge_rolling`. Raises
    SnapshotError.
    """
    head, packed = _opened(raw)
    try:
        written = Layout(tuple(_column(one) for one in head["columns"]))
        windows = Windows(written, tuple(map(float, head["lengths"])), int(head["panes"]))
        dtypes = [np.dtype(text) for text in head["dtypes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"snapshot of windows: its description does not hold together: {error!r}"
        ) from error
    if layout is not None and layout != written:
        expected = f"{layout_digest(layout)[:8]} was expected"
        raise SnapshotError(f"snapshot of windows: of layout {str(head.get('digest'))[:8]}, {expected}")
    _fill(windows.rings, dtypes, packed)
    return windows


def _opened(raw: bytes) -> tuple[dict[str, Any], bytes]:
    if not raw.startswith(_MAGIC):
        raise SnapshotError(f"snapshot of windows: {_MAGIC!r} was expected at its beginning")
    digest, body = raw[len(_MAGIC) :][:_DIGEST], raw[len(_MAGIC) + _DIGEST :]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError("snapshot of windows: damaged or cut short, its checksum does not match")
    line, _, packed = body.partition(b"\n")
    try:
        head = json.loads(line)
    except ValueError as error:
        raise SnapshotError(f"snapshot of windows: no description: {error}") from error
    if not isinstance(head, dict) or head.get("version") != VERSION:
        found = head.get("version") if isinstance(head, dict) else None
        raise SnapshotError(f"snapshot of windows: version {found!r}, {VERSION} was expected")
    return head, packed


def _fill(rings: tuple[Ring, ...], dtypes: list[np.dtype[Any]], packed: bytes) -> None:
    shapes = [array.shape for ring in rings for array in ring.arrays]
    allowed = [array.dtype.kind for ring in rings for array in ring.arrays]
    if len(dtypes) != len(shapes) or any(
        d.kind not in (k, "i") for d, k in zip(dtypes, allowed, strict=True)
    ):
        raise SnapshotError("snapshot of windows: its arrays are not those of its description")
    sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
    raw = _unpacked(packed, sum(sizes))
    arrays, start = [], 0
    for shape, dtype, size in zip(shapes, dtypes, sizes, strict=True):
        found = np.frombuffer(raw, dtype, int(np.prod(shape)), start).reshape(shape)
        arrays.append(found.astype(dtype.newbyteorder("=")))
        start += size
    each = len(arrays) // len(rings)
    for place, ring in enumerate(rings):
        ring.load(*arrays[place * each : (place + 1) * each])


def _other(found: np.dtype[Any], kind: str) -> bool:
    return found.kind != kind and (found.kind, kind) != ("i", "u")  # counts may have been widened


def _unpacked(packed: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, min(size, _LARGEST) + 1)
    except zlib.error as error:
        raise SnapshotError(f"snapshot of windows: its arrays cannot be unpacked: {error}") from error
    if len(raw) != size:
        raise SnapshotError(f"snapshot of windows: {size} bytes of arrays were expected, not {len(raw)}")
    return raw


def _sha256(columns: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()


def _describe(layout: Layout) -> list[dict[str, Any]]:
    found = []
    for column in layout.columns:
        fine: Any = None if column.fine is None else _edges(column.fine)
        if column.fine == fine_bins():
            fine = _OBSERVED
        found.append({"name": column.name, "bins": _edges(column.bins), "fine": fine, "grows": column.grows})
    return found


def _edges(bins: Bins) -> dict[str, Any]:
    if isinstance(bins, NumericBins):
        return {"edges": list(bins.edges), "discrete": bins.discrete}
    return {"categories": list(bins.categories), "rest": bins.rest}


def _column(document: dict[str, Any]) -> ColumnSpec:
    fine = document["fine"]
    narrow = fine_bins() if fine == _OBSERVED else None if fine is None else _bins(fine)
    if narrow is not None and not isinstance(narrow, NumericBins):
        raise ValueError("finer bins of a category")
    return ColumnSpec(str(document["name"]), _bins(document["bins"]), narrow, bool(document["grows"]))


def _bins(document: dict[str, Any]) -> Bins:
    if "edges" in document:
        return NumericBins(tuple(document["edges"]), bool(document["discrete"]))
    return CategoricalBins(tuple(document["categories"]), document["rest"])
