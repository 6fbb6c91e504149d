"""A batch job's samples, and where they go while it runs and at its end: a Pushgateway, OTLP, both or neither.

Nothing that becomes of a push changes the job or its exit status.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.publish import OtlpConfig, Pusher
from exporter.publish.pushgateway import Gateway, GatewayPusher
from exporter.records.sample import Sample
from exporter.supervise.job import OUTCOMES, Job

LAST_SECONDS = 5.0  # for the last push, in all


@dataclass(frozen=True, slots=True)
class Told:
    """What the user said of the job: its name, seconds between pushes, and how often it is to succeed (0: not said)."""

    name: str
    interval: float = 15.0
    period: float = 0.0


class Report:
    """Samples of one run, and their pushes."""

    def __init__(self, job: Job, told: Told, gateway: Gateway | None, otlp: OtlpConfig) -> None:
        self._job = job
        self._told = told
        self._gateway = GatewayPusher(gateway) if gateway is not None else None
        self._otlp = Pusher(otlp, time.time()) if otlp.metrics else None
        self._next = 0.0
        for pusher in (self._gateway, self._otlp):
            if pusher is not None:
                pusher.start()

    def turn(self) -> None:
        """About once a second: look at what the job uses, push if it is time."""
        self._job.usage()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._told.interval
            if self._gateway is not None:
                self._gateway.offer(list(self.samples()))
        if self._otlp is not None and self._otlp.due():
            self._otlp.offer(list(self.samples()))

    def finish(self) -> None:
        """Push the last state, within LAST_SECONDS."""
        deadline = time.monotonic() + LAST_SECONDS
        samples = list(self.samples())
        if self._gateway is not None:
            self._gateway.offer(samples)
        if self._otlp is not None:
            self._otlp.offer(samples)
            self._otlp.stop(LAST_SECONDS)
        if self._gateway is not None:
            self._gateway.stop(max(0.0, deadline - time.monotonic()))

    def samples(self) -> Iterator[Sample]:
        """As it is now."""
        job, name, created = self._job, self._told.name, self._job.started
        yield Sample("model.job.running", (name,), int(job.end is None))
        yield Sample("model.job.start.time", (name,), created)
        yield Sample("model.job.duration", (name,), job.seconds())
        if job.end is not None:
            for outcome in OUTCOMES:
                yield Sample("model.job.outcome", (name, outcome), int(outcome == job.end.outcome))
            yield Sample("model.job.exit.code", (name,), job.end.status)
            if job.end.outcome == "success":
                yield Sample("model.job.last_success.time", (name,), created + job.seconds())
        if self._told.period:
            yield Sample("model.job.period", (name,), self._told.period)
        for outcome, count in job.rows.counts.items():
            yield Sample("model.job.rows", (name, outcome), count, created)
        yield Sample("model.job.rows.invalid", (name,), job.rows.invalid, created)
        yield from self._used(name, created)
        if self._gateway is not None:
            for outcome, count in self._gateway.counts.items():
                yield Sample("model.job.pushes", (name, outcome), count, created)

    def _used(self, name: str, created: float) -> Iterator[Sample]:
        usage = self._job.usage()
        for mode, seconds in (("user", usage.user), ("system", usage.system)):
            yield Sample("model.job.cpu.time", (name, mode), seconds, created)
        yield Sample("model.job.memory.peak", (name,), usage.peak)
        for direction, count in (("read", usage.read), ("write", usage.written)):
            yield Sample("model.job.disk.io", (name, direction), count, created)


def summary(job: Job, name: str) -> str:
    """The run in one line."""
    assert job.end is not None
    usage, rows = job.usage(), job.rows
    counted = f", {rows.counts['ok']} rows" if rows.counts["ok"] else ""
    counted += f", {rows.counts['failed']} failed" if rows.counts["failed"] else ""
    return (
        f"job {name}: {job.end.outcome} (status {job.end.status}) after {job.seconds():.1f} s{counted}, "
        f"{usage.user + usage.system:.1f} s of CPU, {usage.peak / (1 << 20):.0f} MiB"
    )


def base_name(command: str) -> str:
    """The name of a job that was given none."""
    return os.path.basename(command) or command
