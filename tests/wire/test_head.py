"""Heads: what one scan yields for framing and edits. The refusals are vectors; see `test_vectors.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.wire.head import Ambiguous, Framing, RequestHead, ResponseHead


def test_head_facts() -> None:
    """What edits need: places of the trace context, the first request id, upgrades, and the fields to edit."""
    raw = (
        b"GET /x HTTP/1.1\r\nTraceParent:  abc \r\nX-Request-Id: one\r\nx-request-id: two\r\nUpgrade: H2C\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n"
    )
    head = RequestHead(raw)
    assert (head.method, head.target, head.minor) == (b"GET", b"/x", 1)
    assert raw[head.line_end :].startswith(b"TraceParent")
    assert head.trace_count == 1
    assert raw[head.trace_start : head.trace_end].rstrip() == b"abc"
    assert head.request_id == b"one"
    assert head.upgrades == b",h2c"
    lines = [raw[start:end] for _, start, end in head.fields]
    assert lines == [
        b"Upgrade: H2C\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\n",
        b"HTTP2-Settings: AA\r\n",
    ]
    assert [name for name, _, _ in head.fields] == [b"upgrade", b"connection", b"http2-settings"]


def test_close_is_what_the_connection_field_says() -> None:
    """An answer without length is no closing one by itself: the same head may answer HEAD."""
    assert not ResponseHead(b"HTTP/1.1 204 x\r\n\r\n").close
    assert ResponseHead(b"HTTP/1.1 200 x\r\nConnection: a, CLOSE\r\n\r\n").close
    assert ResponseHead(b"HTTP/1.0 200 x\r\n\r\n").close
    assert not ResponseHead(b"HTTP/1.0 200 x\r\nConnection: keep-alive\r\n\r\n").close


@pytest.mark.parametrize(
    ("method", "status", "framing"),
    [
        (b"GET", 200, Framing.LENGTH),
        (b"HEAD", 200, Framing.NONE),
        (b"HEAD", 500, Framing.NONE),
        (b"GET", 204, Framing.NONE),
        (b"GET", 304, Framing.NONE),
        (b"GET", 100, Framing.NONE),
        (b"GET", 205, Framing.LENGTH),
        (b"GET", 101, Framing.TUNNEL),
        (b"HEAD", 101, Framing.TUNNEL),
        (b"CONNECT", 200, Framing.TUNNEL),
        (b"CONNECT", 299, Framing.TUNNEL),
        (b"CONNECT", 407, Framing.LENGTH),
        (b"connect", 200, Framing.LENGTH),
    ],
)
def test_framing_depends_on_the_request(method: bytes, status: int, framing: Framing) -> None:
    """RFC 9112 section 6.3: the method and the status decide before any field does."""
    head = ResponseHead(b"HTTP/1.1 %d x\r\nContent-Length: 3\r\n\r\n" % status)
    assert head.framing_for(method) is framing


def test_an_absent_request_id_and_an_empty_one() -> None:
    """Empty is not absent: no second one may be added beside it."""
    assert RequestHead(b"GET / HTTP/1.1\r\n\r\n").request_id == b""
    assert RequestHead(b"GET / HTTP/1.1\r\nX-Request-Id: \r\n\r\n").request_id == b"-"


@given(st.binary(max_size=60))
def test_only_ambiguous_is_raised(junk: bytes) -> None:
    """Whatever a head holds, it is scanned or refused with a word."""
    for start, scan in ((b"GET / HTTP/1.1\r\n", RequestHead), (b"HTTP/1.1 200 x\r\n", ResponseHead)):
        for raw in (junk, start + junk + b"\r\n\r\n", start + b"Content-Length:" + junk + b"\r\n\r\n"):
            try:
                assert scan(raw).raw == raw
            except Ambiguous as error:
                assert error.reason.isidentifier()
