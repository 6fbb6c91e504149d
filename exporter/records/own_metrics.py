"""Catalogue rows of the sidecar about itself: what it costs, what it lost, what it runs with."""

from exporter.records.access_log_metrics import ACCESS_LOG
from exporter.records.export_metrics import EXPORT
from exporter.records.metric import Metric
from exporter.records.payload_log_metrics import PAYLOAD_LOG
from exporter.records.server_metrics import SERVER_READING

OVERHEAD_BUCKETS = (*(1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 1.5e-4, 2.5e-4, 5e-4), *(1e-3, 5e-3, 2.5e-2, 0.1))

OWN: tuple[Metric, ...] = (
    Metric(
        "modeltap.build",
        "info",
        "1",
        ("version", "python_version"),
        "1, labelled with the version.",
        "stable",
    ),
    Metric(
        "modeltap.overhead",
        "histogram",
        "s",
        (),
        "Time per exchange from a readable event to the write call, both ways added.",
        "stable",
        OVERHEAD_BUCKETS,
    ),
    Metric(
        "modeltap.event_loop.lag",
        "gauge",
        "s",
        ("component",),
        "How late a timer of the event loop ran, the worst of the last 30 seconds.",
    ),
    Metric("modeltap.records.offered", "counter", "{exchange}", (), "Exchanges offered to the analysis."),
    Metric(
        "modeltap.records.acknowledged", "counter", "{exchange}", (), "Exchanges that the analysis processed."
    ),
    Metric(
        "modeltap.records.dropped",
        "counter",
        "{exchange}",
        ("reason",),
        "Exchanges that were counted but not analysed, by reason.",
        "stable",
    ),
    Metric(
        "modeltap.records.unacknowledged",
        "gauge",
        "{exchange}",
        (),
        "Exchanges on their way to the analysis.",
    ),
    Metric("modeltap.queue.usage", "gauge", "By", (), "Bytes on their way to the analysis."),
    Metric(
        "modeltap.captures.dropped",
        "counter",
        "{body}",
        ("reason",),
        "Bodies that were forwarded but not kept for decoding, by reason.",
    ),
    Metric(
        "modeltap.captures.dropped.size", "counter", "By", ("reason",), "Bytes of bodies that were not kept."
    ),
    Metric("modeltap.sampling.ratio", "gauge", "1", (), "Share of exchanges handed to the analysis now."),
    Metric(
        "modeltap.desyncs",
        "counter",
        "{connection}",
        ("direction", "reason"),
        "Connections that went on as an opaque relay because their framing was not certain.",
    ),
    Metric(
        "modeltap.trace.contexts",
        "counter",
        "{request}",
        ("outcome",),
        "What was done with the trace context of requests while tracing is on.",
    ),
    *EXPORT,
    *PAYLOAD_LOG,
    *ACCESS_LOG,
    Metric(
        "modeltap.writes",
        "counter",
        "{request}",
        ("resource", "outcome"),
        "Requests that write to the admin side, by what became of them.",
    ),
    Metric(
        "modeltap.restarts",
        "counter",
        "{restart}",
        ("component", "reason"),
        "Restarts of the sidecar's own processes, by component (analysis, data_plane) and reason.",
    ),
    Metric(
        "modeltap.reloads",
        "counter",
        "{reload}",
        ("kind", "outcome"),
        "Files read again, changed or on demand; a failure leaves in force what was read before.",
    ),
    Metric(
        "modeltap.config",
        "info",
        "1",
        ("hash",),
        "1, labelled with a hash of the configuration in force: equal where two sidecars are configured alike.",
    ),
    Metric(
        "modeltap.collector.duration", "gauge", "s", ("collector",), "How long the collector's last run took."
    ),
    Metric(
        "modeltap.collector.success", "gauge", "1", ("collector",), "1 if the collector's last run succeeded."
    ),
    Metric(
        "modeltap.certificate.expiry",
        "gauge",
        "s",
        ("component",),
        "When the certificate that the sidecar shows (listener, upstream, admin) ends, in seconds since 1970.",
    ),
    Metric(
        "modeltap.admin.refused",
        "counter",
        "{request}",
        ("reason",),
        "Requests to the admin side that its web.config turned away: unauthorized, forbidden, rate_limited.",
    ),
    *SERVER_READING,
    Metric("modeltap.series", "gauge", "{series}", (), "Series in the last rendering."),
    Metric("modeltap.scrape.duration", "gauge", "s", (), "How long the last rendering took."),
    Metric(
        "modeltap.tick.duration", "gauge", "s", (), "How long the last comparison with the reference took."
    ),
)
