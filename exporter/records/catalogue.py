"""Every metric that modeltap exports, declared once: name, kind, unit, labels, help, stability, buckets.

Names are written the OpenTelemetry way; `prometheus_name` translates them by the standard rule (OpenTelemetry
specification, compatibility/prometheus_and_openmetrics.md). Nothing else may spell a metric name that is not here:
code asks `metric("model.request.duration")`, which raises on an unknown name, and tests hold the docs, dashboards,
alert rules and chart against this table.
"""

import re

from exporter.records.drift_metrics import DRIFT
from exporter.records.export_metrics import EXPORT
from exporter.records.generation_metrics import GENERATION
from exporter.records.metric import LATENCY_BUCKETS, Metric
from exporter.records.observation_metrics import OBSERVATION
from exporter.records.payload_log_metrics import PAYLOAD_LOG
from exporter.records.quality_metrics import QUALITY
from exporter.records.server_metrics import SERVER, SERVER_READING

__all__ = [
    "CATALOGUE",
    "LATENCY_BUCKETS",
    "OVERHEAD_BUCKETS",
    "SIZE_BUCKETS",
    "Metric",
    "metric",
    "prometheus_name",
]

# Powers of four from 64 B to 256 MiB: a tabular row, an image, a batch of tensors.
SIZE_BUCKETS = tuple(float(4**n) for n in range(3, 15))
OVERHEAD_BUCKETS = (*(1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 1.5e-4, 2.5e-4, 5e-4), *(1e-3, 5e-3, 2.5e-2, 0.1))

_TRAFFIC = ("model_name", "model_version", "operation", "protocol")
_SERIES = ("model_name", "model_version", "output", "feature")
_PROCESS = ("component",)


CATALOGUE: tuple[Metric, ...] = (
    # --- traffic: exact, from the data plane, for every exchange
    Metric(
        "model.request.duration",
        "histogram",
        "s",
        (*_TRAFFIC, "code"),
        "Time from the complete request head to the last byte received from the model.",
        "stable",
        LATENCY_BUCKETS,
    ),
    Metric(
        "model.request.time_to_first_byte",
        "histogram",
        "s",
        _TRAFFIC,
        "Time from the last request byte sent to the first byte of the final answer.",
        "stable",
        LATENCY_BUCKETS,
    ),
    Metric(
        "model.client.wait",
        "histogram",
        "s",
        _TRAFFIC,
        "Time per exchange in which the answer waited for the client to read.",
        "stable",
        LATENCY_BUCKETS,
    ),
    Metric(
        "model.requests.in_flight",
        "gauge",
        "{request}",
        ("model_name", "operation", "protocol"),
        "Requests whose head is complete and whose exchange is not finished, queued ones included.",
        "stable",
    ),
    Metric(
        "model.queue.length",
        "gauge",
        "{request}",
        ("source",),
        "Requests waiting for admission; exists only where a limit is set or the server tells its own.",
        "stable",
    ),
    Metric(
        "model.queue.wait",
        "histogram",
        "s",
        _TRAFFIC,
        "Time per admitted exchange spent waiting for admission; exists only where a limit is set.",
        "stable",
        LATENCY_BUCKETS,
    ),
    Metric(
        "model.requests.shed",
        "counter",
        "{request}",
        ("reason",),
        "Requests answered by the sidecar because of the admission limit, by reason; exists only where one is set.",
        "stable",
    ),
    Metric(
        "model.request.errors",
        "counter",
        "{request}",
        (*_TRAFFIC, "error_type"),
        "Exchanges that failed, by the one who failed: server, client or sidecar (see the list of error types).",
        "stable",
    ),
    Metric(
        "model.request.size",
        "histogram",
        "By",
        _TRAFFIC,
        "Request size, head included.",
        "stable",
        SIZE_BUCKETS,
    ),
    Metric(
        "model.response.size",
        "histogram",
        "By",
        _TRAFFIC,
        "Response size, heads included.",
        "stable",
        SIZE_BUCKETS,
    ),
    Metric("model.connections.open", "gauge", "{connection}", (), "Client connections open now."),
    Metric(
        "model.connections",
        "counter",
        "{connection}",
        ("protocol",),
        "Client connections ended, by what was spoken on them: http1, h2c, tls, opaque, upgraded, none.",
    ),
    Metric(
        "model.connection.duration",
        "histogram",
        "s",
        ("protocol",),
        "Lifetime of ended client connections.",
        buckets=LATENCY_BUCKETS,
    ),
    Metric(
        "model.connection.io",
        "counter",
        "By",
        ("protocol", "direction"),
        "Bytes relayed on ended client connections; direction is receive (from the client) or transmit.",
    ),
    Metric(
        "model.connection.timeouts",
        "counter",
        "{connection}",
        ("reason",),
        "Connections that the sidecar ended because a bound on time was over, by bound.",
    ),
    Metric(
        "model.connection.accept_pauses",
        "counter",
        "{pause}",
        ("reason",),
        "Times that no further client was accepted for a while, because of the bound on connections or descriptors.",
    ),
    Metric(
        "model.connection.tls_failures",
        "counter",
        "{handshake}",
        ("source", "reason"),
        "TLS handshakes that failed, with clients (source listener) and with the model (source upstream).",
    ),
    # --- the model's life
    Metric("model.up", "gauge", "1", (), "1 if the upstream answered the last probe, else 0.", "stable"),
    Metric(
        "model.probe.duration",
        "gauge",
        "s",
        (),
        "How long the last probe of the upstream took, failed or not.",
    ),
    Metric(
        "model.info",
        "info",
        "1",
        ("model_name", "model_version", "protocol", "reference", "match", "role", "task", "task_source"),
        "1 for each model version and role seen; reference is the profile that it is compared with, match how it was "
        "found, task what the outputs are, task_source who said so.",
        "stable",
    ),
    # --- the model server's own signals
    *SERVER,
    # --- predictions and features: what bodies say
    Metric(
        "model.exchanges.decoded",
        "counter",
        "{exchange}",
        ("model_name", "protocol", "outcome"),
        "Exchanges handed to a decoder, by outcome: decoded, or the reason why not.",
    ),
    Metric(
        "model.predictions",
        "counter",
        "{prediction}",
        ("model_name", "model_version", "output", "class", "role"),
        "Predicted rows by class; numeric outputs count under the class of an empty label.",
        "stable",
    ),
    Metric(
        "model.prediction.value",
        "histogram",
        "1",
        ("model_name", "model_version", "output", "reference", "role"),
        "Numeric predictions; bounds are the reference's bins, or the same fixed signed ones everywhere.",
        "stable",
    ),
    Metric(
        "model.prediction.bin",
        "counter",
        "{row}",
        ("model_name", "model_version", "output", "reference", "bin", "role"),
        "Predicted rows per bin of the reference, special bins included; bins exist at 0 from the start.",
        "stable",
    ),
    Metric(
        "model.feature.bin",
        "counter",
        "{row}",
        ("model_name", "model_version", "feature", "reference", "bin", "role"),
        "Input rows per bin of the reference, special bins included; bins exist at 0 from the start.",
        "stable",
    ),
    Metric(
        "model.reference.bin.rows",
        "gauge",
        "{row}",
        (*_SERIES, "reference", "bin", "role"),
        "Rows per bin in the reference profile.",
    ),
    Metric(
        "model.window.rows",
        "gauge",
        "{row}",
        (*_SERIES, "window", "role"),
        "Rows of this column in the rolling window.",
    ),
    Metric(
        "model.window.mean",
        "gauge",
        "1",
        (*_SERIES, "window", "role"),
        "Mean of the column in the rolling window.",
    ),
    Metric(
        "model.window.standard_deviation",
        "gauge",
        "1",
        (*_SERIES, "window", "role"),
        "Standard deviation (ddof 0) of the column in the rolling window.",
    ),
    Metric(
        "model.window.quantile",
        "gauge",
        "1",
        (*_SERIES, "window", "probability", "role"),
        "Quantiles of the column in the rolling window, interpolated within bins.",
    ),
    Metric(
        "model.window.state",
        "gauge",
        "1",
        (*_SERIES, "window", "state", "role"),
        "1 for the state that the window is in: ready, insufficient or biased (1 % of bytes left out for their size).",
    ),
    Metric(
        "model.drift",
        "gauge",
        "1",
        (*_SERIES, "window", "statistic", "reference", "role"),
        "Distance between the rolling window and the reference; absent while there are too few rows.",
        "stable",
    ),
    Metric(
        "model.drift.noise_floor",
        "gauge",
        "1",
        (*_SERIES, "window", "statistic", "reference", "role"),
        "Expected value of the distance at this number of rows if nothing had changed.",
    ),
    Metric(
        "model.drift.critical_value",
        "gauge",
        "1",
        (*_SERIES, "window", "statistic", "reference", "role"),
        "99.9 % quantile of the distance at this number of rows if nothing had changed.",
    ),
    Metric(
        "model.profile.mismatches",
        "counter",
        "{exchange}",
        ("model_name", "reason"),
        "Exchanges that do not fit the reference profile, by reason: missing_column, extra_column, wrong_type.",
    ),
    *DRIFT,
    *GENERATION,
    *OBSERVATION,
    *QUALITY,
    # --- resources: component is model, data_plane or analysis
    Metric(
        "process.cpu.time", "counter", "s", (*_PROCESS, "cpu_mode"), "CPU time used, by mode (user, system)."
    ),
    Metric("process.memory.usage", "gauge", "By", _PROCESS, "Resident memory."),
    Metric("process.memory.virtual", "gauge", "By", _PROCESS, "Virtual memory."),
    Metric("process.thread.count", "gauge", "{thread}", _PROCESS, "Threads."),
    Metric(
        "process.unix.file_descriptor.count", "gauge", "{file_descriptor}", _PROCESS, "Open file descriptors."
    ),
    Metric(
        "process.disk.io",
        "counter",
        "By",
        (*_PROCESS, "disk_io_direction"),
        "Bytes read from and written to disk (read, write).",
    ),
    Metric("process.uptime", "gauge", "s", _PROCESS, "Time since the process started."),
    Metric("process.instances", "gauge", "{process}", _PROCESS, "Processes that the component consists of."),
    Metric(
        "system.network.io",
        "counter",
        "By",
        ("network_io_direction",),
        "Bytes through the interfaces of this network namespace, loopback left out (receive, transmit).",
    ),
    Metric(
        "hw.gpu.utilization", "gauge", "1", ("hw_id", "hw_name"), "Share of time in which the GPU was busy."
    ),
    Metric("hw.gpu.memory.usage", "gauge", "By", ("hw_id", "hw_name"), "GPU memory in use."),
    Metric("hw.gpu.memory.limit", "gauge", "By", ("hw_id", "hw_name"), "GPU memory in all."),
    Metric("hw.temperature", "gauge", "Cel", ("hw_id", "hw_name"), "Temperature of the GPU."),
    Metric("hw.power", "gauge", "W", ("hw_id", "hw_name"), "Power drawn by the GPU."),
    Metric(
        "hw.energy",
        "counter",
        "J",
        ("hw_id", "hw_name"),
        "Energy used by the GPU since the driver was loaded.",
    ),
    # --- the sidecar about itself
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

_BY_NAME = {row.name: row for row in CATALOGUE}
_UNIT_WORDS = {
    "s": "seconds",
    "ms": "milliseconds",
    "By": "bytes",
    "Cel": "celsius",
    "W": "watts",
    "J": "joules",
    "Hz": "hertz",
    "%": "percent",
    "1": "",
}


def metric(name: str) -> Metric:
    """The row of that OpenTelemetry name; KeyError for a name that the catalogue does not declare."""
    return _BY_NAME[name]


def prometheus_name(row: Metric) -> str:
    """The family's name in Prometheus, with unit and type suffix (`_total` for counters, `_info` for info)."""
    base = re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_:]", "_", row.name))
    unit = _UNIT_WORDS.get(row.unit, "")
    if row.unit.endswith("/s"):
        unit = "per_second"
    if unit and not base.endswith(f"_{unit}"):
        base = f"{base}_{unit}"
    suffix = {"counter": "_total", "info": "_info", "gauge": "", "histogram": ""}[row.kind]
    return base if suffix and base.endswith(suffix) else base + suffix
