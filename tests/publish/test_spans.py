"""Spans: what a real receiver gets, and what is counted when it gets nothing."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Received
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from exporter.publish.queued import DROP_REASONS
from exporter.publish.server_span import Decoded, Span, server_span
from exporter.publish.settings import OtlpConfig, read_config
from exporter.publish.spans import SpanPusher
from exporter.records.exchange import Trace
from exporter.records.sample import Histogram
from tests.receivers.otlp import OtlpReceiver, attributes, until

from .everything import CREATED
from .exchanges import EXCHANGE, START, TRACE, changed

PROTOCOLS = ("grpc", "http/protobuf")


@pytest.fixture
def pushers() -> Iterator[list[SpanPusher]]:
    """Stops the pushers that a test adds."""
    made: list[SpanPusher] = []
    yield made
    for pusher in made:
        pusher.stop(0.1)


def pusher_to(receiver: OtlpReceiver, protocol: str = "grpc", **variables: str) -> SpanPusher:
    """A span pusher, not started, that waits 10 ms for a batch."""
    address = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    config, problems = read_config(
        {"OTEL_BSP_SCHEDULE_DELAY": "10"} | variables, address, protocol, instance="host:9464"
    )
    assert problems == []
    return SpanPusher(config, CREATED)


def counts(pusher: SpanPusher) -> dict[str, float]:
    """What is not 0, by the last label, or "exported"."""
    found = {}
    for sample in pusher.samples():
        assert sample.created == CREATED
        assert not isinstance(sample.value, Histogram)
        if sample.value:
            found[sample.labels[-1] if sample.labels else "exported"] = sample.value
    return found


def failed(pusher: SpanPusher, count: int) -> Callable[[], bool]:
    """Whether so many exports have failed."""
    return lambda: counts(pusher).get("failure") == count


def numbered(count: int) -> list[Span]:
    """Spans with distinct ids."""
    return [server_span(changed(trace=Trace(TRACE.trace_id, f"{n + 1:016x}", ""))) for n in range(count)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_span_arrives(receiver: OtlpReceiver, protocol: str) -> None:
    """The receiver gets the span between the caller's and the model's, with kind, times, events and resource."""
    pusher = pusher_to(receiver, protocol)
    pusher.start()
    assert pusher.offer(server_span(EXCHANGE, Decoded("decoded", 7)))
    assert pusher.stop(10)
    ((found, resource),) = receiver.spans_with_resources
    assert (found.trace_id.hex(), found.span_id.hex(), found.parent_span_id.hex()) == (
        TRACE.trace_id,
        TRACE.span_id,
        TRACE.parent_id,
    )
    assert found.trace_state == "vendor=1,other=2"
    assert found.kind == Received.SPAN_KIND_SERVER
    assert found.flags == 0x300  # the parent is remote, and that is known
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (START, START + 9_000_000)
    assert [(event.name, event.time_unix_nano - START) for event in found.events] == [
        ("model.queue.wait.end", 1_000_000),
        ("model.response.first_byte", 7_000_000),
        ("model.response.last_byte", 9_000_000),
        ("model.decoded", 9_000_000),
    ]
    assert attributes(found.events[-1].attributes) == {"model.decode.outcome": "decoded"}
    assert found.status.code == Status.STATUS_CODE_UNSET
    assert attributes(found.attributes) == server_span(EXCHANGE, Decoded("decoded", 7)).attributes
    assert attributes(resource.attributes)["service.name"] == "modeltap"
    assert attributes(resource.attributes)["service.instance.id"] == "host:9464"
    assert counts(pusher) == {"exported": 1, "success": 1}


def test_root_and_error_arrive(receiver: OtlpReceiver) -> None:
    """A root span has no parent; an error has the status of one."""
    pusher = pusher_to(receiver)
    pusher.offer(
        server_span(changed(trace=Trace(TRACE.trace_id, TRACE.span_id, ""), status=500, error_type="5xx"))
    )
    pusher.start()
    assert pusher.stop(10)
    (found,) = receiver.spans
    assert found.parent_span_id == b""
    assert found.status.code == Status.STATUS_CODE_ERROR


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everything_queued_arrives_in_batches(receiver: OtlpReceiver, protocol: str) -> None:
    """Stop flushes the queue, by at most 512 spans a request, each span once."""
    pusher = pusher_to(receiver, protocol)
    assert all(pusher.offer(span) for span in numbered(1200))
    pusher.start()
    assert pusher.stop(20)
    sizes = [len(request.message.resource_spans[0].scope_spans[0].spans) for request in receiver.requests]
    assert sizes == [512, 512, 176]
    assert len({span.span_id for span in receiver.spans}) == 1200
    assert counts(pusher) == {"exported": 1200, "success": 3}


def test_full_queue_refuses(receiver: OtlpReceiver) -> None:
    """At 2,048 waiting spans the next one is refused and counted."""
    pusher = pusher_to(receiver)
    assert [pusher.offer(span) for span in numbered(2051)] == [True] * 2048 + [False] * 3
    assert counts(pusher) == {"queue_full": 3}
    pusher.stop(0)
    assert counts(pusher) == {"queue_full": 3, "shutdown": 2048}


@pytest.mark.parametrize("behaviour", ["error", "unavailable", "hang"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bad_collector_costs_counts_only(
    receiver: OtlpReceiver,
    pushers: list[SpanPusher],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    behaviour: str,
) -> None:
    """With a collector that does not take them, spans are dropped by reason, and every offer is accounted for."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    receiver.behaviour = behaviour  # type: ignore[assignment]
    pusher = pusher_to(receiver, protocol)
    pushers.append(pusher)
    pusher.start()
    pusher.offer(numbered(1)[0])
    assert receiver.wait(lambda: receiver.requests)
    taken = sum(pusher.offer(span) for span in numbered(5000))
    assert receiver.wait(lambda: counts(pusher).get("export_failed", 0) >= 1)
    receiver.behaviour = "ok"
    assert pusher.stop(20)
    found = counts(pusher)
    assert found.get("queue_full", 0) == 5000 - taken
    assert found.get("exported", 0) + found["export_failed"] == 1 + taken
    assert "shutdown" not in found


def test_stop_gives_up_in_time(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hanging collector stop returns after its timeout, and what is left is counted."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    receiver.behaviour = "hang"
    pusher = pusher_to(receiver)
    for span in numbered(600):
        pusher.offer(span)
    pusher.start()
    assert receiver.wait(lambda: receiver.requests)
    assert not pusher.stop(0.05)
    assert until(lambda: counts(pusher).get("export_failed") == 512)
    assert counts(pusher) == {"export_failed": 512, "shutdown": 88, "failure": 1}
    assert not pusher.offer(numbered(1)[0])
    assert counts(pusher)["shutdown"] == 89


def test_offers_from_many_threads(receiver: OtlpReceiver) -> None:
    """However many threads offer, no span is lost or sent twice."""
    pusher = pusher_to(receiver)
    pusher.start()
    spans = numbered(800)
    threads = [threading.Thread(target=lambda n=n: [pusher.offer(s) for s in spans[n::4]]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pusher.stop(20)
    assert sorted(span.span_id.hex() for span in receiver.spans) == sorted(
        span.trace.span_id for span in spans
    )
    assert counts(pusher)["exported"] == 800


def test_both_signals_tell_why_they_fail(
    receiver: OtlpReceiver, pushers: list[SpanPusher], caplog: pytest.LogCaptureFixture
) -> None:
    """The reason of a second failing exporter is told as well, and the recovery."""
    receiver.behaviour = "error"
    pushers += [pusher_to(receiver), pusher_to(receiver)]
    with caplog.at_level(logging.INFO):
        for pusher in pushers:
            pusher.start()
            for failures in (1, 2):
                pusher.offer(numbered(1)[0])
                assert until(failed(pusher, failures))
        receiver.behaviour = "ok"
        pushers[0].offer(numbered(1)[0])
        assert pushers[0].stop(10)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all("OTLP traces: exports fail: " in line and "INVALID_ARGUMENT" in line for line in lines[:2])
    assert lines[2] == "OTLP traces: exports arrive"


def test_series_exist_from_the_start() -> None:
    """All counters are there at 0 before anything happened."""
    pusher = SpanPusher(OtlpConfig(), CREATED)
    assert [(sample.name, sample.labels, sample.value) for sample in pusher.samples()] == [
        ("modeltap.spans.exported", (), 0),
        *[("modeltap.spans.dropped", (reason,), 0) for reason in DROP_REASONS],
        ("modeltap.otlp.exports", ("traces", "success"), 0),
        ("modeltap.otlp.exports", ("traces", "failure"), 0),
        ("modeltap.otlp.rejected", ("traces",), 0),
    ]


def test_stop_is_safe_twice_and_without_start() -> None:
    """Stop needs no start and may come again."""
    pusher = SpanPusher(OtlpConfig(), CREATED)
    assert pusher.stop(1)
    assert pusher.stop(1)
