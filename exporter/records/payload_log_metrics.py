"""The catalogue's rows of the payload log: in events, and exported only where a target is configured."""

from exporter.records.metric import LATENCY_BUCKETS, Metric

PAYLOAD_LOG: tuple[Metric, ...] = (
    Metric(
        "modeltap.payload_log.selected",
        "counter",
        "{event}",
        (),
        "Events chosen for the payload log.",
        "stable",
    ),
    Metric(
        "modeltap.payload_log.sent",
        "counter",
        "{event}",
        (),
        "Events that the sink or a file took.",
        "stable",
    ),
    Metric(
        "modeltap.payload_log.dropped",
        "counter",
        "{event}",
        ("reason",),
        "Events chosen and lost, by reason: queue_full, rejected, retries_exhausted, disk, error, shutdown.",
        "stable",
    ),
    Metric(
        "modeltap.payload_log.failures",
        "counter",
        "{attempt}",
        ("reason",),
        "Attempts to deliver that failed, by reason; most are made again.",
    ),
    Metric(
        "modeltap.payload_log.bodies.omitted",
        "counter",
        "{event}",
        ("reason",),
        "Events made without the body, by reason: not_captured, coding, redaction.",
    ),
    Metric(
        "modeltap.payload_log.queue.length", "gauge", "{event}", (), "Events that wait or are being sent."
    ),
    Metric("modeltap.payload_log.queue.usage", "gauge", "By", (), "Bytes that wait or are being sent."),
    Metric(
        "modeltap.payload_log.delivery.duration",
        "histogram",
        "s",
        (),
        "Time from the end of an exchange's analysis until an event of it was taken.",
        "development",
        LATENCY_BUCKETS,
    ),
    Metric("modeltap.payload_log.written", "counter", "By", (), "Bytes of bodies sent, or written to files."),
)
