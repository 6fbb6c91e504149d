"""What the OTLP receiver got, in the few words that the tests need: spans by service, and one count.

Spans keep their ids as lower-case hex, as traceparent has them.
"""

from dataclasses import dataclass

from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from tests.receivers.otlp import OtlpReceiver, attributes

SIDECAR = "modeltap-end-to-end"
MODEL_SERVER = "mlserver"


@dataclass(frozen=True, slots=True)
class ServerSpan:
    """A span of kind SERVER; `parent_id` is "" for a root. Times in unix nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: dict[str, str | int]


def server_spans(receiver: OtlpReceiver, service: str) -> list[ServerSpan]:
    """The server spans that the service of that name sent, in the order of arrival."""
    return [
        ServerSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            attributes(span.attributes),
        )
        for span, resource in receiver.spans_with_resources
        if attributes(resource.attributes).get("service.name") == service
        and span.kind == ProtoSpan.SPAN_KIND_SERVER
    ]


def requests_counted(receiver: OtlpReceiver) -> int:
    """Inference requests in the latest latency histogram that arrived, over all label sets."""
    metric = receiver.metrics.get("model.request.duration")
    if metric is None:
        return 0
    points = metric.histogram.data_points
    return sum(point.count for point in points if attributes(point.attributes)["operation"] == "predict")
