"""Bytes: what either side says arrives at the other unchanged, however it is framed and cut."""

import asyncio
import hashlib
import random

import pytest

from tests.proxy.clients import Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import echo, ok, saying, serving, silent

ID = "x-request-id: 7"  # with it, nothing is to be edited
JSON = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1.5]}]}'
TRAILERS = b"checksum: 1\r\nx-other:\r\n"
PIECES = [b"one", b"t" * 3000, b"\r\n0\r\n\r\n"]

# name -> request, what the model says to it, whether it then closes, code
EXCHANGES: dict[str, tuple[bytes, bytes, bool, str]] = {
    "length": (request("/v2/models/iris/infer", JSON, ID), answer(b"x" * 5000), False, "200"),
    "chunked request": (
        request("/v2/models/iris/infer", b"", ID, "Transfer-Encoding: chunked") + chunked(PIECES, TRAILERS),
        answer(b"{}"), False, "200"),
    "chunked answer": (
        get("/a", ID), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: checksum\r\n\r\n"
        + chunked(PIECES, TRAILERS), False, "200"),
    "chunk extensions": (
        request("/a", b"", ID, "Transfer-Encoding: chunked") + b'5;a="b"\r\nhello\r\n0;last\r\n\r\n',
        answer(b""), False, "200"),
    "ends with the connection": (get("/a", ID), b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 70000, True, "200"),
    "http/1.0": (b"GET /a HTTP/1.0\r\nx-request-id: 7\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nbody", True, "200"),
    "http/1.0 keep-alive": (
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\nx-request-id: 7\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", False, "200"),
    "no host": (b"GET /a HTTP/1.1\r\nx-request-id: 7\r\n\r\n", answer(), False, "200"),
    "absolute form": (get("http://model:80/v2/health/live", ID), answer(), False, "200"),
    "empty line before": (b"\r\n" + get("/a", ID), answer(), False, "200"),
    "head": (request("/a", b"", ID, method="HEAD"),
             b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n", False, "200"),
    "204": (get("/a", ID), b"HTTP/1.1 204 No Content\r\n\r\n", False, "204"),
    "304": (get("/a", ID), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, "304"),
    "205": (get("/a", ID), b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", False, "205"),
    "length 0 stays": (request("/a", b"", ID, "Content-Length: 0"), answer(b""), False, "200"),
    "no body stays without coding": (request("/a", b"", ID), answer(b""), False, "200"),
    "interim answers": (
        get("/a", ID), b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + answer(b"final"), False, "200"),
    "unusual method and status": (request("/a", b"", ID, method="FOO"), answer(b"", "299 Odd"), False, "299"),
    "utf-8 in the target": (get("/\xc3\xa9?q=\xff", ID), answer(), False, "200"),
    "connection fields stay": (
        get("/a", ID, "Connection: keep-alive, x-mine", "x-mine: 1", "Keep-Alive: timeout=5"),
        answer(b"", "200 OK", "Connection: keep-alive"), False, "200"),
}  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 7, 1000])
@pytest.mark.parametrize("name", EXCHANGES)
async def test_exchange_arrives_as_it_was_sent(lab: Lab, name: str, cut: int) -> None:
    """Every framing passes unchanged both ways, whole or cut anywhere, and is counted once with its exact sizes."""
    sent, said, closes, code = EXCHANGES[name]
    if cut:
        pieces = tuple(said[at : at + cut] for at in range(0, min(len(said), 300 * cut), cut))
        said = b"".join(pieces)
        closes = closes or said != EXCHANGES[name][1]

    async def model(peer: Peer) -> None:
        await peer.read_bytes(len(sent))
        if cut:
            await peer.send_pieces(said, cut)
        else:
            await peer.send(said)
        if closes:
            peer.fin()
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await (client.send_pieces(sent, cut) if cut else client.send(sent))
    got = await client.read_bytes(len(said))
    assert hashlib.sha256(got).digest() == hashlib.sha256(said).digest()
    if said == EXCHANGES[name][1]:
        if closes:
            assert (await client.receive(), client.over) == (b"", "fin")
        await lab.finished(1)
        assert lab.outcomes() == {(code, ""): 1}
        assert lab.total("request_size") == (1, len(sent))
        assert lab.total("response_size") == (1, len(said))
        assert lab.desyncs() == {}
        assert not closes or client.over == "fin"
    client.close()
    await lab.idle()
    assert lab.model.requests == sent
    assert lab.connections() == {"http1": (1, len(sent), len(got))}


@pytest.mark.parametrize("seed", range(6))
async def test_pipelined_requests_cut_anywhere(lab: Lab, seed: int) -> None:
    """Several requests in one read, or cut at random, reach the model in order and are paired with their answers."""
    random.seed(seed)
    requests = [
        random.choice(
            [
                get(f"/a/{number}", ID),
                request(f"/b/{number}", b"x" * random.choice([1, 40, 3000]), ID),
                request(f"/c/{number}", b"", ID, "Transfer-Encoding: chunked") + chunked([b"ab", b"c" * 200]),
                request(f"/d/{number}", b"", ID, method="HEAD"),
            ]
        )
        for number in range(30)
    ]
    whole = b"".join(requests)
    await lab.start(serving(ok))
    client = await lab.client()
    at = 0
    while at < len(whole):
        size = random.choice([1, 50, 500, 5000]) if seed else len(whole)
        await client.send(whole[at : at + size])
        at += size
        await asyncio.sleep(0)
    for sent in requests:
        message = await client.read_message(bodiless=sent.startswith(b"HEAD"))
        assert message.status == 200
        body = sent.partition(b"\r\n\r\n")[2]
        assert message.body == (b"" if sent.startswith(b"HEAD") else body or b"{}")
    await lab.finished(30)
    assert lab.outcomes() == {("200", ""): 30}
    assert lab.total("request_size") == (30, len(whole))
    client.close()
    await lab.idle()
    assert lab.model.requests == whole


async def test_expect_100_continue(lab: Lab) -> None:
    """A head that expects 100 goes out at once, the 100 comes back, then the body; one exchange."""
    head = request("/v2/models/iris/infer", b"", ID, "Expect: 100-continue", "Content-Length: 5")

    async def model(peer: Peer) -> None:
        assert await peer.read_to(b"\r\n\r\n") == head
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.read_bytes(5) == b"hello"
        await peer.send(answer(b"done"))
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(head)
    assert await client.read_to(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"hello")
    assert (await client.read_message()).body == b"done"
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.total("response_size")[1] == len(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"done"))


async def test_flood_of_interim_answers(lab: Lab) -> None:
    """Ten thousand 1xx answers pass and count as one exchange."""
    flood = b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000
    await lab.start(saying(flood, answer(b"final"), then="stay"))
    client = await lab.client()
    await client.send(get("/a", ID))
    assert await client.read_bytes(len(flood)) == flood
    assert (await client.read_message()).body == b"final"
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}


async def test_full_duplex(lab: Lab) -> None:
    """An answer may stream while the request's body still does, each piece on its own."""

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            piece = await peer.read_bytes(8)
            await peer.send(piece)
        await peer.read_bytes(5)
        await peer.send(b"0\r\n\r\n")
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(request("/v2/models/iris/infer", b"", ID, "Transfer-Encoding: chunked"))
    await client.read_to(b"\r\n\r\n")
    for number in range(50):
        piece = b"3\r\n%03d\r\n" % number
        await client.send(piece)
        assert await client.read_bytes(8) == piece
    await client.send(b"0\r\n\r\n")
    assert await client.read_bytes(5) == b"0\r\n\r\n"
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}
    # It began before the request ended.
    assert lab.total("time_to_first_byte") == (0, 0)


async def test_upgrade_becomes_an_opaque_relay(lab: Lab) -> None:
    """After 101 raw bytes pass both ways; the exchange is counted, the connection is `upgraded`, not a desync."""
    frames = bytes(range(256)) * 40

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + frames[:100])
        await echo(peer)

    await lab.start(model)
    client = await lab.client()
    await client.send(get("/ws", ID, "Connection: Upgrade", "Upgrade: websocket"))
    assert (await client.read_message()).status == 101
    assert await client.read_bytes(100) == frames[:100]
    for piece in (frames, b"GET / HTTP/1.1\r\n\r\n", frames):
        await client.send(piece)
        assert await client.read_bytes(len(piece)) == piece
    client.fin()
    await client.read_all()
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("101", ""): 1}
    assert lab.connections() == {"upgraded": (1, client.sent, len(client.received))}
    assert lab.desyncs() == {}


@pytest.mark.parametrize("status", ["200 Connection established", "405 Method Not Allowed"])
async def test_connect(lab: Lab, status: str) -> None:
    """A 2xx to CONNECT opens a tunnel; a refusal does not, and the next request is followed."""
    tunnel = status.startswith("2")

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(
            b"HTTP/1.1 " + status.encode() + b"\r\n" + (b"" if tunnel else b"Content-Length: 0\r\n") + b"\r\n"
        )
        await (echo(peer) if tunnel else serving(ok)(peer))

    await lab.start(model)
    client = await lab.client()
    await client.send(request("other:443", b"", ID, method="CONNECT"))
    await client.read_to(b"\r\n\r\n")
    if tunnel:
        await client.send(b"\x16\x03\x01raw")
        assert await client.read_bytes(6) == b"\x16\x03\x01raw"
    else:
        await client.send(get("/a", ID))
        assert (await client.read_message()).status == 200
    client.close()
    await lab.idle()
    assert lab.outcomes() == ({("200", ""): 1} if tunnel else {("405", "4xx"): 1, ("200", ""): 1})
    assert list(lab.connections()) == ["upgraded" if tunnel else "http1"]
    assert lab.desyncs() == {}


FIRST_BYTES = {
    "h2c": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "tls": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
}


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("protocol", FIRST_BYTES)
async def test_other_protocols_are_recognised(lab: Lab, protocol: str, cut: int) -> None:
    """An HTTP/2 preface or a ClientHello, whole or byte by byte, is relayed and labelled, and is no desync."""
    await lab.start(echo)
    client = await lab.client()
    data = FIRST_BYTES[protocol] + bytes(range(256)) * 100
    await (client.send_pieces(data[:400], cut) if cut else client.send(data[:400]))
    await client.send(data[400:])
    assert await client.read_bytes(len(data)) == data
    client.fin()
    assert (await client.read_all(), client.over) == (b"", "fin")
    client.close()
    await lab.idle()
    assert lab.connections() == {protocol: (1, len(data), len(data))}
    assert lab.desyncs() == {}
    assert lab.rows() == []


async def test_server_that_speaks_first(lab: Lab) -> None:
    """A greeting reaches the client before it said a word; from then on nothing is interpreted."""

    async def model(peer: Peer) -> None:
        await peer.send(b"220 hello\r\n")
        await echo(peer)

    await lab.start(model)
    client = await lab.client()
    assert await client.read_to(b"\r\n") == b"220 hello\r\n"
    await client.send(get("/a"))
    assert await client.read_bytes(len(get("/a"))) == get("/a")
    client.close()
    await lab.idle()
    assert lab.connections() == {"opaque": (1, len(get("/a")), 11 + len(get("/a")))}
    assert lab.rows() == []


UNCERTAIN = {
    "malformed_head": b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    "bare_lf": b"GET / HTTP/1.1\nHost: a\n\n",
    "length_and_coding": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length_repeated": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "length_invalid": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
    "coding_unknown": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding_in_http10": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk_malformed": b"POST / HTTP/1.1\r\nx-request-id: 7\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "trailer_framing": b"POST / HTTP/1.1\r\nx-request-id: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    b"Content-Length: 5\r\n\r\n",
    "head_too_large": b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    "after_close": b"GET / HTTP/1.1\r\nx-request-id: 7\r\nConnection: close\r\n\r\n" * 2,
}  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("reason", UNCERTAIN)
async def test_uncertain_framing_goes_on_unobserved(lab: Lab, reason: str, cut: int) -> None:
    """What cannot be followed with certainty goes out as it came, is counted once, and nothing after it is paired."""
    await lab.start(echo)
    client = await lab.client()
    first = get("/first", ID)
    sent = UNCERTAIN[reason] + get("/later")
    if cut and len(sent) < 1000:
        await client.send_pieces(sent, 1)
    else:
        await client.send(sent)
    assert await client.read_bytes(len(sent)) == sent
    await client.send(first)
    assert await client.read_bytes(len(first)) == first
    client.close()
    await lab.idle()
    assert lab.model.requests == sent + first
    assert lab.reasons("desync_request").get(reason, 0) + lab.desyncs().get("malformed_head", 0) >= 1
    assert sum(lab.desyncs().values()) == 1
    assert all(row.code == "none" for row in lab.rows())
    assert list(lab.connections()) == ["opaque"]


async def test_uncertain_answer_goes_on_unobserved(lab: Lab) -> None:
    """An answer with two lengths is relayed, counted as lost sync, and the half head behind it is not lost."""
    odd = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await half_sent.wait()
        await peer.send(odd)
        await peer.read_message()
        await peer.send(answer(b"second"))
        await peer.read_all()

    half_sent = asyncio.Event()
    await lab.start(model)
    client = await lab.client()
    second = get("/b", ID)
    await client.send(get("/a", ID) + second[:20])
    half_sent.set()
    assert await client.read_bytes(len(odd)) == odd
    await client.send(second[20:])
    assert (await client.read_message()).body == b"second"
    client.close()
    await lab.idle()
    assert lab.model.requests == get("/a", ID) + second
    assert lab.desyncs() == {"length_repeated": 1}
    assert lab.outcomes() == {("none", ""): 1}


async def test_more_pipelined_than_is_followed(lab: Lab) -> None:
    """Beyond 64 unanswered requests the connection goes on unobserved, and not a byte of the rest is lost."""
    whole = b"".join(get(f"/a/{number}", ID) for number in range(100))
    await lab.start(silent)
    client = await lab.client()
    await client.send(whole)
    await lab.until(lambda: len(lab.model.requests) == len(whole))
    client.close()
    await lab.idle()
    assert lab.model.requests == whole
    assert lab.desyncs() == {"pipeline_too_deep": 1}


@pytest.mark.parametrize("begun", [b"P", b"GET / HT", b"\r\n", get("/a", ID) + b"GET /b HT"])
async def test_beginning_of_a_head_before_fin(lab: Lab, begun: bytes) -> None:
    """The beginning of a head that will never be whole reaches the model before the FIN does."""
    await lab.start(silent)
    client = await lab.client()
    await client.send(begun)
    client.fin()
    await lab.until(lambda: lab.model.peers and lab.model.peers[0].over == "fin")
    assert lab.model.requests == begun


async def test_beginning_of_a_head_before_an_unasked_answer(lab: Lab) -> None:
    """A 408 in the middle of a head reaches the client, and the held beginning goes to the model."""
    early = answer(b"", "408 Request Timeout", "Connection: close")

    async def model(peer: Peer) -> None:
        await lab.until(lambda: any(pair.tap is not None and pair.tap.holding for pair in lab.plane.pairs))
        await peer.send(early)
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(b"GET / HTTP/1.1\r\nHo")
    assert await client.read_bytes(len(early)) == early
    await client.send(b"st: a\r\n\r\n")
    await lab.until(lambda: lab.model.requests == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert lab.desyncs() == {"unsolicited_response": 1}
