"""The catalogue's rows about labels and what they say: where predictions and labels went, and what the model got right.

Sums that add up over replicas, never ratios: what was added less what was withdrawn (a label that was corrected) is
what counts. `maturity` is arrival (as labels come) or mature (whole cohorts, released once).
"""

from exporter.records.metric import Metric
from exporter.records.target_metrics import TARGETS

# A click, a session, an hour, a day, a week, a month, a quarter.
LABEL_LAG_BUCKETS = (
    *(1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0),
    *(259_200.0, 604_800.0, 1_209_600.0, 2_592_000.0, 7_776_000.0),
)
_MODEL = ("model_name", "model_version")
_SUM = ("maturity", "state", "role")

PERFORMANCE: tuple[Metric, ...] = (
    # --- labels: what became of predictions that wait for one, and of labels (docs/labels.md)
    Metric(
        "model.label.predictions",
        "counter",
        "{row}",
        (*_MODEL, "state", "role"),
        "Predicted rows by what became of them where they were seen: kept, sampled_out, no_key, unjudged, dropped.",
    ),
    Metric(
        "model.label.joined",
        "counter",
        "{row}",
        (*_MODEL, "role"),
        "Predicted rows that met their label, corrections apart.",
    ),
    Metric(
        "model.label.segment",
        "counter",
        "{row}",
        (*_MODEL, "output", "segment", "group", "state", "role"),
        "Rows that wait (kept) and that met a label (joined) by group of a configured column, class, or bin of the "
        "score.",
    ),
    Metric(
        "model.label.lag",
        "histogram",
        "s",
        (*_MODEL, "role"),
        "Time from a prediction to the observation of its label.",
        buckets=LABEL_LAG_BUCKETS,
    ),
    Metric(
        "model.outcome.rows",
        "counter",
        "{row}",
        (*_MODEL, "statistic", "state", "role"),
        "Predicted rows for which an outcome (statistic) was told with a label; state is added or withdrawn.",
    ),
    Metric(
        "model.outcome.sum",
        "counter",
        "1",
        (*_MODEL, "statistic", "direction", "state", "role"),
        "Sums of outcomes by name (statistic), gains (direction gain) apart from losses, none negative.",
    ),
    Metric(
        "modeltap.labels",
        "counter",
        "{label}",
        ("source", "outcome"),
        "Labels that came in, by who says so and what became of them (docs/labels.md).",
    ),
    Metric(
        "modeltap.labels.uncounted",
        "counter",
        "{row}",
        ("reason",),
        "Rows that met a label and count nowhere, or not at maturity (late), by reason.",
    ),
    Metric(
        "modeltap.labels.sample_ratio",
        "gauge",
        "1",
        (),
        "Share of requests whose rows wait for labels, by a hash of the key; exists only where labels are joined.",
    ),
    Metric(
        "modeltap.label_receipts",
        "counter",
        "{receipt}",
        ("outcome",),
        "Receipts that were handed out or not, and labels that came back with one, by what became of them.",
    ),
    Metric(
        "modeltap.label_store.up",
        "gauge",
        "1",
        ("source",),
        "1 if the store of pending predictions (source) answered when it was last asked, else 0.",
    ),
    Metric(
        "modeltap.label_store.rows",
        "gauge",
        "{row}",
        ("source", "state"),
        "Rows and labels in the whole store, those of all replicas of a shared one, by what became of them.",
    ),
    Metric(
        "modeltap.label_store.used",
        "gauge",
        "1",
        ("source",),
        "How full the store is: the larger share of its bounds on rows and bytes.",
    ),
    Metric(
        "modeltap.label_store.lost",
        "counter",
        "{row}",
        ("source", "reason"),
        "Rows, labels and cells that the store failed to keep, or that found no place in the queue before it.",
    ),
    Metric(
        "modeltap.label_store.cohorts",
        "gauge",
        "{hour}",
        ("source", "state"),
        "Hours of predictions in the store: open, or settled (released at maturity).",
    ),
    # --- performance: what labels say of predictions
    Metric(
        "model.performance.rows",
        "counter",
        "{row}",
        (*_MODEL, "output", *_SUM),
        "Predicted rows with a label, without weights; state is added or withdrawn (by a correction).",
    ),
    Metric(
        "model.performance.unusable",
        "counter",
        "{row}",
        (*_MODEL, "output", *_SUM),
        "Rows whose label is of another kind than the output: they are in no other sum.",
    ),
    Metric(
        "model.performance.confusion",
        "counter",
        "{row}",
        (*_MODEL, "output", "truth", "class", "outcome", *_SUM),
        "Weight of rows by true (truth) and predicted class (class); outcome is right or wrong.",
    ),
    Metric(
        "model.performance.score",
        "counter",
        "{row}",
        (*_MODEL, "output", "truth", "bin", *_SUM),
        "Weight of rows by bin of the score (its upper edge) and truth: positive or negative; right or wrong of the "
        "likeliest of several classes.",
    ),
    Metric(
        "model.performance.score_negatives",
        "counter",
        "{row}",
        (*_MODEL, "output", "bin", *_SUM),
        "Weight of negative rows whose score is at most the upper edge of the bin: areas under the ROC curve need it.",
    ),
    Metric(
        "model.performance.score_positives",
        "counter",
        "{row}",
        (*_MODEL, "output", "bin", *_SUM),
        "Weight of positive rows whose score is at most the upper edge of the bin: areas under the curve of precision "
        "and recall need it.",
    ),
    Metric(
        "model.performance.score_sum",
        "counter",
        "1",
        (*_MODEL, "output", "bin", *_SUM),
        "Weighted sum of scores by bin: the positives that a calibrated model has there.",
    ),
    Metric(
        "model.performance.error",
        "counter",
        "1",
        (*_MODEL, "output", "statistic", *_SUM),
        "Weighted sums, none of them negative, of which errors are made; statistic names the sum.",
    ),
    Metric(
        "model.performance.residual",
        "counter",
        "{row}",
        (*_MODEL, "output", "bin", *_SUM),
        "Weight of rows by prediction less truth, bin being its upper edge; exists only with errors in the reference.",
    ),
    Metric(
        "model.performance.label",
        "counter",
        "{row}",
        (*_MODEL, "output", "class", "outcome", *_SUM),
        "Weight of rows by label, of those that may have several: true_positive, false_positive, false_negative or "
        "true_negative.",
    ),
    Metric(
        "model.performance.group",
        "counter",
        "{row}",
        (*_MODEL, "output", "segment", "group", "class", "outcome", *_SUM),
        "Weight of rows by group of a configured column (segment): rightly of the class, wrongly called so, or missed.",
    ),
    Metric(
        "model.performance.group_error",
        "counter",
        "1",
        (*_MODEL, "output", "segment", "group", "statistic", *_SUM),
        "Weighted sums by group of a configured column (segment): weight, errors over and under, their squares.",
    ),
    Metric(
        "model.reference.performance",
        "gauge",
        "1",
        (*_MODEL, "statistic", "class", "reference", "state", "role"),
        "Limits of a figure over periods of the reference's test rows: mean less (low) and plus (high) 3 sigma.",
    ),
    Metric(
        "model.reference.target",
        "gauge",
        "{row}",
        (*_MODEL, "output", "class", "reference", "role"),
        "Test rows of the reference that are truly of a class.",
    ),
    *TARGETS,
)
