"""Receipt: the rows of a request as a signed token, which the caller hands back with its labels. No store.

    base64url( layout 1 | key id 1 | request digest 11 | rows, 40 bytes each | first 16 bytes of HMAC-SHA256 )

It is signed, not sealed: whoever holds it can read class, score and groups. Refuses to know how it travels.
Invariants: what was signed by none of the keys, or is over its age, joins nothing; a row joins once for each process
that remembers it, which is bounded: what fell out of that memory before its age can be joined again, and another
replica does not know it. Where that matters, take a store.
"""

import base64
import binascii
import hashlib
import hmac
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from exporter.pending.contract import Label, Limits, Rows, Taken
from exporter.pending.memory import Memory
from exporter.pending.row import (
    DIGEST_BYTES,
    ROW_BYTES,
    SECONDS,
    NotRows,
    RowArray,
    blank,
    key,
    keys,
    split,
    unpacked,
)

# A header of 64 rows has 3.5 KB; most servers take 8.
MAX_ROWS: Final = 64
REFUSALS: Final = ("malformed", "unknown_key", "forged", "expired")
_LAYOUT: Final = 1
_HEAD: Final = 2 + DIGEST_BYTES
_MAC: Final = 16
_LONGEST: Final = 4 * -(-(_HEAD + MAX_ROWS * ROW_BYTES + _MAC) // 3)
_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "-_")
_SECRET_BYTES: Final = 16


class Refused(Exception):
    """A token that joins nothing; `reason` is one of REFUSALS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadKeys(ValueError):
    """A key file that cannot be used; the text says which line and what was expected."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets by id, 0 to 255. New receipts are signed by `signing`; all are accepted."""

    signing: int
    secrets: Mapping[int, bytes]


class Given(NamedTuple):
    """A label for one row of a receipt; see `Label`."""

    row: int
    value: bytes
    time: float


def read_keys(path: str | Path) -> Keys:
    """The keys of a file: a line `ID HEX` each, the first one signs. To rotate, put a new line on top of the others.

    Raises BadKeys, and OSError if it cannot be read.
    """
    secrets: dict[int, bytes] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}, line {number}"
        # The line itself is never told: it holds a secret.
        if len(words) != 2 or not words[0].isdecimal() or int(words[0]) > 255:
            raise BadKeys(f"{where}: expected an id from 0 to 255, a space, and a secret in hexadecimal")
        if int(words[0]) in secrets:
            raise BadKeys(f"{where}: the id {words[0]} was there before")
        try:
            secret = bytes.fromhex(words[1])
        except ValueError:
            raise BadKeys(f"{where}: the secret is not hexadecimal") from None
        if len(secret) < _SECRET_BYTES:
            raise BadKeys(f"{where}: a secret of at least {_SECRET_BYTES} bytes was expected")
        secrets[int(words[0])] = secret
    if not secrets:
        raise BadKeys(f"{path}: holds no key (expected a line with an id and a secret in hexadecimal)")
    return Keys(next(iter(secrets)), secrets)


class Receipts:
    """One caller at a time. `limits.rows` and `limits.bytes` bound what is remembered of those that came back."""

    def __init__(self, keys: Keys, limits: Limits) -> None:
        self._keys = keys
        self._age = limits.age_seconds
        # All rows of one receipt fit; a label without a row does not wait.
        most = max(limits.rows, MAX_ROWS)
        self._seen = Memory(replace(limits, rows=most, bytes=max(limits.bytes, 1 << 16), parked=0))
        self.issued = 0
        self.too_large = 0
        self.redeemed = 0
        self.replayed = 0
        self.refused = dict.fromkeys(REFUSALS, 0)

    def issue(self, digest: bytes, rows: RowArray) -> str | None:
        """The token of a request's rows; None for too many of them, or none, which is counted."""
        if not 0 < len(rows) <= MAX_ROWS:
            self.too_large += 1
            return None
        body = bytes((_LAYOUT, self._keys.signing)) + digest + rows.tobytes()
        self.issued += 1
        return base64.urlsafe_b64encode(body + self._mac(self._keys.signing, body)).decode().rstrip("=")

    def open(self, token: str, now: float) -> Rows:
        """The rows that were signed. Raises Refused, which is counted."""
        try:
            return self._opened(token, now)
        except Refused as refusal:
            self.refused[refusal.reason] += 1
            raise

    def redeem(self, token: str, labels: list[Given], now: float) -> list[Taken]:
        """What became of each label, as with `Store.take`; a row that the token does not have is `unknown`.

        A label that was counted before is a duplicate, and so is a token that is replayed. Raises Refused.
        """
        rows = self.open(token, now)
        digest, packed = rows.keys[0][:DIGEST_BYTES], split(rows.values)
        # Versions and shadows may have answered the same row.
        there: dict[int, bytes] = {}
        for number, row in zip(rows.values["row"].tolist(), packed, strict=True):
            there[number] = there.get(number, b"") + row
        known = [one for one in labels if one.row in there]
        self._remember(digest, list(dict.fromkeys(one.row for one in known)), now)
        found = self._seen.take([Label(key(digest, one.row), one.value, one.time) for one in known], now)
        answers = iter(zip(known, found, strict=True))
        taken = [_with_row(*next(answers), there) if one.row in there else Taken("unknown") for one in labels]
        self.redeemed += sum(one.outcome == "joined" for one in taken)
        self.replayed += sum(one.outcome == "duplicate" for one in taken)
        return taken

    def _remember(self, digest: bytes, numbers: list[int], now: float) -> None:
        """Rows as of now: what came back first is forgotten first, however old its prediction is."""
        stand_ins = blank(len(numbers), now)
        self._seen.put(Rows(keys(digest, numbers), stand_ins), now)

    def _opened(self, token: str, now: float) -> Rows:
        body, mac = _parts(token)
        if body[1] not in self._keys.secrets:
            raise Refused("unknown_key")
        if not hmac.compare_digest(mac, self._mac(body[1], body)):
            raise Refused("forged")
        try:
            values = unpacked(body[_HEAD:])
        except NotRows:  # signed by a release to come
            raise Refused("malformed") from None
        if int.from_bytes(body[_HEAD:][SECONDS], "little") + self._age <= now:
            raise Refused("expired")
        return Rows(keys(body[2:_HEAD], values["row"].tolist()), np.array(values))

    def _mac(self, number: int, body: bytes) -> bytes:
        return hmac.digest(self._keys.secrets[number], body, hashlib.sha256)[:_MAC]


def _with_row(given: Given, taken: Taken, rows: Mapping[int, bytes]) -> Taken:
    return taken._replace(rows=rows[given.row]) if taken.rows else taken


def _parts(token: str) -> tuple[bytes, bytes]:
    """What was signed, and the signature."""
    if len(token) > _LONGEST or not set(token) <= _ALPHABET:
        raise Refused("malformed")
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        raise Refused("malformed") from None
    rows = len(raw) - _HEAD - _MAC
    # Bits that the encoding leaves over would make many tokens of one.
    whole = base64.urlsafe_b64encode(raw).decode().rstrip("=") == token
    if rows <= 0 or rows % ROW_BYTES or raw[0] != _LAYOUT or not whole:
        raise Refused("malformed")
    return raw[:-_MAC], raw[-_MAC:]
