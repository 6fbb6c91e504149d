"""The catalogue's rows about the quality of data: what is wrong with values, rows and times, and with whose rules."""

from exporter.records.metric import Metric

# Seconds between an event and its analysis: a stream, a queue, an hourly, daily, weekly or monthly batch.
LAG_BUCKETS = (
    *(0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
    *(3600.0, 21_600.0, 86_400.0, 172_800.0, 604_800.0, 2_592_000.0),
)
# Of model.data.violations, besides the names of an owner's rules.
REASONS = (
    *("small_value", "big_value", "has_inf", "outlier_z", "outlier_iqr", "unexpected_value", "invalid_utf8"),
    *("unexpected_data_type", "invalid_feature_shape", "missing_column", "new_column"),
)
_MODEL = ("model_name", "model_version")
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
    Metric(
        "model.duplicates",
        "counter",
        "{row}",
        (*_MODEL, "role"),
        "Input rows that are exactly one of the last hour's; a lossy table finds them (docs/quality.md).",
    ),
    Metric(
        "model.duplicates.checked",
        "counter",
        "{row}",
        (*_MODEL, "role"),
        "Input rows that were looked for among those of the last hour.",
    ),
    Metric(
        "model.reference.duplicate_ratio",
        "gauge",
        "1",
        (*_MODEL, "reference", "role"),
        "Share of the reference's rows that repeat an earlier one.",
    ),
    Metric(
        "model.reference.row_rate",
        "gauge",
        "{row}/s",
        (*_MODEL, "reference", "role"),
        "Rows per second of the reference, over those of its periods that have any.",
    ),
    Metric(
        "model.event.lag",
        "histogram",
        "s",
        (*_MODEL, "role"),
        "Age of rows when they were analysed, by their column of times.",
        buckets=LAG_BUCKETS,
    ),
    Metric(
        "model.event.future",
        "counter",
        "{row}",
        (*_MODEL, "role"),
        "Rows whose time lies ahead; they are in no bucket of the lag.",
    ),
    Metric(
        "model.event.time.latest",
        "gauge",
        "s",
        (*_MODEL, "role"),
        "The latest time of a row that does not lie ahead, in unix seconds.",
    ),
    Metric(
        "model.window.constant",
        "gauge",
        "1",
        (*_COLUMN, "window", "role"),
        "Whether a column has one single value in a window of 30 values or more, where its reference has several.",
    ),
    Metric(
        "model.rules.checked",
        "counter",
        "{row}",
        (*_MODEL, "reason", "role"),
        "Rows that a rule of the owner's (reason) judged; those without a value only by not_null.",
    ),
    Metric(
        "model.rules.failures",
        "counter",
        "{failure}",
        (*_MODEL, "reason", "role"),
        "Rules of the owner's, told by reason, that failed and were switched off.",
    ),
)
