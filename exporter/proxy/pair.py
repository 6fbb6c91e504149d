"""One client connection and its one upstream connection: bytes both ways, flow control, half-close, endings.

No pool, no retries once a byte was sent, no total timeout. What ends one side ends the other in the same way: FIN as
FIN, RST as RST, so that the model stops work for a client that went away just as it would without us.
"""

import asyncio
from bisect import bisect_left
from time import monotonic_ns

from exporter.proxy.dial import dial
from exporter.proxy.live import nanosecond_bounds
from exporter.proxy.plane import Plane
from exporter.proxy.tap import Tap
from exporter.records.totals import CONNECTION_PROTOCOLS
from exporter.wire.sniff import sniff

# Set explicitly: uvloop's default low-water mark is 16 bytes, so its resume comes only when all is drained.
HIGH_WATER, LOW_WATER = 65536, 16384
LINGER_SECONDS, LINGER_BYTES = 2.0, 1 << 20
HALF_CLOSED_SECONDS = 60.0
_NEW, _HTTP, _RELAY, _CLOSING = range(4)
# Reasons not to read the client.
_UPSTREAM_FULL, _HELD, _EARLY = 1, 2, 4


class ClientSide(asyncio.Protocol):
    """Callbacks of the client's socket."""

    __slots__ = ("pair",)

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        self.pair.accepted(transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.pair.client_data(data)

    def eof_received(self) -> bool:
        """The client sends no more; it may still read."""
        self.pair.client_eof()
        return True

    def pause_writing(self) -> None:
        """The client does not read."""
        self.pair.client_full(monotonic_ns())

    def resume_writing(self) -> None:
        """The client reads again."""
        self.pair.client_drained(monotonic_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.pair.client_lost(exc)


class UpstreamSide(asyncio.Protocol):
    """Callbacks of the model's socket."""

    __slots__ = ("pair",)

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.pair.connected(transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Bytes from the model."""
        self.pair.upstream_data(data)

    def eof_received(self) -> bool:
        """The model sends no more."""
        self.pair.upstream_eof()
        return True

    def pause_writing(self) -> None:
        """The model does not read."""
        self.pair.read_client(_UPSTREAM_FULL, False)

    def resume_writing(self) -> None:
        """The model reads again."""
        self.pair.read_client(_UPSTREAM_FULL, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.pair.upstream_lost(exc)


class Pair:
    """Also the `Wires` of its tap."""

    __slots__ = (
        *("plane", "client", "upstream", "tap", "peer", "protocol", "_phase", "_early", "_dialing", "_down"),
        *(
            "_opened",
            "_received",
            "_sent",
            "_unread",
            "_paused",
            "_client_eof",
            "_upstream_eof",
            "_timer",
            "_counted",
        ),
    )

    def __init__(self, plane: Plane) -> None:
        # per connection
        self.plane = plane
        self.client: asyncio.Transport | None = None
        self.upstream: asyncio.Transport | None = None
        self.tap: Tap | None = None
        self.peer = ""
        self.protocol = "none"
        self._phase = _NEW
        self._early = b""  # what came before it was known where it goes
        self._dialing: asyncio.Task[None] | None = None
        self._down = False
        self._opened = monotonic_ns()
        self._received = self._sent = 0
        self._unread = self._paused = 0
        self._client_eof = self._upstream_eof = self._counted = False
        self._timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- opening

    def accepted(self, transport: asyncio.Transport) -> None:
        """Dial at once: a server that speaks first is heard, and the dial overlaps with the client's first bytes."""
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self.client = transport
        plane = self.plane
        plane.pairs.add(self)
        plane.slots[plane.totals.scalar("connections_open")] += 1
        name = transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else ""
        self._dial()

    def _dial(self) -> None:
        self._down = False
        # Connecting is the one thing on this path that needs a coroutine.
        self._dialing = self.plane.loop.create_task(dial(self.plane, self))

    def side(self) -> UpstreamSide:
        """The protocol for the upstream's transport."""
        return UpstreamSide(self)

    def connected(self, transport: asyncio.Transport) -> None:
        """The upstream is there; a client that left meanwhile takes it along."""
        if self.client is None:
            transport.abort()
            return
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self.upstream = transport
        self._dialing = None
        self.read_client(_EARLY, True)
        self._start()
        if self._client_eof:
            self._close_upstream_writing()

    def unreachable(self) -> None:
        """Dialling failed for good: the first request is answered locally."""
        self._dialing = None
        self._down = True
        self._refuse_early()

    def _start(self) -> None:
        """Decide what is spoken here and send what has come so far."""
        if self.upstream is None or self._phase != _NEW or not self._early:
            return
        kind = sniff(self._early)
        if kind is None:
            return
        early, self._early = self._early, b""
        self.protocol = kind
        if kind == "http1":
            self._phase = _HTTP
            self.tap = Tap(self.plane, self)
            self.tap.request_data(early)
        else:
            self._phase = _RELAY
            self.forward(early)

    def _refuse_early(self) -> None:
        if self._phase != _NEW or not self._early:
            return
        if self.tap is None:
            self.tap = Tap(self.plane, self)
        early, self._early = self._early, b""
        kind = sniff(early) or "http1"
        if kind == "http1" and self.tap.refused(early):
            self.protocol = "http1"
            self.refuse(503, "the model server cannot be reached")
        elif kind != "http1" or self.tap.dead:
            self.protocol = kind
            self._abort_client()

    # ---------------------------------------------------------------- bytes

    def client_data(self, data: bytes) -> None:
        """Bytes from the client."""
        self._received += len(data)
        phase = self._phase
        if phase == _HTTP:
            self.tap.request_data(data)  # type: ignore[union-attr]
        elif phase == _RELAY:
            self.forward(data)
        elif phase == _NEW:
            self._early += data
            if self._down and self.tap is None:
                self._dial()
            elif self._down:
                self._refuse_early()
            elif self.upstream is None and len(self._early) > HIGH_WATER:
                self.read_client(_EARLY, False)
            self._start()
        else:
            self._unread += len(data)
            if self._unread > LINGER_BYTES:
                self._abort_client()

    def upstream_data(self, data: bytes) -> None:
        """Bytes from the model."""
        self._sent += len(data)
        if self._phase == _HTTP:
            self.tap.response_data(data)  # type: ignore[union-attr]
        else:
            if self._phase == _NEW:
                self.plane.totals.count("desync_response", "unsolicited_response")
                self.opaque("opaque")
            self.answer(data)

    def forward(self, data: bytes) -> None:
        """Send to the model."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.write(data)

    def answer(self, data: bytes) -> None:
        """Send to the client."""
        if self.client is not None and not self.client.is_closing():
            self.client.write(data)

    def opaque(self, protocol: str) -> None:
        """From now on relay without following."""
        self.protocol = protocol
        self.tap = None
        self._phase = _RELAY
        self.read_client(_HELD, True)
        if self._early:
            early, self._early = self._early, b""
            self.forward(early)

    def refuse(self, status: int, reason: str) -> None:
        """A local answer, then a lingering close, so that a client still sending gets to read it."""
        body = b'{"error":"modeltap: ' + reason.encode() + b'"}'
        head = (
            f"HTTP/1.1 {status} Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.answer(head.encode() + body)
        self._phase = _CLOSING
        self.tap = None
        if self.upstream is not None:
            self.upstream.close()
        if self.client is not None:
            self._finish_writing(self.client)
            self._after(LINGER_SECONDS)

    # ---------------------------------------------------------------- flow control

    def read_client(self, reason: int, wanted: bool) -> None:
        """Reading the client stops while there is any reason not to."""
        before = self._paused
        self._paused = before & ~reason if wanted else before | reason
        if self.client is None or self.client.is_closing() or bool(before) == bool(self._paused):
            return
        if self._paused:
            self.client.pause_reading()
        else:
            self.client.resume_reading()

    def hold(self, held: bool) -> None:
        """The tap keeps bytes behind a head that waits, or lets them go."""
        self.read_client(_HELD, not held)
        if not held and self._client_eof:
            self._close_upstream_writing()

    def client_full(self, now: int) -> None:
        """The model is not read while the client does not read."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.pause_reading()
        if self.tap is not None:
            self.tap.stalled(now)

    def client_drained(self, now: int) -> None:
        """Both go on."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.resume_reading()
        if self.tap is not None:
            self.tap.resumed(now)

    # ---------------------------------------------------------------- ends

    def client_eof(self) -> None:
        """FIN from the client goes on as FIN, behind everything that it sent."""
        self._client_eof = True
        if self._phase == _CLOSING or self._upstream_eof:
            self._close()
        elif self.upstream is not None and not (self.tap is not None and self.tap.waiting):
            self._close_upstream_writing()

    def upstream_eof(self) -> None:
        """FIN from the model goes on as FIN."""
        self._upstream_eof = True
        if self.tap is not None:
            self.tap.model_eof(monotonic_ns())
        if self._client_eof:
            self._close()
        elif self.client is not None:
            self._finish_writing(self.client)
            self._after(HALF_CLOSED_SECONDS)

    def _close_upstream_writing(self) -> None:
        if self.upstream is not None:
            self._finish_writing(self.upstream)
            self._after(HALF_CLOSED_SECONDS)

    @staticmethod
    def _finish_writing(transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            try:
                transport.write_eof()
            except (OSError, RuntimeError):
                transport.close()

    def _after(self, seconds: float) -> None:
        """Give a half-closed connection that long, counted anew from its last progress."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.plane.loop.call_later(seconds, self._expired, seconds, self._received + self._sent)

    def _expired(self, seconds: float, seen: int) -> None:
        self._timer = None
        busy = self.tap is not None and self.tap.busy
        if self._phase != _CLOSING and (busy or self._received + self._sent > seen):
            self._after(seconds)
        else:
            self._close()

    def _close(self) -> None:
        for transport in (self.client, self.upstream):
            if transport is not None:
                transport.close()

    def _abort_client(self) -> None:
        if self.client is not None:
            self.client.abort()

    def close_idle(self) -> bool:
        """For a drain: close if nothing is under way; whether it did."""
        if (self.tap is not None and self.tap.busy) or self._phase == _RELAY:
            return False
        self._close()
        return True

    def client_lost(self, exc: Exception | None) -> None:
        """The client is gone: the model learns it in the same way."""
        self.client = None
        busy = False
        if self.tap is not None:
            busy = self.tap.busy
            self.tap.lost("abort", monotonic_ns())
        if self._dialing is not None:
            self._dialing.cancel()
        if self.upstream is not None:
            if exc is not None or busy:
                self.upstream.abort()
            else:
                self.upstream.close()
        self._count()

    def upstream_lost(self, exc: Exception | None) -> None:
        """The model's side is gone: nothing is added to what it said."""
        self.upstream = None
        if self.tap is not None:
            self.tap.lost("reset", monotonic_ns())
        if self.client is not None and self._phase != _CLOSING:
            if exc is not None:
                self.client.abort()
            else:
                self.client.close()

    def _count(self) -> None:
        """The connection in the totals, once; and no cycle is left behind."""
        if self._counted:
            return
        self._counted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.tap = None
        plane = self.plane
        plane.pairs.discard(self)
        slots, totals = plane.slots, plane.totals
        slots[totals.scalar("connections_open")] -= 1
        layout = totals.layout
        duration = monotonic_ns() - self._opened
        at = layout.connections_at + CONNECTION_PROTOCOLS.index(self.protocol) * layout.connection_slots
        slots[at] += 1
        slots[at + 1] += self._received
        slots[at + 2] += self._sent
        slots[at + 3 + bisect_left(nanosecond_bounds(layout.latency_bounds), duration)] += 1
        slots[at + layout.connection_slots - 1] += duration
