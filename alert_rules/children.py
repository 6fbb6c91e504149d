"""Rules about what modeltap runs itself: a wrapped model that ends again and again, a job that fails or is late.

It knows no traffic. Invariant: a stop that was asked for is no fault.
"""

from alert_rules import values
from alert_rules.rules import Alert, Group, series, total
from alert_rules.values import SCOPE

OOM = 'reason="oom"'
REPLICA = (*SCOPE, "instance")
JOB = (*SCOPE, "job_name")
AT = "{{ $labels.instance }} (job {{ $labels.job }})"
NAME = "{{ $labels.job_name }}"


def group() -> Group:
    return Group(
        "modeltap-children", (), (_restarting(), _out_of_memory(), _failed(), _late()), dashboard="resources"
    )


def _restarting() -> Alert:
    # increase() extrapolates: three restarts can read 2.8.
    restarts = total(f"increase({series('model.process.restarts')}[15m])", *REPLICA)
    return Alert(
        "WrappedModelRestarting",
        "critical",
        "1m",
        f"round({restarts}) >= {values.MODEL_RESTARTS}",
        "A wrapped model restarts again and again.",
        f"The model at {AT} was started again {{{{ $value }}}} times in the last 15 minutes; requests fail while it "
        "is away.",
    )


def _out_of_memory() -> Alert:
    kills = total(f"increase({series('model.process.exits', OOM)}[15m])", *REPLICA)
    return Alert(
        "ModelOutOfMemory",
        "warning",
        "1m",
        f"round({kills}) >= 1",
        "A wrapped model was killed for want of memory.",
        f"The kernel killed the model at {AT} {{{{ $value }}}} times in the last 15 minutes because memory was short.",
    )


def _by_job(name: str) -> str:
    return f"max by ({', '.join(JOB)}) ({series(name)})"


def _failed() -> Alert:
    return Alert(
        "JobFailed",
        "warning",
        "1m",
        f"{_by_job('model.job.exit.code')} > 0",
        "The last run of a job failed.",
        f"The last run of the job {NAME} ended with exit code {{{{ $value }}}}.",
    )


def _late() -> Alert:
    # A job that never succeeded is late from its last start on.
    since = f"({_by_job('model.job.last_success.time')} or {_by_job('model.job.start.time')})"
    return Alert(
        "JobLate",
        "warning",
        "1m",
        f"time() - {since} > {values.JOB_LATE} * {_by_job('model.job.period')}",
        "A job has not succeeded for longer than it should.",
        f"The job {NAME} last succeeded {{{{ $value | humanizeDuration }}}} ago, which is more than "
        f"{values.JOB_LATE} times its period.",
    )
