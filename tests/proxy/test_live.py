"""What an exchange keeps and hands over: bodies within their bounds, whole or not at all, and exact figures."""

import random
import time

import pytest

from exporter.proxy.capture import Capture
from exporter.proxy.plane import Plane
from exporter.records.exchange import Exchange
from exporter.records.messages import Sampling
from tests.proxy.clients import Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, saying, serving

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"


async def test_exchange_as_the_analysis_gets_it(lab: Lab) -> None:
    """Heads as they came, bodies without their coding, times, sizes, labels, peer."""
    sent = request(INFER, b"", ID, "Transfer-Encoding: chunked") + chunked([b'{"a":', b"1}"], b"t: 1\r\n")
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"[", b"2", b"]"])
    await lab.start(saying(b"HTTP/1.1 103 Early Hints\r\n\r\n", said, then="stay"))
    await lab.ask(sent[:60] + sent[60:])
    (exchange,) = await lab.received(1)
    assert isinstance(exchange, Exchange)
    assert exchange.request_head == sent[: sent.index(b"\r\n\r\n") + 4]
    assert exchange.response_head == said[: said.index(b"\r\n\r\n") + 4]
    assert (exchange.request_body, exchange.response_body) == (b'{"a":1}', b"[2]")
    assert (exchange.request_captured, exchange.response_captured) == (True, True)
    assert (exchange.method, exchange.path, exchange.operation) == ("POST", INFER, "predict")
    assert (exchange.protocol, exchange.model_name) == ("open_inference_v2", "iris")
    assert (exchange.status, exchange.error_type, exchange.request_id) == (200, "", "7")
    assert exchange.request_size == len(sent)
    assert exchange.response_size == len(said) + len(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert 0 < exchange.time_to_first_byte <= exchange.duration
    assert 0 <= time.time_ns() - exchange.start < 60_000_000_000
    assert (exchange.peer, exchange.rate, exchange.trace) == ("127.0.0.1", 1.0, None)


@pytest.mark.parametrize("cut", [1, 3, 50])
async def test_body_that_drips_in(lab: Lab, cut: int) -> None:
    """A body in many pieces is kept whole."""
    body = random.Random(cut).randbytes(200 * cut)
    await lab.start(serving(ok))
    client = await lab.client()
    await client.send_pieces(request(INFER, body, ID), cut)
    assert (await client.read_message()).body == body
    (exchange,) = await lab.received(1)
    assert exchange.request_body == exchange.response_body == body


@pytest.mark.parametrize(("size", "kept"), [(1000, True), (1001, False)])
async def test_body_over_the_bound(lab: Lab, size: int, kept: bool) -> None:
    """A body over `capture_bytes` passes, is not kept, and is counted with its bytes."""
    await lab.start(serving(lambda message: answer(message.body)), capture_bytes=1000)
    assert (await lab.ask(request(INFER, b"x" * size, ID))).body == b"x" * size
    (exchange,) = await lab.received(1)
    assert exchange.request_captured is exchange.response_captured is kept
    assert len(exchange.request_body) == len(exchange.response_body) == (size if kept else 0)
    assert lab.reasons("captures") == ({} if kept else {"too_large": 2})
    assert lab.reasons("capture_bytes") == ({} if kept else {"too_large": 2 * size})
    assert lab.outcomes() == {("200", ""): 1}


async def test_bodies_over_the_bound_of_all(lab: Lab) -> None:
    """Bodies kept at one time are bounded together; what does not fit is counted, and the place is given back."""
    await lab.start(serving(ok), capture_total=1500)
    first, second = await lab.client(), await lab.client()
    await first.send(request(INFER, b"", ID, "Content-Length: 1001") + b"x" * 1000)
    await lab.until(lambda: lab.plane.captured == 1000)
    await second.send(request(INFER, b"y" * 1000, ID))
    assert (await second.read_message()).body == b"y" * 1000
    assert lab.reasons("captures") == {"capture_full": 2}
    await first.send(b"x")
    assert (await first.read_message()).status == 200
    await lab.finished(2)
    assert lab.plane.captured == 0
    assert (await lab.ask(request(INFER, b"z" * 700, ID))).body == b"z" * 700
    exchanges = await lab.received(3)
    assert exchanges[-1].response_captured


async def test_without_capture(lab: Lab) -> None:
    """`capture_bytes` 0 keeps and hands over nothing, and counts everything."""
    await lab.start(serving(ok), capture_bytes=0)
    await lab.ask(request(INFER, b"{}", ID))
    await lab.finished(1)
    assert lab.reader.scalar("offered") == 0
    assert lab.total("request_size")[0] == 1


async def test_side_operations_are_not_handed_over(lab: Lab) -> None:
    """Health, metadata and unknown paths are counted, and their bodies stay unread."""
    await lab.start(serving(ok))
    for target in ("/v2/health/ready", "/metrics", "/somewhere"):
        await lab.ask(get(target, ID))
    await lab.finished(3)
    assert lab.reader.scalar("offered") == 0


async def test_sampled_side_operation_gets_its_span(lab: Lab) -> None:
    """A traced exchange is handed over for its span, without bodies."""
    await lab.start(serving(ok), tracing=True, sampler="always_on")
    await lab.ask(get("/somewhere", ID))
    (exchange,) = await lab.received(1)
    assert exchange.trace is not None
    assert (exchange.request_captured, exchange.response_captured, exchange.response_body) == (
        False,
        False,
        b"",
    )


async def test_cut_answer_is_not_taken_for_whole(lab: Lab) -> None:
    """Of an incomplete answer no body is handed over."""
    await lab.start(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1]", then="fin"))
    client = await lab.client()
    await client.send(request(INFER, b"{}", ID))
    await client.read_all()
    client.close()
    (exchange,) = await lab.received(1)
    assert (exchange.error_type, exchange.status) == ("incomplete", 200)
    assert (exchange.request_captured, exchange.request_body) == (True, b"{}")
    assert (exchange.response_captured, exchange.response_body) == (False, b"")


async def test_thinned_exchanges_are_counted(lab: Lab) -> None:
    """What the analysis cannot afford is dropped for that reason; traffic counts stay exact."""
    await lab.start(serving(ok))
    lab.analysis.tell(Sampling(0.5))
    await lab.until(lambda: lab.plane.sender.rate == 0.5)
    client = await lab.client()
    for number in range(100):
        await client.send(request(INFER, b"{}", f"x-request-id: {number}"))
        await client.read_message()
    await lab.finished(100)
    dropped = lab.reasons("dropped")
    assert 20 < dropped["cpu_budget"] < 80
    assert len(await lab.received(100 - dropped["cpu_budget"])) == 100 - dropped["cpu_budget"]
    assert {exchange.rate for exchange in lab.analysis.exchanges} == {0.5}


async def test_without_an_analysis(lab: Lab) -> None:
    """A dead analysis changes nothing for traffic; what it missed is counted."""
    await lab.start(serving(ok))
    lab.plane.link.close()
    await lab.until(lambda: not lab.plane.sender.connected)
    assert (await lab.ask(request(INFER, b"{}", ID))).status == 200
    await lab.finished(1)
    assert lab.reasons("dropped") == {"analysis_down": 1}
    assert lab.outcomes() == {("200", ""): 1}


async def test_capture_of_a_body_in_single_bytes(lab: Lab) -> None:
    """A body that came byte by byte costs bytes, not objects, and gives all of them back."""

    async def model(peer: Peer) -> None:
        await peer.read_all()

    await lab.start(model)
    plane: Plane = lab.plane
    capture, body = Capture(True), bytes(range(256)) * 40
    for at in range(len(body)):
        capture.take(body, at, at + 1, plane)
    assert len(capture.chunks) <= 16
    assert capture.body() == body
    assert plane.captured == len(body)
    capture.free(plane)
    assert plane.captured == 0
    capture.take(b"late", 0, 4, plane)
    assert (plane.captured, capture.body()) == (0, b"")
