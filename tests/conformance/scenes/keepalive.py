"""Which requests follow one another on a connection, in both versions, one by one and pipelined."""

from tests.conformance.steps import CLIENT_FIN, MODEL_FIN, Refusal, Scene, client, model
from tests.proxy.clients import answer, chunked, get, request

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"
OLD = b"GET /a HTTP/1.0\r\nx-request-id: 7\r\n\r\n"
OLD_KEEP = b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\nx-request-id: 7\r\n\r\n"
OLD_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"
OLD_ANSWER_KEEP = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
LAST = answer(b"last", "200 OK", "Connection: close")
DEEP = b"".join(get(f"/{n}", ID) for n in range(65))
OK = ("200", "")

SCENES = {
    "three requests": Scene(
        tuple(step for n in range(3) for step in (client(get(f"/{n}", ID)), model(answer(b"%d" % n)))),
        {OK: 3},
    ),
    "three requests without an id": Scene(
        tuple(step for n in range(3) for step in (client(get(f"/{n}")), model(answer(b"%d" % n)))), {OK: 3}
    ),
    "http/1.0 ends with its answer": Scene(
        (client(OLD), model(b"HTTP/1.0 200 OK\r\n\r\nbody"), MODEL_FIN, CLIENT_FIN), {OK: 1}
    ),
    "http/1.0 asks to stay": Scene(
        (client(OLD_KEEP), model(OLD_ANSWER_KEEP)) * 2 + (client(OLD), model(OLD_ANSWER), MODEL_FIN), {OK: 3}
    ),
    "http/1.0 asks to stay and the model does not": Scene(
        (client(OLD_KEEP), model(OLD_ANSWER), MODEL_FIN), {OK: 1}
    ),
    "http/1.0 is answered by http/1.1": Scene((client(OLD), model(LAST), MODEL_FIN), {OK: 1}),
    "http/1.0 is answered by http/1.1 that stays open": Scene(
        (client(OLD), model(answer(b"hi")), CLIENT_FIN, MODEL_FIN), {OK: 1}
    ),
    "http/1.1 is answered by http/1.0 that stays": Scene(
        (client(get("/a", ID)), model(OLD_ANSWER_KEEP), client(get("/b", ID)), model(answer())), {OK: 2}
    ),
    "http/1.1 is answered by http/1.0 that ends": Scene(
        (client(get("/a", ID)), model(OLD_ANSWER), MODEL_FIN), {OK: 1}
    ),
    "the client says close": Scene(
        (client(get("/a", ID, "Connection: close")), model(LAST), MODEL_FIN, CLIENT_FIN), {OK: 1}
    ),
    "the client says close among other options": Scene(
        (client(get("/a", ID, "Connection: x-mine, CLOSE")), model(answer()), CLIENT_FIN, MODEL_FIN), {OK: 1}
    ),
    "the client says keep-alive and the model closes": Scene(
        (client(get("/a", ID, "Connection: keep-alive")), model(LAST), MODEL_FIN), {OK: 1}
    ),
    "connection fields stay": Scene(
        (
            client(get("/a", ID, "Connection: x-mine, Keep-Alive", "x-mine: 1", "Keep-Alive: 5")),
            model(answer(b"", "200 OK", "Connection: x-hop", "x-hop: 1", "Keep-Alive: timeout=5")),
        ),
        {OK: 1},
    ),
    "the model leaves an idle connection": Scene(
        (client(get("/a", ID)), model(answer()), MODEL_FIN, CLIENT_FIN), {OK: 1}
    ),
    "the client leaves an idle connection": Scene(
        (client(get("/a", ID)), model(answer()), CLIENT_FIN, MODEL_FIN), {OK: 1}
    ),
    "an answer without length ends it": Scene(
        (client(get("/a", ID)), model(b"HTTP/1.1 200 OK\r\n\r\n"), model(b"x" * 500), MODEL_FIN), {OK: 1}
    ),
    "empty lines between requests": Scene(
        (client(get("/a", ID)), model(answer()), client(b"\r\n", held=True))
        + (client(get("/b", ID)), model(answer())),
        {OK: 2},
    ),
    "pipelined, answered one by one": Scene(
        (client(b"".join(get(f"/{n}", ID) for n in range(5))), *(model(answer(b"%d" % n)) for n in range(5))),
        {OK: 5},
    ),
    "pipelined without ids, answered at once": Scene(
        (
            client(b"".join(get(f"/{n}") for n in range(5))),
            model(b"".join(answer(b"%d" % n) for n in range(5))),
        ),
        {OK: 5},
    ),
    "pipelined, all framings, cut within heads and bodies": Scene(
        (
            client(request(INFER, b"one", ID) + get("/b", ID)[:9], held=True),
            client(get("/b", ID)[9:] + request(INFER, b"x" * 90, ID)[:-40]),
            model(answer(b"1") + answer(b"2")[:11]),
            client(b"x" * 40 + request(INFER, b"", ID, "Transfer-Encoding: chunked") + b"3\r\nab"),
            model(answer(b"2")[11:]),
            model(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"three"])),
            client(b"c\r\n0\r\n\r\n"),
            model(answer(b"4")),
        ),
        {OK: 4},
    ),
    "sixty-four deep": Scene(
        (
            client(b"".join(get(f"/{n}", ID) for n in range(64))),
            model(b"".join(answer(b"%d" % n) for n in range(64))),
            client(get("/next", ID)),
            model(answer()),
        ),
        {OK: 65},
    ),
    "sixty-four deep, again and again": Scene(
        (
            client(b"".join(request(f"/{n}", b"x" * n, ID) for n in range(64))),
            *(
                step
                for n in range(20)
                for step in (model(answer(b"y" * n)), client(request(f"/more/{n}", b"z", ID)))
            ),
            model(answer() * 64),
        ),
        {OK: 84},
    ),
    "sixty-five deep": Scene(
        (client(DEEP), client(get("/more", ID)), model(answer() * 66)),
        {("none", ""): 65},
        "opaque",
        "pipeline_too_deep",
        Refusal(1, 400, {OK: 65}, "pipeline_too_deep", (model(answer() * 65),)),
    ),
    "pipelined behind an answer that ends the connection": Scene(
        (client(get("/a", ID) * 3), model(b"HTTP/1.1 200 OK\r\n\r\nthe rest"), MODEL_FIN, CLIENT_FIN),
        {OK: 1, ("none", "reset"): 2},
    ),
    "pipelined behind an answer that says close": Scene(
        (client(get("/a", ID) * 3), model(LAST), MODEL_FIN, CLIENT_FIN), {OK: 1, ("none", "reset"): 2}
    ),
    "pipelined, then half-closed": Scene(
        (client(get("/a", ID) * 3), CLIENT_FIN, model(answer() * 3), MODEL_FIN), {OK: 3}
    ),
    "a request behind the last one": Scene(
        (client(get("/a", ID, "Connection: close")), client(get("/b", ID)), model(answer()), model(answer())),
        {("none", ""): 1},
        "opaque",
        "after_close",
        Refusal(1, 400, {OK: 1}, "after_close", (model(answer()),)),
    ),
    "a request behind the last answer": Scene(
        (client(get("/a", ID, "Connection: close")), model(answer()), client(get("/b", ID)), model(answer())),
        {OK: 1},
        "opaque",
        "after_close",
        Refusal(2, 400, {OK: 1}, "after_close"),
    ),
    "an answer behind the last one": Scene(
        (client(get("/a", ID) * 2), model(LAST), model(answer()), MODEL_FIN),
        {OK: 1, ("none", ""): 1},
        "opaque",
        "after_close",
        Refusal(2, 0, {OK: 1, ("none", "rejected"): 1}, "after_close"),
    ),
}  # fmt: skip
