"""Sealed: arrays and what they are, as bytes that are taken whole or not at all; what snapshots are written in.

A line of JSON (version, description, kinds of the arrays), zlib-compressed arrays, SHA-256 of both before them. Refuses
to know what is counted. Invariant: bytes that were damaged, cut, of another version, or written by something else raise
SnapshotError and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DIGEST: Final = 32
# Larger than any window of 1,000 columns; bytes that claim more are not unpacked.
_LARGEST: Final = 1 << 31


class SnapshotError(ValueError):
    """Bytes that are no snapshot, or not of these windows; the text says what was expected."""


class Kind(NamedTuple):
    """What bytes hold, and the version of their form: another one is not read."""

    name: str
    version: int

    @property
    def magic(self) -> bytes:
        """What they begin with."""
        return f"modeltap {self.name}\n".encode()

    def wrong(self, what: str) -> SnapshotError:
        """An error that says of what."""
        return SnapshotError(f"snapshot of {self.name}: {what}")


def sealed(kind: Kind, described: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Takes milliseconds per megabyte, mostly in zlib."""
    head = {"version": kind.version, **described, "dtypes": [array.dtype.str for array in arrays]}
    packed = zlib.compress(
        b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays), 1
    )
    body = json.dumps(head, separators=(",", ":")).encode() + b"\n" + packed
    return kind.magic + hashlib.sha256(body).digest() + body


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed: its description, and the arrays once it is known which."""

    kind: Kind
    head: dict[str, Any]
    packed: bytes

    def arrays(self, like: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """As many as these and of their shapes; whole numbers may have been widened. Raises SnapshotError."""
        try:
            dtypes = [np.dtype(text) for text in self.head["dtypes"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self.kind.wrong(f"its description does not hold together: {error!r}") from error
        if len(dtypes) != len(like) or any(
            dtype.kind not in (own.dtype.kind, "i") for dtype, own in zip(dtypes, like, strict=True)
        ):
            raise self.kind.wrong("its arrays are not those of its description")
        sizes = [own.size * dtype.itemsize for own, dtype in zip(like, dtypes, strict=True)]
        raw = self._unpacked(sum(sizes))
        found, start = [], 0
        for own, dtype, size in zip(like, dtypes, sizes, strict=True):
            cells = np.frombuffer(raw, dtype, own.size, start).reshape(own.shape)
            found.append(cells.astype(dtype.newbyteorder("=")))
            start += size
        return found

    def _unpacked(self, size: int) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(self.packed, min(size, _LARGEST) + 1)
        except zlib.error as error:
            raise self.kind.wrong(f"its arrays cannot be unpacked: {error}") from error
        if len(raw) != size:
            raise self.kind.wrong(f"{size} bytes of arrays were expected, not {len(raw)}")
        return raw


def opened(kind: Kind, raw: bytes) -> Opened:
    """What `sealed` wrote of this kind and version. Raises SnapshotError."""
    if not raw.startswith(kind.magic):
        raise kind.wrong(f"{kind.magic!r} was expected at its beginning")
    digest, body = raw[len(kind.magic) :][:_DIGEST], raw[len(kind.magic) + _DIGEST :]
    if hashlib.sha256(body).digest() != digest:
        raise kind.wrong("damaged or cut short, its checksum does not match")
    line, _, packed = body.partition(b"\n")
    try:
        head = json.loads(line)
    except ValueError as error:
        raise kind.wrong(f"no description: {error}") from error
    if not isinstance(head, dict) or head.get("version") != kind.version:
        found = head.get("version") if isinstance(head, dict) else None
        raise kind.wrong(f"version {found!r}, {kind.version} was expected")
    return Opened(kind, head, packed)
