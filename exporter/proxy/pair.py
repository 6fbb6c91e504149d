"""One client connection and its one upstream connection: bytes both ways, flow control, half-close, endings.

No pool, no retries once a byte was sent, no total timeout. What ends one side ends the other in the same way: FIN as
FIN, RST as RST, so that the model stops work for a client that went away just as it would without us.
"""

import asyncio
from bisect import bisect_left
from time import monotonic_ns
from typing import Final

from exporter.proxy import sockets
from exporter.proxy.bounded import (
    CLIENT_SIDE,
    CLOSING,
    GLANCE,
    HTTP,
    LINGER,
    NEW,
    RELAY,
    UPSTREAM_SIDE,
    Bounded,
)
from exporter.proxy.destination import Destination
from exporter.proxy.dial import Dialling
from exporter.proxy.plane import Plane
from exporter.proxy.refusals import Refusal
from exporter.proxy.sides import upstream_side
from exporter.proxy.tap import Tap
from exporter.proxy.usage import Asker
from exporter.records.totals import CONNECTION_PROTOCOLS
from exporter.wire.sniff import sniff

# Set explicitly: uvloop's default low-water mark is 16 bytes, so its resume comes only when all is drained.
HIGH_WATER: Final = 65536
LOW_WATER: Final = 16384
LINGER_BYTES: Final = 1 << 20
# Reasons not to read the client.
_UPSTREAM_FULL: Final = 1
_HELD: Final = 2
_EARLY: Final = 4


class Pair(Bounded):
    """Also the `Wires` of its tap."""

    __slots__ = (
        *(
            "destination",
            "peer",
            "protocol",
            "_early",
            "_dialing",
            "_down",
            "_unread",
            "_paused",
            "_admitted",
            "_asker",
        ),
    )

    def __init__(self, plane: Plane, destination: Destination) -> None:
        # per connection
        super().__init__(plane)
        self.destination = destination
        self.peer = ""
        self.protocol = "none"
        self._early = b""  # what came before it was known where it goes
        self._dialing: Dialling | None = None
        self._down = False
        self._unread = self._paused = 0
        self._asker: Asker | None = None  # where usage is asked for in the client's place
        self._admitted = False  # an upgraded connection keeps the slot of its request

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
        if self.destination.upstream.opaque:
            self.protocol = "opaque"
            self._bound(self._opened, plane.bounds.tunnel)
        else:
            self._bound(self._opened, plane.bounds.first)
        self._dial()

    def _dial(self) -> None:
        self._down = False
        self._dialing = Dialling(self.plane, self)
        self._dialing.start()

    def dialled(self) -> None:
        """Right after `connected`: there is nothing left to cancel."""
        self._dialing = None

    def side(self) -> asyncio.Protocol:
        """The protocol for the upstream's transport."""
        return upstream_side(self)

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
        if self.upstream is None or self._phase != NEW:
            return
        if self.destination.upstream.opaque:
            self.opaque("opaque")
            return
        kind = sniff(self._early) if self._early else None
        if kind is None:
            return
        if kind != "http1" and self.plane.closed:
            # What is not followed cannot be limited.
            self.plane.totals.count("desync_request", "other_protocol")
            self.abort()
            return
        early, self._early = self._early, b""
        self.protocol = kind
        if kind == "http1":
            self._phase = HTTP
            self.tap = Tap(self.plane, self)
            if self.plane.include_usage:
                self._asker = Asker(self.plane, self._let_go)
            self._request(early)
        else:
            self._relay()
            self.forward(early)

    def _refuse_early(self) -> None:
        """Nobody is there: a request gets a 503; what is none gets a reset, as from a closed port."""
        if self._phase != NEW or not self._early:
            return
        early, self._early = self._early, b""
        if self.tap is None:
            if not self.destination.upstream.opaque:
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
        if phase == HTTP:
            self._request(data)
        elif phase == RELAY:
            self.forward(data)
        elif phase == NEW:
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

    def _request(self, data: bytes) -> None:
        tap = self.tap
        if tap is None:
            return
        if self._asker is not None:
            data = self._asker.request(data, tap.busy or tap.holding)
            if not data:
                return
        tap.request_data(data)

    def _let_go(self) -> None:
        """What is held of a request goes on as it came."""
        held = self._asker.let_go() if self._asker is not None else b""
        if held and self.tap is not None:
            self.tap.request_data(held)

    def _answer_ends(self) -> None:
        """Nothing more comes from the model: what of its answer was kept back goes to the client."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.let_go("")
            self.answer(asker.end())

    def upstream_data(self, data: bytes) -> None:
        """Bytes from the model."""
        self._sent += len(data)
        if self._phase == HTTP:
            self.tap.response_data(data)  # type: ignore[union-attr]
            if self._client_eof and self.upstream is not None and self.tap is not None and not self.tap.busy:
                self._pass_eof()
        else:
            if self._phase == NEW:
                self.plane.totals.count("desync_response", "unsolicited_response")
                if self.plane.closed:
                    self.abort()
                    return
                self.opaque("opaque")
            self.answer(data)

    def forward(self, data: bytes) -> None:
        """Send to the model."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.write(data)

    def answer(self, data: bytes) -> None:
        """Send to the client."""
        if self._asker is not None:
            data = self._asker.answer(data)
        if data and self.client is not None and not self.client.is_closing():
            self.client.write(data)

    def opaque(self, protocol: str) -> None:
        """From now on relay without following."""
        self.protocol = protocol
        self.tap = None
        held = self._asker.let_go() if self._asker is not None else b""
        self._answer_ends()
        self._relay()
        self.read_client(_HELD, True)
        if held:
            self.forward(held)
        if self._early:
            early, self._early = self._early, b""
            self.forward(early)

    def _relay(self) -> None:
        self._phase = RELAY
        self._progress_from_now(self.plane.bounds.tunnel)

    def keep_slot(self) -> None:
        """The exchange is over, but what it was admitted for goes on until the connection ends."""
        self._admitted = True

    def refuse(self, refusal: Refusal, bodiless: bool = False) -> None:
        """A local answer, then a lingering close, so that a client still sending gets to read it."""
        whole = refusal.answer(bodiless)
        if not self._upstream_eof:
            self._sent += len(whole)
            self.answer(whole)
        self._linger()

    def abort(self) -> None:
        """Reset both sides."""
        self.tap = None
        self._phase = CLOSING
        sockets.reset(self.upstream)
        sockets.reset(self.client)

    def _linger(self) -> None:
        """FIN behind what was answered; what the client still sends is read and thrown away, for a while."""
        self._phase = CLOSING
        self.tap = None
        sockets.close(self.upstream)
        if self.client is None:
            return
        if self._client_eof:
            sockets.close(self.client)
            return
        sockets.finish_writing(self.client)
        self.read_client(_UPSTREAM_FULL | _HELD | _EARLY, True)
        self._seen_at = monotonic_ns()
        self._bound(self._seen_at, LINGER)

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
        self._filled(UPSTREAM_SIDE, full, monotonic_ns())

    def client_full(self, now: int) -> None:
        """The model is not read while the client does not read."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.pause_reading()
        if self.tap is not None:
            self.tap.stalled(now, True)
        self._filled(CLIENT_SIDE, True, now)

    def client_drained(self, now: int) -> None:
        """Both go on."""
        if self.upstream is not None and not self.upstream.is_closing():
            self.upstream.resume_reading()
        if self.tap is not None:
            self.tap.stalled(now, False)
        self._filled(CLIENT_SIDE, False, now)

    # ---------------------------------------------------------------- ends

    def client_eof(self) -> None:
        """FIN from the client goes on as FIN, behind everything that it sent."""
        self._let_go()
        self._client_eof = True
        if self._phase != CLOSING and not self._down:
            self._pass_eof()
        if self._phase == CLOSING or self._upstream_eof or self._down:
            self._close()

    def _pass_eof(self) -> None:
        if self.upstream is None or self._phase == CLOSING:
            return
        if self._early:
            self.opaque("opaque")  # fewer bytes than any protocol begins with
        elif self.tap is not None:
            if self.tap.waiting:
                self._leave_queue()
                return
            self.tap.client_eof()
        if self._phase != CLOSING:
            if not sockets.finish_writing(self.upstream) and not (self.tap is not None and self.tap.busy):
                self._close()  # TLS has no half-close, and nothing is under way
                return
            self._progress_from_now(GLANCE)

    def _leave_queue(self) -> None:
        """A client that ends while its request is queued is gone, as far as can be told: the model never hears of it.

        Unless it still waits for answers to what it sent before: then its last request waits on with it.
        """
        if self.tap is not None and not self.tap.asked:
            self.tap.lost("abort", monotonic_ns())
            self._close()

    def upstream_eof(self) -> None:
        """FIN from the model goes on as FIN."""
        if self.tap is not None and self.tap.refuse_waiting():
            return
        self._upstream_eof = True
        if self.tap is not None:
            self.tap.model_eof("abort" if self._client_eof else "reset", monotonic_ns())
        self._answer_ends()
        if self._client_eof:
            self._close()
        elif self.client is not None:
            sockets.finish_writing(self.client)
            self._progress_from_now(self.plane.bounds.half_closed)

    def _close(self) -> None:
        for transport in (self.client, self.upstream):
            sockets.close(transport)

    def close_idle(self) -> bool:
        """For a drain: close if nothing is under way; whether it did."""
        if self._phase == HTTP:
            held = self._asker is not None and self._asker.holding
            idle = self.tap is None or not (self.tap.busy or self.tap.holding or held)
        else:
            idle = self._phase == NEW and not self._early and self.tap is None
        if idle:
            self._close()
        return idle

    def stop(self) -> None:
        """Close at once, whatever is under way."""
        for transport in (self.client, self.upstream):
            if transport is not None:
                transport.abort()

    def client_lost(self, exc: Exception | None) -> None:
        """The client is gone: the model learns it in the same way."""
        self._let_go()
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
                sockets.close(self.upstream)
        self._count()

    def upstream_lost(self, exc: Exception | None) -> None:
        """The model's side is gone: nothing is added to what it said, and what it said before is not lost."""
        upstream, self.upstream = self.upstream, None
        if self._phase == CLOSING or upstream is None:
            return
        if exc is not None and not self._upstream_eof:
            rest = sockets.unread(upstream)
            if rest:
                self.upstream_data(rest)
        self._answer_ends()
        tap = self.tap
        if tap is not None:
            if tap.refuse_waiting():
                return
            answered = tap.answered
            tap.lost("abort" if self._client_eof else "reset", monotonic_ns())
            if answered and self._phase == HTTP:
                self._linger()
                return
        self._phase = CLOSING
        if exc is not None or (sockets.is_tls(upstream) and not self._upstream_eof):
            sockets.reset(self.client)
        else:
            sockets.close(self.client)

    def _count(self) -> None:
        """The connection in the totals, once; and no cycle is left behind."""
        if self._counted:
            return
        self._counted = True
        self.tap = None
        if self._asker is not None:
            self._asker.let_go("")
            self._asker = None
        plane = self.plane
        plane.deadlines.drop(self)
        if self._admitted:
            self._admitted = False
            plane.admission.release(monotonic_ns())
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
