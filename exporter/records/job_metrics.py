"""Catalogue rows of batch jobs, as `modeltap job` pushes them; each describes the last run, or the one under way."""

from exporter.records.metric import Metric

_JOB = ("job_name",)

JOB: tuple[Metric, ...] = (
    Metric("model.job.running", "gauge", "1", _JOB, "1 while the job runs, as of the last push."),
    Metric("model.job.start.time", "gauge", "s", _JOB, "Unix time at which the job was started."),
    Metric("model.job.duration", "gauge", "s", _JOB, "How long the job ran, or has run so far."),
    Metric(
        "model.job.outcome",
        "gauge",
        "1",
        (*_JOB, "outcome"),
        "1 for how the last run ended: success, failure, signal, oom, not_started; 0 for the others.",
    ),
    Metric(
        "model.job.exit.code",
        "gauge",
        "1",
        _JOB,
        "Exit code of the last run; 128 and the signal's number if a signal ended it.",
    ),
    Metric("model.job.last_success.time", "gauge", "s", _JOB, "Unix time at which the job last succeeded."),
    Metric("model.job.period", "gauge", "s", _JOB, "How often the job is to succeed, as --every says."),
    Metric(
        "model.job.rows", "counter", "{row}", (*_JOB, "outcome"), "Rows that the run told of: ok, failed."
    ),
    Metric("model.job.rows.invalid", "counter", "{line}", _JOB, "What it told of rows and made no sense."),
    Metric(
        "model.job.cpu.time",
        "counter",
        "s",
        (*_JOB, "cpu_mode"),
        "CPU time of the run and its descendants, by mode (user, system).",
    ),
    Metric(
        "model.job.memory.peak",
        "gauge",
        "By",
        _JOB,
        "Largest resident memory of the run and its descendants together, looked at once a second.",
    ),
    Metric(
        "model.job.disk.io",
        "counter",
        "By",
        (*_JOB, "disk_io_direction"),
        "Bytes that the run and its descendants read from and wrote to disk (read, write).",
    ),
    Metric(
        "model.job.pushes",
        "counter",
        "{push}",
        (*_JOB, "outcome"),
        "Pushes of this run to the Pushgateway before this one, by outcome (success, failure).",
    ),
)
