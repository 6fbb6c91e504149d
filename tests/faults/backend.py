"""A telemetry backend that misbehaves: OTLP over HTTP on one port, whose manners change while the sidecar lives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.faults.ends import Between, End, limit_buffer
from tests.faults.model import listening
from tests.faults.toxics import BlackHole, ResetReader, SlowReader, full, refusing
from tests.proxy.clients import answer
from tests.proxy.upstreams import accepting

# Each fails an export in its own way; "refused" and "dropped" are the listener's.
MANNERS = ("refused", "dropped", "unavailable", "slow", "garbage", "reset", "silent")
_TOXICS: dict[str, tuple[Between, ...]] = {
    "slow": (SlowReader(1, 0.05),),
    "reset": (ResetReader(200),),
    "silent": (BlackHole(),),
}
_NOT_TLS = b"\x15\x03\x01\x00\x02\x02\x28"


class Backend:
    """`spans` is what arrived while it behaved."""

    def __init__(self) -> None:
        self.listener = listening()
        self.spans: list[Span] = []
        self.manner = "honest"
        self._ends: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def environment(self) -> dict[str, str]:
        """The standard variables: export soon, with little patience, and only what callers sampled."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.listener.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3",
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        }

    @asynccontextmanager
    async def behaving(self, manner: str) -> AsyncIterator[None]:
        """Within, every connection meets that manner; all are closed at its end."""
        self.manner = manner
        with ExitStack() as stack:
            if manner == "refused":
                stack.enter_context(refusing(self.listener))
            elif manner == "dropped":
                stack.enter_context(full(self.listener))
            else:
                stack.callback(accepting(self.listener, self._met))
            try:
                yield
            finally:
                stack.close()
                for task in tuple(self._tasks):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                while self._ends:
                    self._ends.pop().close()

    def _met(self, sock: socket.socket) -> None:
        toxics = _TOXICS.get(self.manner, ())
        limit_buffer(sock, toxics)
        # Known before its task begins: one that is cancelled until then would never close it.
        self._ends.add(end := End(sock, toxics))
        task = asyncio.get_running_loop().create_task(self._serve(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, end: End) -> None:
        try:
            await self._answer(end)
        except (ConnectionError, TimeoutError):
            pass  # the sidecar lost its patience, as it may
        finally:
            end.close()

    async def _answer(self, end: End) -> None:
        if self.manner == "garbage":
            await end.send(_NOT_TLS)
            return
        while (message := await end.read_message()).head.endswith(b"\r\n\r\n"):
            honest = self.manner == "honest"
            if honest and message.head.startswith(b"POST /v1/traces "):
                self._keep(message.body)
            await end.send(answer(b"") if honest else answer(b"", "503 Service Unavailable"))

    def _keep(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
