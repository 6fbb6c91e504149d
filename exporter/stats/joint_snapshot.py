"""Joint snapshot: rolling sums of whole rows as bytes, so that they outlive a restart as windows do.

Sums mean something only beside what the reference says of the same columns in the same units, so the parts are in it
by their digest. Invariant: what `joint_from_bytes` returns reads as the sums did that were written; anything else
raises SnapshotError.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np

from exporter.stats.bins import Bins, NumericBins
from exporter.stats.joint import JointParts
from exporter.stats.rolling import RollingSums
from exporter.stats.sealed import Kind, opened, sealed

_KIND = Kind("joint sums", 1)


def parts_digest(parts: JointParts) -> str:
    """SHA-256 of all that decides what is summed: pairs and their units, the matrix, associations and their bins."""
    document = {
        "pairs": [(one.a, one.b, one.mean, one.std) for one in parts.pairs],
        "precision": asdict(parts.precision) if parts.precision is not None else None,
        "associations": [(one.feature, one.prediction) for one in parts.associations],
        "bins": {name: _described(bins) for name, bins in parts.bins.items()},
    }
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()


def joint_to_bytes(parts: JointParts, sums: RollingSums) -> bytes:
    """The rolling part of what `JointWindows.rolling` gives."""
    head = {"digest": parts_digest(parts), "lengths": list(sums.lengths), "panes": sums.panes}
    return sealed(_KIND, head, sums.arrays)


def joint_from_bytes(raw: bytes, parts: JointParts, lengths: tuple[float, ...]) -> RollingSums:
    """Of these parts and lengths. Raises SnapshotError."""
    found, own = opened(_KIND, raw), RollingSums((parts.size,), lengths)
    head = found.head
    if head.get("digest") != parts_digest(parts):
        digest, expected = str(head.get("digest"))[:8], parts_digest(parts)[:8]
        raise _KIND.wrong(f"of columns together {digest}, {expected} was expected")
    if (head.get("lengths"), head.get("panes")) != (list(lengths), own.panes):
        raise _KIND.wrong(f"of {head.get('lengths')} seconds, others are in use")
    slots, sums = found.arrays(own.arrays)
    if not np.isfinite(sums).all():
        raise _KIND.wrong("a sum is no finite number")
    own.load(slots, sums.astype(np.float64, copy=False))
    return own


def _described(bins: Bins) -> Any:
    return (bins.edges, bins.discrete) if isinstance(bins, NumericBins) else (bins.categories, bins.rest)
