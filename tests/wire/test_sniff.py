"""The first bytes of a connection: TLS, HTTP/2, HTTP/1; never wrong, and never later than they can tell."""

import pytest

from exporter.wire.sniff import PREFACE, sniff

CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize(
    ("raw", "kind", "tells_at"),
    [
        (CLIENT_HELLO, "tls", 3),
        (b"\x16\x03\x00\x00\x05", "tls", 3),
        (b"\x16\x03\x04\x00\x05", "tls", 3),
        (PREFACE + b"\x00\x00\x12\x04", "h2c", 24),
        (b"GET / HTTP/1.1\r\n", "http1", 1),
        (b"POST / HTTP/1.1\r\n", "http1", 2),
        (b"PROPFIND / HTTP/1.1\r\n", "http1", 3),
        (b"PRI / HTTP/1.1\r\n", "http1", 5),
        (b"\r\nGET / HTTP/1.1\r\n", "http1", 1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "http1", 24),
        (b"PRI * HTTP/2.0\n\nSM\n\n", "http1", 15),
        (b"pri * HTTP/2.0\r\n", "http1", 1),
        (b"PRI * HTTP/1.1\r\n", "http1", 12),
        (b"\x16\x03\x05\x00\x05", "http1", 3),
        (b"\x16\x02\x00\x00\x05", "http1", 3),
        (b"\x17\x03\x03\x00\x05", "http1", 1),
        (b"\x80\x2e\x01\x00\x02", "http1", 1),
        (b"\x00\x01\x02", "http1", 1),
    ],
)
def test_every_cut(raw: bytes, kind: str, tells_at: int) -> None:
    """Undecided on every shorter prefix, decided from there on, at most after 24 bytes."""
    answers = [sniff(raw[:size]) for size in range(len(raw) + 1)]
    assert answers == [None] * tells_at + [kind] * (len(raw) + 1 - tells_at)
    assert tells_at <= 24


def test_a_changed_preface_is_not_http2() -> None:
    """Any byte of the preface changed makes it something else."""
    for at in range(len(PREFACE)):
        changed = PREFACE[:at] + bytes((PREFACE[at] ^ 1,)) + PREFACE[at + 1 :]
        assert sniff(changed) == "http1"
