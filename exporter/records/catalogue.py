"""Every metric that modeltap exports, declared once: name, kind, unit, labels, help, stability, buckets.

Names are written the OpenTelemetry way; `prometheus_name` translates them by the standard rule (OpenTelemetry
specification, compatibility/prometheus_and_openmetrics.md). Nothing else may spell a metric name that is not here:
code asks `metric("model.request.duration")`, which raises on an unknown name, and tests hold the docs, dashboards,
alert rules and chart against this table.
"""

import re

from exporter.records.artifact_metrics import ARTIFACT
from exporter.records.description_metrics import DESCRIPTION, THRESHOLD
from exporter.records.drift_metrics import DRIFT
from exporter.records.expected_metrics import EXPECTED
from exporter.records.generation_metrics import GENERATION
from exporter.records.gpu_metrics import GPU
from exporter.records.job_metrics import JOB
from exporter.records.life_metrics import LIFE
from exporter.records.machine_metrics import CONTAINERS, HOST
from exporter.records.metric import LATENCY_BUCKETS, Metric
from exporter.records.model_process_metrics import MODEL_PROCESS
from exporter.records.observation_metrics import OBSERVATION
from exporter.records.own_metrics import OVERHEAD_BUCKETS, OWN
from exporter.records.performance_metrics import PERFORMANCE
from exporter.records.quality_metrics import QUALITY
from exporter.records.resource_metrics import RESOURCES
from exporter.records.server_metrics import SERVER
from exporter.records.worth_metrics import WORTH

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

_TRAFFIC = ("model_name", "model_version", "operation", "protocol")
_SERIES = ("model_name", "model_version", "output", "feature")


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
    *LIFE,
    *ARTIFACT,
    *DESCRIPTION,
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
        "Exchanges handed to a decoder, by outcome: decoded, request_only where it failed, or the reason why not.",
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
    *PERFORMANCE,
    *EXPECTED,
    *WORTH,
    *QUALITY,
    *THRESHOLD,
    *RESOURCES,
    *GPU,
    *MODEL_PROCESS,
    *JOB,
    *CONTAINERS,
    *HOST,
    *OWN,
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
        unit = f"{_UNIT_WORDS.get(row.unit.removesuffix('/s'), '')}_per_second".strip("_")
    if unit and not base.endswith(f"_{unit}"):
        base = f"{base}_{unit}"
    suffix = {"counter": "_total", "info": "_info", "gauge": "", "histogram": ""}[row.kind]
    return base if suffix and base.endswith(suffix) else base + suffix
