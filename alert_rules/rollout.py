"""Rules about a new version: whether it answers more slowly than what it replaces, and whether it was taken back.

It knows versions by their name alone: new is what had no requests a day before, so the alert ends by itself a day after
the rollout. Invariants: both sides have enough requests, and traffic is compared with traffic; whole replicas may be
replaced, since nothing here is of one of them.
"""

from alert_rules import values
from alert_rules.rules import MODEL, TRAFFIC, Alert, Group, Record, series, total
from alert_rules.traffic import NAMED

P90 = "model:model_request_duration_seconds:p90_1h"
COUNT = "model:model_requests:increase1h"
SHARE = "model:model_version_share:ratio_increase30m"
BEFORE = "1d"
# A version has the traffic if it has clearly more than half of it: even splits are tests of two versions.
MAIN = 0.6
MEMORY, RECENT = "7d", "3h"


def group() -> Group:
    buckets = series("model.request.duration", TRAFFIC, "_bucket")
    counted = series("model.request.duration", TRAFFIC, "_count")
    key = ", ".join(MODEL[:-1])
    recent = total(f"increase({counted}[30m])", *MODEL)
    records = (
        Record(
            SHARE, f"{recent} / on ({key}) group_left () (sum by ({key}) ({recent}) >= {values.MIN_REQUESTS})"
        ),
        Record(COUNT, total(f"increase({counted}[1h])", *MODEL)),
        # The quantile of nothing is NaN, which this comparison leaves out.
        Record(
            P90,
            f"(histogram_quantile(0.9, {total(f'rate({buckets}[1h])', *MODEL, 'le')}) >= 0) "
            f"and {COUNT} >= {values.MIN_REQUESTS}",
        ),
    )
    return Group("modeltap-rollout", records, (_slower(), _returned()))


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


def _returned() -> Alert:
    key = ", ".join(MODEL[:-1])
    before = f"max_over_time({SHARE}[{MEMORY}] offset {RECENT}) > {MAIN:g}"
    several = f"count by ({key}) (max_over_time({SHARE}[{RECENT}]) > {MAIN:g}) > 1"
    return Alert(
        "VersionReturned",
        "info",
        "5m",
        f"{SHARE} > {MAIN:g} and {before} and on ({key}) ({several})",
        "The requests of a model go to a version again that another one had replaced.",
        f"Model {NAMED} has {{{{ $value | humanizePercentage }}}} of the requests; another version had them within the "
        f"last {RECENT}, and this one before.",
    )
