"""Rules about the sidecar itself: what it dropped, whether its analysis stays up, whether it lost framing.

It knows no model. Invariant: none of these is critical, since traffic passes unharmed in every one of them.
"""

from alert_rules import values
from alert_rules.rules import Alert, Group, Record, series, total
from alert_rules.values import SCOPE

REPLICA = (*SCOPE, "instance")
DROPPED = "instance:modeltap_records_dropped:ratio_increase15m"
DESYNCS = "instance:modeltap_desyncs:increase15m"
AT = "{{ $labels.instance }} (job {{ $labels.job }})"


def group() -> Group:
    dropped = total(f"increase({series('modeltap.records.dropped')}[15m])", *REPLICA)
    offered = total(f"increase({series('modeltap.records.offered')}[15m])", *REPLICA)
    desyncs = total(f"increase({series('modeltap.desyncs')}[15m])", *REPLICA)
    records = (
        Record(DROPPED, f"{dropped} / ({offered} >= {values.MIN_REQUESTS})"),
        Record(DESYNCS, desyncs),
    )
    return Group(
        "modeltap-sidecar",
        records,
        (_dropped(), _restarting(), _desyncs(), _certificate(), _silent(), _collector(), _kept()),
        dashboard="resources",
    )


def _dropped() -> Alert:
    return Alert(
        "RecordsDropped",
        "warning",
        "15m",
        f"{DROPPED} > {values.DROPPED_RATIO}",
        "A sidecar analyses only a part of its traffic.",
        f"The sidecar at {AT} dropped {{{{ $value | humanizePercentage }}}} of the exchanges in the last 15 "
        f"minutes before analysing them; the limit is {values.DROPPED_RATIO:.0%}. Requests and "
        "latency are still exact.",
    )


def _restarting() -> Alert:
    restarts = series("modeltap.restarts", 'component="analysis"')
    # increase() extrapolates: three restarts can read 2.8.
    counted = f"round({total(f'increase({restarts}[15m])', *REPLICA)})"
    return Alert(
        "AnalysisRestarting",
        "warning",
        "1m",
        f"{counted} >= {values.RESTARTS}",
        "The analysis of a sidecar restarts again and again.",
        f"The analysis of the sidecar at {AT} restarted {{{{ $value }}}} times in the last 15 minutes; "
        "predictions and drift have gaps, requests and latency are still exact.",
    )


def _desyncs() -> Alert:
    ended = total(f"increase({series('model.connections')}[15m])", *REPLICA)
    still_open = total(series("model.connections.open"), *REPLICA)
    ratio = f"{DESYNCS} / ({ended} + {still_open} > 0)"
    return Alert(
        "DesyncsHigh",
        "warning",
        "5m",
        f"{ratio} > {values.DESYNC_RATIO} and {DESYNCS} >= {values.MIN_DESYNCS}",
        "A sidecar cannot follow a part of its connections.",
        f"The sidecar at {AT} lost the framing of {{{{ $value | humanizePercentage }}}} of its connections "
        "in the last 15 minutes and relays them without telemetry.",
    )


def _certificate() -> Alert:
    left = f"min by ({', '.join((*REPLICA, 'component'))}) ({series('modeltap.certificate.expiry')}) - time()"
    return Alert(
        "CertificateEnds",
        "warning",
        "15m",
        f"{left} < {values.CERTIFICATE_SECONDS}",
        "A certificate of a sidecar is about to end, or has.",
        f"The certificate that the sidecar at {AT} shows ({{{{ $labels.component }}}}) has "
        "{{ $value | humanizeDuration }} left; once it is over, peers that check it refuse the connection.",
    )


def _silent() -> Alert:
    return Alert(
        "SidecarSilent",
        "warning",
        "5m",
        f"up{{{values.TARGETS}}} == 1 unless on (job, instance) {series('modeltap.build')}",
        "A sidecar is up and tells nothing.",
        "Prometheus scrapes {{ $labels.instance }} (job {{ $labels.job }}; up is {{ $value }}) and finds nothing of a "
        "sidecar there.",
    )


def _collector() -> Alert:
    name, key = "modeltap.otlp.exports", (*REPLICA, "signal")
    outcomes = ('outcome="failure"', 'outcome="success"')
    failed, came = (total(f"increase({series(name, outcome)}[10m])", *key) for outcome in outcomes)
    return Alert(
        "CollectorDown",
        "warning",
        "5m",
        f"{failed} > 0 unless {came} > 0",
        "A collector takes nothing from a sidecar.",
        f"All of the {{{{ $value | humanize }}}} exports of {{{{ $labels.signal }}}} of the sidecar at {AT} failed in "
        "the last 10 minutes.",
    )


def _kept() -> Alert:
    families = ("modeltap.window.snapshots", "modeltap.history.files")
    found = (series(name, 'outcome="failed"') for name in families)
    windows, history = (total(f"increase({failed}[10m])", *REPLICA) for failed in found)
    return Alert(
        "StateNotKept",
        "warning",
        "10m",
        f"{windows} > 0 or {history} > 0",
        "A sidecar cannot keep what should outlive its restart.",
        f"The sidecar at {AT} could not read or write files in its state_dir, {{{{ $value | humanize }}}} times in the "
        "last 10 minutes; after a restart windows are empty, and a version that returns is new.",
    )
