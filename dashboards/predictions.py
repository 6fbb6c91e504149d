"""The row "Predictions": what the model says, how often and how much of it.

It knows which question each panel answers. Invariant: bins are summed over replicas before anything is computed from
them.
"""

from collections.abc import Sequence

from dashboards import drift
from dashboards.panels import Panel, Query, empty, heatmap, repeated, signed, sized, timeseries
from dashboards.queries import QUANTILES, gauge, increase, quantile, rate, total
from dashboards.variables import OBSERVED

NOT_NUMERIC = "No numeric predictions"
OUTPUT = f'{OBSERVED}, output=~"$output", output!=""'


def panels() -> Sequence[Panel]:
    """All of them."""
    classes = total(rate("model.predictions", OUTPUT), "output", "class")
    rows = total(gauge("model.window.rows", f'{OUTPUT}, window="$window"'), "output")
    by_class = timeseries(
        "Predictions by class",
        "Predicted rows per second; numeric outputs have no class.",
        "short",
        Query(classes, "{{output}} {{class}}"),
    )
    window = timeseries(
        "Rows in the window", "Rows in the rolling window.", "short", Query(rows, "{{output}}")
    )
    against = drift.live_against_reference("Live against reference: $output", "model.prediction.bin", OUTPUT)
    return (
        sized(by_class, 12, 8),
        sized(window, 12, 8),
        sized(_batches(), 12, 8),
        sized(_contradictions(), 12, 8),
        _values(),
        repeated(against, "output", 2),
        *(empty(signed(panel), NOT_NUMERIC) for panel in _moments()),
    )


def _batches() -> Panel:
    queries = (
        Query(quantile(level, "model.batch.rows", OBSERVED), word) for word, level in QUANTILES.items()
    )
    return empty(
        timeseries("Rows per request", "Rows of a decoded exchange.", "short", *queries), "None decoded"
    )


def _contradictions() -> Panel:
    seen = total(increase("model.task.contradictions", OBSERVED), "model_name", "model_version")
    text = "Predicted rows that contradict the model's task, such as probabilities that do not add up to 1."
    panel = timeseries(
        "Contradictions of the task", text, "short", Query(seen, "{{model_name}} {{model_version}}")
    )
    return empty(panel, "None")


def _values() -> Panel:
    value = total(increase("model.prediction.value", OUTPUT, "_bucket"), "le")
    panel = heatmap(
        "Prediction values: $output",
        "Numeric predictions per bin over time.",
        "short",
        Query(value, "{{le}}", shape="heatmap"),
    )
    return empty(repeated(sized(panel, 12, 9), "output", 2), NOT_NUMERIC)


def _moments() -> Sequence[Panel]:
    window = f'{OUTPUT}, window="$window"'
    mean, deviation = gauge("model.window.mean", window), gauge("model.window.standard_deviation", window)
    levels = f"avg by (output, probability) ({gauge('model.window.quantile', window)})"
    return (
        timeseries(
            "Window mean",
            "Mean of the rolling window, one standard deviation to either side, averaged over replicas.",
            "short",
            Query(f"avg by (output) ({mean})", "{{output}} mean"),
            Query(f"avg by (output) ({mean} + {deviation})", "{{output}} + deviation"),
            Query(f"avg by (output) ({mean} - {deviation})", "{{output}} - deviation"),
        ),
        timeseries(
            "Window quantiles",
            "Quantiles of the rolling window, averaged over replicas.",
            "short",
            Query(levels, "{{output}} p{{probability}}"),
        ),
    )
