"""Rules about more than a model carries: queues that grow, requests turned away, kinds of failure, and scaling.

It knows counts of requests, and of replicas. Invariants: no ratio alerts below `MIN_REQUESTS`; what needs
kube-state-metrics says nothing where there is none.
"""

from alert_rules import values
from alert_rules.rules import MODEL, SCOPE, TRAFFIC, Alert, Group, Record, series, total
from alert_rules.traffic import COUNT, FAILURES, NAMED, REQUESTS
from exporter.records.exchange import ERROR_OWNERS

QUEUE = "job:model_queue_length:sum"
SHED = "job:model_requests_shed:ratio_increase5m"
CAUSE = "type:model_request_errors:ratio_rate5m"
REPLICAS = "job:model_replicas:count"
CHANGES = "job:model_replicas:changes1h"
AT_LIMIT = "namespace:model_autoscaler_at_limit:replicas"
CLIENTS = "|".join(kind for kind, owner in ERROR_OWNERS.items() if owner == "client")


def group() -> Group:
    key = ", ".join(MODEL)
    failed = total(f"rate({series('model.request.errors', TRAFFIC)}[5m])", *MODEL, "error_type")
    shed = total(f"increase({series('model.requests.shed')}[5m])", *SCOPE, "reason")
    counted = total(f"increase({series('model.request.duration', TRAFFIC, '_count')}[5m])", *SCOPE)
    autoscaler = ", ".join(("namespace", "horizontalpodautoscaler"))
    current, most = (
        f"max by ({autoscaler}) (kube_horizontalpodautoscaler_{name})"
        for name in ("status_current_replicas", "spec_max_replicas")
    )
    records = (
        Record(QUEUE, total(series("model.queue.length"), *SCOPE, "source")),
        Record(SHED, f"{shed} / on ({', '.join(SCOPE)}) group_left () ({counted} >= {values.MIN_REQUESTS})"),
        Record(CAUSE, f"{failed} / on ({key}) group_left () ({REQUESTS} > 0)"),
        Record(REPLICAS, f"count by ({', '.join(SCOPE)}) ({series('modeltap.build')})"),
        Record(CHANGES, f"changes({REPLICAS}[1h])"),
        # Only of namespaces that hold sidecars.
        Record(
            AT_LIMIT,
            f"({current} >= {most}) and on (namespace) count by (namespace) ({series('modeltap.build')})",
        ),
    )
    return Group("modeltap-load", records, (_queue(), _shed(), *_causes(), *_scaling()))


def _queue() -> Alert:
    return Alert(
        "QueueGrowing",
        "warning",
        "5m",
        f"min_over_time({QUEUE}[10m]) > {values.QUEUE_LENGTH} and deriv({QUEUE}[10m]) > 0 and {QUEUE} > 0",
        "More and more requests wait for a model.",
        "At least {{ $value }} requests waited for the models of job {{ $labels.job }} (queue of the "
        f"{{{{ $labels.source }}}}) for 10 minutes, and become more; the limit is {values.QUEUE_LENGTH}.",
    )


def _shed() -> Alert:
    return Alert(
        "RequestsShed",
        "warning",
        "5m",
        f"{SHED} > {values.SHED_RATIO}",
        "Requests are turned away because the admission limit is reached.",
        "{{ $value | humanizePercentage }} of the requests to job {{ $labels.job }} were turned away in 5 minutes "
        f"({{{{ $labels.reason }}}}); the limit is {values.SHED_RATIO:.0%}.",
    )


def _causes() -> tuple[Alert, ...]:
    enough = f"and on ({', '.join(MODEL)}) {COUNT} >= {values.MIN_REQUESTS}"
    return (
        Alert(
            "ErrorCauseHigh",
            "warning",
            "10m",
            f'{CAUSE}{{error_type=~"{FAILURES}"}} > {values.ERROR_CAUSE_RATIO} {enough}',
            "One kind of failure has become usual for a model.",
            f"{{{{ $value | humanizePercentage }}}} of the requests to model {NAMED} end in "
            f"{{{{ $labels.error_type }}}}; the limit is {values.ERROR_CAUSE_RATIO:.0%}.",
        ),
        Alert(
            "ClientErrorsHigh",
            "info",
            "15m",
            f'{CAUSE}{{error_type=~"{CLIENTS}"}} > {values.CLIENT_ERROR_RATIO} {enough}',
            "Callers of a model do something wrong.",
            f"{{{{ $value | humanizePercentage }}}} of the requests to model {NAMED} end in "
            f"{{{{ $labels.error_type }}}} by the fault of callers; the limit is {values.CLIENT_ERROR_RATIO:.0%}.",
        ),
    )


def _scaling() -> tuple[Alert, ...]:
    return (
        Alert(
            "ReplicasFlapping",
            "info",
            "1m",
            f"{CHANGES} >= {values.REPLICA_CHANGES}",
            "The number of replicas of a model changes again and again.",
            "The number of sidecars of job {{ $labels.job }} changed {{ $value }} times in the last hour.",
        ),
        Alert(
            "AutoscalerAtLimit",
            "warning",
            "15m",
            f"{AT_LIMIT} > 0",
            "An autoscaler beside a model has no replica left to add.",
            "Autoscaler {{ $labels.horizontalpodautoscaler }} in namespace {{ $labels.namespace }} has been at its "
            "maximum of {{ $value }} replicas for 15 minutes.",
        ),
    )
