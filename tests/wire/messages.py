"""A small grammar of valid HTTP/1 messages for hypothesis: the bytes together with what a follower must say."""

from typing import NamedTuple

from hypothesis import strategies as st

TOKEN = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda text: "X-" + text)
VALUE = st.text("".join(map(chr, range(0x20, 0x7F))) + "\t\xe9\xff", max_size=20)
BODY = st.binary(max_size=60) | st.sampled_from(
    [b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\n\r"]
)
METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"]
TARGET = st.text("abc/?&=%2F.:", max_size=12).map(lambda text: "/" + text)
EXTENSIONS = ["", "", ";a=b", ';q="x;y"', ";flag"]


class Message(NamedTuple):
    """`raw` as sent; `line` its first line; `body` without transfer coding."""

    raw: bytes
    line: str
    body: bytes
    method: str


@st.composite
def fields(draw: st.DrawFn) -> list[str]:
    """Fields that say nothing about framing."""
    pairs = draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4))
    return [f"{name}:{value}" for name, value in pairs]


@st.composite
def chunked(draw: st.DrawFn, body: bytes, plain: bool) -> bytes:
    """The body in the chunked coding, with extensions and trailers."""
    extension = st.sampled_from(EXTENSIONS if plain else [*EXTENSIONS, " \t; x", " "])
    coded, rest = b"", body
    while rest:
        size = draw(st.integers(1, len(rest)))
        form = draw(st.sampled_from(["x", "X", "03x"]))
        coded += (format(size, form) + draw(extension)).encode() + b"\r\n" + rest[:size] + b"\r\n"
        rest = rest[size:]
    trailers = "".join(line + "\r\n" for line in draw(fields()))
    return coded + ("0" + draw(extension) + "\r\n" + trailers + "\r\n").encode("latin-1")


def _message(line: str, lines: list[str], method: str, body: bytes, coded: bytes) -> Message:
    head = "\r\n".join([line, *lines]) + "\r\n\r\n"
    return Message(head.encode("latin-1") + coded, line, body, method)


@st.composite
def requests(draw: st.DrawFn, plain: bool = False) -> Message:
    """A request that keeps the connection open; a `plain` one is within what every parser takes."""
    method = draw(st.sampled_from(METHODS if plain else [*METHODS, "infer", "$x"]))
    lines = [*(["Host: a"] if plain else []), *draw(fields())]
    line = f"{method} {draw(TARGET)} HTTP/1.1"
    body = draw(BODY) if draw(st.booleans()) else b""
    coded = body
    if body and draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), "Transfer-Encoding: chunked")
        coded = draw(chunked(body, plain))
    elif body or draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), f"content-length:{len(body)} ")
    return _message(line, lines, method, body, coded)


@st.composite
def responses(draw: st.DrawFn, plain: bool = False) -> tuple[list[Message], Message]:
    """Interim answers, and the final one, to a method of its own; the connection stays open."""
    method = draw(st.sampled_from(METHODS))
    status = draw(st.sampled_from([200, 200, 201, 204, 304, 404, 500]))
    lines, line = draw(fields()), f"HTTP/1.1 {status} {draw(st.sampled_from(['OK', '', 'A reason']))}"
    interim = [
        _message(f"HTTP/1.1 {code} x", draw(fields()), method, b"", b"")
        for code in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=3))
    ]
    body = draw(BODY)
    bare = method == "HEAD" or status in (204, 304)
    if draw(st.booleans()) and status != 204:
        lines.insert(draw(st.integers(0, len(lines))), "Transfer-Encoding: Chunked")
        coded = draw(chunked(body, plain))
    else:
        lines.insert(draw(st.integers(0, len(lines))), f"Content-Length: {len(body)}")
        coded = body
    if bare:
        body = coded = b""
    return interim, _message(line, lines, method, body, coded)
