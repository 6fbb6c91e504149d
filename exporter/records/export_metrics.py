"""Catalogue rows of what goes to an OTLP collector: spans, events, and the exports themselves."""

from exporter.records.metric import Metric

EXPORT: tuple[Metric, ...] = (
    Metric("modeltap.spans.exported", "counter", "{span}", (), "Spans handed to the collector with success."),
    Metric("modeltap.spans.dropped", "counter", "{span}", ("reason",), "Spans lost, by reason."),
    Metric(
        "modeltap.spans.late",
        "counter",
        "{span}",
        ("reason",),
        "Spans of unsampled exchanges, by why: error, slow; limited are those over the ceiling, which got none.",
    ),
    Metric(
        "modeltap.events.exported", "counter", "{event}", (), "Events handed to the collector as log records."
    ),
    Metric("modeltap.events.dropped", "counter", "{event}", ("reason",), "Events that were not, by reason."),
    Metric(
        "modeltap.otlp.rejected",
        "counter",
        "{item}",
        ("signal",),
        "Data points, spans and log records that a collector refused in an export that it took otherwise.",
    ),
    Metric(
        "modeltap.otlp.exports", "counter", "{export}", ("signal", "outcome"), "OTLP exports, by outcome."
    ),
)
