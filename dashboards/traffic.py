"""The rows "Now", "Traffic", "Queue" and "Versions": rate, errors and duration of what passes through the sidecar.

It knows which question each panel answers. Invariants: health and metadata calls are no traffic; a ratio is
divided by what is above zero, so that an idle endpoint shows "No traffic" instead of NaN.
"""

from collections.abc import Sequence

from alert_rules.promql import ALERTS
from dashboards.panels import Panel, Query, beside, coloured, empty, judged, mapped, stacked, stat, timeseries
from dashboards.queries import gauge, latency, quantile, quantiles, rate, total
from dashboards.variables import LATENCY_TARGET, MODEL, OBSERVED, SERIES, TARGET, TRAFFIC
from exporter.records.exchange import ERROR_OWNERS

FAILURES = "|".join(kind for kind, owner in ERROR_OWNERS.items() if owner != "client")
NO_LIMIT = "No admission limit set"
REQUESTS = rate("model.request.duration", TRAFFIC, "_count")
ALERTED = 'alertname=~"Modeltap.+", alertstate="firing", job=~"$job|"'
FIRING = f"{ALERTS}{{{ALERTED}}}"
FAILED_STEPS = (("green", None), ("orange", 0.01), ("red", 0.05))
WITHIN_STEPS = (("red", None), ("orange", 0.95), ("green", 0.99))
IN_FLIGHT = gauge("model.requests.in_flight", f'{MODEL}, operation!~"health|metadata"')


def failed(*labels: str) -> str:
    """Share of requests that the server or the sidecar failed."""
    answered = f"({total(REQUESTS, *labels)} > 0)"
    lost = total(rate("model.request.errors", f'{TRAFFIC}, error_type=~"{FAILURES}"'), *labels)
    # No error yet means no error series yet, which is a ratio of 0 and not of nothing.
    return f"({lost} or 0 * {total(REQUESTS, *labels)}) / {answered}"


def within(*labels: str) -> str:
    """Share of requests that took no longer than the target, which is a bound of the histogram."""
    quick = rate("model.request.duration", f"{TRAFFIC}, {LATENCY_TARGET}", "_bucket")
    return f"{total(quick, *labels)} / ({total(REQUESTS, *labels)} > 0)"


def now() -> Sequence[Panel]:
    """One glance."""
    return (
        running(),
        stat(
            "Requests",
            "Requests per second, health and metadata calls left out.",
            "reqps",
            Query(total(REQUESTS)),
        ),
        failing(),
        stat(
            "p99",
            "99 % of requests took no longer.",
            "s",
            Query(quantile(0.99, "model.request.duration", TRAFFIC)),
        ),
        attained(),
        stat("In flight", "Requests whose exchange is not finished.", "short", Query(total(IN_FLIGHT))),
        stat(
            "Versions",
            "Model versions seen.",
            "short",
            Query(f"count(count by (model_name, model_version) ({gauge('model.info', SERIES)}))"),
        ),
        firing(),
    )


def running() -> Panel:
    up = stat(
        "Model",
        "Whether every upstream answered its last probe.",
        "none",
        Query(f"min({gauge('model.up', TARGET)})"),
    )
    up["options"]["graphMode"] = "none"
    return mapped(judged(empty(up, "No probe yet"), ("red", None), ("green", 1)), {"0": "Down", "1": "Up"})


def failing() -> Panel:
    text = "Share of requests that the server or the sidecar failed."
    return judged(stat("Failed", text, "percentunit", Query(failed())), *FAILED_STEPS)


def attained() -> Panel:
    text = "Share of requests that took no longer than the latency target chosen above."
    return judged(stat("Within target", text, "percentunit", Query(within())), *WITHIN_STEPS)


def firing() -> Panel:
    text = "Alerts of modeltap's rules that fire for what is chosen; those on absence have no job and are shown always."
    panel = stat("Alerts", text, "short", Query(f"count({FIRING}) or vector(0)"))
    return judged(empty(panel, "None"), ("green", None), ("orange", 1))


def panels() -> Sequence[Panel]:
    by_type = total(rate("model.request.errors", TRAFFIC), "error_type")
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
        _sizes(),
    )


def queue() -> Sequence[Panel]:
    """What waits, and what was not let in."""
    waits = quantiles("model.queue.wait", TRAFFIC)
    return (
        timeseries(
            "In flight",
            "Requests whose exchange is not finished, queued ones included.",
            "short",
            Query(total(IN_FLIGHT, "model_name", "operation"), "{{model_name}} {{operation}}"),
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
        empty(latency("Queue wait", "Time an admitted exchange waited for admission.", waits), NO_LIMIT),
        empty(
            timeseries(
                "Requests shed",
                "Requests per second that were answered by the sidecar because of the admission limit.",
                "reqps",
                Query(total(rate("model.requests.shed", TARGET), "reason"), "{{reason}}"),
            ),
            NO_LIMIT,
        ),
    )


def versions() -> Sequence[Panel]:
    """The same questions of each version, side by side."""
    by, legend = ("model_name", "model_version"), "{{model_name}} {{model_version}}"
    rows = total(rate("model.batch.rows", OBSERVED, "_sum"), *by)
    latencies = [
        Query(quantile(level, "model.request.duration", TRAFFIC, *by), f"{legend} {word}")
        for word, level in (("p50", 0.5), ("p99", 0.99))
    ]
    return (
        stacked(
            timeseries(
                "Requests by version", "Requests per second.", "reqps", Query(total(REQUESTS, *by), legend)
            )
        ),
        timeseries(
            "Failed by version",
            "Share of requests that the server or the sidecar failed.",
            "percentunit",
            Query(failed(*by), legend),
        ),
        timeseries("Latency by version", "Half and 99 % of requests took no longer.", "s", *latencies),
        timeseries(
            "Within target by version",
            "Share of requests that took no longer than the latency target chosen above.",
            "percentunit",
            Query(within(*by), legend),
        ),
        timeseries("Rows by version", "Decoded rows per second.", "short", Query(rows, legend)),
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


def connections() -> Sequence[Panel]:
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
            beside(
                timeseries(
                    "Connections ended",
                    "Client connections ended per second, by what was spoken on them; median of their lifetime.",
                    "cps",
                    Query(ended, "{{protocol}}"),
                    Query(lifetime, "median lifetime"),
                ),
                "median lifetime",
                "s",
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
