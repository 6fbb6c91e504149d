"""The catalogue's rows about what counts of decoded exchanges, and how well it fits together."""

from exporter.records.metric import Metric

BATCH_BUCKETS = tuple(float(2**power) for power in range(13))

OBSERVATION: tuple[Metric, ...] = (
    # --- observations: what counts, whether rows are whole, and whether outputs are what they are said to be
    Metric(
        "model.exchanges.excluded",
        "counter",
        "{exchange}",
        ("reason",),
        "Exchanges whose rows are left out of predictions, bins and windows, by reason: probe, warm_up, ignored.",
    ),
    Metric(
        "model.requests.repeated",
        "counter",
        "{request}",
        (),
        "Analysed requests whose x-request-id came before, among the last thousands: attempts, each counted by itself.",
    ),
    Metric(
        "model.batch.rows",
        "histogram",
        "{row}",
        ("model_name", "model_version", "role"),
        "Rows per decoded exchange.",
        buckets=BATCH_BUCKETS,
    ),
    Metric(
        "model.task.contradictions",
        "counter",
        "{row}",
        ("model_name", "model_version", "role"),
        "Predicted rows that contradict the model's task, such as probabilities that do not add up to 1.",
    ),
    Metric(
        "model.feature.missing",
        "counter",
        "{row}",
        ("model_name", "model_version", "feature", "reason", "role"),
        "Input rows without a value, by reason: absent (no such key), null, nan, empty (text), sentinel (declared).",
    ),
)
