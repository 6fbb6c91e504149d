"""A PEM file -> from when until when its first certificate is good, which `ssl` does not tell of one's own.

Reads DER just far enough (RFC 5280, 4.1): version, serial, algorithm, issuer, validity. What is no certificate has no
end; whether it can be used at all is OpenSSL's to say.
"""

import ssl
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION: Final = 0xA0  # absent in certificates of version 1
_UTC_TIME: Final = 0x17


class Validity(NamedTuple):
    """Unix seconds, both ends included."""

    start: float
    end: float


def validity(file: str) -> Validity | None:
    """Of the first certificate, the one that is shown to peers; None where the file does not tell."""
    try:
        with open(file, encoding="latin-1") as stream:
            _, begin, rest = stream.read().partition(_BEGIN)
        inside, end, _ = rest.partition(_END)
        return _read(ssl.PEM_cert_to_DER_cert(begin + inside + end))
    except (OSError, ValueError, IndexError):
        return None


def written(end: float) -> str:
    """An end as the log and reports have it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(end))


def _read(der: bytes) -> Validity:
    _, at, _ = _value(der, 0)  # the certificate
    _, at, _ = _value(der, at)  # what of it is signed
    kind, _, after = _value(der, at)
    for _ in range(3 if kind == _VERSION else 2):
        _, _, after = _value(der, after)
    _, at, _ = _value(der, after)  # the validity
    start, at = _time(der, at)
    end, _ = _time(der, at)
    return Validity(start, end)


def _time(der: bytes, at: int) -> tuple[float, int]:
    kind, start, end = _value(der, at)
    text = der[start:end].decode("ascii")
    if kind == _UTC_TIME:
        text = ("20" if text < "5" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp(), end


def _value(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the value at a place."""
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return der[at], start, start + length
