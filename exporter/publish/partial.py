"""What a collector refused of an export that it took otherwise ("partial success"), which the exporters discard.

Answers are read where they come in: by a hook of the HTTP session, and around the stub of the gRPC channel. Both are
internals of the exporters; where a release of them has others, nothing is read and everything else goes on.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporter.publish.settings import Signal

_ANSWERS: dict[Signal, tuple[Any, str]] = {
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}
_MAX_ANSWER_BYTES = 1 << 16  # of what an HTTP collector answers, nothing longer is read
_MAX_TEXT = 256


class Answers:
    """What the answers said since they were last asked for; used by the sender's thread only."""

    def __init__(self, signal: Signal, exporter: Any) -> None:
        self._message, self._field = _ANSWERS[signal]
        self._count = 0
        self._text = ""
        if hasattr(exporter, "_stub"):
            _around(exporter, self._hear)
        else:
            _hooked(exporter, self._read)

    def refused(self) -> tuple[int, str]:
        """How many items were refused since the last call, and why."""
        found = self._count, self._text
        self._count, self._text = 0, ""
        return found

    def _hear(self, answer: Any) -> None:
        told = answer.partial_success
        self._count += max(0, getattr(told, self._field))
        self._text = told.error_message[:_MAX_TEXT] or self._text

    def _read(self, response: Any, *_: object, **__: object) -> None:
        if response.status_code != 200 or len(response.content) > _MAX_ANSWER_BYTES:
            return
        # A success is one whatever its body is.
        with suppress(DecodeError):
            self._hear(self._message.FromString(response.content))


class _Stub:
    """Shows each answer to whoever wants to hear it."""

    def __init__(self, stub: Any, hear: Callable[[Any], None]) -> None:
        self._inner = stub
        self._hear = hear

    def Export(self, *arguments: Any, **named: Any) -> Any:
        """As the stub does."""
        answer = self._inner.Export(*arguments, **named)
        self._hear(answer)
        return answer


def _around(exporter: Any, hear: Callable[[Any], None]) -> None:
    made = exporter._stub
    # The exporter makes a new stub with each new channel.
    exporter._stub = lambda channel: _Stub(made(channel), hear)
    exporter._client = _Stub(exporter._client, hear)


def _hooked(exporter: Any, read: Callable[..., None]) -> None:
    transport = getattr(getattr(exporter, "_client", None), "_transport", None)
    session = getattr(transport, "_session", None)
    if session is not None:
        session.hooks["response"].append(read)
