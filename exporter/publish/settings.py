"""Whether, where and how OTLP is sent: our own settings and the OpenTelemetry environment, read once.

Headers, timeout, compression and certificates stay with the standard exporters, which read them from the environment
themselves; here they are only checked, so that a wrong one is told at startup. Note that the exporters for Python
take OTEL_EXPORTER_OTLP_TIMEOUT in seconds. Refuses to import the SDK.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

Signal = Literal["metrics", "traces", "logs"]
SIGNALS: tuple[Signal, ...] = ("metrics", "traces", "logs")
PROTOCOLS = ("grpc", "http/protobuf")
_AGGREGATIONS = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
# "lowmemory" is delta wherever that saves its sender memory; ours keeps the cumulative counts in any case.
_TEMPORALITIES = {"cumulative": False, "delta": True, "lowmemory": True}
_COMPRESSIONS = {"grpc": ("gzip",), "http/protobuf": ("none", "gzip", "deflate")}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many items may wait, how many go out at once, and for how many seconds the first of them waits for others."""

    queue: int = 2048
    batch: int = 512
    delay_seconds: float = 1.0

    def problems(self, what: str) -> list[str]:
        """Every problem; `what` is waiting."""
        found = []
        if self.delay_seconds <= 0 or not isfinite(self.delay_seconds):
            found.append(f"{what} delay {self.delay_seconds}: expected seconds above 0")
        if not 0 < self.batch <= self.queue:
            found.append(
                f"{what} batch {self.batch} with a queue of {self.queue}: expected 0 < batch <= queue"
            )
        return found


@dataclass(frozen=True, slots=True)
class OtlpConfig:
    """All off by default. `endpoint` is the base address from our own settings, "" if the environment names it.

    `instance` becomes service.instance.id; it should outlive a restart of this process, as the counters do. "" takes
    the host's name.
    """

    metrics: bool = False
    traces: bool = False
    logs: bool = False
    endpoint: str = ""
    metrics_protocol: str = "grpc"
    traces_protocol: str = "grpc"
    logs_protocol: str = "grpc"
    exponential: bool = False
    delta: bool = False
    interval_seconds: float = 60.0
    instance: str = ""
    span_limits: Limits = Limits()
    log_limits: Limits = Limits()

    def protocol(self, signal: Signal) -> str:
        """How that signal is sent: grpc or http/protobuf."""
        if signal == "logs":
            return self.logs_protocol
        return self.metrics_protocol if signal == "metrics" else self.traces_protocol

    def validate(self) -> list[str]:
        """Every problem, each with the value and what was expected."""
        problems = [
            f"OTLP protocol for {signal} {self.protocol(signal)!r}: expected {' or '.join(PROTOCOLS)}"
            for signal in SIGNALS
            if self.protocol(signal) not in PROTOCOLS
        ]
        if self.interval_seconds <= 0 or not isfinite(self.interval_seconds):
            problems.append(f"OTLP interval {self.interval_seconds}: expected seconds above 0")
        problems += self.span_limits.problems("span") + self.log_limits.problems("log")
        return problems


def read_config(
    environ: Mapping[str, str], endpoint: str = "", protocol: str = "", instance: str = ""
) -> tuple[OtlpConfig, list[str]]:
    """The configuration that the environment gives, overridden by our own settings where they are not "".

    Returns it with every problem found. With a problem the affected value is the default.
    """
    read = _Environment(environ)
    config = OtlpConfig(
        metrics=read.enabled("METRICS", endpoint),
        traces=read.enabled("TRACES", endpoint),
        logs=read.enabled("LOGS", endpoint),
        endpoint=endpoint,
        metrics_protocol=protocol or read.signal("METRICS", "PROTOCOL") or "grpc",
        traces_protocol=protocol or read.signal("TRACES", "PROTOCOL") or "grpc",
        logs_protocol=protocol or read.signal("LOGS", "PROTOCOL") or "grpc",
        exponential=read.exponential(),
        delta=read.delta(),
        interval_seconds=read.whole("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000,
        instance=instance,
        span_limits=read.limits("BSP"),
        log_limits=read.limits("BLRP"),
    )
    if config.metrics:
        read.check("METRICS", config.metrics_protocol)
    if config.traces:
        read.check("TRACES", config.traces_protocol)
    if config.logs:
        read.check("LOGS", config.logs_protocol)
    return config, list(dict.fromkeys(read.problems + config.validate()))


class _Environment:
    """The OpenTelemetry variables, read with their rules; an empty variable counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def signal(self, signal: str, what: str) -> str:
        """The variable of the signal, else the one for all signals."""
        return self.text(f"OTEL_EXPORTER_OTLP_{signal}_{what}") or self.text(f"OTEL_EXPORTER_OTLP_{what}")

    def enabled(self, signal: str, endpoint: str) -> bool:
        if self.text("OTEL_SDK_DISABLED").lower() == "true":
            return False
        exporters = self.text(f"OTEL_{signal}_EXPORTER") or "otlp"
        wanted = "otlp" in [name.strip() for name in exporters.split(",")]
        return wanted and bool(endpoint or self.signal(signal, "ENDPOINT"))

    def exponential(self) -> bool:
        name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
        value = self.text(name) or _AGGREGATIONS[0]
        if value not in _AGGREGATIONS:
            self.problems.append(f"{name}={value!r}: expected {' or '.join(_AGGREGATIONS)}")
        return value == _AGGREGATIONS[1]

    def delta(self) -> bool:
        name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        value = self.text(name).lower() or "cumulative"
        if value not in _TEMPORALITIES:
            self.problems.append(f"{name}={self.text(name)!r}: expected {', '.join(_TEMPORALITIES)}")
        return _TEMPORALITIES.get(value, False)

    def whole(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if value.isascii() and value.isdecimal() and int(value) > 0:
            return int(value)
        self.problems.append(f"{name}={value!r}: expected a whole number above 0")
        return default

    def limits(self, processor: str) -> Limits:
        """Those of a batch processor: BSP for spans, BLRP for log records."""
        return Limits(
            self.whole(f"OTEL_{processor}_MAX_QUEUE_SIZE", 2048),
            self.whole(f"OTEL_{processor}_MAX_EXPORT_BATCH_SIZE", 512),
            self.whole(f"OTEL_{processor}_SCHEDULE_DELAY", 1000) / 1000,
        )

    def check(self, signal: str, protocol: str) -> None:
        """What the exporters would reject only when they are made, or not at all."""
        compression = self.signal(signal, "COMPRESSION").lower()
        expected = _COMPRESSIONS.get(protocol, ())
        if compression and expected and compression not in expected:
            self.problems.append(
                f"OTLP compression for {signal.lower()} {compression!r}: expected {' or '.join(expected)}"
            )
        timeout = self.signal(signal, "TIMEOUT")
        if timeout and not _positive(timeout):
            self.problems.append(f"OTLP timeout for {signal.lower()} {timeout!r}: expected seconds above 0")
        for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            path = self.signal(signal, what)
            if path and not Path(path).is_file():
                self.problems.append(
                    f"OTLP {what.lower()} for {signal.lower()} {path!r}: expected a file; there is none"
                )


def _positive(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return value > 0 and isfinite(value)
