"""Messages that are nearly right: each part is drawn from what is valid and from what is not quite."""

import random


def each(text: str) -> list[bytes]:
    """The lines of a table, escapes read as in a literal."""
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in text.strip("\n").split("\n")]


GOOD_LINES = [b"Content-Length: 3"] + each(r"""
Host: a
Accept: */*
Content-Length: 3
Transfer-Encoding: chunked
Content-Length: 0
X: \xe9\xff
Connection: keep-alive
Expect: 100-continue
X:
""")
ODD_LINES = each(r"""
Content-Length: 3, 3
Content-Length: +3
Content-Length: 03
Content-Length: 3\t\x20
Content-Length : 3
Content-Length: 0x3
Content-Length:
Content-Length: 3\x00
Content-Length: 99999999999999999999
content-length: 4
Content-Length: 3\r\n 4
Transfer-Encoding: gzip, chunked
transfer-encoding:Chunked\x20
Transfer-Encoding: chunked, identity
Transfer-Encoding:\x0bchunked
Transfer-Encoding: "chunked"
Transfer-Encoding: identity
Transfer-Encoding\x00: chunked
Transfer-Encoding: chunked;q=1
Transfer-Encoding:
TE: trailers
Connection: close
connection: a, Close\x20
Upgrade: websocket
Connection: upgrade
Sec-WebSocket-Key1: a
X: \x01
X: \x00
X\x00: a
: a
\x20X: a
X Y: a
X
X:\x7f
\xe9: a
X: a\r b
""")
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n"]
FIRST_REQUEST = [b"POST /x HTTP/1.1"] * 5 + each(r"""
POST /x HTTP/1.1
GET / HTTP/1.1
HEAD / HTTP/1.1
POST /x HTTP/1.0
OPTIONS * HTTP/1.1
CONNECT a:1 HTTP/1.1
CONNECT a:1 HTTP/1.1\r\nContent-Length: 3
GET /\xe9 HTTP/1.1
GET  / HTTP/1.1
GET / HTTP/1.1\x20
GET / HTTP/2.0
GET / http/1.1
GET /
\x20GET / HTTP/1.1
get / HTTP/1.1
G(T / HTTP/1.1
\r\nGET / HTTP/1.1
PRI * HTTP/1.1
GET / HTTP/1.10
GET\t/ HTTP/1.1
GET / HTTP/1.2
""")
FIRST_RESPONSE = [b"HTTP/1.1 200 OK"] * 5 + each(r"""
HTTP/1.1 200 OK
HTTP/1.1 204 No Content
HTTP/1.1 304 x
HTTP/1.0 200 OK
HTTP/1.1 200\x20
HTTP/1.1 200
HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK
HTTP/1.0 102 x\r\n\r\nHTTP/1.1 200 OK
HTTP/1.1 20 OK
HTTP/1.1 2000 OK
HTTP/1.1  200 OK
HTTP/2.0 200 OK
http/1.1 200 OK
HTTP/1.1 099 x
HTTP/1.1 200 \x01
\x20HTTP/1.1 200 OK
\r\nHTTP/1.1 200 OK
HTTP/1.1 205 x
HTTP/1.1 200 \xe9
""")
SIZES = [b"3"] * 6 + [
    b"03",
    b"+3",
    b"0x3",
    b" 3",
    b"3 ",
    b"",
    b"-3",
    b"3g",
    b"00000000000000003",
    b"fffffffffffffffff",
]
EXTENSIONS = [b""] * 6 + [
    b";a=b",
    b";",
    b";a=\x01",
    b" ;a",
    b';a="\x0d"',
    b';a="b;c"',
    b";a\t=b",
    b';a="b',
    b";\xe9",
    b",a",
]
CHUNK_DATA = [b"abc"] * 6 + [b"abcd", b"ab", b"a\r\n", b""]
TRAILERS = [b""] * 5 + [
    b"T: u\r\n",
    b"Content-Length: 5\r\n",
    b"T u\r\n",
    b"T: \x00\r\n",
    b" T: u\r\n",
    b"T: u\n",
]
BODIES = [b"abc", b"", b"ab", b"abcd"]


def coded(dice: random.Random) -> bytes:
    """Something like the chunked coding."""
    pick = dice.choice
    parts = []
    for _ in range(dice.randint(0, 2)):
        parts += [pick(SIZES), pick(EXTENSIONS), pick(ENDS), pick(CHUNK_DATA), pick(ENDS)]
    parts += [
        pick([b"0", b"0", b"0", b"000", b"", b"0 "]),
        pick(EXTENSIONS),
        pick(ENDS),
        pick(TRAILERS),
        pick(ENDS),
    ]
    return b"".join(parts)


def near(dice: random.Random, first: list[bytes]) -> bytes:
    """One message, or something like it, behind one of these first lines."""
    lines = dice.sample(GOOD_LINES, dice.randint(0, 3))
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        lines.insert(dice.randint(0, len(lines)), dice.choice(ODD_LINES))
    head = (
        dice.choice(first)
        + dice.choice(ENDS)
        + b"".join(line + b"\r\n" for line in lines)
        + dice.choice(ENDS)
    )
    chunked = any(b"hunked" in line for line in lines)
    return head + (coded(dice) if chunked else dice.choice(BODIES))


def requests(dice: random.Random) -> bytes:
    """One or two of them, and a valid one behind."""
    parts = [near(dice, FIRST_REQUEST) for _ in range(dice.randint(1, 2))]
    return b"".join(parts) + b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n"


def responses(dice: random.Random) -> bytes:
    """One or two answers, and a valid one behind."""
    parts = [near(dice, FIRST_RESPONSE) for _ in range(dice.randint(1, 2))]
    return b"".join(parts) + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
