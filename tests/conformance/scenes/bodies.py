"""Bodies: every framing in both directions, trailers, answers that have none, and both directions at once."""

from tests.conformance.scenes.keepalive import ID, INFER, OK
from tests.conformance.steps import CLIENT_FIN, MODEL_FIN, Refusal, Scene, client, model
from tests.proxy.clients import answer, chunked, get, request

CODED = "Transfer-Encoding: chunked"
CODED_ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = b"grpc-status: 0\r\nchecksum: \xff\r\nempty:\r\n"
UPLOAD = request(INFER, b"", ID, CODED)
HEAD = request("/a", b"", ID, method="HEAD")


def bare(head: bytes, status: str, request_head: bytes = get("/a", ID)) -> Scene:
    """An answer that has no body whatever its head says, and an exchange after it."""
    code, error = status[:3], "4xx" if status[0] == "4" else ""
    counts = {OK: 1, (code, error): 1} if code != "200" else {OK: 2}
    whole = b"HTTP/1.1 " + status.encode() + b"\r\n" + head + b"\r\n"
    return Scene((client(request_head), model(whole), client(get("/b", ID)), model(answer(b"next"))), counts)


SCENES = {
    "trailers both ways": Scene(
        (
            client(request(INFER, b"", ID, CODED, "TE: trailers", "Trailer: checksum")),
            client(chunked([b"one", b"0\r\n\r\n"], TRAILERS)),
            model(CODED_ANSWER + chunked([b"two"], TRAILERS)),
            client(get("/b", ID)),
            model(answer()),
        ),
        {OK: 2},
    ),
    "trailers byte by byte": Scene(
        (
            client(UPLOAD),
            *(client(bytes((byte,))) for byte in chunked([b"one"], TRAILERS)),
            *(model(bytes((byte,))) for byte in CODED_ANSWER + chunked([b"two"], TRAILERS)),
            client(get("/b", ID)),
            model(answer()),
        ),
        {OK: 2},
    ),
    "chunk extensions and padded sizes": Scene(
        (
            client(UPLOAD + b'0003;a="b;c"\r\nabc\r\n'),
            client(b"A ;x\r\n0123456789\r\n000;end\r\n\r\n"),
            model(CODED_ANSWER + b"5;token=1\r\nhello\r\n"),
            model(b"0\r\n\r\n"),
        ),
        {OK: 1},
    ),
    "a length of zero": Scene(
        (client(request("/a", b"", ID, "Content-Length: 0")), model(answer(b""))) * 2, {OK: 2}
    ),
    "an empty body in chunks": Scene((client(UPLOAD + b"0\r\n\r\n"), model(CODED_ANSWER + b"0\r\n\r\n")) * 2, {OK: 2}),
    "no body and no framing": Scene((client(request("/a", b"", ID)), model(answer(b""))) * 2, {OK: 2}),
    "head with a length": bare(b"Content-Length: 700\r\n", "200 OK", HEAD),
    "head with a coding": bare(CODED.encode() + b"\r\n", "200 OK", HEAD),
    "head without framing": bare(b"", "200 OK", HEAD),
    "head that is refused": bare(b"Content-Length: 9\r\n", "405 Method Not Allowed", HEAD),
    "204": bare(b"", "204 No Content"),
    "204 with a length": bare(b"Content-Length: 5\r\n", "204 No Content"),
    "304 with a length": bare(b"Content-Length: 5\r\n", "304 Not Modified"),
    "304 with a coding": bare(CODED.encode() + b"\r\n", "304 Not Modified"),
    "205 with a length of zero": bare(b"Content-Length: 0\r\n", "205 Reset Content"),
    "205 with an empty chunk": bare(CODED.encode() + b"\r\n\r\n0\r\n", "205 Reset Content"),
    "heads pipelined with others": Scene(
        (
            client(HEAD + get("/b", ID) + HEAD + UPLOAD + chunked([b"x"])),
            model(b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n" + answer(b"HTTP/1.1 200 OK\r\n\r\n")),
            model(b"HTTP/1.1 200 OK\r\n\r\n" + answer(b"last")),
        ),
        {OK: 4},
    ),
    "until the connection ends": Scene(
        (client(get("/a", ID)), model(b"HTTP/1.1 200 OK\r\n\r\n"))
        + tuple(model(b"data: %d\n\n" % n) for n in range(20))
        + (MODEL_FIN, CLIENT_FIN),
        {OK: 1},
    ),
    "until the connection ends, of a client that half-closed": Scene(
        (client(get("/a", ID)), CLIENT_FIN, model(b"HTTP/1.1 200 OK\r\n\r\n"), model(b"one"), model(b"two"), MODEL_FIN),
        {OK: 1},
    ),
    "until the connection ends, with an error": Scene(
        (client(get("/a", ID)), model(b"HTTP/1.1 503 Busy\r\n\r\nbusy"), MODEL_FIN), {("503", "5xx"): 1}
    ),
    "both directions at once, by length": Scene(
        (
            client(request(INFER, b"", ID, "Content-Length: 200")),
            model(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"),
            *(step for _ in range(20) for step in (client(b"0123456789"), model(b"abcdefghij"))),
            client(get("/b", ID)),
            model(answer()),
        ),
        {OK: 2},
    ),
    "both directions at once, in chunks": Scene(
        (
            client(UPLOAD),
            model(CODED_ANSWER),
            *(step for _ in range(20) for step in (client(b"3\r\nabc\r\n"), model(b"3\r\nabc\r\n"))),
            client(b"0\r\n" + TRAILERS + b"\r\n"),
            model(b"0\r\n" + TRAILERS + b"\r\n"),
            client(get("/b", ID)),
            model(answer()),
        ),
        {OK: 2},
    ),
    "both directions at once, and the answer is over first": Scene(
        (client(UPLOAD), model(CODED_ANSWER), client(b"1\r\na\r\n"), model(b"1\r\na\r\n0\r\n\r\n"))
        + (client(b"1\r\nb\r\n"), client(b"0\r\n\r\n"), client(get("/b", ID)), model(answer())),
        {OK: 2},
    ),
    "204 with a coding": Scene(
        (client(get("/a", ID)), model(b"HTTP/1.1 204 No Content\r\n" + CODED.encode() + b"\r\n\r\n")),
        {("none", ""): 1},
        "opaque",
        "coding_without_body",
        Refusal(1, 0, {("none", "rejected"): 1}, "coding_without_body"),
    ),
    "an answer with a framing field in its trailers": Scene(
        (client(get("/a", ID)), model(CODED_ANSWER), model(b"0\r\nContent-Length: 5\r\n\r\n")),
        {("200", ""): 1},
        "opaque",
        "trailer_framing",
        Refusal(2, 0, {("200", "rejected"): 1}, "trailer_framing"),
    ),
}  # fmt: skip
