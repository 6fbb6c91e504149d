"""The row "Model process": what became of a model server that `modeltap wrap` runs.

Invariant: each panel says that nothing is wrapped where nothing is.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, timeseries
from dashboards.queries import gauge, increase, rate, total
from dashboards.variables import TARGET

NONE = "No wrapped model"


def panels() -> Sequence[Panel]:
    """All of them."""
    return tuple(empty(panel, NONE) for panel in (*_life(), *_output()))


def _life() -> Sequence[Panel]:
    slowest = f"max by (phase) ({gauge('model.process.start.duration', TARGET)})"
    return (
        timeseries(
            "Model processes",
            "Wrapped models that run, and their starts.",
            "short",
            Query(total(gauge("model.process.running", TARGET)), "running"),
            Query(total(increase("model.process.starts", TARGET)), "starts"),
        ),
        timeseries(
            "Ends of the wrapped model",
            "Restarts by why the model ended, and ends by exit code or signal, those asked for too.",
            "short",
            Query(total(increase("model.process.restarts", TARGET), "reason"), "restart: {{reason}}"),
            Query(
                total(increase("model.process.exits", TARGET), "reason", "code"), "end: {{reason}} {{code}}"
            ),
        ),
        timeseries(
            "Start of the wrapped model",
            "From the spawn until the model listened, and until it was ready; the slowest replica's.",
            "s",
            Query(slowest, "{{phase}}"),
        ),
    )


def _output() -> Sequence[Panel]:
    lines = total(rate("model.process.log.lines", TARGET), "level")
    skipped = total(rate("model.process.log.lines.skipped", TARGET))
    lost = total(rate("model.process.output.dropped", TARGET), "stream", "reason")
    return (
        timeseries(
            "Log lines",
            "Lines of the model's output per second by level, and those that nobody looked at.",
            "short",
            Query(lines, "{{level}}"),
            Query(skipped, "not looked at"),
        ),
        timeseries(
            "Output",
            "Bytes of the model's output that were copied to our own, and those that nobody took.",
            "Bps",
            Query(total(rate("model.process.output", TARGET), "stream"), "{{stream}}"),
            Query(lost, "{{stream}} dropped: {{reason}}"),
        ),
    )
