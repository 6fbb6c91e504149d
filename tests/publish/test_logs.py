"""Events as OTLP log records: what a real receiver gets, what is lost, and what collectors refuse in part."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_ERROR,
    SEVERITY_NUMBER_INFO,
    SEVERITY_NUMBER_WARN,
)

from exporter.publish import LogPusher, Pusher, SpanPusher, server_span
from exporter.publish.settings import read_config
from exporter.records.event import DESYNC_BURST, KINDS, RESTARTED, VERSION_CHANGED, Event
from exporter.records.sample import Sample
from tests.receivers.otlp import OtlpReceiver, attributes

from .everything import CREATED, NOW
from .exchanges import EXCHANGE

PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
CHANGED = Event(VERSION_CHANGED, 1_700_000_000_000_000_001, {"model.name": "iris", "model.version": "2"})


def config_to(receiver: OtlpReceiver, protocol: str, **variables: str) -> Any:
    """To the receiver, at most 10 ms late."""
    address = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    delays = {"OTEL_BLRP_SCHEDULE_DELAY": "10", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    config, problems = read_config(delays | variables, address, protocol, instance="host:9464")
    assert problems == []
    return config


def counts(samples: Iterator[Sample]) -> dict[str, object]:
    """What is not 0."""
    return {" ".join((sample.name, *sample.labels)): sample.value for sample in samples if sample.value}


@PROTOCOLS
def test_an_event_arrives(receiver: OtlpReceiver, protocol: str) -> None:
    """Name, time, severity, text, attributes and resource; no trace."""
    pusher = LogPusher(config_to(receiver, protocol), CREATED)
    pusher.start()
    assert pusher.offer(CHANGED)
    assert pusher.stop(10)
    (found,) = receiver.logs
    assert (found.event_name, found.body.string_value) == (VERSION_CHANGED, KINDS[VERSION_CHANGED][1])
    assert (found.time_unix_nano, found.observed_time_unix_nano) == (CHANGED.time, CHANGED.time)
    assert (found.severity_number, found.severity_text) == (SEVERITY_NUMBER_INFO, "INFO")
    assert attributes(found.attributes) == CHANGED.attributes
    assert (found.trace_id, found.span_id) == (b"", b"")
    (resource,) = receiver.resources
    assert (resource["service.name"], resource["service.instance.id"]) == ("modeltap", "host:9464")
    assert counts(pusher.samples()) == {
        "modeltap.events.exported": 1,
        "modeltap.otlp.exports logs success": 1,
    }


def test_severities(receiver: OtlpReceiver) -> None:
    """Each severity has its number, and kinds are sent in order."""
    pusher = LogPusher(config_to(receiver, "grpc"), CREATED)
    for name in (VERSION_CHANGED, DESYNC_BURST, RESTARTED):
        assert pusher.offer(Event(name, 1, {}))
    pusher.start()
    assert pusher.stop(10)
    assert [record.severity_number for record in receiver.logs] == [
        SEVERITY_NUMBER_INFO,
        SEVERITY_NUMBER_WARN,
        SEVERITY_NUMBER_ERROR,
    ]


def test_a_full_queue_refuses(receiver: OtlpReceiver) -> None:
    """What is over the queue's size is counted."""
    limits = {"OTEL_BLRP_MAX_QUEUE_SIZE": "2", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "2"}
    pusher = LogPusher(config_to(receiver, "grpc", **limits), CREATED)
    assert [pusher.offer(CHANGED) for _ in range(4)] == [True, True, False, False]
    pusher.stop(1)
    assert counts(pusher.samples()) == {
        "modeltap.events.dropped queue_full": 2,
        "modeltap.events.dropped shutdown": 2,
    }


@PROTOCOLS
def test_a_collector_that_refuses(receiver: OtlpReceiver, protocol: str) -> None:
    """Events of a failed export are counted as dropped."""
    receiver.behaviour = "error"
    pusher = LogPusher(config_to(receiver, protocol), CREATED)
    pusher.start()
    pusher.offer(CHANGED)
    assert pusher.stop(10)
    assert counts(pusher.samples()) == {
        "modeltap.events.dropped export_failed": 1,
        "modeltap.otlp.exports logs failure": 1,
    }


@PROTOCOLS
def test_partial_success_is_read(
    receiver: OtlpReceiver, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Items refused in an export that arrived are counted for every signal, and told with the collector's reason."""
    receiver.behaviour = "partial"
    config = config_to(receiver, protocol)
    logs, spans, metrics = LogPusher(config, CREATED), SpanPusher(config, CREATED), Pusher(config, CREATED)
    logs.offer(CHANGED)
    spans.offer(server_span(EXCHANGE))
    metrics.offer([Sample("modeltap.series", (), 1)], NOW)
    for pusher in (logs, spans, metrics):
        pusher.start()
        assert pusher.stop(10)
    for pusher, signal in ((logs, "logs"), (spans, "traces"), (metrics, "metrics")):
        found = counts(pusher.samples())
        assert found[f"modeltap.otlp.rejected {signal}"] == 1
        assert found[f"modeltap.otlp.exports {signal} success"] == 1
        assert f"OTLP {signal}: the collector refuses a part: 1 items: one item was refused" in caplog.text


def test_an_answer_that_is_none_is_a_success(receiver: OtlpReceiver) -> None:
    """Over HTTP a 200 counts, whatever its body."""
    receiver.behaviour = "garbage"
    pusher = LogPusher(config_to(receiver, "http/protobuf"), CREATED)
    pusher.start()
    pusher.offer(CHANGED)
    assert pusher.stop(10)
    assert counts(pusher.samples()) == {
        "modeltap.events.exported": 1,
        "modeltap.otlp.exports logs success": 1,
    }
