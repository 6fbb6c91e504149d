"""The standard OTLP exporters, behind the two methods that a sender needs. Imported by a sender's thread, when used.

Refuses to read settings other than OtlpConfig: endpoint, headers, timeout, compression and certificates of the
environment are honoured by the exporters themselves. gRPC is imported only if it is the protocol.

Over 4,000 points a snapshot goes out in several messages; with delta temporality a failure behind the first of them has
it told again.

What a collector refuses in a "partial success" is counted apart; its batch counts as delivered.
"""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, Generic, TypeVar

from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter import __version__
from exporter.publish.delta import Deltas
from exporter.publish.log_data import readable_record
from exporter.publish.metrics_data import Shape, metrics_data
from exporter.publish.partial import Answers
from exporter.publish.sender import Connection
from exporter.publish.server_span import Span
from exporter.publish.settings import OtlpConfig, Signal
from exporter.publish.span_data import readable_span
from exporter.records.event import Event
from exporter.records.sample import Sample

# A histogram point takes about 0.6 KB, and collectors refuse messages over 4 MiB unless told otherwise.
POINTS_PER_MESSAGE = 4000
Item = TypeVar("Item")
_SCOPE = InstrumentationScope("modeltap", __version__)
# Module and class, the same in the packages of both protocols.
_EXPORTERS: Final[dict[Signal, tuple[str, str]]] = {
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


class MetricConnection:
    """Samples through an OTLP metric exporter."""

    def __init__(self, exporter: MetricExporter, resource: Resource, shape: Shape) -> None:
        self._exporter = exporter
        self._resource = resource
        self._shape = shape
        self._deltas = Deltas() if shape.delta else None
        self._closed = False
        self.refused = Answers("metrics", exporter).refused

    def send(self, batch: tuple[Sequence[Sample], float]) -> bool:
        """Samples and the unix time in seconds at which they were gathered; True if the collector took all of it."""
        samples, now = batch
        told = samples if self._deltas is None else self._deltas.since(samples)
        data = metrics_data(told, now, self._resource, _SCOPE, self._shape)
        arrived = self._exporter.export(data) is MetricExportResult.SUCCESS
        if arrived and self._deltas is not None:
            self._deltas.delivered(samples, now)
        return arrived

    def close(self) -> None:
        """Release the exporter's sockets."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()


class _Items(Generic[Item]):
    """Items, each made into what the exporter takes, through that exporter."""

    def __init__(self, signal: Signal, exporter: Any, success: object, made: Callable[[Item], Any]) -> None:
        self._exporter = exporter
        self._success = success
        self._made = made
        self._closed = False
        self.refused = Answers(signal, exporter).refused

    def send(self, batch: list[Item]) -> bool:
        """True if the collector took the batch."""
        return self._exporter.export([self._made(item) for item in batch]) is self._success

    def close(self) -> None:
        """Release the exporter's sockets."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()


def connect_metrics(config: OtlpConfig) -> MetricConnection:
    """Raises what the exporter raises for settings that it cannot use."""
    exporter = _exporter(config, "metrics", max_export_batch_size=POINTS_PER_MESSAGE)
    return MetricConnection(exporter, resource_of(config), Shape(config.exponential, config.delta))


def connect_spans(config: OtlpConfig) -> Connection[list[Span]]:
    """Raises what the exporter raises for settings that it cannot use."""
    resource = resource_of(config)
    return _Items(
        "traces",
        _exporter(config, "traces"),
        SpanExportResult.SUCCESS,
        lambda span: readable_span(span, resource, _SCOPE),
    )


def connect_logs(config: OtlpConfig) -> Connection[list[Event]]:
    """Raises what the exporter raises for settings that it cannot use."""
    resource = resource_of(config)
    return _Items(
        "logs",
        _exporter(config, "logs"),
        LogRecordExportResult.SUCCESS,
        lambda event: readable_record(event, resource, _SCOPE),
    )


def _exporter(config: OtlpConfig, signal: Signal, **settings: int) -> Any:
    """The standard one of a signal; the other protocol's is not even imported."""
    over_grpc = config.protocol(signal) == "grpc"
    if over_grpc:
        _say_little()
    module, name = _EXPORTERS[signal]
    found = import_module(f"opentelemetry.exporter.otlp.proto.{'grpc' if over_grpc else 'http'}.{module}")
    if over_grpc:
        _tell_every_failure()
    return getattr(found, name)(endpoint=_endpoint(config, signal), **settings)


def _say_little() -> None:
    """gRPC's core writes a line to stderr for each handshake that fails; it reads this as it is imported."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def _tell_every_failure() -> None:
    """All signals log through one logger, whose filter drops what it passed in the same 20 s, whoever says it.

    The second signal would then fail without a reason. The sender keeps these records out of the log itself.
    """
    logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter").filters.clear()


def resource_of(config: OtlpConfig) -> Resource:
    """Who sends: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our service.name and instance."""
    ours = {SERVICE_NAME: "modeltap", SERVICE_INSTANCE_ID: config.instance or socket.gethostname()}
    return Resource.create(ours).merge(OTELResourceDetector().detect())


def _endpoint(config: OtlpConfig, signal: Signal) -> str | None:
    """None leaves it to the environment. Over HTTP the exporter wants the whole address of the signal."""
    if not config.endpoint or config.protocol(signal) == "grpc":
        return config.endpoint or None
    return f"{config.endpoint.removesuffix('/')}/v1/{signal}"
