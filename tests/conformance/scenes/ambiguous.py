"""Framing that servers could read in two ways: relayed untouched and unobserved, or refused where that is promised."""

from tests.conformance.scenes.bodies import CODED_ANSWER
from tests.conformance.scenes.keepalive import ID, OK
from tests.conformance.steps import CLIENT_FIN, MODEL_FIN, Refusal, Scene, client, model
from tests.proxy.clients import answer, get

CODED = b"POST /a HTTP/1.1\r\nHost: a\r\nx-request-id: 7\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(data: bytes, desync: str) -> Scene:
    """A head that is not followed: the model says what it makes of it, and the talk goes on as it pleases."""
    steps = (
        client(data),
        model(answer(b"as you say")),
        client(get("/b")),
        model(answer()),
        CLIENT_FIN,
        MODEL_FIN,
    )
    return Scene(steps, {}, "opaque", desync, Refusal(0, 400, {}, desync))


def body(data: bytes, desync: str) -> Scene:
    """A body that goes wrong behind a head that was sent on: nobody can be answered any more."""
    steps = (client(CODED), client(data), model(answer()), client(get("/b")), model(answer()))
    return Scene(steps, {("none", ""): 1}, "opaque", desync, Refusal(1, 0, {("none", "rejected"): 1}, desync))


def reply(data: bytes, desync: str, counts: dict[tuple[str, str], int]) -> Scene:
    """An answer that cannot be followed."""
    steps = (client(get("/a", ID)), model(data), client(get("/b")), model(answer()))
    rejected = {(code, "rejected"): count for (code, _), count in counts.items()}
    return Scene(steps, counts, "opaque", desync, Refusal(1, 0, rejected, desync))


UNKNOWN = {("none", ""): 1}
SCENES = {
    "no colon": head(b"GET /a HTTP/1.1\r\nno colon\r\n\r\n", "malformed_head"),
    "space before the colon": head(b"GET /a HTTP/1.1\r\nHost : a\r\n\r\n", "malformed_head"),
    "folded line": head(b"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n  2\r\n\r\n", "malformed_head"),
    "control character": head(b"GET /a HTTP/1.1\r\nHost: a\x00b\r\n\r\n", "malformed_head"),
    "bare line feeds": head(b"GET /a HTTP/1.1\nHost: a\n\n", "bare_lf"),
    "bare carriage return": head(b"GET /a HTTP/1.1\r\nX: a\rb\r\n\r\n", "malformed_head"),
    "version 2.0": head(b"GET /a HTTP/2.0\r\nHost: a\r\n\r\n", "malformed_head"),
    "version 1.2": head(b"GET /a HTTP/1.2\r\nHost: a\r\n\r\n", "malformed_head"),
    "version 0.9": head(b"GET /a\r\n\r\n", "malformed_head"),
    "two spaces": head(b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", "malformed_head"),
    "length and coding": head(
        b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "length_and_coding"
    ),
    "two lengths": head(b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "length_repeated"),
    "a list of lengths": head(b"POST /a HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx", "length_invalid"),
    "signed length": head(b"POST /a HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", "length_invalid"),
    "unknown coding": head(b"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "coding_unknown"),
    "coding in http/1.0": head(
        b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "coding_in_http10"
    ),
    "text": head(b"hello, is there anybody?\r\n\r\n", "malformed_head"),
    "binary": head(bytes(range(255, 128, -1)), "malformed_head"),
    "chunk size is no number": body(b"zz\r\nabc\r\n", "chunk_malformed"),
    "chunk size is too long": body(b"0" * 17 + b"1\r\na\r\n", "chunk_malformed"),
    "chunk without its end": body(b"1\r\nab\r\n", "chunk_malformed"),
    "bare line feed behind a chunk size": body(b"1\na\r\n", "bare_lf"),
    "framing in trailers": body(b"0\r\nHost: other\r\n\r\n", "trailer_framing"),
    "trailer without a colon": body(b"0\r\nno colon\r\n\r\n", "trailer_malformed"),
    "answer with two lengths": reply(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "length_repeated", UNKNOWN
    ),
    "answer with length and coding": reply(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "length_and_coding",
        UNKNOWN,
    ),
    "answer with bare line feeds": reply(b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", "bare_lf", UNKNOWN),
    "answer that is none": reply(b"hello\r\n\r\n", "malformed_head", UNKNOWN),
    "answer with a broken chunk": reply(CODED_ANSWER + b"x\r\n", "chunk_malformed", {("200", ""): 1}),
    "answer with bytes behind it": Scene(
        (client(get("/a", ID)), model(answer(b"a") + b"b"), client(get("/b")), model(answer())),
        {OK: 1},
        "opaque",
        "unsolicited_response",
        Refusal(1, 0, {OK: 1}, "unsolicited_response"),
    ),
}  # fmt: skip
