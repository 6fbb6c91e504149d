"""Catalogue rows of what the owner of a model declares: thresholds of scores."""

from exporter.records.metric import Metric

_THRESHOLD = ("model_name", "model_version", "threshold")

THRESHOLD: tuple[Metric, ...] = (
    Metric(
        "model.threshold.rows",
        "counter",
        "{row}",
        (*_THRESHOLD, "position", "role"),
        "Predicted rows by where their score lies from a declared threshold: below, just_below, just_above (these two "
        "within its band), above, missing (no such score). Together they are all rows.",
    ),
    Metric("model.threshold.value", "gauge", "1", (*_THRESHOLD, "role"), "The declared threshold."),
    Metric(
        "model.threshold.band",
        "gauge",
        "1",
        (*_THRESHOLD, "role"),
        "Up to how far from the threshold a score is near.",
    ),
)
