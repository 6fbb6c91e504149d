"""The catalogue's rows of the access log: in lines, and exported only where it is switched on."""

from exporter.records.metric import Metric

ACCESS_LOG: tuple[Metric, ...] = (
    Metric("modeltap.access_log.selected", "counter", "{line}", (), "Exchanges chosen for the access log."),
    Metric(
        "modeltap.access_log.written", "counter", "{line}", (), "Lines of the access log that were written."
    ),
    Metric(
        "modeltap.access_log.dropped",
        "counter",
        "{line}",
        ("reason",),
        "Lines of the access log that were lost, by reason: queue_full, closed, disk, error, shutdown.",
    ),
    Metric("modeltap.access_log.queue.length", "gauge", "{line}", (), "Lines that wait to be written."),
)
