"""Interim answers: 100-continue as both ends use it, floods of 1xx, hints before each of several answers."""

from tests.conformance.scenes.early import NEXT, TOO_LARGE
from tests.conformance.scenes.keepalive import ID, INFER, OK
from tests.conformance.steps import CLIENT_FIN, MODEL_FIN, Scene, client, model
from tests.proxy.clients import answer, chunked, get, request

EXPECT = "Expect: 100-continue"
COUNTED = request(INFER, b"", ID, EXPECT, "Content-Length: 5")
CODED = request(INFER, b"", ID, EXPECT, "Transfer-Encoding: chunked")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\nX-Progress: 50\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nContent-Length: 5\r\n\r\n"

SCENES = {
    "expected, by length": Scene(
        (client(COUNTED), model(CONTINUE), client(b"hello"), model(answer()), *NEXT), {OK: 2}
    ),
    "expected, in chunks": Scene(
        (client(CODED), model(CONTINUE), client(chunked([b"hello"])), model(answer()), *NEXT), {OK: 2}
    ),
    "expected, and not waited for": Scene(
        (client(COUNTED + b"hello"), model(CONTINUE + answer()), *NEXT), {OK: 2}
    ),
    "expected, and never sent": Scene((client(COUNTED), client(b"hello"), model(answer()), *NEXT), {OK: 2}),
    "expected of http/1.0": Scene(
        (client(COUNTED.replace(b"1.1", b"1.0")), client(b"hello"), model(answer()), MODEL_FIN), {OK: 1}
    ),
    "expected, and told twice": Scene(
        (client(COUNTED), model(CONTINUE), model(CONTINUE), client(b"hello"), model(answer())), {OK: 1}
    ),
    "expected, and the final answer comes instead": Scene(
        (client(COUNTED), model(answer(b"", "417 Expectation Failed", "Connection: close")), MODEL_FIN, CLIENT_FIN),
        {("417", "4xx"): 1},
    ),
    "expected, the final answer comes instead, and the body is sent all the same": Scene(
        (client(COUNTED), model(TOO_LARGE), client(b"hello"), *NEXT), {("413", "4xx"): 1, OK: 1}
    ),
    "expected behind a pipelined request": Scene(
        (client(get("/a", ID) + COUNTED), model(answer() + CONTINUE), client(b"hello"), model(answer())), {OK: 2}
    ),
    "flood of all kinds": Scene(
        (client(get("/a", ID)), *(model((CONTINUE + PROCESSING + HINTS) * 100) for _ in range(10)), model(answer())),
        {OK: 1},
    ),
    "flood cut anywhere": Scene(
        (
            client(request(INFER, b"{}", ID)),
            *(model((PROCESSING * 40)[at : at + 7]) for at in range(0, len(PROCESSING) * 40, 7)),
            model(answer()),
            *NEXT,
        ),
        {OK: 2},
    ),
    "while the body is still sent": Scene(
        (client(COUNTED), model(PROCESSING), client(b"he"), model(HINTS), client(b"llo"), model(CONTINUE + answer())),
        {OK: 1},
    ),
    "before each of several answers": Scene(
        (client(get("/a", ID) * 3), *(model(HINTS + PROCESSING + answer(b"%d" % n)) for n in range(3))), {OK: 3}
    ),
    "before an answer to head": Scene(
        (client(request("/a", b"", ID, method="HEAD")), model(HINTS + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
        + NEXT,
        {OK: 2},
    ),
    "and then nothing": Scene(
        (client(get("/a", ID)), model(HINTS), MODEL_FIN, CLIENT_FIN), {("none", "reset"): 1}
    ),
}  # fmt: skip
