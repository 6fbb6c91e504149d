"""Rules about the model's life: availability, restarts, slow starts, versions that come back or come and go.

It knows probes, and versions as answers tell them. Invariant: a share of time is summed over replicas before it is
divided, and nothing alerts on less than `OBSERVED_SECONDS` of observation. Whether the model is down now is in
`traffic.py`.
"""

from alert_rules import values
from alert_rules.rules import Alert, Group, Record, series, total
from alert_rules.values import SCOPE

REPLICA = (*SCOPE, "instance")
NAMED = (*SCOPE, "model_name")
AVAILABILITY = "job:model_availability:ratio_increase1h"
COLD_START = "job:model_cold_start_duration_seconds:mean_increase1h"
AT = "{{ $labels.instance }} (job {{ $labels.job }})"


def group() -> Group:
    observed = total(f"increase({series('model.health.time')}[1h])", *SCOPE)
    up_state = 'state="up"'
    up = total(f"increase({series('model.health.time', up_state)}[1h])", *SCOPE)
    starts = total(f"increase({series('model.cold_start.duration', '', '_count')}[1h])", *SCOPE)
    spent = total(f"increase({series('model.cold_start.duration', '', '_sum')}[1h])", *SCOPE)
    records = (
        Record(AVAILABILITY, f"{up} / ({observed} >= {values.OBSERVED_SECONDS})"),
        Record(COLD_START, f"{spent} / ({starts} > 0)"),
    )
    return Group("modeltap-life", records, (_availability(), _cold_start(), _restarting(), *_versions()))


def _availability() -> Alert:
    return Alert(
        "AvailabilityLow",
        "warning",
        "5m",
        f"{AVAILABILITY} < {values.AVAILABILITY}",
        "A model was down for too much of the last hour.",
        "The models of job {{ $labels.job }} were up for {{ $value | humanizePercentage }} of the last hour, all "
        f"replicas together; the limit is {values.AVAILABILITY:.0%}.",
    )


def _cold_start() -> Alert:
    return Alert(
        "ColdStartSlow",
        "warning",
        "1m",
        f"{COLD_START} > {values.COLD_START_SECONDS}",
        "A model server takes long to be ready.",
        "Starts of the model server of job {{ $labels.job }} took {{ $value | humanizeDuration }} on average in the "
        f"last hour; the limit is {values.COLD_START_SECONDS}s.",
    )


def _restarting() -> Alert:
    # increase() extrapolates: three restarts can read 2.8.
    restarts = series("model.restarts")
    counted = f"round({total(f'increase({restarts}[1h])', *REPLICA)})"
    return Alert(
        "ModelRestarting",
        "warning",
        "1m",
        f"{counted} >= {values.MODEL_RESTARTS}",
        "A model server restarts again and again.",
        f"The model server behind the sidecar at {AT} was started again {{{{ $value }}}} times in the last hour.",
    )


def _versions() -> tuple[Alert, ...]:
    # Of one replica: each of them sees a rollout for itself.
    changes = f"round(increase({series('model.version.changes')}[1h]))"
    most = f"max by ({', '.join(NAMED)}) (sum without (kind) ({changes}))"
    rollbacks = series("model.version.changes", 'kind="rollback"')
    failed = series("model.deployments", 'outcome="never_ready"')
    return (
        Alert(
            "VersionFlapping",
            "warning",
            "1m",
            f"{most} >= {values.VERSION_CHANGES}",
            "The version of a model changes again and again.",
            "Model {{ $labels.model_name }} changed its version {{ $value }} times in an hour behind one sidecar.",
        ),
        Alert(
            "VersionRolledBack",
            "info",
            "0m",
            f"max by ({', '.join(NAMED)}) (round(increase({rollbacks}[1h]))) > 0",
            "A model went back to a version that it had before.",
            "Model {{ $labels.model_name }} went back {{ $value }} times in an hour to a version that it had before; "
            "what was rolled out in between is no longer in use.",
        ),
        Alert(
            "DeploymentNeverReady",
            "critical",
            "0m",
            f"max by ({', '.join(NAMED)}) (round(increase({failed}[1h]))) > 0",
            "A model server was started and is not ready in time.",
            "The server of model {{ $labels.model_name }} (job {{ $labels.job }}) was started and was not ready within "
            "the time that it has (ready_within), {{ $value }} times in an hour.",
        ),
    )
