"""Asking for the usage of a stream in the client's place: the model is asked, the client sees nothing of it."""

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.proxy import hidden, usage
from exporter.proxy.asked import is_usage, with_usage
from exporter.proxy.hidden import Hidden
from exporter.wire.sse import events
from tests.proxy.clients import Peer, chunked, request
from tests.proxy.lab import Lab
from tests.proxy.planes import Alone
from tests.wire.follow import cuts

ID = "x-request-id: 7"
CHAT = "/v1/chat/completions"
ASKED = b'{"model":"llama","stream":true,"messages":[]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
OPTION = b'"stream_options":{"include_usage":true}'


def token(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}],"usage":null}\n\n' % text.encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


TOKENS = [token("a"), token("b")]
BODY = b"".join(TOKENS)
ALONE = Alone()


def passed(pieces: list[bytes], end: bool = False) -> tuple[bytes, dict[str, int]]:
    """What the client gets of an answer, and what is counted."""
    before, hiding = ALONE.counts("usage"), Hidden(ALONE.plane)
    out = b"".join([hiding.feed(piece) for piece in pieces])
    if end and not hiding.over:
        out += hiding.end()
    after = ALONE.counts("usage")
    return out, {
        word: after[word] - before.get(word, 0) for word in after if after[word] > before.get(word, 0)
    }


def unchunked(raw: bytes) -> bytes:
    """The body of a chunked answer, whose coding must be whole."""
    body, rest = b"", raw.partition(b"\r\n\r\n")[2]
    while True:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        body, ending, rest = body + rest[:count], rest[count : count + 2], rest[count + 2 :]
        assert ending == b"\r\n"
        if not count:
            assert rest == b""
            return body


# ---------------------------------------------------------------- the request


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        (ASKED, True),
        (b' \n{ "stream" : true }', True),
        (b'{"stream":true,"stream_options":null}', False),
        (b'{"stream":true,"stream_options":{}}', False),
        (b'{"stream":true,"stream_opti\\u006fns":{"include_usage":false}}', False),
        (b'{"stream":false}', False),
        (b'{"stream":1}', False),
        (b'{"model":"m"}', False),
        (b'{"stream":true', False),
        (b'[{"stream":true}]', False),
        (b"\xff", False),
        (b"", False),
        (b'{"a":' * 30_000, False),
    ],
)
def test_which_bodies_ask(body: bytes, asks: bool) -> None:
    """A stream that says nothing of options gets one more field, and stays the same otherwise."""
    found = with_usage(body)
    assert bool(found) is asks
    if asks:
        assert json.loads(found) == json.loads(body) | {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (USAGE[6:], True),
        (b'{"choices":[],"usage":null}', False),
        (b'{"choices":[]}', False),
        (b'{"choices":[{}],"usage":{}}', False),
        (b'{"usage":{"prompt_tokens":1}}', False),
        (b'{"choices":[],"usage":7}', False),
        (b"[DONE]", False),
        (b'"usage"', False),
    ],
)
def test_which_chunk_is_hidden(data: bytes, is_one: bool) -> None:
    """Only the extra one: usage, and an empty list of choices."""
    assert is_usage(data) is is_one


async def through(
    lab: Lab, sent: list[bytes], said: list[bytes], got: int, **settings: Any
) -> tuple[bytes, bytes]:
    """What the model was sent, and what the client got."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        for piece in said:
            await peer.send(piece)
        await peer.read_all()

    await lab.start(model, **{"include_usage": True, **settings})
    client = await lab.client()
    for piece in sent:
        await client.send(piece)
        await lab.until(lambda: True)
    # Reads that come together are one chunk: then only the end is known.
    received = await (client.read_bytes(got) if got else client.read_to(b"0\r\n\r\n"))
    await lab.finished(1)
    client.close()
    return lab.model.requests, received


async def test_the_model_is_asked_and_the_client_sees_nothing_of_it(lab: Lab) -> None:
    """The request asks with a length that fits, the stream comes without the extra chunk, the analysis gets it."""
    said = [HEAD, *map(chunk, TOKENS), chunk(USAGE), chunk(DONE), b"0\r\n\r\n"]
    asked, got = await through(lab, [request(CHAT, ASKED, ID)], said, 0)
    body = asked.partition(b"\r\n\r\n")[2]
    assert json.loads(body) == json.loads(ASKED) | {"stream_options": {"include_usage": True}}
    length = re.search(rb"(?i)content-length: (\d+)", asked)
    assert length is not None
    assert int(length[1]) == len(body)
    assert unchunked(got) == BODY + DONE
    (exchange,) = await lab.received(1)
    assert exchange.response_body == BODY + USAGE + DONE
    assert OPTION in exchange.request_body
    assert lab.reasons("usage") == {"asked": 1, "hidden": 1}
    assert lab.outcomes() == {("200", ""): 1}


async def test_body_that_comes_behind_its_head(lab: Lab) -> None:
    """As most clients send them: head and body in writes of their own."""
    sent = request(CHAT, ASKED, ID)
    at = sent.index(b"\r\n\r\n") + 4
    said = [HEAD + chunk(BODY + USAGE + DONE) + b"0\r\n\r\n"]
    expected = HEAD + chunk(BODY + DONE) + b"0\r\n\r\n"

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(said[0])
        await peer.read_all()

    await lab.start(model, include_usage=True)
    client = await lab.client()
    await client.send(sent[:at])
    await lab.until(lambda: any(pair._asker and pair._asker.holding for pair in lab.plane.pairs))
    assert lab.model.requests == b""
    await client.send(sent[at : at + 5])
    await client.send(sent[at + 5 :])
    assert await client.read_bytes(len(expected)) == expected
    client.close()
    await lab.finished(1)
    assert OPTION in lab.model.requests
    assert lab.reasons("usage") == {"asked": 1, "hidden": 1}


LEAVING = {"fin": "fin", "reset": "reset", "late": ""}


@pytest.mark.parametrize("how", LEAVING)
async def test_body_that_does_not_become_whole(lab: Lab, how: str) -> None:
    """What was held goes on as it came: after a moment, or when its client ends."""
    sent = request(CHAT, b"", ID, "Content-Length: 100") + ASKED

    async def model(peer: Peer) -> None:
        await peer.read_all()

    await lab.start(model, include_usage=True)
    client = await lab.client()
    await client.send(sent)
    await lab.until(lambda: any(pair._asker and pair._asker.holding for pair in lab.plane.pairs))
    (pair,) = lab.plane.pairs
    if how == "fin":
        client.fin()
    elif how == "reset":
        client.reset()
    else:
        pair._asker._late()  # as if the moment were over
    await lab.until(lambda: lab.model.requests == sent)
    client.close()
    await lab.idle()
    assert lab.reasons("usage") == {"not_whole": 1}
    assert lab.outcomes() == {("none", "abort"): 1}


AS_THEY_CAME = {
    "own options": (b'{"stream":true,"stream_options":{"include_usage":false}}', CHAT, ()),
    "no stream": (b'{"model":"m"}', CHAT, ()),
    "embeddings": (ASKED, "/v1/embeddings", ()),
    "responses": (ASKED, "/v1/responses", ()),
    "another dialect": (ASKED, "/v2/models/m/generate_stream", ()),
    "expects": (ASKED, CHAT, ("Expect: 100-continue",)),
    "a digest": (ASKED, CHAT, ("Content-Digest: sha-256=:x:",)),
    "a signature": (ASKED, CHAT, ("Authorization: AWS4-HMAC-SHA256 Credential=x",)),
    "a coding": (ASKED, CHAT, ("Content-Encoding: gzip",)),
    "large": (b'{"stream":true,"x":"%s"}' % (b"x" * 65536), CHAT, ()),
}


@pytest.mark.parametrize("name", AS_THEY_CAME)
async def test_requests_that_stay_as_they_came(lab: Lab, name: str) -> None:
    """Byte for byte, and so do their answers."""
    body, path, lines = AS_THEY_CAME[name]
    sent = request(path, body, ID, *lines)
    answer = HEAD + chunk(BODY + USAGE + DONE) + b"0\r\n\r\n"
    asked, got = await through(lab, [sent], [answer], len(answer))
    assert asked == sent
    assert got == answer
    assert lab.reasons("usage").keys() <= {"untouchable"}


@pytest.mark.parametrize("changes", [{"include_usage": False}, {"mode": "observe"}])
async def test_only_by_the_owners_wish(lab: Lab, changes: dict[str, Any]) -> None:
    """Off by default, and never where nothing may change."""
    answer = HEAD + chunk(BODY + USAGE + DONE) + b"0\r\n\r\n"
    sent = request(CHAT, ASKED, ID)
    assert await through(lab, [sent], [answer], len(answer), **changes) == (sent, answer)


async def test_pipelined_requests(lab: Lab) -> None:
    """The first is asked, the next ones go as they came, and each answer is its own."""
    answers = [HEAD + chunk(BODY + USAGE + DONE) + b"0\r\n\r\n", HEAD + chunk(USAGE) + b"0\r\n\r\n"]
    expected = HEAD + chunk(BODY + DONE) + b"0\r\n\r\n" + answers[1]

    async def model(peer: Peer) -> None:
        for _ in answers:
            await peer.read_message()
        await peer.send(b"".join(answers))
        await peer.read_all()

    await lab.start(model, include_usage=True)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID) + request(CHAT, ASKED, ID))
    assert await client.read_bytes(len(expected)) == expected
    client.close()
    await lab.finished(2)
    assert lab.reasons("usage") == {"asked": 1, "hidden": 1}
    assert lab.model.requests.count(OPTION) == 1


async def test_one_connection_many_streams(lab: Lab) -> None:
    """Kept alive, every exchange is asked for anew."""
    answer = HEAD + chunk(BODY) + chunk(USAGE + DONE) + b"0\r\n\r\n"
    expected = HEAD + chunk(BODY + DONE) + b"0\r\n\r\n"

    async def model(peer: Peer) -> None:
        while (await peer.read_message()).head:
            await peer.send(answer)

    await lab.start(model, include_usage=True)
    client = await lab.client()
    for _ in range(5):
        await client.send(request(CHAT, ASKED, ID))
        head = await client.read_to(b"\r\n\r\n")
        body = await client.read_to(b"0\r\n\r\n")
        assert unchunked(head + body) == unchunked(expected)
    client.close()
    await lab.finished(5)
    assert lab.reasons("usage") == {"asked": 5, "hidden": 5}


async def test_a_server_that_refuses_the_option(lab: Lab) -> None:
    """Nothing is asked of it for a while, unless it took the option before."""
    refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"

    async def model(peer: Peer) -> None:
        while (await peer.read_message()).head:
            await peer.send(refusal)

    await lab.start(model, include_usage=True)
    for _ in range(3):
        assert (await lab.ask(request(CHAT, ASKED, ID))).status == 400
    assert lab.model.requests.count(OPTION) == 1
    assert lab.reasons("usage") == {"asked": 1, "rejected": 1}
    lab.plane.usage_proven, lab.plane.usage_off_until = True, 0
    for _ in range(2):
        await lab.ask(request(CHAT, ASKED, ID))
    assert lab.model.requests.count(OPTION) == 3


async def test_no_token_is_delayed(lab: Lab) -> None:
    """The model writes the next token only once the client has the last one; comments come through likewise."""
    turns: list[int] = []
    pieces = [token("a"), b": ping\n\n", token("b").replace(b"\n\n", b"\r\n\r\n"), b":\r\n\r\n", token("c")]

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(HEAD)
        for number, piece in enumerate(pieces):
            await lab.until(lambda number=number: len(turns) >= number)  # type: ignore[misc]
            await peer.send(chunk(piece))
        await lab.until(lambda: len(turns) == len(pieces))
        await peer.send(chunk(USAGE + DONE) + b"0\r\n\r\n")
        await peer.read_all()

    await lab.start(model, include_usage=True)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID))
    await client.read_bytes(len(HEAD))
    for number, piece in enumerate(pieces):
        assert await client.read_bytes(len(chunk(piece))) == chunk(piece)
        turns.append(number)
    rest = chunk(DONE) + b"0\r\n\r\n"
    assert await client.read_bytes(len(rest)) == rest
    client.close()
    await lab.finished(1)


async def test_model_that_breaks_off(lab: Lab) -> None:
    """What came reaches the client, the part of an event too; the end is the model's."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(HEAD + chunk(BODY + b"data: {"))

    await lab.start(model, include_usage=True)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID))
    got = await client.read_all()
    assert got == HEAD + chunk(BODY) + chunk(b"data: {")
    await lab.finished(1)
    assert lab.outcomes() == {("200", "incomplete"): 1}


@pytest.mark.replaces
async def test_a_defect_leaves_the_bytes_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails in asking or hiding is logged and counted, and the exchange goes on."""

    def broken(*_: object) -> bytes:
        raise RuntimeError("defect")

    answer = HEAD + chunk(BODY + USAGE + DONE) + b"0\r\n\r\n"
    monkeypatch.setattr(hidden.Hidden, "feed", broken)
    _, got = await through(lab, [request(CHAT, ASKED, ID)], [answer], len(answer))
    assert got == answer
    assert lab.reasons("usage") == {"asked": 1, "given_up": 1}
    monkeypatch.setattr(usage, "with_usage", broken)
    sent = request(CHAT, ASKED, ID)
    client = await lab.client()
    await client.send(sent)
    await lab.until(lambda: lab.model.requests.endswith(sent))
    client.close()


# ---------------------------------------------------------------- the answer


ANSWERS = {
    "chunked": (HEAD, True),
    "until the end": (HEAD.replace(b"Transfer-Encoding: chunked\r\n", b""), True),
    "behind a hint": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD, True),
    "coded": (HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), False),
    "with trailers": (HEAD.replace(b"\r\n\r\n", b"\r\nTrailer: x\r\n\r\n"), False),
    "no stream": (HEAD.replace(b"text/event-stream", b"application/json"), False),
    "an error": (HEAD.replace(b"200 OK", b"500 Oops"), False),
}
LINE_ENDS = {"LF": b"\n", "CR LF": b"\r\n", "CR": b"\r"}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_answers_in_any_cuts(name: str, line_end: str) -> None:
    """However the model's bytes are cut the client's stream lacks the usage, and nothing else."""
    head, hides = ANSWERS[name]
    parts = [
        token("a"),
        b": ping\n\n",
        token("b"),
        b"event: x\ndata: y\n\n",
        USAGE,
        DONE,
        b"data: unfinished",
    ]
    parts = [part.replace(b"\n", LINE_ENDS[line_end]) for part in parts]
    body = b"".join(parts)
    is_chunked = b"chunked" in head
    raw = head + (chunked([body[:50], body[50:90], body[90:]]) if is_chunked else body)
    for way, pieces in cuts(raw, seed=5, times=8):
        got, counts = passed(pieces, end=True)
        if not hides:
            assert got == raw, way
            continue
        start = head.rindex(b"HTTP/1.1")
        assert got.startswith(head)
        told = unchunked(got[start:]) if is_chunked else got[len(head) :]
        assert told == body.replace(parts[4], b"", 1), way
        assert counts == {"hidden": 1}


PIECES = st.sampled_from(
    [token("a"), USAGE, DONE, b": c\n\n", b"\n", b"data: ", b"x", b"\r\n", b'"usage"', b"event: e\n"]
)


@given(pieces=st.lists(PIECES, max_size=8), cut=st.integers(1, 40), seed=st.integers(0, 9))
def test_any_body(pieces: list[bytes], cut: int, seed: int) -> None:
    """Of any bytes in a stream only whole chunks of usage are left out."""
    body = b"".join(pieces)
    sizes = random.Random(seed)
    parts, at = [], 0
    while at < len(body):
        size = sizes.randint(1, 30)
        parts.append(body[at : at + size])
        at += size
    raw = HEAD + chunked(parts)
    got, counts = passed([raw[at : at + cut] for at in range(0, len(raw), cut)])
    extra = [event for event in events(body) if is_usage(event.data)]
    told = [(event.kind, event.data) for event in events(unchunked(got))]
    assert told == [
        (event.kind, event.data) for event in events(body) if event.end not in {one.end for one in extra}
    ]
    assert counts == ({"hidden": len(extra)} if extra else {})
    if not extra:
        assert unchunked(got) == body


@given(
    raw=st.lists(
        st.sampled_from([HEAD, chunk(BODY), b"0\r\n\r\n", b"zz\r\n", b"x", b"HTTP/1.1 "]), max_size=6
    ).map(b"".join)
)
def test_any_answer(raw: bytes) -> None:
    """Bytes that are no certain framing come through behind those that were."""
    for _, pieces in cuts(raw, seed=1):
        got, _ = passed(pieces, end=True)
        assert got.startswith(HEAD) or not raw.startswith(HEAD) or raw == HEAD[: len(raw)]
        assert len(got) <= 2 * len(raw) + 16


def test_an_event_that_is_too_large() -> None:
    """Nothing of it is kept back, and from then on nothing at all."""
    body = b"data: " + b"x" * hidden.MAX_EVENT + b"y" * 100
    got, counts = passed([HEAD, chunk(body), chunk(b"\n\n" + USAGE), b"0\r\n\r\n"])
    assert unchunked(got) == body + b"\n\n" + USAGE
    assert counts == {"given_up": 1}
