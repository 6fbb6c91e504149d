"""How a conversation may end at any point: FIN as FIN, RST as RST, and what was under way is counted as what it was."""

from tests.conformance.scenes.bodies import CODED_ANSWER, UPLOAD
from tests.conformance.scenes.keepalive import ID, INFER, OK
from tests.conformance.steps import (
    CLIENT_FIN,
    CLIENT_RESET,
    MODEL_FIN,
    MODEL_RESET,
    Refusal,
    Scene,
    Step,
    client,
    model,
)
from tests.proxy.clients import answer, get, request

ASKED = client(request(INFER, b"{}", ID))
HALF_SENT = client(request(INFER, b"", ID, "Content-Length: 100") + b"x" * 40)
IN_CHUNK = client(UPLOAD + b"5\r\nhe")
COUNTED_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
ABORT, RESET = {("none", "abort"): 1}, {("none", "reset"): 1}
CUT, LEFT = {("200", "incomplete"): 1}, {("200", "abort"): 1}


def ends(
    before: tuple[Step, ...], name: str, outcomes: tuple[dict[tuple[str, str], int], ...]
) -> dict[str, Scene]:
    """The four ways in which one side can end after these steps; `outcomes`: of the client, of the model."""
    by_client, by_model = outcomes
    return {
        f"{name}: the client half-closes, the model gives up": Scene(
            (*before, CLIENT_FIN, MODEL_FIN), by_client
        ),
        f"{name}: the client resets": Scene((*before, CLIENT_RESET), by_client),
        f"{name}: the model closes": Scene((*before, MODEL_FIN, CLIENT_FIN), by_model),
        f"{name}: the model resets": Scene((*before, MODEL_RESET), by_model),
    }


SCENES = {
    **ends((ASKED,), "asked", (ABORT, RESET)),
    **ends((ASKED, model(b"HTTP/1.1 200 O")), "within the answer's head", (ABORT, RESET)),
    **ends((ASKED, model(COUNTED_ANSWER + b"x" * 40)), "within a counted answer", (LEFT, CUT)),
    **ends((ASKED, model(CODED_ANSWER + b"5\r\nhe")), "within a chunk of the answer", (LEFT, CUT)),
    **ends((ASKED, model(CODED_ANSWER + b"1\r\nx\r\n")), "between chunks of the answer", (LEFT, CUT)),
    **ends((HALF_SENT,), "within a counted body", (ABORT, RESET)),
    **ends((IN_CHUNK,), "within a chunk of the body", (ABORT, RESET)),
    **ends((ASKED, model(answer())), "answered", ({OK: 1}, {OK: 1})),
    **ends((client(get("/a") * 2), model(answer())), "one of two answered", ({OK: 1, **ABORT}, {OK: 1, **RESET})),
    **{
        name: Scene(scene.steps, {}, "none")
        for name, scene in ends((), "without a word", ({}, {})).items()
    },
    "within a body that lasts until the end: the client resets": Scene(
        (ASKED, model(b"HTTP/1.1 200 OK\r\n\r\nsome"), CLIENT_RESET), LEFT
    ),
    "within a body that lasts until the end: the model resets": Scene(
        (ASKED, model(b"HTTP/1.1 200 OK\r\n\r\nsome"), MODEL_RESET), CUT
    ),
    "half-closed, then answered": Scene((ASKED, CLIENT_FIN, model(answer(b"x" * 5000)), MODEL_FIN), {OK: 1}),
    "half-closed within the body, then answered": Scene(
        (HALF_SENT, CLIENT_FIN, model(answer(b"cut", "400 Bad Request")), MODEL_FIN), {("400", "4xx"): 1}
    ),
    "half-closed within a chunk, then answered": Scene(
        (IN_CHUNK, CLIENT_FIN, model(answer(b"cut", "400 Bad Request")), MODEL_FIN), {("400", "4xx"): 1}
    ),
    "half-closed, then answered until the end": Scene(
        (ASKED, CLIENT_FIN, model(b"HTTP/1.1 200 OK\r\n\r\n"), model(b"some"), MODEL_FIN), {OK: 1}
    ),
    "half-closed, then reset by the model": Scene((ASKED, CLIENT_FIN, MODEL_RESET), ABORT),
    "the model half-closes behind its answer, the body goes on": Scene(
        (HALF_SENT, model(answer()), MODEL_FIN, client(b"x" * 30), client(b"x" * 30), CLIENT_FIN), {OK: 1}
    ),
    "the model half-closes behind its answer, the client resets": Scene(
        (HALF_SENT, model(answer()), MODEL_FIN, CLIENT_RESET), {OK: 1}
    ),
    "the client half-closes behind an unfinished head": Scene(
        (client(b"GET /a HTTP/1.1\r\nHo", held=True), CLIENT_FIN, model(answer(b"", "400 Bad Request")), MODEL_FIN),
        {}, "opaque", "unsolicited_response", Refusal(1, 400, {}, "malformed_head"),
    ),
    "the client resets behind an unfinished head": Scene(
        (client(get("/a", ID)), model(answer()), client(b"GET /b HTTP/1.1\r\nHo", held=True), CLIENT_RESET), {OK: 1}
    ),
    "the model half-closes before a word, the client speaks": Scene(
        (MODEL_FIN, client(b"hello", held=True), client(b" again", held=True), CLIENT_FIN),
        {},
        "http1",
        refusal=Refusal(3, 0, {}, "malformed_head", end="fin"),
    ),
}  # fmt: skip
