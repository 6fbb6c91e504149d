"""Rules about requests: error ratio, latency, silence, and whether model and sidecar are there at all.

It knows exact counts only, nothing that depends on bodies. Invariant: health and metadata calls count
nowhere, and no ratio or quantile alerts below `MIN_REQUESTS`.
"""

from alert_rules import values
from alert_rules.rules import MODEL, PREFIX, SCOPE, TRAFFIC, Alert, Group, Record, series, total
from exporter.records.exchange import ERROR_OWNERS

# The client's own errors (4xx, abort) are no failure of the service.
FAILURES = "|".join(kind for kind, owner in ERROR_OWNERS.items() if owner != "client")
REQUESTS = "model:model_requests:rate5m"
COUNT = "model:model_requests:increase5m"
RATIO = "model:model_request_errors:ratio_rate5m"
P99 = "model:model_request_duration_seconds:p99_5m"
DOWN = f'alertname="{PREFIX}ModelDown", alertstate="firing"'
NAMED = "{{ $labels.model_name }} {{ $labels.model_version }}"


def group() -> Group:
    counted = series("model.request.duration", TRAFFIC, "_count")
    buckets = series("model.request.duration", TRAFFIC, "_bucket")
    failed = series("model.request.errors", f'{TRAFFIC}, error_type=~"{FAILURES}"')
    records = (
        Record(REQUESTS, total(f"rate({counted}[5m])", *MODEL)),
        Record(COUNT, total(f"increase({counted}[5m])", *MODEL)),
        # No error yet can mean no error series yet: a ratio of 0, not of nothing.
        Record(RATIO, f"({total(f'rate({failed}[5m])', *MODEL)} or 0 * {REQUESTS}) / ({REQUESTS} > 0)"),
        # The quantile of nothing is NaN, which this comparison leaves out.
        Record(P99, f"histogram_quantile(0.99, {total(f'rate({buckets}[5m])', *MODEL, 'le')}) >= 0"),
    )
    return Group("modeltap-traffic", records, (*_quality(), _no_traffic(counted), *_presence()))


def _quality() -> tuple[Alert, ...]:
    enough = f"and {COUNT} >= {values.MIN_REQUESTS}"
    return (
        Alert(
            "ErrorRatioHigh",
            "warning",
            "5m",
            f"{RATIO} > {values.ERROR_RATIO} {enough}",
            "Too many requests to a model fail.",
            f"{{{{ $value | humanizePercentage }}}} of the requests to model {NAMED} failed in the last 5 "
            f"minutes by the fault of the server or the sidecar; the limit is {values.ERROR_RATIO:.0%}.",
        ),
        Alert(
            "LatencyHigh",
            "warning",
            "10m",
            f"{P99} > {values.LATENCY_P99:g} {enough}",
            "A model answers slowly.",
            f"The p99 latency of model {NAMED} is {{{{ $value | humanizeDuration }}}}; "
            f"the limit is {values.LATENCY_P99:g}s.",
        ),
    )


def _no_traffic(counted: str) -> Alert:
    # Without the version: traffic that moves to a new version is no silence.
    key = MODEL[:-1]
    before = total(f"rate({counted}[30m] offset 1h)", *key)
    now = total(f"rate({counted}[10m])", *key)
    return Alert(
        "NoTraffic",
        "warning",
        "5m",
        f"{before} > {values.EXPECTED_RATE} unless {now} > 0",
        "A model that had traffic an hour ago has none now.",
        'Model {{ $labels.model_name }} got {{ $value | printf "%.2f" }} requests per second an hour ago and '
        "none in the last 10 minutes.",
    )


def _presence() -> tuple[Alert, ...]:
    # A target that is down exports nothing, so it is known by what it exported before.
    known = f"up == 0 and on (job, instance) max_over_time({series('modeltap.build')}[1d]) > 0"
    return (
        Alert(
            "TargetDown",
            "warning",
            "5m",
            f"up{{{values.TARGETS}}} == 0 or ({known})",
            "A sidecar cannot be scraped.",
            "Prometheus cannot scrape the sidecar at {{ $labels.instance }} (job {{ $labels.job }}): "
            "up is {{ $value }}.",
        ),
        Alert(
            "ModelDown",
            "critical",
            "1m",
            # A single failed scrape must not look like recovery.
            f"max_over_time({series('model.up')}[2m]) == 0",
            "A model does not answer its probes.",
            "The model behind the sidecar at {{ $labels.instance }} (job {{ $labels.job }}) does not answer: "
            "model_up is {{ $value }}.",
        ),
        # A page ends with the outage, windows of rates and budgets do not: this inhibits what they remember.
        Alert(
            "ModelWasDown",
            "info",
            "0s",
            f"max by ({', '.join((*SCOPE, 'instance'))}) (max_over_time(ALERTS{{{DOWN}}}[15m])) > 0",
            "A model does not answer its probes, or did not a short while ago.",
            "The model behind the sidecar at {{ $labels.instance }} (job {{ $labels.job }}) has been down within the "
            "last 15 minutes ({{ $value }}): what its errors do to rates and budgets is told by ModeltapModelDown.",
        ),
    )
