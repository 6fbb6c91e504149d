"""The catalogue's rows about the quality of data: what is wrong with values, rows and times, and with whose rules."""

from exporter.records.metric import Metric

_COLUMN = ("model_name", "model_version", "output", "feature")

QUALITY: tuple[Metric, ...] = (
    # --- data quality: what cannot be right, by column and reason (docs/quality.md), beside what was looked at
    Metric(
        "model.data.checked",
        "counter",
        "{row}",
        (*_COLUMN, "role"),
        "Rows in which a counted column was looked at, or looked for: what violations are a part of.",
    ),
    Metric(
        "model.data.violations",
        "counter",
        "{row}",
        (*_COLUMN, "reason", "role"),
        "Rows whose value of a column cannot be right, by reason: limits, types, shapes, or a rule's name.",
    ),
    Metric(
        "model.reference.outlier_ratio",
        "gauge",
        "1",
        (*_COLUMN, "reference", "reason", "role"),
        "Share of the reference beyond its own fences: what outlier_z and outlier_iqr are judged against.",
    ),
    Metric(
        "model.prediction.missing",
        "counter",
        "{row}",
        ("model_name", "model_version", "output", "reason", "role"),
        "Predicted rows without a value, by reason: absent (no such key), null, nan, empty (text).",
    ),
)
