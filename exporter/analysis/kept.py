"""Kept: the rolling windows of all model versions as bytes, so that a restart of the analysis does not empty them.

Only what rolls is in it. Exported counters start at 0 with a new created time: one that came back a little smaller
would be read as a reset, and its whole life would fall into one window. Refuses to know files and time. Invariant:
bytes that were damaged, cut or written by something else raise SnapshotError.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from exporter.analysis.aspects import ColumnType
from exporter.stats import SnapshotError

_MAGIC: Final = b"modeltap analysis 1\n"
_DIGEST: Final = 32
T = TypeVar("T")


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
    return checked(_MAGIC, sides)


def unpacked(raw: bytes) -> list[KeptSide]:
    """The sides that were written. Raises SnapshotError."""
    return unchecked(_MAGIC, raw, list[KeptSide])


def checked(magic: bytes, value: object) -> bytes:
    """A value after the word that says what it is, and a checksum."""
    body = msgspec.msgpack.encode(value)
    return magic + hashlib.sha256(body).digest() + body


def unchecked(magic: bytes, raw: bytes, kind: type[T]) -> T:
    """The value that was written after that word. Raises SnapshotError."""
    if not raw.startswith(magic):
        raise SnapshotError(f"{magic!r} was expected at its beginning")
    digest, body = raw[len(magic) :][:_DIGEST], raw[len(magic) + _DIGEST :]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError("damaged or cut short, its checksum does not match")
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(f"its content is not what was expected: {error}") from error
