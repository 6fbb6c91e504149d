"""The dashboard "Model": what one model, or all of them, do behind the sidecar, and what that costs.

It knows which question each panel answers. Invariants: health and metadata calls are no traffic; a ratio is
divided by what is above zero, so that an idle endpoint shows "No traffic" instead of NaN; bins are summed
over replicas before anything is computed from them.
"""

from collections.abc import Sequence
from typing import Any

from dashboards import (
    access,
    drift,
    figures,
    generation,
    gpu,
    life,
    machine,
    payloads,
    performance,
    quality,
    server,
)
from dashboards.panels import (
    Panel,
    Query,
    coloured,
    empty,
    heatmap,
    judged,
    layout,
    mapped,
    repeated,
    signed,
    sized,
    stacked,
    stat,
    timeseries,
)
from dashboards.queries import QUANTILES, gauge, increase, latency, quantile, quantiles, rate, total
from dashboards.variables import MODEL, OBSERVED, SERIES, TARGET, TRAFFIC, dashboard
from exporter.records.exchange import ERROR_OWNERS

FAILURES = "|".join(kind for kind, owner in ERROR_OWNERS.items() if owner != "client")
NO_LIMIT = "No admission limit set"
NOT_NUMERIC = "No numeric predictions"
OUTPUT = f'{OBSERVED}, output=~"$output"'


def build() -> dict[str, Any]:
    rows = (
        ("Now", _now()),
        ("Traffic", _traffic()),
        ("Life", life.panels()),
        ("Generative models", generation.panels()),
        ("Predictions", _predictions()),
        ("Drift", drift.panels()),
        ("Data quality", quality.panels()),
        ("Performance", performance.panels()),
        ("Groups", figures.groups()),
        ("Several answers", figures.several()),
        ("Labels", performance.labels()),
        ("Server", server.panels()),
        ("Resources", machine.resources()),
        ("GPU", gpu.panels()),
        ("Sidecar", machine.sidecar()),
        ("Payload log", (*payloads.panels(), *access.panels())),
    )
    text = "Traffic, predictions, drift and resources of the models behind modeltap."
    return dashboard("modeltap-model", "modeltap / Model", text, layout(rows))


REQUESTS = rate("model.request.duration", TRAFFIC, "_count")


def _now() -> Sequence[Panel]:
    failed = total(rate("model.request.errors", f'{TRAFFIC}, error_type=~"{FAILURES}"'))
    # No error yet means no error series yet, which is a ratio of 0 and not of nothing.
    ratio = f"({failed} or 0 * {total(REQUESTS)}) / ({total(REQUESTS)} > 0)"
    up = stat(
        "Model",
        "Whether every upstream answered its last probe.",
        "none",
        Query(f"min({gauge('model.up', TARGET)})"),
    )
    up["options"]["graphMode"] = "none"
    in_flight = gauge("model.requests.in_flight", f'{MODEL}, operation!~"health|metadata"')
    return (
        mapped(judged(empty(up, "No probe yet"), ("red", None), ("green", 1)), {"0": "Down", "1": "Up"}),
        stat(
            "Requests",
            "Requests per second, health and metadata calls left out.",
            "reqps",
            Query(total(REQUESTS)),
        ),
        judged(
            stat(
                "Failed",
                "Share of requests that the server or the sidecar failed.",
                "percentunit",
                Query(ratio),
            ),
            *(("green", None), ("orange", 0.01), ("red", 0.05)),
        ),
        stat(
            "p99",
            "99 % of requests took no longer.",
            "s",
            Query(quantile(0.99, "model.request.duration", TRAFFIC)),
        ),
        stat("In flight", "Requests whose exchange is not finished.", "short", Query(total(in_flight))),
        stat(
            "Versions",
            "Model versions seen.",
            "short",
            Query(f"count(count by (model_name, model_version) ({gauge('model.info', SERIES)}))"),
        ),
    )


def _traffic() -> Sequence[Panel]:
    by_type = total(rate("model.request.errors", TRAFFIC), "error_type")
    in_flight = gauge("model.requests.in_flight", f'{MODEL}, operation!~"health|metadata"')
    waits = quantiles("model.queue.wait", TRAFFIC)
    return (
        _by_code_class(),
        empty(
            timeseries(
                "Errors by type",
                "Share of requests that failed, by what happened; 4xx and abort are the client's, shed and "
                "rejected the sidecar's, the others the server's.",
                "percentunit",
                Query(f"{by_type} / on () group_left () ({total(REQUESTS)} > 0)", "{{error_type}}"),
            ),
            "No errors",
        ),
        latency(
            "Latency",
            "From the complete request head to the last byte received from the model. Points are traces.",
            quantiles("model.request.duration", TRAFFIC, exemplars=True),
        ),
        latency(
            "Time to first byte",
            "From the last request byte sent to the first byte of the final answer.",
            quantiles("model.request.time_to_first_byte", TRAFFIC),
        ),
        latency(
            "Waiting for the client",
            "Time per exchange in which the answer waited for the client to read; it is part of no latency.",
            quantiles("model.client.wait", TRAFFIC),
        ),
        timeseries(
            "In flight",
            "Requests whose exchange is not finished, queued ones included.",
            "short",
            Query(total(in_flight, "model_name", "operation"), "{{model_name}} {{operation}}"),
        ),
        empty(
            timeseries(
                "Queue length",
                "Requests waiting for admission (admission) or in the server's own queue (upstream).",
                "short",
                Query(total(gauge("model.queue.length", TARGET), "source"), "{{source}}"),
            ),
            NO_LIMIT,
        ),
        empty(
            timeseries(
                "Requests shed",
                "Requests per second that were answered by the sidecar because of the admission limit.",
                "reqps",
                Query(total(rate("model.requests.shed", TARGET), "reason"), "{{reason}}"),
            ),
            NO_LIMIT,
        ),
        empty(latency("Queue wait", "Time an admitted exchange waited for admission.", waits), NO_LIMIT),
        _sizes(),
        *_connections(),
    )


def _by_code_class() -> Panel:
    code = f'label_replace({REQUESTS}, "class", "$1", "code", "(.+)")'
    classed = f'label_replace({code}, "class", "${{1}}xx", "code", "(.)..")'
    panel = timeseries(
        "Requests by code class",
        "Requests per second by class of the status code; none is an exchange without a final status line.",
        "reqps",
        Query(total(classed, "class"), "{{class}}"),
    )
    colours = {"2xx": "green", "3xx": "blue", "4xx": "orange", "5xx": "red", "none": "purple"}
    return coloured(stacked(panel), colours)


def _sizes() -> Panel:
    queries = (
        Query(quantile(level, f"model.{side}.size", TRAFFIC), f"{side} {word}")
        for side in ("request", "response")
        for word, level in (("p50", 0.5), ("p99", 0.99))
    )
    return timeseries("Request and response size", "Bytes on the wire, heads included.", "bytes", *queries)


def _connections() -> Sequence[Panel]:
    ended = total(rate("model.connections", TARGET), "protocol")
    io = total(rate("model.connection.io", TARGET), "direction")
    lifetime = quantile(0.5, "model.connection.duration", TARGET)
    return (
        timeseries(
            "Connections",
            "Client connections open now.",
            "short",
            Query(total(gauge("model.connections.open", TARGET)), "open"),
        ),
        empty(
            timeseries(
                "Connections ended",
                "Client connections ended per second, by what was spoken on them; median of their lifetime.",
                "cps",
                Query(ended, "{{protocol}}"),
                Query(lifetime, "median lifetime"),
            ),
            "None ended",
        ),
        timeseries(
            "Connections held or ended by the sidecar",
            "Connections ended by a bound on time, pauses of accepting, failed TLS handshakes, per second.",
            "cps",
            Query(total(rate("model.connection.timeouts", TARGET), "reason"), "timeout: {{reason}}"),
            Query(total(rate("model.connection.accept_pauses", TARGET), "reason"), "pause: {{reason}}"),
            Query(
                total(rate("model.connection.tls_failures", TARGET), "source", "reason"),
                "TLS with {{source}}: {{reason}}",
            ),
        ),
        empty(
            timeseries(
                "Bytes relayed",
                "Bytes on ended connections; receive is from the client.",
                "Bps",
                Query(io, "{{direction}}"),
            ),
            "None ended",
        ),
    )


def _predictions() -> Sequence[Panel]:
    classes = total(rate("model.predictions", OUTPUT), "output", "class")
    rows = total(gauge("model.window.rows", f'{OUTPUT}, window="$window"'), "output")
    by_class = timeseries(
        "Predictions by class",
        "Predicted rows per second; numeric outputs have no class.",
        "short",
        Query(classes, "{{output}} {{class}}"),
    )
    window = timeseries(
        "Rows in the window", "Rows in the rolling window.", "short", Query(rows, "{{output}}")
    )
    against = drift.live_against_reference("Live against reference: $output", "model.prediction.bin", OUTPUT)
    return (
        sized(stacked(by_class), 12, 8),
        sized(window, 12, 8),
        sized(_batches(), 12, 8),
        sized(_contradictions(), 12, 8),
        _values(),
        repeated(against, "output", 2),
        *(empty(signed(panel), NOT_NUMERIC) for panel in _moments()),
    )


def _batches() -> Panel:
    queries = (
        Query(quantile(level, "model.batch.rows", OBSERVED), word) for word, level in QUANTILES.items()
    )
    return empty(
        timeseries("Rows per request", "Rows of a decoded exchange.", "short", *queries), "None decoded"
    )


def _contradictions() -> Panel:
    seen = total(increase("model.task.contradictions", OBSERVED), "model_name", "model_version")
    text = "Predicted rows that contradict the model's task, such as probabilities that do not add up to 1."
    panel = timeseries(
        "Contradictions of the task", text, "short", Query(seen, "{{model_name}} {{model_version}}")
    )
    return empty(panel, "None")


def _values() -> Panel:
    value = total(increase("model.prediction.value", OUTPUT, "_bucket"), "le")
    panel = heatmap(
        "Prediction values: $output",
        "Numeric predictions per bin over time.",
        "short",
        Query(value, "{{le}}", shape="heatmap"),
    )
    return empty(repeated(sized(panel, 12, 9), "output", 2), NOT_NUMERIC)


def _moments() -> Sequence[Panel]:
    window = f'{OUTPUT}, window="$window"'
    mean, deviation = gauge("model.window.mean", window), gauge("model.window.standard_deviation", window)
    levels = f"avg by (output, quantile) ({gauge('model.window.quantile', window)})"
    return (
        timeseries(
            "Window mean",
            "Mean of the rolling window, one standard deviation to either side, averaged over replicas.",
            "short",
            Query(f"avg by (output) ({mean})", "{{output}} mean"),
            Query(f"avg by (output) ({mean} + {deviation})", "{{output}} + deviation"),
            Query(f"avg by (output) ({mean} - {deviation})", "{{output}} - deviation"),
        ),
        timeseries(
            "Window quantiles",
            "Quantiles of the rolling window, averaged over replicas.",
            "short",
            Query(levels, "{{output}} {{quantile}}"),
        ),
    )
