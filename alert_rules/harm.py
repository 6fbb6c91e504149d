"""The one rule about drift that pages: a model has drifted, and is worse for it.

It knows alerts, no data. Drift alone is a ticket (drift_long.py), for most of it is harmless; together with worse
figures, a missed KPI or a burnt budget of the same model it explains them. Invariant: neither side alone pages here.
"""

from alert_rules.rules import PREFIX, SCOPE, Alert, Group

DRIFTED = ("PredictionDrift", "FeatureDrift")
HARMED = ("PerformanceLow", "CalibrationLost", "KpiMissed", "SloBurnFast", "SloBurnSlow")
KEY = (*SCOPE, "model_name")


def firing(names: tuple[str, ...]) -> str:
    chosen = f'alertname=~"{PREFIX}({"|".join(names)})", alertstate="firing"'
    return f"count by ({', '.join(KEY)}) (ALERTS{{{chosen}}})"


def group() -> Group:
    alert = Alert(
        "DriftHarms",
        "critical",
        "2m",
        f"{firing(DRIFTED)} > 0 and {firing(HARMED)} > 0",
        "A model has drifted and has become worse.",
        "{{ $value }} columns of model {{ $labels.model_name }} have drifted, and an alert about its results or its "
        "objectives fires as well.",
        keep="15m",
    )
    return Group("modeltap-harm", (), (alert,), dashboard="drift")
