"""Kept: the rolling windows of all model versions as bytes, so that a restart of the analysis does not empty them.

Only what rolls is in it. Exported counters start at 0 with a new created time: one that came back a little smaller
would be read as a reset, and its whole life would fall into one window. Refuses to know files and time. Invariant:
bytes that were damaged, cut or written by something else raise SnapshotError.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from exporter.analysis.aspects import ColumnType
from exporter.stats import SnapshotError

_MAGIC: Final = b"modeltap analysis 1\n"
_DIGEST: Final = 32


class KeptColumn(msgspec.Struct, frozen=True):
    """What a column without a profile was found to be."""

    name: str
    type: ColumnType
    width: int
    aspects: tuple[str, ...]


class KeptSide(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one model version: its columns, and its windows as `stats.to_bytes` writes them.

    `used`: when it last counted, unix seconds. `reference`: of the profile that it was counted by.
    """

    model_name: str
    model_version: str
    protocol: str
    role: str
    used: float
    side: str
    reference: str
    columns: tuple[KeptColumn, ...]
    derived: tuple[str, ...]
    windows: bytes


def packed(sides: Sequence[KeptSide]) -> bytes:
    """All sides with a checksum."""
    body = msgspec.msgpack.encode(sides)
    return _MAGIC + hashlib.sha256(body).digest() + body


def unpacked(raw: bytes) -> list[KeptSide]:
    """The sides that were written. Raises SnapshotError."""
    if not raw.startswith(_MAGIC):
        raise SnapshotError(f"{_MAGIC!r} was expected at its beginning")
    digest, body = raw[len(_MAGIC) :][:_DIGEST], raw[len(_MAGIC) + _DIGEST :]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError("damaged or cut short, its checksum does not match")
    try:
        return msgspec.msgpack.decode(body, type=list[KeptSide])
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(f"its content is not what was expected: {error}") from error
