"""The catalogue's rows about windows, and about drift beyond the distance itself: yardsticks, moments, sums."""

from typing import Final

from exporter.records.metric import Metric

_MODEL: Final = ("model_name", "model_version")
_COLUMN: Final = (*_MODEL, "output", "feature")
_WINDOW: Final = (*_COLUMN, "window", "role")
_PAIR: Final = (*_MODEL, "feature", "other", "window", "reference", "role")
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
        "model.reference.correlation",
        "gauge",
        "1",
        (*_MODEL, "feature", "other", "reference", "role"),
        "Pearson's correlation of a pair of features in the reference; of the pairs that the profile chose.",
    ),
    Metric(
        "model.window.correlation",
        "gauge",
        "1",
        _PAIR,
        "Pearson's correlation of a pair of features in the rolling window; absent while there are too few rows.",
    ),
    Metric(
        "model.drift.correlation",
        "gauge",
        "1",
        _PAIR,
        "How far the correlation of a pair of features is from the reference's.",
    ),
    Metric(
        "model.drift.correlation_critical_value",
        "gauge",
        "1",
        _PAIR,
        "99.9 % quantile of the change of the correlation at this number of rows if nothing had changed.",
    ),
    Metric(
        "model.drift.correlation_p_value",
        "gauge",
        "1",
        _PAIR,
        "Probability of a change of the correlation at least as large by chance.",
    ),
    Metric(
        "model.reference.association",
        "gauge",
        "1",
        (*_COLUMN, "reference", "role"),
        "How strongly a feature goes with a prediction in the reference: Spearman's rho, or Cramer's V of categories.",
    ),
    Metric(
        "model.window.association",
        "gauge",
        "1",
        (*_COLUMN, "window", "reference", "role"),
        "How strongly a feature goes with a prediction in the rolling window; it is no importance.",
    ),
    Metric(
        "model.drift.association_ndcg",
        "gauge",
        "1",
        (*_MODEL, "output", "window", "reference", "role"),
        "How well the features keep their order by association with a prediction: 1 is the reference's order.",
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
