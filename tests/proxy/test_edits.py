"""Edits of request heads: trace context, `x-request-id`, and no `Upgrade: h2c`; nothing else."""

import re

import pytest

from exporter.proxy.edits import MAX_EDITED_HEAD, edit
from exporter.records.exchange import Trace
from exporter.wire.head import RequestHead
from tests.proxy.clients import Peer, answer, chunked, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, serving

ID = "x-request-id: 7"
SPAN, TRACE = "b7ad6b7169203331", "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-{SPAN}-01"
INFER = "/v2/models/iris/infer"


async def _heads(lab: Lab, *heads: bytes) -> list[bytes]:
    """What the model got for each of these requests, sent one after the other on one connection."""
    client = await lab.client()
    got = []
    for head in heads:
        before = len(lab.model.requests)
        await client.send(head)
        await client.read_message()
        got.append(lab.model.requests[before:])
    client.close()
    return got


async def test_sampled_parent_is_overwritten_in_place(lab: Lab) -> None:
    """Of a sampled traceparent the 16 digits of the parent change, and no other byte."""
    await lab.start(serving(ok), tracing=True)
    sent = request(INFER, b"{}", f"TraceParent:  {PARENT} ", "tracestate: a=b", ID)
    (got,) = await _heads(lab, sent)
    at = sent.index(SPAN.encode())
    assert len(got) == len(sent)
    assert got[:at] + got[at + 16 :] == sent[:at] + sent[at + 16 :]
    assert re.fullmatch(rb"[0-9a-f]{16}", got[at : at + 16])
    assert got != sent
    (exchange,) = await lab.received(1)
    assert exchange.trace == Trace(TRACE, got[at : at + 16].decode(), SPAN)
    assert exchange.request_head + b"{}" == sent
    assert lab.reasons("trace") == {"child": 1}


async def test_root_is_spliced_in_after_the_request_line(lab: Lab) -> None:
    """A sampled request without a context gets one line behind its request line."""
    await lab.start(serving(ok), tracing=True, sampler="always_on")
    sent = request(INFER, b"{}", ID)
    (got,) = await _heads(lab, sent)
    (exchange,) = await lab.received(1)
    assert exchange.trace is not None
    line = f"traceparent: 00-{exchange.trace.trace_id}-{exchange.trace.span_id}-01\r\n".encode()
    end = sent.index(b"\r\n") + 2
    assert got == sent[:end] + line + sent[end:]
    assert lab.reasons("trace") == {"root": 1}


UNTOUCHED = {
    "unsampled": [f"traceparent: 00-{TRACE}-{SPAN}-00"],
    "malformed": [f"traceparent: 00-{TRACE.upper()}-{SPAN}-01"],
    "repeated": [f"traceparent: {PARENT}", f"traceparent: {PARENT}"],
}


@pytest.mark.parametrize("outcome", UNTOUCHED)
async def test_other_contexts_stay(lab: Lab, outcome: str) -> None:
    """A context that is not sampled, malformed or repeated is left as it came, and counted."""
    await lab.start(serving(ok), tracing=True, sampler="parentbased_always_on")
    sent = request(INFER, b"{}", *UNTOUCHED[outcome], ID)
    assert await _heads(lab, sent) == [sent]
    assert lab.reasons("trace") == {outcome: 1}


@pytest.mark.parametrize(
    "value",
    [
        *("", "00", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01"),
        *(f"00-{TRACE}-{SPAN}-01-x", f"00-{TRACE}-{SPAN}-0", "\xff" * 55, "0" * 60_000),
    ],
)
async def test_malformed_contexts(lab: Lab, value: str) -> None:
    """What is no valid traceparent counts as malformed and passes as it came."""
    await lab.start(serving(ok), tracing=True, sampler="always_on")
    sent = request(INFER, b"{}", f"traceparent: {value}", ID)
    assert await _heads(lab, sent) == [sent]
    assert lab.reasons("trace") == {"malformed": 1}


async def test_tracing_off(lab: Lab) -> None:
    """Without a trace exporter no context is added, rewritten or counted."""
    await lab.start(serving(ok), sampler="always_on")
    sent = [request(INFER, b"{}", f"traceparent: {PARENT}", ID), request(INFER, b"{}", ID)]
    assert await _heads(lab, *sent) == sent
    assert lab.reasons("trace") == {}


async def test_root_spans_are_limited(lab: Lab) -> None:
    """No more root spans a second than the setting says; the rest is counted as limited."""
    await lab.start(serving(ok), tracing=True, sampler="always_on", root_spans_per_second=1)
    got = await _heads(lab, *[request(INFER, b"{}", ID)] * 8)
    counted = lab.reasons("trace")
    assert counted["root"] + counted["limited"] == 8
    assert sum(b"traceparent" in head for head in got) == counted["root"] <= 3


async def test_request_id_is_added_only_if_absent(lab: Lab) -> None:
    """A request without an id gets one line; one that has an id, even an empty one, stays as it came."""
    await lab.start(serving(ok))
    given = [request(INFER, b"{}", "X-Request-ID: mine"), request(INFER, b"{}", "x-request-id:")]
    bare = request(INFER, b"{}")
    *same, added = await _heads(lab, *given, bare)
    assert same == given
    end = bare.index(b"\r\n") + 2
    assert re.fullmatch(rb"x-request-id: [0-9a-f]{32}\r\n", added[end : len(added) - len(bare) + end])
    assert added[:end] + added[len(added) - len(bare) + end :] == bare
    exchanges = await lab.received(3)
    assert [each.request_id for each in exchanges[:2]] == ["mine", "-"]
    assert exchanges[2].request_id.encode() in added


async def test_added_ids_differ(lab: Lab) -> None:
    """Equal heads on one connection get ids of their own."""
    await lab.start(serving(ok))
    got = await _heads(lab, *[request(INFER, b"{}")] * 20)
    assert len(set(got)) == 20


H2C = {
    "alone": (
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
        [],
    ),
    "with keep-alive": (
        ["connection: keep-alive,Upgrade,http2-settings", "upgrade: H2C", "http2-settings: AA"],
        ["connection: keep-alive"],
    ),
    "in a list": (
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: websocket, h2c", "HTTP2-Settings: AA"],
        ["Connection: Upgrade", "Upgrade: websocket"],
    ),
    "in two lines": (
        ["Upgrade: h2c", "Connection: upgrade", "Upgrade: foo/2", "Connection: HTTP2-Settings"],
        ["Connection: upgrade", "Upgrade: foo/2"],
    ),
    "other lines keep their spaces": (
        ["Connection:close ", "Upgrade: h2c", "Connection:   te,  x"],
        ["Connection:close ", "Connection:   te,  x"],
    ),
    "another protocol that sounds alike": (
        ["Connection: Upgrade", "Upgrade: h2c-14", "HTTP2-Settings: AA"],
        ["Connection: Upgrade", "Upgrade: h2c-14", "HTTP2-Settings: AA"],
    ),
    "only settings": (["HTTP2-Settings: AA"], ["HTTP2-Settings: AA"]),
}


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("name", H2C)
async def test_h2c_is_removed(lab: Lab, name: str, coding: str) -> None:
    """h2c leaves Upgrade, with its settings and what named them; other tokens stay, and the body arrives."""
    before, after = H2C[name]

    def sent(lines: list[str]) -> bytes:
        if coding == "length":
            return request(INFER, b"hello", ID, *lines)
        return request(INFER, b"", ID, "Transfer-Encoding: chunked", *lines) + chunked([b"hello"])

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(answer())
        await peer.read_all()

    await lab.start(model)
    client = await lab.client()
    await client.send(sent(before))
    assert (await client.read_message()).status == 200
    client.close()
    await lab.finished(1)
    assert lab.model.requests == sent(after)
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.desyncs() == {}


async def test_context_is_overwritten_where_h2c_is_removed_too(lab: Lab) -> None:
    """Both edits on one head do not disturb each other's offsets."""
    await lab.start(serving(ok), tracing=True)
    lines = [
        "Upgrade: h2c",
        f"traceparent: {PARENT}",
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AA",
    ]
    (got,) = await _heads(lab, request(INFER, b"{}", *lines, ID))
    (exchange,) = await lab.received(1)
    assert exchange.trace is not None
    new = f"traceparent: 00-{TRACE}-{exchange.trace.span_id}-01"
    assert got == request(INFER, b"{}", new, ID)


@pytest.mark.parametrize("over", [0, 1])
def test_head_is_not_lengthened_past_what_servers_take(over: int) -> None:
    """A line is added up to the smallest known limit of a server, and not beyond."""
    line = len("x-request-id: abc\r\n")
    bare = get("/a", "x: ")
    head = bare.replace(b"x: ", b"x: " + b"y" * (MAX_EDITED_HEAD - line - len(bare) + over))
    got = edit(RequestHead(head), None, "abc")
    assert len(got) == (MAX_EDITED_HEAD if not over else len(head))


def test_flags_say_sampled() -> None:
    """Where a sampler that ignores the parent chose the request, the flag says so."""
    head = RequestHead(get("/a", f"traceparent: 00-{TRACE}-{SPAN}-02"))
    new = "1" * 16
    assert edit(head, Trace(TRACE, new, SPAN), "") == get("/a", f"traceparent: 00-{TRACE}-{new}-03")
