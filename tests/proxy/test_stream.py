"""Answers that are streams of events: marks, head and tail of long ones, ends of all kinds, no token delayed."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.proxy.plane import Plane
from exporter.proxy.stream import EXACT_MARKS, MAX_MARKS, StreamCapture, is_event_stream
from exporter.records.exchange import Exchange
from exporter.wire.sse import events
from tests.proxy.clients import Peer, chunked, request
from tests.proxy.lab import Lab
from tests.proxy.planes import Alone
from tests.proxy.upstreams import saying

ID = "x-request-id: 7"
CHAT = "/v1/chat/completions"
ASKED = b'{"model":"llama","stream":true,"messages":[]}'
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"out of memory"}}\n\n'


def token(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def room(each: int) -> Plane:
    """A plane that keeps so many bytes of a body."""
    return Alone(capture_bytes=each, capture_total=1 << 30).plane


def taken(pieces: list[bytes], plane: Plane) -> StreamCapture:
    capture = StreamCapture(True)
    for elapsed, piece in enumerate(pieces):
        capture.follow(b"?" + piece + b"?", 1, 1 + len(piece), elapsed, plane)
    return capture


async def streamed(lab: Lab, *pieces: bytes, then: str = "stay", **settings: Any) -> Exchange:
    """What the analysis gets of an answer that the model writes piece by piece."""
    seen: list[bytes] = []

    async def model(peer: Peer) -> None:
        await peer.read_message()
        for piece in pieces:
            await peer.send(piece)
        if then == "reset":
            await lab.until(lambda: seen)
            peer.reset()
        elif then == "stay":
            await peer.read_all()

    await lab.start(model, **settings)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID))
    expected = sum(map(len, pieces))
    seen.append(await client.read_bytes(expected))
    assert seen == [b"".join(pieces)]
    if then == "stay":
        await lab.finished(1)
        client.close()
    (exchange,) = await lab.received(1)
    return exchange


async def test_marks_of_a_stream(lab: Lab) -> None:
    """Each read that completes events has a mark: where the last one ends, and when; every event is counted."""
    tokens = [token(str(number)) for number in range(5)]
    pieces = [HEAD, *map(chunk, tokens), chunk(DONE), b"0\r\n\r\n"]
    exchange = await streamed(lab, *pieces)
    body = b"".join(tokens) + DONE
    stream = exchange.stream
    assert stream is not None
    assert exchange.response_body == body
    assert (exchange.response_captured, exchange.error_type) == (True, "")
    assert (stream.events, stream.gap_size) == (6, 0)
    ends = [event.end for event in events(body)]
    assert set(stream.ends) <= set(ends)
    assert stream.ends[-1] == len(body)
    assert len(stream.ends) == len(stream.times)
    assert stream.times == sorted(stream.times)
    assert 0 < stream.times[0] <= stream.times[-1] <= exchange.duration
    assert {(row.model_name, row.operation, row.protocol) for row in lab.rows()} == {
        ("llama", "chat", "openai")
    }


async def test_no_token_is_delayed(lab: Lab) -> None:
    """The model writes a token only after the client has the last one: each is passed on by itself."""
    count = 50
    turns = []

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(HEAD)
        for number in range(count):
            await lab.until(lambda number=number: len(turns) >= number)  # type: ignore[misc]
            half = chunk(token(str(number)))
            await peer.send(half[:20])
            await peer.send(half[20:])
        await peer.send(chunk(DONE) + b"0\r\n\r\n")
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID))
    await client.read_bytes(len(HEAD))
    for number in range(count):
        whole = chunk(token(str(number)))
        assert await client.read_bytes(len(whole)) == whole
        turns.append(number)
    client.close()
    (exchange,) = await lab.received(1)
    assert exchange.stream is not None
    assert exchange.stream.events >= count
    assert len(exchange.stream.ends) >= count, "each token has a time of its own"


@pytest.mark.parametrize(("then", "error"), [("reset", "incomplete"), ("fin", "incomplete")])
async def test_stream_that_breaks_off(lab: Lab, then: str, error: str) -> None:
    """What came is handed over, marked as not whole."""
    tokens = [token("a"), token("b")]
    exchange = await streamed(lab, HEAD, *map(chunk, tokens), then=then)
    assert exchange.error_type == error
    assert not exchange.response_captured
    assert exchange.response_body == b"".join(tokens)
    assert exchange.stream is not None
    assert exchange.stream.events == 2


async def test_client_that_leaves_a_stream(lab: Lab) -> None:
    """An abort is told as such, with what had come until then."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(HEAD + chunk(token("a")))
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(CHAT, ASKED, ID))
    await client.read_bytes(len(HEAD + chunk(token("a"))))
    client.reset()
    (exchange,) = await lab.received(1)
    assert exchange.error_type == "abort"
    assert not exchange.response_captured
    assert exchange.response_body == token("a")


FAILURES = {
    "at its end": (token("a") + ERROR + DONE, "stream_error"),
    "at once": (ERROR, "stream_error"),
    "flat": (token("a") + b'data: {"object":"error","message":"no"}\n\n', "stream_error"),
    "without a space": (b'data:{"error":"Request failed","error_type":"generation"}\n\n', "stream_error"),
    "of the responses API": (b'event: error\ndata: {"type":"error"}\n\n', "stream_error"),
    "a failed response": (b"event: response.failed\r\ndata: {}\r\n\r\n", "stream_error"),
    "only spoken of": (token('data: {\\"error\\":{') + DONE, ""),
    "none": (b'data: {"error":null,"choices":[]}\n\n' + DONE, ""),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_error_after_200(lab: Lab, name: str) -> None:
    """A server that fails within a stream is counted as its error, though it said 200."""
    body, error = FAILURES[name]
    exchange = await streamed(lab, HEAD + chunk(body) + b"0\r\n\r\n")
    assert exchange.error_type == error
    assert lab.outcomes() == {("200", error): 1}


async def test_long_stream_keeps_head_and_tail(lab: Lab) -> None:
    """Over `capture_bytes` whole events leave the middle; all are counted, and what is lost is counted in bytes."""
    tokens = [token(str(number) * 20) for number in range(200)]
    body = b"".join(tokens) + DONE
    exchange = await streamed(lab, HEAD, *map(chunk, tokens), chunk(DONE) + b"0\r\n\r\n", capture_bytes=2000)
    stream = exchange.stream
    assert stream is not None
    kept = exchange.response_body
    assert 0 < len(kept) <= 2000
    assert not exchange.response_captured
    assert (
        kept[: stream.gap_at] + body[stream.gap_at : stream.gap_at + stream.gap_size] + kept[stream.gap_at :]
        == body
    )
    assert stream.gap_at > 0
    assert kept.endswith(DONE)
    assert stream.events == 201
    assert exchange.error_type == ""
    assert lab.reasons("captures") == {"stream_middle": 1}
    assert lab.reasons("capture_bytes") == {"stream_middle": stream.gap_size}


OTHERS = {
    "another media type": HEAD.replace(b"text/event-stream", b"application/x-ndjson"),
    "a coding": HEAD.replace(b"\r\nTransfer", b"\r\nContent-Encoding: gzip\r\nTransfer"),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_what_is_not_followed(lab: Lab, name: str) -> None:
    """Other bodies are kept whole or not at all, as ever."""
    exchange = await streamed(lab, OTHERS[name], chunk(token("a")) + b"0\r\n\r\n")
    assert (exchange.stream, exchange.response_captured) == (None, True)
    assert exchange.response_body == token("a")


async def test_stream_in_one_read(lab: Lab) -> None:
    """A stream with a length that comes at once has a mark too."""
    body = token("a") + DONE
    head = b"HTTP/1.1 200 OK\r\ncontent-type:text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    exchange = await streamed(lab, head + body)
    assert exchange.stream is not None
    assert (exchange.stream.ends, exchange.stream.events) == ([len(body)], 2)


async def test_bound_of_all_captures(lab: Lab) -> None:
    """Where all captures together have no room a stream is not kept, and counted."""
    exchange = await streamed(
        lab, HEAD, chunk(token("a" * 400)), chunk(DONE) + b"0\r\n\r\n", capture_total=300
    )
    assert (exchange.stream, exchange.response_captured, exchange.response_body) == (None, False, b"")
    assert lab.reasons("captures") == {"capture_full": 1}


@pytest.mark.parametrize(
    ("field", "is_one"),
    [
        (b"Content-Type: text/event-stream", True),
        (b"content-type:TEXT/EVENT-STREAM ;charset=utf-8", True),
        (b"content-type: text/event-stream\r\ncontent-encoding: identity", True),
        (b"content-type: text/event-stream\r\nContent-Encoding: br", False),
        (b"content-type: text/event-streams", False),
        (b"x-content-type: text/event-stream", False),
        (b"content-type: application/json", False),
    ],
)
def test_heads(field: bytes, is_one: bool) -> None:
    """The media type decides, and that nothing is coded."""
    assert is_event_stream(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n") is is_one


@given(
    sizes=st.lists(st.integers(0, 120), max_size=60),
    cut=st.integers(1, 300),
    plane=st.sampled_from([room(40), room(200), room(1000), room(100_000)]),
)
def test_what_is_kept_of_any_stream(sizes: list[int], cut: int, plane: Plane) -> None:
    """Head and tail within the bound, a gap from the end of an event to the end of another, or to the last byte."""
    body = (
        b"".join(b"data: " + bytes([97 + n % 26]) * size + b"\n\n" for n, size in enumerate(sizes))
        + b"data: x"
    )
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
    capture = taken(pieces, plane)
    told, kept = capture.told(), capture.body()
    assert len(kept) <= max(plane.capture_bytes, cut + 14) + cut
    assert plane.captured == len(kept)
    assert told.events == len(sizes)
    gap, size = told.gap_at, told.gap_size
    assert kept[:gap] + body[gap : gap + size] + kept[gap:] == body
    ends = {0, len(body), *(event.end for event in events(body))}
    if size:
        assert {gap, gap + size} <= ends
    assert set(told.ends) <= ends
    capture.free(plane)
    assert plane.captured == 0


def test_marks_are_bounded() -> None:
    """Of very many marks those in the middle are thinned; the first and the last are exact, and all in order."""
    one, count = token("a"), 3 * MAX_MARKS
    capture = taken([one] * count, room(1 << 29))
    told = capture.told()
    assert 2 * EXACT_MARKS < len(told.ends) == len(told.times) < MAX_MARKS
    assert told.times[:EXACT_MARKS] == list(range(EXACT_MARKS))
    assert told.times[-EXACT_MARKS:] == list(range(count - EXACT_MARKS, count))
    assert told.times == sorted(told.times)
    assert told.ends == [len(one) * (time + 1) for time in told.times]
    assert told.events == count


def test_long_streams_cost_their_length() -> None:
    """A stream many times the bound is cut seldom: bytes are moved a few times each."""
    dice = random.Random(3)
    pieces = [b"data: " + b"x" * dice.randint(0, 300) + b"\n\n" for _ in range(20_000)]
    capture = taken(pieces, room(4096))
    assert len(capture.body()) <= 4096 + 400
    assert capture.gap_size == sum(map(len, pieces)) - len(capture.body())


async def test_names_are_labels_once_confirmed(lab: Lab) -> None:
    """The model that a body names is shown after a 2xx; whatever else bodies hold is no label."""
    answers = [
        (b'{"model":"ghost"}', b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        (b'{"model":"llama"}', b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        (b'{"model":"llama"}', b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        (b'{"model":7}', b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        (b'{"model":"%s"}' % (b"n" * 300), b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        (b"[" * 5000, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        (b'{"model":"big","x":"%s"}' % (b"n" * 65536), b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    ]

    async def model(peer: Peer) -> None:
        for _, said in answers:
            await peer.read_message()
            await peer.send(said)
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    for asked, _ in answers:
        await client.send(request(CHAT, asked, ID))
        await client.read_message()
    client.close()
    await lab.finished(len(answers))
    assert {(row.model_name, row.code): row.count for row in lab.rows()} == {
        ("unknown", "404"): 1,
        ("llama", "200"): 1,
        ("llama", "500"): 1,
        ("unknown", "200"): 4,
    }
    names = [exchange.model_name for exchange in await lab.received(len(answers))]
    assert names == ["unknown", "llama", "llama", *["unknown"] * 4]


async def test_the_owners_name_wins_over_the_body(lab: Lab) -> None:
    """A configured name is every exchange's."""
    await lab.start(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), model_name="prod")
    await lab.ask(request(CHAT, ASKED, ID))
    await lab.finished(1)
    assert {row.model_name for row in lab.rows()} == {"prod"}


async def test_name_in_a_chunked_request(lab: Lab) -> None:
    """A body that comes in pieces names the model as well."""
    sent = request(CHAT, b"", ID, "Transfer-Encoding: chunked") + chunked([ASKED[:9], ASKED[9:]])
    await lab.start(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    await lab.ask(sent)
    await lab.finished(1)
    assert {row.model_name for row in lab.rows()} == {"llama"}
