"""The catalogue's rows about windows, and about drift beyond the distance itself: yardsticks, moments, sums."""

from typing import Final

from exporter.records.metric import Metric

_MODEL: Final = ("model_name", "model_version")
_COLUMN: Final = (*_MODEL, "output", "feature")
_WINDOW: Final = (*_COLUMN, "window", "role")
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
        "model.window.numbers",
        "gauge",
        "{row}",
        _WINDOW,
        "Finite numbers of the column in the rolling window, to which mean, extremes and quantiles refer.",
    ),
    Metric(
        "model.window.variance",
        "gauge",
        "1",
        _WINDOW,
        "Variance (ddof 0) of the column in the rolling window.",
    ),
    Metric(
        "model.window.minimum",
        "gauge",
        "1",
        _WINDOW,
        "Smallest finite number of the column in the rolling window.",
    ),
    Metric(
        "model.window.maximum",
        "gauge",
        "1",
        _WINDOW,
        "Largest finite number of the column in the rolling window.",
    ),
    Metric(
        "model.window.range",
        "gauge",
        "1",
        _WINDOW,
        "Largest less smallest finite number of the column in the rolling window.",
    ),
    Metric(
        "model.window.skewness",
        "gauge",
        "1",
        _WINDOW,
        "Third central moment over the cubed deviation, in the rolling window; absent for a constant.",
    ),
    Metric(
        "model.column.positive_sum",
        "counter",
        "1",
        (*_COLUMN, "reference", "role"),
        "Sum of the positive numbers of the column; less the negative sum it is the sum of all, and it never falls.",
    ),
    Metric(
        "model.column.negative_sum",
        "counter",
        "1",
        (*_COLUMN, "reference", "role"),
        "Sum of the negative numbers of the column, as a positive number.",
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
