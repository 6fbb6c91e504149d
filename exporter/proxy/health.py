"""The health port: /livez, /readyz, /wait-for-drain, answered by the root process itself.

Readiness means: listeners bound and not draining. Never the model and never the analysis: a native sidecar that waits
for the model keeps the model from being started.
"""

import asyncio
from collections.abc import Callable
from typing import cast

_MAX_HEAD = 8192


class HealthState:
    """What the answers are made of; `waiters` are told when the drain is over."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.drained = False
        self._waiters: list[Callable[[], None]] = []

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call when the last exchange of the drain is over; at once if it is."""
        if self.drained:
            call()
        else:
            self._waiters.append(call)

    def finish(self) -> None:
        """The drain is over."""
        self.drained = True
        waiters, self._waiters = self._waiters, []
        for call in waiters:
            call()


class Health(asyncio.Protocol):
    """A few lines of HTTP/1.1: one request per connection, no body read."""

    def __init__(self, state: HealthState) -> None:
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A probe connects."""
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's transports derive from none of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        """It left."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer once the head is complete."""
        self._head += data
        if len(self._head) > _MAX_HEAD:
            self._answer(431, "head too large")
        elif b"\r\n\r\n" in self._head:
            line = self._head.partition(b"\r\n")[0].split(b" ")
            path = line[1].partition(b"?")[0].decode("latin-1") if len(line) == 3 else ""
            self._route(path)

    def _route(self, path: str) -> None:
        state = self._state
        if path == "/livez":
            self._answer(200, "ok")
        elif path == "/readyz":
            if state.ready and not state.draining:
                self._answer(200, "ok")
            else:
                self._answer(503, "draining" if state.draining else "not ready")
        elif path == "/wait-for-drain":
            state.when_drained(lambda: self._answer(200, "drained"))
        else:
            self._answer(404, "not found: expected /livez, /readyz or /wait-for-drain")

    def _answer(self, status: int, text: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        reason = {200: "OK", 404: "Not Found", 431: "Request Header Fields Too Large"}.get(
            status, "Unavailable"
        )
        body = f"{text}\n"
        self._transport.write(
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}".encode()
        )
        self._transport.close()
