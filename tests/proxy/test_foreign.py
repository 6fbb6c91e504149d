"""B3 and Jaeger contexts: what they say, and what the model gets of them."""

import random
import re

import pytest

from exporter.proxy.foreign import Parent, parent
from exporter.proxy.trace import Sampler
from exporter.wire.head import RequestHead
from tests.proxy.clients import get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, serving

TRACE, SHORT, SPAN = "80f198ee56343ba864fe8b2a57d3eff7", "a3ce929d0e0e4736", "e457b5a2e4d86bd1"
PARENT_SPAN = "05e3ac9a4f6e3b90"
PADDED = "0" * 16 + SHORT
CASES: list[tuple[tuple[str, ...], Parent | str | None]] = [
    ((), None),
    (("x-b3: 1", "xb3: 1"), None),
    ((f"b3: {TRACE}-{SPAN}-1-{PARENT_SPAN}",), Parent(TRACE, SPAN, True)),
    ((f"B3: {TRACE.upper()}-{SPAN}-d \t",), Parent(TRACE, SPAN, True)),
    ((f"b3: {SHORT}-{SPAN}-0",), Parent(PADDED, SPAN, False)),
    ((f"b3: {TRACE}-{SPAN}",), Parent(TRACE, SPAN, None)),
    (("b3: 0",), Parent("", "", False)),
    (("b3: 1",), "malformed"),
    ((f"b3: {TRACE}-{SPAN}-2",), "malformed"),
    ((f"b3: {TRACE}{SPAN}",), "malformed"),
    ((f"b3: {'0' * 32}-{SPAN}-1",), "malformed"),
    ((f"b3: {TRACE}-{'0' * 16}-1",), "malformed"),
    ((f"b3: {TRACE}-{SPAN}-1", f"b3: {TRACE}-{SPAN}-1"), "repeated"),
    ((f"X-B3-TraceId: {TRACE}", f"X-B3-SpanId: {SPAN}", "X-B3-Sampled: 1"), Parent(TRACE, SPAN, True)),
    ((f"x-b3-traceid: {SHORT}", f"x-b3-spanid: {SPAN}", "x-b3-sampled: false"), Parent(PADDED, SPAN, False)),
    ((f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}", "x-b3-flags: 1"), Parent(TRACE, SPAN, True)),
    ((f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}"), Parent(TRACE, SPAN, None)),
    (("x-b3-sampled: 0",), Parent("", "", False)),
    (("x-b3-sampled: 1",), "malformed"),
    ((f"x-b3-traceid: {TRACE}", "x-b3-sampled: 1"), "malformed"),
    ((f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}", "x-b3-sampled: maybe"), "malformed"),
    ((f"x-b3-traceid: {TRACE}", f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}"), "repeated"),
    ((f"uber-trace-id: {TRACE}:{SPAN}:0:1",), Parent(TRACE, SPAN, True)),
    (("Uber-Trace-Id: abc:1f:0:0",), Parent("0" * 29 + "abc", "0" * 14 + "1f", False)),
    ((f"uber-trace-id: {SHORT}%3A{SPAN}%3a{PARENT_SPAN}%3A3",), Parent(PADDED, SPAN, True)),
    ((f"uber-trace-id: {TRACE}:{SPAN}:0:2",), Parent(TRACE, SPAN, True)),
    ((f"uber-trace-id: {TRACE}:{SPAN}:1",), "malformed"),
    ((f"uber-trace-id: 0:{SPAN}:0:1",), "malformed"),
    ((f"uber-trace-id: {TRACE}0:{SPAN}:0:1",), "malformed"),
    ((f"b3: {TRACE}-{SPAN}-1", f"uber-trace-id: {SHORT}:{SPAN}:0:0"), Parent(TRACE, SPAN, True)),
]


@pytest.mark.parametrize(("fields", "wanted"), CASES, ids=[" | ".join(fields)[:60] for fields, _ in CASES])
def test_contexts(fields: tuple[str, ...], wanted: Parent | str | None) -> None:
    """Each form, its faults, and which comes first."""
    assert parent(get("/a", *fields)) == wanted


# sampler -> outcome for a caller that samples, does not, leaves it to us (trace id above the bound), and denies
@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("always_on", ("child", "child", "child", "unsampled")),
        ("traceidratio", ("unsampled", "unsampled", "unsampled", "unsampled")),
        ("parentbased_always_on", ("child", "unsampled", "child", "unsampled")),
        ("parentbased_always_off", ("child", "unsampled", "unsampled", "unsampled")),
        ("parentbased_traceidratio", ("child", "unsampled", "unsampled", "unsampled")),
    ],
)
def test_samplers(name: str, outcomes: tuple[str, ...]) -> None:
    """They obey a foreign parent as a W3C one; a decision that is left to us is by the ratio."""
    sampler = Sampler(name, 0.25, 50, random.Random(1).getrandbits)
    high = "f" * 32
    contexts = (f"b3: {high}-{SPAN}-1", f"b3: {high}-{SPAN}-0", f"b3: {high}-{SPAN}", "b3: 0")
    assert outcomes == tuple(sampler.decide(RequestHead(get("/a", line)), 0)[0] for line in contexts)


def test_w3c_wins() -> None:
    """Also where it is malformed: what stands beside it is not read."""
    sampler = Sampler("parentbased_always_on", 1.0, 50)
    other = f"b3: {TRACE}-{SPAN}-1"
    for line, outcome in (
        (f"traceparent: 00-{TRACE}-{PARENT_SPAN}-00", "unsampled"),
        ("traceparent: 1", "malformed"),
    ):
        assert sampler.decide(RequestHead(get("/a", other, line)), 0) == (outcome, None)


@pytest.mark.parametrize(
    "fields",
    [
        (f"b3: {TRACE}-{SPAN}-1",),
        (f"X-B3-TraceId: {TRACE}", f"X-B3-SpanId: {SPAN}", "X-B3-Sampled: 1"),
        (f"uber-trace-id: {TRACE}:{SPAN}:0:1",),
    ],
    ids=["single", "several", "jaeger"],
)
async def test_the_model_gets_the_child_as_w3c(lab: Lab, fields: tuple[str, ...]) -> None:
    """One line behind the request line; foreign headers, tracestate and baggage are as they came."""
    await lab.start(serving(ok), tracing=True)
    others = ("baggage: user=1", "tracestate: a=b", "x-request-id: 7")
    sent = request("/v2/models/iris/infer", b"{}", *fields, *others)
    client = await lab.client()
    await client.send(sent)
    await client.read_message()
    client.close()
    (exchange,) = await lab.received(1)
    trace = exchange.trace
    assert trace is not None
    assert (trace.trace_id, trace.parent_id) == (TRACE, SPAN)
    got = lab.model.requests[0:]
    line = f"traceparent: 00-{TRACE}-{trace.span_id}-01\r\n".encode()
    assert bytes(got).replace(line, b"", 1) == sent
    assert re.match(rb"POST [^\r]*\r\ntraceparent: 00-", bytes(got))
    assert lab.reasons("trace") == {"child": 1}


async def test_what_is_not_sampled_is_untouched(lab: Lab) -> None:
    """Neither an unsampled nor a malformed context changes a byte."""
    await lab.start(serving(ok), tracing=True)
    heads = [get("/a", line, "x-request-id: 7") for line in ("b3: 0", "b3: hello")]
    client = await lab.client()
    for head in heads:
        before = len(lab.model.requests)
        await client.send(head)
        await client.read_message()
        assert lab.model.requests[before:] == head
    client.close()
    assert lab.reasons("trace") == {"unsampled": 1, "malformed": 1}
