"""Catalogue rows of the model as a child of `modeltap wrap`: starts, ends, output."""

from exporter.records.metric import Metric

MODEL_PROCESS: tuple[Metric, ...] = (
    Metric("model.process.running", "gauge", "1", (), "1 while the wrapped model's process runs."),
    Metric(
        "model.process.starts", "counter", "{start}", (), "Starts of the wrapped model, the first included."
    ),
    Metric(
        "model.process.restarts",
        "counter",
        "{restart}",
        ("reason",),
        "Restarts of the wrapped model by why it ended: exit, signal, oom; spawn if it could not be started.",
    ),
    Metric(
        "model.process.exits",
        "counter",
        "{exit}",
        ("reason", "code"),
        "Ends of the wrapped model by exit code, by signal, or as an OOM kill; asked for or not.",
    ),
    Metric(
        "model.process.start.duration",
        "gauge",
        "s",
        ("phase",),
        "From the spawn of the process that runs until it listened, and until it was ready; absent until then.",
    ),
    Metric(
        "model.process.output",
        "counter",
        "By",
        ("stream",),
        "Bytes of the wrapped model's output that were copied to our own, by stream (stdout, stderr).",
    ),
    Metric(
        "model.process.output.dropped",
        "counter",
        "By",
        ("stream", "reason"),
        "Bytes of its output that were not copied, because nobody took them: queue_full, closed, shutdown.",
    ),
    Metric(
        "model.process.log.lines",
        "counter",
        "{line}",
        ("stream", "level"),
        "Lines of the wrapped model's output by the level that they tell, <other> if they tell none.",
    ),
    Metric(
        "model.process.log.lines.skipped",
        "counter",
        "{line}",
        ("stream",),
        "Lines of its output that were not looked at, being more than 1000 a second.",
    ),
)
