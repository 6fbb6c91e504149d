"""An OTLP receiver: gRPC and HTTP/protobuf on ephemeral ports, keeps every request, misbehaves on demand.

    with OtlpReceiver() as receiver:
        ...  # send to receiver.grpc_endpoint or receiver.http_endpoint
        receiver.wait(lambda: receiver.spans)

`receiver.behaviour` decides how the next requests are answered; requests are kept before that, whatever the answer.
"""

import gzip
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

# "error" refuses for good (HTTP 400, INVALID_ARGUMENT), "unavailable" for now (503, UNAVAILABLE); "hang" answers
# nothing until the behaviour changes or the receiver stops; "partial" takes one item less than it was sent; "garbage"
# answers 200 with what is no message (HTTP only).
Behaviour = Literal["ok", "error", "unavailable", "hang", "partial", "garbage"]
Call = Any  # grpcio ships no types
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
FILES = Path(__file__).parents[1] / "vectors" / "tls"
Signal = Literal["metrics", "traces", "logs"]
_SIGNALS: tuple[Signal, ...] = ("metrics", "traces", "logs")
_REQUESTS: dict[Signal, Any] = {
    "metrics": metrics_service.ExportMetricsServiceRequest,
    "traces": trace_service.ExportTraceServiceRequest,
    "logs": logs_service.ExportLogsServiceRequest,
}
_RESPONSES: dict[Signal, tuple[Any, str]] = {
    "metrics": (metrics_service.ExportMetricsServiceResponse, "rejected_data_points"),
    "traces": (trace_service.ExportTraceServiceResponse, "rejected_spans"),
    "logs": (logs_service.ExportLogsServiceResponse, "rejected_log_records"),
}
_RESOURCES = {"metrics": "resource_metrics", "traces": "resource_spans", "logs": "resource_logs"}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. Header names are lower case; `encoding` is "" where nothing was compressed."""

    signal: Signal
    transport: Literal["grpc", "http"]
    headers: dict[str, str]
    encoding: str
    message: Any


class OtlpReceiver:
    """Safe to read while requests arrive; a context manager."""

    def __init__(self, cert: str = "") -> None:
        """`cert`: one of the test certificates; with it both ports speak TLS."""
        self._received: list[Received] = []
        self._behaviour: Behaviour = "ok"
        self._changed = threading.Condition()
        self._stopped = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._serve = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Service(self, "metrics"), self._grpc)  # type: ignore[no-untyped-call]
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Service(self, "traces"), self._grpc)  # type: ignore[no-untyped-call]
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(_Service(self, "logs"), self._grpc)  # type: ignore[no-untyped-call]
        self._scheme = "https" if cert else "http"
        self.cert = cert  # of the handshakes to come; `renew` changes it
        if cert:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.renew(cert)
            # The handshake is the handler's thread's: one that fails holds up nobody.
            self._http.socket = self._context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
            given = grpc.dynamic_ssl_server_credentials(self._shown(), lambda: self._shown())
            self._grpc_port = self._grpc.add_secure_port("127.0.0.1:0", given)
        else:
            self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")

    def renew(self, cert: str) -> None:
        """Show another certificate in new handshakes."""
        self.cert = cert
        self._context.load_cert_chain(FILES / f"{cert}.pem", FILES / f"{cert}.key")

    def _shown(self) -> Any:
        pair = tuple([(FILES / f"{self.cert}.{kind}").read_bytes() for kind in ("key", "pem")])
        return grpc.ssl_server_certificate_configuration([pair])

    @property
    def grpc_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with protocol grpc."""
        return f"{self._scheme}://127.0.0.1:{self._grpc_port}"

    @property
    def http_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with protocol http/protobuf."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}"

    @property
    def behaviour(self) -> Behaviour:
        """How requests are answered now."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, value: Behaviour) -> None:
        with self._changed:
            self._behaviour = value
            self._changed.notify_all()

    def start(self) -> Self:
        """Listen."""
        self._serve.start()
        self._grpc.start()
        return self

    def stop(self) -> None:
        """Stop listening and let hanging calls go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        self._serve.join()
        self._grpc.stop(grace=0).wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def requests(self) -> list[Received]:
        """All requests so far, the oldest first."""
        with self._changed:
            return list(self._received)

    @property
    def spans(self) -> list[Span]:
        """All spans of all requests."""
        return [span for span, _ in self.spans_with_resources]

    @property
    def spans_with_resources(self) -> list[tuple[Span, Resource]]:
        """All spans, each with the resource that sent it."""
        return [
            (span, resource.resource)
            for request in self.requests
            if request.signal == "traces"
            for resource in request.message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[LogRecord]:
        """All log records of all requests."""
        return [
            record
            for request in self.requests
            if request.signal == "logs"
            for resource in request.message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def metrics(self) -> dict[str, Metric]:
        """The latest metric of each name."""
        return {
            metric.name: metric
            for request in self.requests
            if request.signal == "metrics"
            for resource in request.message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def resources(self) -> Iterator[dict[str, Any]]:
        """The attributes of the resource of each request."""
        for request in self.requests:
            for one in getattr(request.message, _RESOURCES[request.signal]):
                yield attributes(one.resource.attributes)

    def wait(self, condition: Callable[[], object], seconds: float = 10.0) -> bool:
        """Wait until the condition holds; False after the deadline."""
        return until(condition, seconds)

    def take(self, received: Received) -> Behaviour:
        """Keep a request and tell how to answer it; returns after a hang has ended."""
        with self._changed:
            self._received.append(received)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._behaviour != "hang" or self._stopped)
            return self._behaviour

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signal = next((one for one in _SIGNALS if self.path == f"/v1/{one}"), None)
                if signal is None:
                    self._answer(404, b"")
                    return
                encoding = self.headers.get("Content-Encoding", "")
                message = _REQUESTS[signal].FromString(_DECOMPRESS.get(encoding, bytes)(body))
                headers = {key.lower(): value for key, value in self.headers.items()}
                behaviour = receiver.take(Received(signal, "http", headers, encoding, message))
                status = {"error": 400, "unavailable": 503}.get(behaviour, 200)
                body = _response(signal, behaviour).SerializeToString() if status == 200 else b""
                self._answer(status, b"\xff" * 7 if behaviour == "garbage" else body)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def handle(self) -> None:
                try:
                    super().handle()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the exporter gave up waiting

        return Handler


class _Service:
    """All gRPC services have the one method Export."""

    def __init__(self, receiver: OtlpReceiver, signal: Signal) -> None:
        self._receiver = receiver
        self._signal = signal

    def Export(self, request: Any, context: Call) -> Any:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        # gRPC decompresses by itself and does not tell; the tests look at the encoding over HTTP.
        behaviour = self._receiver.take(Received(self._signal, "grpc", headers, "", request))
        if behaviour == "error":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the receiver was told to refuse")
        if behaviour == "unavailable":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver was told to be unavailable")
        return _response(self._signal, behaviour)


def until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Poll a condition until it holds; False after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _response(signal: Signal, behaviour: Behaviour) -> Any:
    message, rejected = _RESPONSES[signal]
    response = message()
    if behaviour == "partial":
        response.partial_success.error_message = "one item was refused"
        setattr(response.partial_success, rejected, 1)
    return response


def attributes(pairs: Any) -> dict[str, Any]:
    """Protobuf attributes as a dict of plain values."""
    return {pair.key: _plain(pair) for pair in pairs}


def _plain(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    return getattr(pair.value, kind) if kind else None
