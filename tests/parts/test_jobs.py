"""A job's samples: every family that the catalogue has of jobs, at its end and while it runs."""

import time

from exporter.parts.jobs import Report, Told, base_name, summary
from exporter.publish import OtlpConfig
from exporter.publish.pushgateway import Gateway
from exporter.records.catalogue import CATALOGUE
from exporter.supervise.job import End, Job

AT_THE_END = {"model.job.outcome", "model.job.exit.code", "model.job.last_success.time"}


def test_families() -> None:
    """While it runs nothing is said of an end; then all of it, and of a success only if it was one."""
    job = Job(["true"])
    job.started, job._began = time.time(), time.monotonic()
    told = Told("nightly", period=60.0)
    report = Report(job, told, Gateway("http://127.0.0.1:1", "nightly"), OtlpConfig())
    declared = {row.name for row in CATALOGUE if row.name.startswith("model.job.")}
    assert {sample.name for sample in report.samples()} == declared - AT_THE_END
    job.end = End("failure", 3)
    assert {sample.name for sample in report.samples()} == declared - {"model.job.last_success.time"}
    job.end = End("success", 0)
    assert {sample.name for sample in report.samples()} == declared
    outcomes = {
        sample.labels: sample.value for sample in report.samples() if sample.name == "model.job.outcome"
    }
    assert outcomes[("nightly", "success")] == sum(outcomes.values()) == 1


def test_summary() -> None:
    """One line; rows are in it where there are any."""
    job = Job(["true"])
    job.end = End("oom", 137)
    assert "job x: oom (status 137) after " in summary(job, "x")
    assert "rows" not in summary(job, "x")
    job.rows.told(b'{"rows": 7, "failed": 2}')
    assert ", 7 rows, 2 failed, " in summary(job, "x")
    assert base_name("/usr/bin/score") == "score"
