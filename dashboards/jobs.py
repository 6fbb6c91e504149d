"""The dashboard of batch jobs that `modeltap job` runs, as they stand in a Pushgateway or were sent over OTLP.

They are no targets of a scrape: their `job` is the job's name, and they have an `instance` only where one was given.
"""

from collections.abc import Sequence
from typing import Any

from dashboards.panels import Panel, Query, coloured, empty, layout, stacked, table, timeseries, tinted
from dashboards.queries import gauge, rate, total
from dashboards.variables import JOB, dashboard, job_variables

NONE = "No job was run"
FAILED = ', outcome!="success"'


def build() -> dict[str, Any]:
    rows = (("Jobs", (_last(),)), ("Runs", _runs()), ("Resources", _resources()))
    text = "Batch jobs behind modeltap: outcome, duration, rows, resources."
    made = dashboard("modeltap-jobs", "modeltap / Jobs", text, layout(rows), job_variables())
    return {**made, "time": {"from": "now-7d", "to": "now"}}


def _by_job(name: str) -> str:
    return f"max by (job_name) ({gauge(name, JOB)})"


def _last() -> Panel:
    failed = f"max by (job_name) ({gauge('model.job.outcome', JOB + FAILED)})"
    columns = (
        ("Running", _by_job("model.job.running"), "bool_yes_no"),
        ("Failed", failed, "bool_yes_no"),
        ("Exit code", _by_job("model.job.exit.code"), "short"),
        ("Duration", _by_job("model.job.duration"), "s"),
        ("Since the start", f"time() - {_by_job('model.job.start.time')}", "s"),
        ("Since a success", f"time() - {_by_job('model.job.last_success.time')}", "s"),
        ("To succeed every", _by_job("model.job.period"), "s"),
    )
    found = table(
        "Last runs",
        "The last run of each job, or the one under way; failed: it ended in any way but success.",
        ("job_name",),
        {title: (Query(expr, shape="table"), unit) for title, expr, unit in columns},
    )
    return tinted(empty(found, NONE), "Failed", ("green", None), ("red", 1))


def _runs() -> Sequence[Panel]:
    outcome = f"max by (job_name, outcome) ({gauge('model.job.outcome', JOB)}) == 1"
    rows = total(rate("model.job.rows", JOB), "job_name", "outcome")
    invalid = total(rate("model.job.rows.invalid", JOB), "job_name")
    found = (
        coloured(
            stacked(
                timeseries(
                    "Outcomes",
                    "Jobs by how their last run ended.",
                    "short",
                    Query(outcome, "{{outcome}}: {{job_name}}"),
                )
            ),
            {"success": "green", "failure": "red", "signal": "red", "oom": "red", "not_started": "orange"},
        ),
        timeseries(
            "Durations",
            "How long the run took, or has taken.",
            "s",
            Query(_by_job("model.job.duration"), "{{job_name}}"),
        ),
        timeseries(
            "Rows",
            "Rows per second while a job runs, as it tells them; and what it told that makes no sense.",
            "short",
            Query(rows, "{{job_name}} {{outcome}}"),
            Query(invalid, "{{job_name}} senseless"),
        ),
        timeseries(
            "Pushes",
            "Pushes to the Pushgateway per second while a job runs.",
            "short",
            Query(total(rate("model.job.pushes", JOB), "job_name", "outcome"), "{{job_name}} {{outcome}}"),
        ),
    )
    return tuple(empty(panel, NONE) for panel in found)


def _resources() -> Sequence[Panel]:
    cpu = total(rate("model.job.cpu.time", JOB), "job_name", "cpu_mode")
    disk = total(rate("model.job.disk.io", JOB), "job_name", "disk_io_direction")
    found = (
        timeseries("CPU", "Cores in use while a job runs.", "short", Query(cpu, "{{job_name}} {{cpu_mode}}")),
        timeseries(
            "Peak memory",
            "Largest resident memory of the run.",
            "bytes",
            Query(_by_job("model.job.memory.peak"), "{{job_name}}"),
        ),
        timeseries(
            "Disk", "Bytes read and written.", "Bps", Query(disk, "{{job_name}} {{disk_io_direction}}")
        ),
    )
    return tuple(empty(panel, NONE) for panel in found)
