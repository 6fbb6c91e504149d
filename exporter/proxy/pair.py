"""One client connection and its one upstream connection: bytes both ways, flow control, half-close, endings.

No pool, no retries once a byte was sent, no total timeout. What ends one side ends the other in the same way: FIN as
FIN, RST as RST, so that the model stops work for a client that went away just as it would without us.
"""

import asyncio
from bisect import bisect_left
from time import monotonic_ns

from exporter.proxy import sockets
from exporter.proxy.destination import Destination
from exporter.proxy.dial import dial
from exporter.proxy.plane import Plane
from exporter.proxy.sides import UpstreamSide
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
_STATUS_LINES = {400: b"400 Bad Request\r\n", 503: b"503 Service Unavailable\r\nRetry-After: 1\r\n"}


class Pair:
    """Also the `Wires` of its tap."""

    __slots__ = (
        *(
            "plane",
            "destination",
            "client",
            "upstream",
            "tap",
            "peer",
            "protocol",
            "_phase",
            "_early",
            "_dialing",
            "_down",
        ),
        *("_opened", "_received", "_sent", "_unread", "_paused", "_client_eof", "_upstream_eof", "_timer"),
        *("_counted", "__weakref__"),
    )

    def __init__(self, plane: Plane, destination: Destination) -> None:
        # per connection
        self.plane = plane
        self.destination = destination
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
        plane.slots[plane.connections_open] += 1
        name = transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else ""
        self._dial()

    def _dial(self) -> None:
        self._down = False
        # Connecting is the one thing on this path that needs a coroutine.
        self._dialing = self.plane.loop.create_task(dial(self.plane, self))

    def dialled(self) -> None:
        """There is a connected socket; a client that leaves now is seen in `connected`."""
        self._dialing = None

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
        self.read_client(_EARLY, True)
        self._start()
        if self._client_eof:
            self._pass_eof()

    def unreachable(self) -> None:
        """Dialling failed for good: the first request is answered locally."""
        self._dialing = None
        self._down = True
        self._refuse_early()
        if self._client_eof:
            self._close()

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
        """Nobody is there: a request gets a 503; what is none gets a reset, as from a closed port."""
        if self._phase != _NEW or not self._early:
            return
        early, self._early = self._early, b""
        if self.tap is None:
            self.protocol = sniff(early) or "http1"
            self.tap = Tap(self.plane, self)
        if self.protocol == "http1":
            self.tap.refused(early)
        else:
            self.abort()

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
                sockets.reset(self.client)

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

    def refuse(self, status: int, reason: str, bodiless: bool = False) -> None:
        """A local answer, then a lingering close, so that a client still sending gets to read it."""
        body = b'{"error":"modeltap: ' + reason.encode() + b'"}'
        head = (
            b"HTTP/1.1 " + _STATUS_LINES[status] + b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        whole = head if bodiless else head + body
        if not self._upstream_eof:
            self._sent += len(whole)
            self.answer(whole)
        self._linger()

    def abort(self) -> None:
        """Reset both sides."""
        self.tap = None
        self._phase = _CLOSING
        sockets.reset(self.upstream)
        sockets.reset(self.client)

    def _linger(self) -> None:
        """FIN behind what was answered; what the client still sends is read and thrown away, for a while."""
        self._phase = _CLOSING
        self.tap = None
        if self.upstream is not None:
            self.upstream.close()
        if self.client is None:
            return
        if self._client_eof:
            self.client.close()
            return
        sockets.finish_writing(self.client)
        self.read_client(_UPSTREAM_FULL | _HELD | _EARLY, True)
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
            self._pass_eof()

    def gone(self) -> bool:
        """Whether the client reset a connection that is not being read."""
        return sockets.gone(self.client)

    def upstream_full(self, full: bool) -> None:
        """The client is not read while the model does not read."""
        self.read_client(_UPSTREAM_FULL, not full)

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
        if self._phase == _CLOSING or self._upstream_eof or self._down:
            self._close()
        else:
            self._pass_eof()

    def _pass_eof(self) -> None:
        if self.upstream is None or self._phase == _CLOSING:
            return
        if self._early:
            self.opaque("opaque")  # fewer bytes than any protocol begins with
        elif self.tap is not None:
            if self.tap.waiting:
                return
            self.tap.client_eof()
        if self._phase != _CLOSING:
            sockets.finish_writing(self.upstream)
            self._after(HALF_CLOSED_SECONDS)

    def upstream_eof(self) -> None:
        """FIN from the model goes on as FIN."""
        if self.tap is not None and self.tap.refuse_waiting():
            return
        self._upstream_eof = True
        if self.tap is not None:
            self.tap.model_eof("abort" if self._client_eof else "reset", monotonic_ns())
        if self._client_eof:
            self._close()
        elif self.client is not None:
            sockets.finish_writing(self.client)
            self._after(HALF_CLOSED_SECONDS)

    def _after(self, seconds: float) -> None:
        """Give a half-closed connection that long, counted anew from its last progress."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.plane.loop.call_later(seconds, self._expired, seconds, self._received + self._sent)

    def _expired(self, seconds: float, seen: int) -> None:
        self._timer = None
        if self._phase != _CLOSING:
            # Once the model sends no more, nothing that is under way can end.
            busy = self.tap is not None and self.tap.busy and not self._upstream_eof
            if self._received + self._sent > seen or (busy and not sockets.gone(self.client)):
                self._after(seconds)
                return
        sockets.end(self.client)
        sockets.end(self.upstream)

    def _close(self) -> None:
        for transport in (self.client, self.upstream):
            if transport is not None:
                transport.close()

    def close_idle(self) -> bool:
        """For a drain: close if nothing is under way; whether it did."""
        if self._phase == _HTTP:
            idle = self.tap is None or not (self.tap.busy or self.tap.holding)
        else:
            idle = self._phase == _NEW and not self._early and self.tap is None
        if idle:
            self._close()
        return idle

    def client_lost(self, exc: Exception | None) -> None:
        """The client is gone: the model learns it in the same way."""
        self.client = None
        busy = False
        if self.tap is not None:
            busy = self.tap.busy
            self.tap.lost("reset" if self._upstream_eof else "abort", monotonic_ns())
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()
        if self.upstream is not None:
            if exc is not None or busy:
                sockets.reset(self.upstream)
            else:
                self.upstream.close()
        self._count()

    def upstream_lost(self, exc: Exception | None) -> None:
        """The model's side is gone: nothing is added to what it said, and what it said before is not lost."""
        upstream, self.upstream = self.upstream, None
        if self._phase == _CLOSING or upstream is None:
            return
        if exc is not None and not self._upstream_eof:
            rest = sockets.unread(upstream)
            if rest:
                self.upstream_data(rest)
        tap = self.tap
        if tap is not None:
            if tap.refuse_waiting():
                return
            answered = tap.answered
            tap.lost("abort" if self._client_eof else "reset", monotonic_ns())
            if answered and self._phase == _HTTP:
                self._linger()
                return
        self._phase = _CLOSING
        if exc is not None:
            sockets.reset(self.client)
        elif self.client is not None:
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
        slots, width = plane.slots, plane.totals.layout.connection_slots
        slots[plane.connections_open] -= 1
        duration = monotonic_ns() - self._opened
        at = plane.connections_at + CONNECTION_PROTOCOLS.index(self.protocol) * width
        slots[at] += 1
        slots[at + 1] += self._received
        slots[at + 2] += self._sent
        slots[at + 3 + bisect_left(plane.latency_bounds, duration)] += 1
        slots[at + width - 1] += duration
