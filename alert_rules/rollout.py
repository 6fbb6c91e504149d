"""Rules about a new version: whether it answers more slowly than what it replaces.

It knows versions by their name alone: new is what had no requests a day before, so the alert ends by itself a day after
the rollout. Invariant: both sides have enough requests, and traffic is compared with traffic.
"""

from alert_rules import values
from alert_rules.rules import MODEL, TRAFFIC, Alert, Group, Record, series, total
from alert_rules.traffic import NAMED

P90 = "model:model_request_duration_seconds:p90_1h"
COUNT = "model:model_requests:increase1h"
BEFORE = "1d"


def group() -> Group:
    buckets = series("model.request.duration", TRAFFIC, "_bucket")
    counted = series("model.request.duration", TRAFFIC, "_count")
    records = (
        Record(COUNT, total(f"increase({counted}[1h])", *MODEL)),
        # The quantile of nothing is NaN, which this comparison leaves out.
        Record(
            P90,
            f"(histogram_quantile(0.9, {total(f'rate({buckets}[1h])', *MODEL, 'le')}) >= 0) "
            f"and {COUNT} >= {values.MIN_REQUESTS}",
        ),
    )
    return Group("modeltap-rollout", records, (_slower(),))


def _slower() -> Alert:
    key = ", ".join(MODEL[:-1])
    old = f"max by ({key}) ({P90} offset {BEFORE})"
    return Alert(
        "VersionSlower",
        "warning",
        "15m",
        f"({P90} unless {P90} offset {BEFORE}) > on ({key}) group_left () {values.SLOWER_FACTOR:g} * {old}",
        "A new version of a model is slower than what it replaces.",
        f"The p90 latency of model {NAMED} is {{{{ $value | humanizeDuration }}}}, more than "
        f"{values.SLOWER_FACTOR:g} times that of the versions of the day before.",
    )
