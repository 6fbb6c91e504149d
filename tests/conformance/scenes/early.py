"""Answers that come before the request was all sent, and what both ends may do then."""

from tests.conformance.scenes.bodies import CODED, CODED_ANSWER, UPLOAD
from tests.conformance.scenes.keepalive import ID, INFER, OK
from tests.conformance.steps import (
    CLIENT_FIN,
    CLIENT_RESET,
    MODEL_FIN,
    MODEL_RESET_BEHIND_ITS_ANSWER,
    Scene,
    client,
    model,
)
from tests.proxy.clients import answer, chunked, get, request

COUNTED = request(INFER, b"", ID, "Content-Length: 100")
TOO_LARGE = answer(b"too large", "413 Content Too Large")
TOO_LARGE_CLOSE = answer(b"too large", "413 Content Too Large", "Connection: close")
REFUSED = {("413", "4xx"): 1}
NEXT = (client(get("/next", ID)), model(answer(b"next")))

SCENES = {
    "by length, both stay": Scene(
        (client(COUNTED + b"x" * 10), model(TOO_LARGE), client(b"x" * 50), client(b"x" * 40), *NEXT),
        {**REFUSED, OK: 1},
    ),
    "by length, the next request in one piece with the rest": Scene(
        (client(COUNTED), model(TOO_LARGE), client(b"x" * 100 + get("/next", ID)), model(answer())),
        {**REFUSED, OK: 1},
    ),
    "in chunks, both stay": Scene(
        (client(UPLOAD + b"5\r\nhe"), model(TOO_LARGE), client(b"llo\r\n"), client(b"0\r\n\r\n"), *NEXT),
        {**REFUSED, OK: 1},
    ),
    "in chunks, answered in chunks": Scene(
        (client(UPLOAD + b"5\r\nhe"), model(CODED_ANSWER + chunked([b"early"])), client(b"llo\r\n0\r\n\r\n"), *NEXT),
        {OK: 2},
    ),
    "by length, the model closes": Scene(
        (client(COUNTED + b"x" * 10), model(TOO_LARGE_CLOSE), MODEL_FIN, CLIENT_FIN), REFUSED
    ),
    "in chunks, the model closes": Scene(
        (client(UPLOAD + b"5\r\nhe"), model(TOO_LARGE_CLOSE), MODEL_FIN, CLIENT_FIN), REFUSED
    ),
    "by length, the model closes and the client sends all the same": Scene(
        (client(COUNTED), model(TOO_LARGE_CLOSE), MODEL_FIN, client(b"x" * 60), client(b"x" * 40), CLIENT_FIN),
        REFUSED,
    ),
    "in chunks, until the connection ends": Scene(
        (client(UPLOAD + b"5\r\nhe"), model(b"HTTP/1.1 413 Too Large\r\n\r\n"), model(b"sorry"), MODEL_FIN, CLIENT_FIN),
        REFUSED,
    ),
    "by length, the client half-closes": Scene(
        (client(COUNTED + b"x" * 40), model(TOO_LARGE), CLIENT_FIN, MODEL_FIN), REFUSED
    ),
    "in chunks, the client half-closes": Scene(
        (client(UPLOAD + b"5\r\nhe"), model(TOO_LARGE), CLIENT_FIN, MODEL_FIN), REFUSED
    ),
    "by length, the client resets": Scene((client(COUNTED), model(TOO_LARGE), CLIENT_RESET), REFUSED),
    "by length, the model resets": Scene((client(COUNTED), model(TOO_LARGE), MODEL_RESET_BEHIND_ITS_ANSWER), REFUSED),
    "twice on one connection": Scene(
        (client(COUNTED), model(TOO_LARGE), client(b"x" * 100)) * 2, {("413", "4xx"): 2}
    ),
    "half a head of an answer, then the rest of the body": Scene(
        (client(COUNTED), model(TOO_LARGE[:20]), client(b"x" * 99), model(TOO_LARGE[20:]), client(b"x"), *NEXT),
        {**REFUSED, OK: 1},
    ),
    "behind a pipelined request": Scene(
        (
            client(get("/a", ID) + request(INFER, b"", ID, CODED)),
            model(answer() + TOO_LARGE),
            client(b"1\r\nx\r\n0\r\n\r\n"),
            *NEXT,
        ),
        {**REFUSED, OK: 2},
    ),
}  # fmt: skip
