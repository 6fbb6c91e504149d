"""Snapshot: the rolling part of windows as bytes, so that they outlive a restart.

Totals are not in it: an exported counter that came back a little smaller would be read as a reset, and its whole
life would fall into one window. Invariant: what `from_bytes` returns reads as the windows did that were written;
bytes that were damaged, cut, or written by something else raise SnapshotError and nothing else.

The description has the layout, its digest, lengths and panes; the arrays are those of the rings (see `sealed.py`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from exporter.stats.bins import Bins, CategoricalBins, NumericBins, fine_bins
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.sealed import Kind, SnapshotError, opened, sealed
from exporter.stats.window import Windows

__all__ = ["SnapshotError", "from_bytes", "layout_digest", "to_bytes"]

_KIND = Kind("windows", 1)
_OBSERVED = "observed"  # instead of the 394 edges of `fine_bins`


def layout_digest(layout: Layout) -> str:
    """SHA-256 of all that decides where a value is counted: names, order, edges, categories."""
    return _sha256(_describe(layout))


def to_bytes(windows: Windows) -> bytes:
    """The rolling part of the windows; takes milliseconds per hundred columns, mostly in zlib."""
    windows.settle()
    arrays = [array for ring in windows.rings for array in ring.arrays]
    columns = _describe(windows.layout)
    head = {
        "digest": _sha256(columns),
        "columns": columns,
        "lengths": list(windows.lengths),
        "panes": windows.panes,
    }
    return sealed(_KIND, head, arrays)


def from_bytes(raw: bytes, layout: Layout | None = None) -> Windows:
    """Windows with the rolling part of those that were written, and totals at zero.

    With `layout` the snapshot must be of that layout; without, the one that was written is used (columns that no
    profile describes). To have other lengths or totals, take it in with `Windows.merge_rolling`. Raises
    SnapshotError.
    """
    found = opened(_KIND, raw)
    head = found.head
    try:
        written = Layout(tuple(_column(one) for one in head["columns"]))
        windows = Windows(written, tuple(map(float, head["lengths"])), int(head["panes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"snapshot of windows: its description does not hold together: {error!r}"
        ) from error
    if layout is not None and layout != written:
        expected = f"{layout_digest(layout)[:8]} was expected"
        raise SnapshotError(f"snapshot of windows: of layout {str(head.get('digest'))[:8]}, {expected}")
    arrays = found.arrays([array for ring in windows.rings for array in ring.arrays])
    each = len(arrays) // len(windows.rings)
    for place, ring in enumerate(windows.rings):
        ring.load(*arrays[place * each : (place + 1) * each])
    return windows


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
