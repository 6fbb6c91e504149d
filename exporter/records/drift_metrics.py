"""The catalogue's rows about drift beyond the distance itself: yardsticks, p-values, effective rows, shares."""

from typing import Final

from exporter.records.metric import Metric

_MODEL: Final = ("model_name", "model_version")
_COLUMN: Final = (*_MODEL, "output", "feature")
_DRIFT: Final = (*_COLUMN, "window", "statistic", "reference", "role")

DRIFT: tuple[Metric, ...] = (
    Metric(
        "model.drift.p_value",
        "gauge",
        "1",
        _DRIFT,
        "Probability of a distance at least as large by chance, for the statistics that have one.",
    ),
    Metric(
        "model.drift.reference_level",
        "gauge",
        "1",
        _DRIFT,
        "Mean + 3 sigma of the distance over the reference's own periods of the window's length, where known.",
    ),
    Metric(
        "model.drift.effective_rows",
        "gauge",
        "{row}",
        _DRIFT,
        "Independent rows that the window's rows are worth; the noise floor and critical value are those of so many.",
    ),
    Metric(
        "model.drift.drifted_columns",
        "gauge",
        "1",
        (*_MODEL, "source", "window", "statistic", "reference", "role"),
        "Share of columns above all yardsticks and the effect, of those with rows enough; source: feature, prediction.",
    ),
    Metric(
        "model.column.squared_rows",
        "counter",
        "{row}",
        (*_COLUMN, "reference", "role"),
        "Sum over requests of the square of their rows of this column; for effective rows over replicas.",
    ),
    Metric(
        "model.column.squared_bins",
        "counter",
        "{row}",
        (*_COLUMN, "reference", "role"),
        "Sum over requests and bins of the square of their counts; for effective rows over replicas.",
    ),
    Metric(
        "model.columns.left_out",
        "gauge",
        "{column}",
        (*_MODEL, "reason", "role"),
        "Columns without counters, by reason: budget (in windows only), room (not counted), profile, unprofiled.",
    ),
    Metric(
        "modeltap.window.snapshots",
        "counter",
        "{snapshot}",
        ("outcome",),
        "Files of rolling windows: saved, restored, corrupt or foreign (set aside), failed (to be read or written).",
    ),
)
