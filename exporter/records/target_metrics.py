"""The catalogue's rows about the truth of numbers: labels in the bins of the reference's target.

Sums that add up over replicas, as all of performance_metrics.py. Bins are called by their upper edge, as those of
features and predictions are.
"""

from exporter.records.metric import Metric

_HEAD = ("model_name", "model_version", "output")
_SUM = ("maturity", "state", "role")
_DRIFT = (*_HEAD, "window", "statistic", "reference", "role")

TARGETS: tuple[Metric, ...] = (
    Metric(
        "model.performance.target",
        "counter",
        "{row}",
        (*_HEAD, "bin", "reference", *_SUM),
        "Weight of labels that are numbers, by bin of the reference's target.",
    ),
    Metric(
        "model.performance.target_sum",
        "counter",
        "1",
        (*_HEAD, "statistic", "reference", *_SUM),
        "Squared weights of these labels; of mature hours the squares of their weight, and of that in each bin: "
        "effective rows are made of them.",
    ),
    Metric(
        "model.reference.target_bin",
        "gauge",
        "{row}",
        (*_HEAD, "bin", "reference", "role"),
        "Rows of the reference by bin of its target, of numbers; rows without a target are none.",
    ),
    Metric(
        "model.reference.target_level",
        "gauge",
        "1",
        (*_HEAD, "window", "statistic", "reference", "role"),
        "Mean + 3 sigma of a distance of the target over the reference's own periods of the window's length.",
    ),
    Metric(
        "model.target.drift",
        "gauge",
        "1",
        _DRIFT,
        "Distance of the truth from the reference's target, of the hours that matured last; of the whole store.",
    ),
    Metric(
        "model.target.noise_floor",
        "gauge",
        "1",
        _DRIFT,
        "What the distance of the truth would be on average if nothing had drifted.",
    ),
    Metric(
        "model.target.critical_value",
        "gauge",
        "1",
        _DRIFT,
        "99.9 % quantile of the distance of the truth if nothing had drifted.",
    ),
    Metric(
        "model.target.effective_rows",
        "gauge",
        "{row}",
        (*_HEAD, "window", "reference", "role"),
        "Independent labels that those of the hours that matured last are worth.",
    ),
)
