"""The table of models: by promtool."""

from pathlib import Path

from alert_rules.promql import interpolate
from dashboards import overview
from tests.dashboards.judged import holds

DURATION = 'model_request_duration_seconds_count{{job="modeltap", instance="a", namespace="", operation="predict", {}}}'
ALERT = (
    'ALERTS{{alertstate="firing", alertname="Modeltap{}", job="modeltap", instance="a", namespace="", {}}}'
)


def test_alerts_stand_with_the_versions_that_they_are_about(tmp_path: Path) -> None:
    """One of a version counts there; one that names only the model at each of its versions, in no further row."""
    versions = {
        "a": ('model_name="m", model_version="1"', 3),
        "b": ('model_name="m", model_version="2"', 1),
        "c": ('model_name="n", model_version="1"', 1),
    }
    firing = {
        ("Drift", 'model_name="m", model_version="1"'): 1,
        ("Slow", 'model_name="m", model_version="1"'): 1,
        ("Burn", 'model_name="m", model_version=""'): 1,
        ("Down", 'model_name="n", model_version="1"'): 1,
        ("Gpu", 'model_name=""'): 1,
    }
    given = [{"series": DURATION.format(labels), "values": "0+60x10"} for labels, _ in versions.values()]
    given += [{"series": ALERT.format(*one), "values": "1x10"} for one in firing]
    (table,) = overview.models()
    names = next(
        one["options"]["renameByName"] for one in table["transformations"] if one["id"] == "organize"
    )
    letter = next(key.removeprefix("Value #") for key, name in names.items() if name == "Alerts")
    query = next(target["expr"] for target in table["targets"] if target["refId"] == letter)
    shown = [{"labels": f"{{{labels}}}", "value": count} for labels, count in versions.values()]
    cases = [
        {"expr": interpolate(query, {"__rate_interval": "5m"}), "eval_time": "10m", "exp_samples": shown}
    ]
    holds(tmp_path, {"interval": "1m", "input_series": given, "promql_expr_test": cases})
