"""Event -> OpenTelemetry log record, without a Logger. Refuses to know exporters and threads."""

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter.records.event import Event

_NUMBERS = {"INFO": SeverityNumber.INFO, "WARN": SeverityNumber.WARN, "ERROR": SeverityNumber.ERROR}


def readable_record(event: Event, resource: Resource, scope: InstrumentationScope) -> ReadableLogRecord:
    """What the standard exporters take."""
    record = LogRecord(
        timestamp=event.time,
        observed_timestamp=event.time,
        context=Context(),
        severity_text=event.severity,
        severity_number=_NUMBERS[event.severity],
        body=event.text,
        attributes=event.attributes,
        event_name=event.name,
    )
    return ReadableLogRecord(record, resource, scope)
