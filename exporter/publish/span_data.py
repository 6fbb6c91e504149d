"""Span -> OpenTelemetry ReadableSpan, without a Tracer: the ids are the ones that the data plane wrote into the head.

Refuses to know exporters and threads. Invariant: the span's parent is the caller's span, and the model's own span is
its child.
"""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from exporter.publish.server_span import Span

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)


def readable_span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """What the standard exporters take. ValueError for an id that is not hexadecimal."""
    trace_id = int(span.trace.trace_id, 16)
    state = TraceState.from_header([span.trace_state]) if span.trace_state else None
    parent = None
    if span.trace.parent_id:
        parent = SpanContext(trace_id, int(span.trace.parent_id, 16), True, _SAMPLED, state)
    return ReadableSpan(
        name=span.name,
        context=SpanContext(trace_id, int(span.trace.span_id, 16), False, _SAMPLED, state),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        events=_events(span),
        kind=SpanKind.SERVER,
        status=_ERROR if span.error else _UNSET,
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=scope,
    )


def _events(span: Span) -> list[Event]:
    found = [Event(name, timestamp=at) for name, at in span.events]
    if span.decoded:
        # It was decoded later, for which an event of the span has no place.
        found.append(Event("model.decoded", {"model.decode.outcome": span.decoded}, span.end))
    return found
