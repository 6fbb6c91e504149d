"""Accounting: each exchange once, with the right code and error type, whatever happens to it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from exporter.proxy import tap
from tests.proxy.clients import Message, Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import deaf, ok, saying, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"
BODY = b'{"inputs":[]}'
HEAD_ONLY = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# what the model says, how it ends, the code and error type that are counted, how the client's connection ends
FAULTS: dict[str, tuple[tuple[bytes, ...], str, str, str, str]] = {
    "closes before the answer": ((), "fin", "none", "reset", "fin"),
    "resets before the answer": ((), "reset", "none", "reset", "reset"),
    "closes within the head": ((b"HTTP/1.1 200 O",), "fin", "none", "reset", "fin"),
    "resets within the head": ((b"HTTP/1.1 200 O",), "reset", "none", "reset", "reset"),
    "closes after 100": ((b"HTTP/1.1 100 Continue\r\n\r\n",), "fin", "none", "reset", "fin"),
    "closes within a counted body": ((HEAD_ONLY + b"x" * 40,), "fin", "200", "incomplete", "fin"),
    "resets within a counted body": ((HEAD_ONLY + b"x" * 40,), "reset", "200", "incomplete", "reset"),
    "closes within a chunk": ((CHUNKED_HEAD + b"a\r\nhell",), "fin", "200", "incomplete", "fin"),
    "resets within a chunk": ((CHUNKED_HEAD + b"a\r\nhell",), "reset", "200", "incomplete", "reset"),
    "resets between chunks": ((CHUNKED_HEAD + b"5\r\nhello\r\n",), "reset", "200", "incomplete", "reset"),
    "closes before the last chunk": ((CHUNKED_HEAD, b"5\r\nhello\r\n"), "fin", "200", "incomplete", "fin"),
    "resets a body that ends with the connection": (
        (b"HTTP/1.1 200 OK\r\n\r\nsome",), "reset", "200", "incomplete", "reset"),
    "closes after the last byte": ((answer(),), "fin", "200", "", "fin"),
    "resets after the last byte": ((answer(),), "reset", "200", "", "reset"),
    "4xx": ((answer(b"", "404 Not Found"),), "fin", "404", "4xx", "fin"),
    "5xx": ((answer(b"", "500 Oops"),), "fin", "500", "5xx", "fin"),
    "5xx cut": ((b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n",), "reset", "500", "incomplete", "reset"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_the_model(lab: Lab, name: str) -> None:
    """What the model did is counted by phase; the client sees exactly its bytes, and FIN for FIN, RST for RST."""
    pieces, then, code, error, over = FAULTS[name]
    await lab.start(saying(*pieces, then=then))
    client = await lab.client()
    await client.send(request(INFER, BODY, ID))
    got = await client.read_all()
    assert b"".join(pieces).startswith(got)
    if then != "reset":
        assert got == b"".join(pieces)
    assert client.over == over
    # Counted when the model's side ended, not when the client noticed.
    await lab.finished(1)
    assert lab.outcomes() == {(code, error): 1}
    assert lab.in_flight() == 0
    client.close()
    await lab.idle()
    assert lab.outcomes() == {(code, error): 1}
    assert lab.model.requests == request(INFER, BODY, ID)


ABORTS: dict[str, tuple[tuple[bytes, ...], str, str]] = {
    "while computing": ((), "none", "abort"),
    "after 100": ((b"HTTP/1.1 100 Continue\r\n\r\n",), "none", "abort"),
    "while streaming": ((CHUNKED_HEAD, b"5\r\nhello\r\n"), "200", "abort"),
}


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("name", ABORTS)
async def test_client_aborts(lab: Lab, name: str, how: str) -> None:
    """A client that goes away is an abort, its own fault, also where the model then closes without an answer."""
    pieces, code, error = ABORTS[name]

    async def model(peer: Peer) -> None:
        await peer.read_message()
        for piece in pieces:
            await peer.send(piece)
        # As uvicorn does: it closes once the client sends no more.
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request(INFER, BODY, ID))
    await client.read_bytes(sum(map(len, pieces)))
    await lab.until(lambda: lab.model.requests == request(INFER, BODY, ID))
    if how == "reset":
        client.reset()
    else:
        client.close()
    await lab.idle()
    assert lab.outcomes() == {(code, error): 1}
    assert lab.model.peers[0].over == ("reset" if how == "reset" else "fin")


async def test_client_aborts_within_its_body(lab: Lab) -> None:
    """A request that never was whole is an abort; the model gets what came, then the reset."""
    await lab.start(silent)
    client = await lab.client()
    sent = request(INFER, b"", ID, "Content-Length: 100") + b"x" * 40
    await client.send(sent)
    await lab.until(lambda: lab.model.requests == sent)
    client.reset()
    await lab.idle()
    assert lab.outcomes() == {("none", "abort"): 1}
    assert lab.model.peers[0].over == "reset"
    (exchange,) = await lab.received(1)
    assert (exchange.request_captured, exchange.request_body) == (False, b"")
    assert exchange.request_size == len(sent)


async def test_upstream_refuses(lab: Lab) -> None:
    """Nobody listens: 503 within about the connect timeout, counted as refused; HEAD gets no body."""
    await lab.start(None, connect_timeout=0.1)
    began = lab.loop.time()
    message = await lab.ask(request(INFER, BODY, ID))
    assert lab.loop.time() - began < 5
    assert message.status == 503
    assert b"\r\nRetry-After: " in message.head
    assert b"\r\nConnection: close\r\n" in message.head
    assert b"cannot be reached" in message.body
    client = await lab.client()
    await client.send(request(INFER, b"", ID, method="HEAD"))
    assert (await client.read_all()).endswith(b"\r\n\r\n")
    await lab.finished(2)
    assert lab.outcomes() == {("503", "refused"): 2}
    assert [row.model_name for row in lab.rows()] == ["unknown", "unknown"][: len(lab.rows())]
    client.close()
    await lab.idle()
    count, received, sent = lab.connections()["http1"]
    assert (count, received) == (2, client.sent + len(request(INFER, BODY, ID)))
    assert sent == len(message.head + message.body) + len(client.received)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\nbare\n\n", *[b"\x16\x03\x01\x00\x05"], b"x" * 100_000])
async def test_upstream_refuses_what_is_no_request(lab: Lab, data: bytes) -> None:
    """What cannot get a 503 gets what a closed port gives: a reset."""
    await lab.start(None, connect_timeout=0.05)
    client = await lab.client()
    await client.send(data)
    assert await client.read_all() == b""
    assert client.over == "reset"
    assert lab.rows() == []


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"P"])
async def test_upstream_refuses_and_the_client_half_closes(lab: Lab, begun: bytes) -> None:
    """A client that sent no whole request and half-closed does not hang for want of a model."""
    await lab.start(None, connect_timeout=0.05)
    client = await lab.client()
    if begun:
        await client.send(begun)
    client.fin()
    await client.read_all()
    assert client.over in ("fin", "reset")


async def test_upstream_refuses_a_large_upload(lab: Lab) -> None:
    """A client that is still sending is read on for a while, so that it gets to its 503."""
    await lab.start(None, connect_timeout=0.05)
    client = await lab.client()
    body = b"x" * 700_000
    await client.send(request(INFER, body, ID))
    assert (await client.read_message()).status == 503
    assert lab.outcomes() == {("503", "refused"): 1}


async def test_head_in_pieces_while_the_upstream_refuses(lab: Lab) -> None:
    """The 503 comes once the head is whole, however late."""
    await lab.start(None, connect_timeout=0.03)
    client = await lab.client()
    await client.send(request(INFER, b"", ID)[:30])
    await lab.until(lambda: all(pair._down for pair in lab.plane.pairs))
    await client.send_pieces(request(INFER, b"", ID)[30:], 5)
    assert (await client.read_message()).status == 503
    assert lab.outcomes() == {("503", "refused"): 1}


@pytest.mark.parametrize("size", [100_000, 5_000_000])
async def test_early_answer_then_close(lab: Lab, size: int) -> None:
    """A model that refuses a body before reading it and closes: its answer arrives whole, and counts as it is."""
    said = answer(b"too large" * 100, "413 Content Too Large", "Connection: close")

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await peer.send(said)
        peer.close()

    await lab.start(model)
    client = await lab.client()
    with suppress(ConnectionError):
        await client.send(request(INFER, b"x" * size, ID))
    assert await client.read_all() == said
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("413", "4xx"): 1}
    # The larger one was still being sent; the smaller one was on its way as a whole.
    assert lab.total("time_to_first_byte")[0] == (1 if size == 100_000 else 0)


async def test_early_answer_while_the_body_goes_on(lab: Lab) -> None:
    """Answered before its body was whole, the exchange is counted when the body is, with its full size."""
    sent = request(INFER, b"", ID, "Content-Length: 50")

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await peer.send(answer(b"early"))
        await peer.read_bytes(50)
        await serving(ok)(peer)

    await lab.start(model)
    client = await lab.client()
    await client.send(sent)
    assert (await client.read_message()).body == b"early"
    await client.send(b"x" * 49)
    assert lab.rows() == []
    await client.send(b"x" + get("/a", ID))
    await client.read_message()
    await lab.finished(2)
    assert lab.outcomes() == {("200", ""): 2}
    assert lab.total("request_size") == (2, len(sent) + 50 + len(get("/a", ID)))
    assert lab.total("time_to_first_byte")[0] == 1


async def test_answer_before_the_request(lab: Lab) -> None:
    """Bytes of the model between two requests belong to none: lost sync, relayed all the same."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(answer(b"1"))
        await go.wait()
        await peer.send(answer(b"unasked"))
        await serving(ok)(peer)

    go = asyncio.Event()
    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID))
    assert (await client.read_message()).body == b"1"
    go.set()
    assert (await client.read_message()).body == b"unasked"
    await client.send(get("/b", ID))
    assert (await client.read_message()).body == b"{}"
    client.close()
    await lab.idle()
    assert lab.desyncs() == {"unsolicited_response": 1}
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.connections() == {"opaque": (1, client.sent, len(client.received))}


async def test_pipelined_requests_when_the_model_ends(lab: Lab) -> None:
    """Of three requests the first is answered, the second cut, the third never begun: each counted as it was."""
    await lab.start(saying(answer() + HEAD_ONLY + b"x", then="fin"))
    client = await lab.client()
    await client.send(get("/a", ID) * 3)
    await client.read_all()
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 1, ("200", "incomplete"): 1, ("none", "reset"): 1}


async def test_request_after_the_model_closed(lab: Lab) -> None:
    """A request that meets a closed keep-alive connection is a reset, as it would be without us."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(answer())

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/a", ID))
    await client.read_message()
    assert await client.receive() == b""
    await client.send(get("/a", ID))
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 1, ("none", "reset"): 1}


async def test_times_run_as_they_should(lab: Lab) -> None:
    """Duration runs to the last byte, time to first byte from the last request byte; both are counted once."""

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(CHUNKED_HEAD)
        await begun.wait()
        await peer.send(chunked([b"late"]))
        await peer.read_all()

    begun = asyncio.Event()
    await lab.start(model)
    client = await lab.client()
    await client.send(request(INFER, BODY, ID))
    await client.read_to(b"\r\n\r\n")
    begun.set()
    assert await client.read_to(b"0\r\n\r\n") == chunked([b"late"])
    await lab.finished(1)
    (count, duration), (counted, first) = lab.total("duration"), lab.total("time_to_first_byte")
    assert count == counted == 1
    assert 0 < first < duration
    assert lab.total("queue_wait") == (0, 0)
    assert lab.total("client_wait") == (1, 0)


async def test_in_flight_is_seen(lab: Lab) -> None:
    """While the model works, its exchanges are in flight under what their heads tell."""
    await lab.start(deaf)
    clients = [await lab.client() for _ in range(3)]
    for client in clients:
        await client.send(request(INFER, BODY, ID))
    await lab.until(lambda: lab.in_flight() == 3)
    assert lab.reader.scalar("connections_open") == 3
    for client in clients:
        client.reset()


# ---------------------------------------------------------------- a tap that fails


class Broken(Exception):
    """What a follower must never raise."""


Breaking = Callable[[Any, str, int], Callable[[], int]]


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Breaking:
    """(owner, name, after): that callable raises from its call number `after` on; what comes back ends it and says
    how often a failure was logged."""

    def install(owner: Any, name: str, after: int) -> Callable[[], int]:
        original, calls = getattr(owner, name), 0

        def replacement(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                raise Broken
            return original(*arguments)

        monkeypatch.setattr(owner, name, replacement)
        return finish

    def finish() -> int:
        monkeypatch.undo()
        return len([record for record in caplog.records if "the tap failed" in record.message])

    caplog.set_level(logging.ERROR)
    return install


WHOLE, PARTS = "whole", "parts"  # messages that come in one read each, or in several
PLACES = [
    *[(WHOLE, tap.RequestFollower, "whole", after) for after in (0, 1, 2)],
    *[(WHOLE, tap.ResponseFollower, "whole", after) for after in (0, 1, 2)],
    *[
        (WHOLE, tap.Tap, "_labelled", 1),
        (WHOLE, tap.Tap, "_response_end", 1),
    ],
    *[(WHOLE, tap, "edit", 0), (WHOLE, tap, "Live", 0), (WHOLE, tap.Live, "_offer", 0)],
    *[(PARTS, tap.RequestFollower, "feed_message", after) for after in (0, 1, 2)],
    *[(PARTS, tap.ResponseFollower, "feed_message", after) for after in (0, 1, 2)],
    *[
        (PARTS, tap.RequestFollower, "feed", 0),
        (PARTS, tap.Tap, "_account", 0),
        (PARTS, tap.Tap, "_account", 1),
    ],
    *[(PARTS, tap.Tap, "_begin", 0), (PARTS, tap.Tap, "_begin", 1), (PARTS, tap.Tap, "_response_head", 0)],
    *[(PARTS, tap.Tap, "_response_end", 0), (PARTS, tap.Live, "_count", 0), (PARTS, tap.Live, "_offer", 1)],
    *[
        (PARTS, tap, "edit", 0),
        (PARTS, tap, "edit", 1),
        (PARTS, tap, "Live", 0),
        (PARTS, tap.Tap, "_labelled", 0),
    ],
]


def _in_chunks(message: Message) -> bytes:
    return CHUNKED_HEAD + chunked([message.body])


@pytest.mark.replaces
@pytest.mark.parametrize(("coming", "owner", "name", "after"), PLACES)
async def test_failing_tap_loses_no_byte(
    lab: Lab, breaking: Breaking, coming: str, owner: Any, name: str, after: int
) -> None:
    """Wherever the tap raises, all bytes arrive in order; it is counted, logged once, and nothing pairs after."""
    whole = [request(INFER, b"%d" % number * 50, ID) for number in range(4)]
    await lab.start(serving(ok if coming == WHOLE else _in_chunks))
    client = await lab.client()
    failed = breaking(owner, name, after)
    for number, sent in enumerate(whole):
        if coming == PARTS:
            await client.send(sent[:100])
            # The first part is read on its own before the second one comes.
            came = sum(map(len, whole[:number])) + 100
            await lab.until(lambda came=came: sum(pair._received for pair in lab.plane.pairs) >= came)
        await client.send(sent[100:] if coming == PARTS else sent)
        body = b"%d" % number * 50
        assert (await client.read_message()).body == (body if coming == WHOLE else chunked([body]))
    logged = failed()
    client.close()
    await lab.until(lambda: not lab.plane.pairs)
    assert lab.model.requests == b"".join(whole)
    assert lab.desyncs() == {"follower_failed": 1}
    assert logged == 1
    assert list(lab.connections()) == ["opaque"]


@pytest.mark.replaces
async def test_failure_while_a_connection_ends(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap that fails at the very end still lets the connection end, on both sides."""
    await lab.start(silent)
    client = await lab.client()
    await client.send(request(INFER, BODY, ID))
    await lab.until(lambda: lab.model.requests)

    def failing(*_: Any) -> None:
        raise Broken

    monkeypatch.setattr(tap.Live, "_count", failing)
    client.reset()
    await lab.idle()
    await lab.until(lambda: lab.model.peers[0].over == "reset")
    assert lab.desyncs() == {"follower_failed": 1}


async def test_ledger_of_many_mixed_exchanges(lab: Lab) -> None:
    """Requests sent = finished by outcome, exactly, over many connections at once."""
    statuses = {f"/s/{code}": code for code in (200, 201, 404, 429, 500, 503)}

    async def model(peer: Peer) -> None:
        while (message := await peer.read_message()).head.endswith(b"\r\n\r\n"):
            target = message.head.split(b" ")[1].decode()
            if target == "/reset":
                return peer.reset()
            await peer.send(answer(b"x", f"{statuses[target]} Some"))
        return None

    await lab.start(model)

    async def one(number: int) -> None:
        client = await lab.client()
        for target in statuses:
            await client.send(get(target, ID))
            await client.read_message()
        if number % 3 == 0:
            await client.send(get("/reset", ID))
            await client.read_all()
        client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(one(number))
    await lab.idle()
    expected = {
        (str(code), "" if code < 400 else "4xx" if code < 500 else "5xx"): 30 for code in statuses.values()
    }
    assert lab.outcomes() == {**expected, ("none", "reset"): 10}
