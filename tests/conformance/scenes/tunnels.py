"""What leaves HTTP: CONNECT, upgrades taken and declined, and what never was HTTP/1. The relay is opaque both ways."""

from exporter.wire.sniff import PREFACE
from tests.conformance.scenes.early import NEXT
from tests.conformance.scenes.keepalive import ID, INFER, OK
from tests.conformance.steps import (
    CLIENT_FIN,
    CLIENT_RESET,
    MODEL_FIN,
    MODEL_RESET,
    Refusal,
    Scene,
    client,
    model,
)
from tests.proxy.clients import answer, chunked, get, request

CONNECT = request("other:443", b"", ID, method="CONNECT")
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
UPGRADE = ("Connection: Upgrade", "Upgrade: raw", ID)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
RAW = bytes(range(256))
TUNNEL = {("200", ""): 1}
UPGRADED = {("101", ""): 1}
TALK = (client(RAW), model(RAW), client(get("/b")), model(answer()), client(b"\r\n\r\n"))
NO_CONNECT = Refusal(0, 405, {("405", "rejected"): 1})
UNKNOWN_PROTOCOL = Refusal(0, 0, {}, "other_protocol")
# Java's own client sends these with every request over http.
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
RST_STREAM = b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"
GOAWAY = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"
HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"

SCENES = {
    "connect, the client ends first": Scene(
        (client(CONNECT), model(OPEN), *TALK, CLIENT_FIN, model(RAW), model(RAW), MODEL_FIN),
        TUNNEL, "upgraded", refusal=NO_CONNECT,
    ),
    "connect, the model ends first": Scene(
        (client(CONNECT), model(OPEN), *TALK, MODEL_FIN, client(RAW), client(RAW), CLIENT_FIN),
        TUNNEL, "upgraded", refusal=NO_CONNECT,
    ),
    "connect, the model speaks at once": Scene(
        (client(CONNECT), model(OPEN + b"SSH-2.0-x\r\n"), *TALK), TUNNEL, "upgraded", refusal=NO_CONNECT
    ),
    "connect, the answer has a length that means nothing": Scene(
        (client(CONNECT), model(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), *TALK),
        TUNNEL, "upgraded", refusal=NO_CONNECT,
    ),
    "connect, reset by the client": Scene(
        (client(CONNECT), model(OPEN), *TALK, CLIENT_RESET), TUNNEL, "upgraded", refusal=NO_CONNECT
    ),
    "connect, reset by the model": Scene(
        (client(CONNECT), model(OPEN), *TALK, MODEL_RESET), TUNNEL, "upgraded", refusal=NO_CONNECT
    ),
    "connect, asked to authenticate first": Scene(
        (client(CONNECT), model(answer(b"who?", "407 Proxy Authentication Required")), client(CONNECT), model(OPEN))
        + TALK,
        {("407", "4xx"): 1, **TUNNEL}, "upgraded", refusal=NO_CONNECT,
    ),
    "connect, declined, and a request after it": Scene(
        (client(CONNECT), model(answer(b"", "405 Method Not Allowed")), *NEXT),
        {("405", "4xx"): 1, OK: 1}, refusal=NO_CONNECT,
    ),
    "connect behind a request": Scene(
        (client(get("/a", ID)), model(answer()), client(CONNECT), model(OPEN), *TALK),
        {OK: 2}, "upgraded", refusal=Refusal(2, 405, {OK: 1, ("405", "rejected"): 1}),
    ),
    "connect with a body": Scene(
        (client(request("other:443", b"abc", ID, method="CONNECT")), model(answer(b"", "400 Bad Request"))),
        {}, "opaque", "body_on_connect", Refusal(0, 400, {}, "body_on_connect"),
    ),
    "upgrade, the client ends first": Scene(
        (client(get("/ws", *UPGRADE)), model(SWITCH), *TALK, CLIENT_FIN, model(RAW), MODEL_FIN), UPGRADED, "upgraded"
    ),
    "upgrade, the model ends first": Scene(
        (client(get("/ws", *UPGRADE)), model(SWITCH), *TALK, MODEL_FIN, client(RAW), CLIENT_FIN), UPGRADED, "upgraded"
    ),
    "upgrade, the model speaks at once": Scene(
        (client(get("/ws", *UPGRADE)), model(SWITCH + RAW), *TALK), UPGRADED, "upgraded"
    ),
    "upgrade, reset by the client": Scene(
        (client(get("/ws", *UPGRADE)), model(SWITCH), *TALK, CLIENT_RESET), UPGRADED, "upgraded"
    ),
    "upgrade, reset by the model": Scene(
        (client(get("/ws", *UPGRADE)), model(SWITCH), *TALK, MODEL_RESET), UPGRADED, "upgraded"
    ),
    "upgrade after hints": Scene(
        (client(get("/ws", *UPGRADE)), model(b"HTTP/1.1 103 Early Hints\r\n\r\n" + SWITCH), *TALK), UPGRADED, "upgraded"
    ),
    "upgrade with a body": Scene(
        (client(request(INFER, b"settings", *UPGRADE)), model(SWITCH), *TALK), UPGRADED, "upgraded"
    ),
    "upgrade on a connection that was used": Scene(
        (*NEXT, client(get("/ws", *UPGRADE)), model(SWITCH), *TALK), {OK: 1, **UPGRADED}, "upgraded"
    ),
    "upgrade that nobody asked for": Scene(
        (client(get("/ws", ID)), model(SWITCH), *TALK), UPGRADED, "upgraded"
    ),
    "upgrade declined": Scene((client(get("/ws", *UPGRADE)), model(answer()), *NEXT), {OK: 2}),
    "upgrade required": Scene(
        (client(get("/ws", ID)), model(answer(b"", "426 Upgrade Required", "Upgrade: raw")), *NEXT),
        {("426", "4xx"): 1, OK: 1},
    ),
    "upgrade declined, with a body by length": Scene(
        (client(request(INFER, b"GET /x HTTP/1.1\r\n\r\n", *UPGRADE)), model(answer()), *NEXT), {OK: 2}
    ),
    "upgrade declined, with a body in chunks": Scene(
        (client(request(INFER, b"", "Transfer-Encoding: chunked", *UPGRADE)), client(chunked([b"abc"])))
        + (model(answer()), *NEXT),
        {OK: 2},
    ),
    "h2c is taken away and the body stays": Scene(
        (client(request(INFER, b"hello", *H2C, ID), becomes=request(INFER, b"hello", ID)), model(answer()), *NEXT),
        {OK: 2},
    ),
    "h2 with prior knowledge": Scene(
        (client(PREFACE + SETTINGS), model(SETTINGS), client(RST_STREAM), model(RST_STREAM), model(GOAWAY))
        + (MODEL_FIN, client(GOAWAY), CLIENT_FIN),
        {}, "h2c", refusal=UNKNOWN_PROTOCOL,
    ),
    "tls": Scene(
        (client(HELLO), model(HELLO), client(RAW), model(RAW), CLIENT_FIN, model(RAW), MODEL_FIN),
        {}, "tls", refusal=UNKNOWN_PROTOCOL,
    ),
    "the server speaks first": Scene(
        (model(b"220 hello\r\n"), client(b"EHLO\r\n"), model(b"250 ok\r\n"), CLIENT_FIN, model(b"221\r\n"), MODEL_FIN),
        {}, "opaque", "unsolicited_response", Refusal(0, 0, {}, "unsolicited_response"),
    ),
}  # fmt: skip
