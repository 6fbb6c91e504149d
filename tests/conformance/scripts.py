"""What a client does on one connection to a real server: raw writes, awaited answers, an end.

A script waits only for what the server says; the end of the connection is always seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tests.proxy.clients import chunked, get, request


class Do(Enum):
    """What is not a write. A script that does not end itself ends with FIN and REST."""

    ANSWER = "read one answer"
    BODILESS = "read one answer to HEAD, or a CONNECT's"
    FIN = "send no more"
    RESET = "be gone"
    REST = "read to the end"


ANSWER, BODILESS, FIN, RESET, REST = Do


@dataclass(frozen=True, slots=True)
class Until:
    """Read up to and with these bytes."""

    mark: bytes


Steps = tuple[bytes | Do | Until, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """`refused`: the status that `strict` gives in place of the server, and `gate` too unless `gate_lets_through`.

    `edited`: what the same client would have sent without what the documented edits take away; where heads are edited
    the outcome equals the one of that. `server`: the only one for which the outcome is no matter of chance; "" for all.
    """

    steps: Steps
    refused: int = 0
    edited: Steps = ()
    gate_lets_through: bool = False
    server: str = ""


END = Until(b"0\r\n\r\n")
GET = get("/echo")
KEEP = get("/echo", "x-request-id: mine")
BODY = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1.5]}]}'
CODED = "Transfer-Encoding: chunked"
TRAILERS = b"checksum: 1\r\n"
HEAD = request("/echo", b"", method="HEAD")
LONG = b"x" * 300_000
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
WEBSOCKET = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def old(path: str = "/echo", *lines: str) -> bytes:
    """HTTP/1.0 without Host."""
    return "\r\n".join([f"GET {path} HTTP/1.0", *lines, "", ""]).encode()


def odd(data: bytes) -> Script:
    """Framing that is not certain: whatever the server makes of it."""
    return Script((data, ANSWER), 400)


SCRIPTS: Mapping[str, Script] = {
    "one request": Script((GET, ANSWER)),
    "three requests": Script((GET, ANSWER, KEEP, ANSWER, request("/echo", BODY), ANSWER)),
    "says close": Script((get("/echo", "Connection: close"), ANSWER, REST)),
    "says close and half-closes": Script((get("/echo", "Connection: close"), ANSWER)),
    "resets behind an answer": Script((GET, ANSWER, RESET)),
    # Servers on asyncio drop what they have not written yet when a client half-closes.
    "half-closes behind its request": Script((request("/echo", BODY), FIN, ANSWER), server="http.server"),
    "half-closes behind pipelined requests": Script((GET * 3, FIN, ANSWER, ANSWER, ANSWER), server="http.server"),
    "half-closes within its body": Script(
        (request("/echo", b"", "Content-Length: 10") + b"01234", FIN, ANSWER), server="http.server"
    ),
    "half-closes within a head": Script((GET[:-4], FIN, ANSWER), 400, server="http.server"),
    "http/1.0": Script((old(), ANSWER, REST)),
    "http/1.0 keep-alive": Script((old("/echo", "Connection: keep-alive"), ANSWER) * 2 + (old(), ANSWER, REST)),
    "http/1.0 stream": Script((old("/stream"), ANSWER, REST)),
    "http/1.0 with a body": Script(
        (request("/echo", BODY).replace(b"1.1", b"1.0"), ANSWER, REST),
    ),
    "body by length": Script((request("/echo", BODY), ANSWER)),
    "body in chunks": Script((request("/echo", b"", CODED) + chunked([BODY, b"x" * 9], TRAILERS), ANSWER)),
    "body byte by byte": Script((*(bytes((byte,)) for byte in request("/echo", b"0123456789")), ANSWER)),
    "chunks byte by byte": Script(
        (*(bytes((byte,)) for byte in request("/echo", b"", CODED) + chunked([b"abc"])), ANSWER, GET, ANSWER)
    ),
    "large body": Script((request("/echo", LONG), ANSWER, GET, ANSWER)),
    "large body in chunks": Script((request("/echo", b"", CODED) + chunked([LONG]), ANSWER)),
    "large answer": Script((get("/large"), ANSWER, GET, ANSWER)),
    "streamed answer": Script((get("/stream"), ANSWER, GET, ANSWER)),
    "full duplex by length": Script(
        (request("/duplex", b"", "Content-Length: 10"), b"01234", Until(b"01234\r\n"), b"56789", END, GET, ANSWER)
    ),
    "full duplex in chunks": Script(
        (request("/duplex", b"", CODED), b"3\r\nabc\r\n", Until(b"abc\r\n"), b"0\r\n\r\n", END, GET, ANSWER)
    ),
    "pipelined": Script((GET * 3, ANSWER, ANSWER, ANSWER)),
    "pipelined, all framings": Script(
        (
            request("/echo", BODY) + KEEP + request("/echo", b"", CODED) + chunked([b"abc"]) + HEAD + GET,
            *(ANSWER, ANSWER, ANSWER, BODILESS, ANSWER),
        )
    ),
    "pipelined, cut within a head": Script((GET + GET[:20], ANSWER, GET[20:], ANSWER)),
    "empty line before": Script((b"\r\n" + GET, ANSWER)),
    "head": Script((HEAD, BODILESS, GET, ANSWER)),
    "head of a stream": Script((request("/large", b"", method="HEAD"), BODILESS, GET, ANSWER)),
    "204": Script((get("/empty"), ANSWER, GET, ANSWER)),
    "304": Script((get("/same"), ANSWER, GET, ANSWER)),
    "205": Script((get("/reset"), ANSWER, GET, ANSWER)),
    "500": Script((get("/fail"), ANSWER, GET, ANSWER)),
    "expects 100": Script(
        (request("/echo", b"", "Expect: 100-continue", "Content-Length: 5"), ANSWER, b"hello", ANSWER)
    ),
    "expects 100 in chunks": Script(
        (request("/echo", b"", "Expect: 100-continue", CODED), ANSWER, chunked([b"hello"]), ANSWER, GET, ANSWER)
    ),
    "expects 100 of http/1.0": Script(
        (request("/echo", b"hello", "Expect: 100-continue").replace(b"1.1", b"1.0"), ANSWER, REST)
    ),
    "expects something else": Script((get("/echo", "Expect: miracles"), ANSWER)),
    "early answer to a body by length": Script((request("/early", b"", "Content-Length: 10"), ANSWER)),
    "early answer, then the body": Script((request("/early", b"", "Content-Length: 10"), ANSWER, b"x" * 10)),
    "early answer in chunks": Script((request("/early", b"", CODED) + b"3\r\na", ANSWER)),
    "options *": Script((request("*", b"", method="OPTIONS"), ANSWER)),
    "unknown method": Script((request("/echo", b"", method="FOO"), ANSWER)),
    "absolute form": Script((get("http://model/echo"), ANSWER)),
    "absolute form of another host": Script((get("http://other:81/echo"), ANSWER)),
    "no host": Script((b"GET /echo HTTP/1.1\r\n\r\n", ANSWER), 400, gate_lets_through=True),
    "two hosts": Script((get("/echo", "Host: other"), ANSWER), 400, gate_lets_through=True),
    "connection fields": Script((get("/echo", "Connection: keep-alive, x-mine", "x-mine: 1", "TE: trailers"), ANSWER)),
    "repeated and empty fields": Script((get("/echo", "x-a: 1", "X-A: 2", "x-b:", "x-c:  spaced\t"), ANSWER)),
    "latin-1 in a field": Script((get("/echo", "x-a: \xe9\xff"), ANSWER)),
    "target with odd characters": Script((get("/echo?q=%2F{}|\"'"), ANSWER)),
    "many fields": Script((get("/echo", *(f"x-{n}: {n}" for n in range(90))), ANSWER)),
    "field of 7 KB": Script((get("/echo", "x-a: " + "y" * 7000), ANSWER)),
    "field of 20 KB": Script((get("/echo", "x-a: " + "y" * 20_000), ANSWER)),
    "upgrade that is declined": Script((get("/echo", *WEBSOCKET), ANSWER)),
    "h2c upgrade": Script((get("/echo", *H2C), ANSWER), edited=(GET, ANSWER)),
    "h2c upgrade with a body": Script(
        (request("/echo", BODY, *H2C), ANSWER), edited=(request("/echo", BODY), ANSWER)
    ),
    "connect": Script((request("other:443", b"", method="CONNECT"), BODILESS), 405),
    "length and coding": odd(request("/echo", b"", CODED, "Content-Length: 5") + b"0\r\n\r\n"),
    "two lengths": odd(request("/echo", b"x", "Content-Length: 1")),
    "two differing lengths": odd(request("/echo", b"xy", "Content-Length: 1")),
    "signed length": odd(request("/echo", b"", "Content-Length: +1") + b"x"),
    "unknown coding": odd(request("/echo", b"", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    "coding in http/1.0": odd(request("/echo", b"", CODED).replace(b"1.1", b"1.0") + b"0\r\n\r\n"),
    "folded line": odd(get("/echo", "x-a: 1\r\n  2")),
    "space before the colon": odd(b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n"),
    "no colon": odd(b"GET /echo HTTP/1.1\r\nHost a\r\n\r\n"),
    "nul in a field": odd(get("/echo", "x-a: \0")),
    "bare line feeds": odd(b"GET /echo HTTP/1.1\nHost: a\n\n"),
    "bare carriage return": odd(get("/echo", "x-a: 1\r2")),
    "version 2.0": odd(b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n"),
    "version 1.2": odd(b"GET /echo HTTP/1.2\r\nHost: a\r\n\r\n"),
    "text": odd(b"hello\r\n\r\n"),
}  # fmt: skip
