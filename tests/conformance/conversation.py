"""A grammar of requests and answers that know their number, so that a wrong pairing cannot go unseen.

Each message carries its number in its head and in its body. `raw` is what is sent, `body` what a decoder gets.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

FILL = st.binary(max_size=40) | st.sampled_from(
    [
        b"\r\n",
        b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * 3000,
        b"y" * 70_000,
    ]
)
# What requests and answers may say beside: nothing of it has to do with framing.
REQUEST_FIELDS = st.sampled_from(
    [
        "",
        "",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "Connection: Upgrade\r\nUpgrade: raw\r\n",
    ]
)
TRAILERS = st.sampled_from(["", "", "checksum: 1\r\n", "a:\r\nb: \xff\r\n"])
INTERIM = st.lists(st.sampled_from(["100 Continue", "102 Processing", "103 Early Hints"]), max_size=3)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 205, 304, 404, 500])


@dataclass(frozen=True, slots=True)
class Request:
    """`head_size` counts from the first byte, empty lines before it included."""

    number: int
    method: str
    raw: bytes
    head_size: int
    body: bytes
    kept: bool  # bodies of predictions are kept for the analysis


@dataclass(frozen=True, slots=True)
class Answer:
    """`raw` has the interim answers before it. `until_close`: it ends with the connection."""

    number: int
    status: int
    raw: bytes
    body: bytes
    until_close: bool

    @property
    def outcome(self) -> tuple[str, str]:
        """Code and error type, as they are counted."""
        return str(self.status), "5xx" if self.status >= 500 else "4xx" if self.status >= 400 else ""


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks, with an extension and trailers now and then."""
    coded, rest = b"", body
    while rest:
        size = min(draw(st.sampled_from([1, 7, 500, 100_000])), len(rest)) if len(coded) < 2000 else len(rest)
        extension = draw(st.sampled_from([b"", b"", b";a=b", b';q="x;y"']))
        coded += b"%x%s\r\n%s\r\n" % (size, extension, rest[:size])
        rest = rest[size:]
    return coded + b"0\r\n" + draw(TRAILERS).encode("latin-1") + b"\r\n"


@st.composite
def requests(draw: st.DrawFn, number: int) -> Request:
    """One that keeps the connection open."""
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS"]))
    kept = method == "POST" and draw(st.booleans())
    old = draw(st.integers(0, 9)) == 0
    framing = draw(st.sampled_from(["none", "length", "length"] if old else ["none", "length", "chunked"]))
    body = b"" if framing == "none" else b"request %d " % number + draw(FILL)
    lines = f"{method} /{'invocations' if kept else 'other'}?{number} HTTP/1.{0 if old else 1}\r\n"
    lines += "Connection: keep-alive\r\n" if old else "Host: a\r\n" + draw(REQUEST_FIELDS)
    lines += f"x-request-id: id-{number}\r\n" if draw(st.booleans()) else ""
    coded = body
    if framing == "chunked":
        lines += "Transfer-Encoding: chunked\r\n"
        coded = draw(chunked(body))
    elif framing == "length":
        lines += f"Content-Length: {len(body)}\r\n"
    head = draw(st.sampled_from([b"", b"", b"", b"\r\n"])) + lines.encode() + b"\r\n"
    return Request(number, method, head + coded, len(head), body, kept)


@st.composite
def answers(draw: st.DrawFn, request: Request, may_close: bool) -> Answer:
    """One to that request."""
    number = request.number
    before = "".join(f"HTTP/1.1 {line}\r\nx-interim: {number}\r\n\r\n" for line in draw(INTERIM))
    status = draw(STATUSES)
    kinds = ["length", "length", "chunked"] if status != 204 else ["length", "none"]
    framing = draw(st.sampled_from([*kinds, "close"] if may_close else kinds))
    body = b"answer %d " % number + draw(FILL)
    lines = f"HTTP/1.1 {status} whatever\r\nx-answer: {number}\r\n"
    coded = body
    if framing == "chunked":
        lines += "Transfer-Encoding: chunked\r\n"
        coded = draw(chunked(body))
    elif framing == "length":
        lines += f"Content-Length: {len(body)}\r\n"
    if request.method == "HEAD" or status in (204, 304):
        body = coded = b""
    whole = (before + lines + "\r\n").encode() + coded
    return Answer(number, status, whole, body, framing == "close" and not bare(request, status))


def bare(request: Request, status: int) -> bool:
    """Whether an answer with that status has no body, whatever its head says."""
    return request.method == "HEAD" or status in (204, 304)
