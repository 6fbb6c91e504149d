"""Row: one prediction that waits for its label, as 40 bytes; and the 15 bytes that are its key.

The layout, little endian, version 1 (its first byte, so that bytes of a later one are told apart):

    offset  bytes  field
    0       1      layout     1
    1       1      role       place in the list of roles (live, shadow, canary, synthetic)
    2       8      version    `version_id` of what the owner of the row calls model, version and reference
    10      4      seconds    of the prediction, unix time; 14 has its fraction in 1/65536
    14      2      fraction
    16      2      chance     of being asked for its label, in 65534ths; NOT_ASKED: it was not
    18      4      value      float32: score, or predicted value
    22      8      bins       the owner's: eight bytes of bins or scores, or two float32 of an interval
    30      4      groups     the owner's: places of up to four group values, 255: none
    34      2      segment    place of the segment; 65535: none
    36      4      row        number of the row within its request

A key is an 11-byte digest of the request's (source, id) and the row's number: one digest serves a request of many rows.
With a billion ids, two share a digest with a probability of 2e-9.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

LAYOUT: Final = 1
ROW_BYTES: Final = 40
DIGEST_BYTES: Final = 11
KEY_BYTES: Final = 15
NOT_ASKED: Final = 65535
CHANCES: Final = 65534
NO_GROUPS: Final = b"\xff" * 4
NO_SEGMENT: Final = 65535
SECONDS: Final = slice(10, 14)
# Packed without gaps: an array of it is the rows' bytes one behind the other.
ROW: Final = np.dtype(
    [
        ("layout", "u1"),
        ("role", "u1"),
        ("version", "<u8"),
        ("seconds", "<u4"),
        ("fraction", "<u2"),
        ("chance", "<u2"),
        ("value", "<f4"),
        ("bins", "u1", (8,)),
        ("groups", "u1", (4,)),
        ("segment", "<u2"),
        ("row", "<u4"),
    ]
)
_STRUCT: Final = struct.Struct("<BBQIHHf8s4sHI")
_NUMBER: Final = struct.Struct("<I")
# What follows the digest in the key of a request's first row.
FIRST: Final = bytes(4)
_LATEST: Final = (1 << 32) - 1

# Structured, with the fields of ROW.
RowArray = NDArray[Any]


class NotRows(ValueError):
    """Bytes that are no rows of a layout that is known here."""


class Pending(NamedTuple):
    """One row, its fields as above; `time` in unix seconds. For one row at a time: many are a RowArray."""

    version: int
    time: float
    role: int = 0
    chance: int = NOT_ASKED
    value: float = float("nan")
    bins: bytes = bytes(8)
    groups: bytes = NO_GROUPS
    segment: int = NO_SEGMENT
    row: int = 0

    def packed(self) -> bytes:
        """Its 40 bytes. Raises struct.error for a number that its field cannot hold."""
        seconds, fraction = divmod(round(self.time * 65536), 65536)
        more = (seconds, fraction, self.chance, self.value, self.bins, self.groups, self.segment, self.row)
        return _STRUCT.pack(LAYOUT, self.role, self.version, *more)

    @classmethod
    def unpacked(cls, raw: bytes) -> "Pending":
        """The row that was packed. Raises NotRows."""
        if len(raw) != ROW_BYTES or raw[0] != LAYOUT:
            raise NotRows(f"{ROW_BYTES} bytes of layout {LAYOUT} were expected, not {_told(raw)}")
        _, role, version, seconds, fraction, chance, value, *more = _STRUCT.unpack(raw)
        return cls(version, seconds + fraction / 65536, role, chance, value, *more)


# Of everything that is not said.
_BLANK: Final = Pending(0, 0.0).packed()


def blank(count: int, time: float | NDArray[np.float64]) -> RowArray:
    """So many rows predicted at `time`, or each at its own, to fill field by field: not asked for, no score, no groups.

    They are numbered from 0.
    """
    rows = np.frombuffer(bytearray(_BLANK * count), ROW)
    units = np.clip(np.rint(np.multiply(time, 65536)), 0, _LATEST << 16).astype(np.int64)
    rows["seconds"], rows["fraction"] = units >> 16, units & 65535
    rows["row"] = np.arange(count)
    return rows


def times(rows: RowArray) -> NDArray[np.float64]:
    """When each row was predicted, unix seconds."""
    return np.asarray(rows["seconds"] + rows["fraction"] / 65536, np.float64)


def unpacked(raw: bytes) -> RowArray:
    """The rows of these bytes, read-only. Raises NotRows."""
    if len(raw) % ROW_BYTES:
        raise NotRows(f"a multiple of {ROW_BYTES} bytes was expected, not {_told(raw)}")
    rows = np.frombuffer(raw, ROW)
    if len(rows) and not (rows["layout"] == LAYOUT).all():
        raise NotRows(f"rows of layout {LAYOUT} were expected, not {_told(raw)}")
    return rows


def _told(raw: bytes) -> str:
    return f"{len(raw)} bytes that begin with {raw[:1].hex() or 'nothing'}"


def version_id(text: str) -> int:
    """The number that stands for a version in its rows, the same on every replica; `Store.learn` keeps the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def request_digest(source: str, identity: str) -> bytes:
    """The part of a key that all rows of one id share."""
    return digests_of(source)(identity)


@lru_cache(64)
def digests_of(source: str) -> Callable[[str], bytes]:
    """`request_digest` for many ids of one source, at two thirds of the cost."""
    begun = hashlib.blake2b(f"{source}\0".encode(errors="surrogatepass"), digest_size=DIGEST_BYTES)

    def digest(identity: str) -> bytes:
        made = begun.copy()
        made.update(identity.encode(errors="surrogatepass"))
        return made.digest()

    return digest


def key(digest: bytes, number: int) -> bytes:
    """The key of one row. Raises struct.error for a number over 32 bits."""
    return digest + _NUMBER.pack(number)


def keys(digest: bytes, numbers: Iterable[int]) -> list[bytes]:
    """The keys of rows of one request."""
    return [digest + _NUMBER.pack(number) for number in numbers]


def split(rows: RowArray) -> Sequence[bytes]:
    """Each row's bytes."""
    return list(np.ascontiguousarray(rows).view(f"V{ROW_BYTES}").tolist())
