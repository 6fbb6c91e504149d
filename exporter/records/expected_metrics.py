"""The catalogue's rows about performance to expect before labels come: what the reference's test rows were by score.

Live rows per bin of the score are `model.prediction.bin`; what is expected of a fleet follows from both by PromQL.
"""

from exporter.records.metric import Metric

_OUTPUT = ("model_name", "model_version", "output")

EXPECTED: tuple[Metric, ...] = (
    Metric(
        "model.reference.score.rows",
        "gauge",
        "{row}",
        (*_OUTPUT, "bin", "class", "reference", "role"),
        "Test rows of the reference by bin of the score and the class that was called: positive or negative; of "
        "several classes right, none where no class is known.",
    ),
    Metric(
        "model.reference.score.chance",
        "gauge",
        "1",
        (*_OUTPUT, "bin", "class", "reference", "role"),
        "Chance that a row of a bin of the score, called so, is positive, which never falls with the score; of several "
        "classes, that it is right.",
    ),
    Metric(
        "model.expected.performance",
        "gauge",
        "1",
        (*_OUTPUT, "statistic", "window", "reference", "state", "role"),
        "What a figure (statistic) is expected to be in the rolling window, before labels: value, limits of 95 % (low, "
        "high), and how much bins leave open (bound).",
    ),
    Metric(
        "model.expected.state",
        "gauge",
        "1",
        (*_OUTPUT, "window", "reference", "state", "role"),
        "1 for the state of what is expected of a window: ready, insufficient rows, extrapolated, biased; else 0.",
    ),
    Metric(
        "model.expected.unknown_ratio",
        "gauge",
        "1",
        (*_OUTPUT, "window", "reference", "role"),
        "Share of the window's rows in bins of the score in which the reference has too few test rows.",
    ),
)
