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

DESCRIPTION: tuple[Metric, ...] = (
    Metric(
        "model.owner",
        "info",
        "1",
        ("model_name", "owner", "team"),
        "1 for whom a model belongs to, by the settings or by its description; to be joined with alerts.",
        "stable",
    ),
    Metric(
        "model.description",
        "info",
        "1",
        ("model_name", "model_version", "digest", "source", "run_id", "checkpoint"),
        "1 for each description of a model; digest is that of all it says but owner and team, source the format that "
        "it was read from.",
    ),
    Metric(
        "model.description.section",
        "info",
        "1",
        ("model_name", "model_version", "section", "digest"),
        "1 for each section of a description, with the first 16 digits of its digest.",
    ),
    Metric(
        "model.description.state",
        "gauge",
        "1",
        ("path", "state"),
        "1 for the state that a file of a description is in: match, mismatch, unverified (no digest is expected), "
        "missing, unreadable, malformed, pending.",
    ),
    Metric(
        "model.description.changes",
        "counter",
        "{change}",
        ("model_name", "section"),
        "Times that a section of a description was found to say something else than before.",
    ),
)
