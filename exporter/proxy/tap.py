"""The tap: follows both directions of one connection and turns what it sees into exchanges.

Request heads are held until complete, edited and sent; every other byte is forwarded first and followed after. The
tap may fail: then the connection goes on as an opaque relay, what was under way is not guessed at, and it is counted.
"""

import logging
from collections import deque
from time import monotonic_ns
from typing import Protocol

from exporter.proxy.edits import edit
from exporter.proxy.labels import Labelled
from exporter.proxy.live import Live
from exporter.proxy.plane import Plane
from exporter.records.routes import SIDE_OPERATIONS
from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import RequestHead, ResponseHead
from exporter.wire.http1 import RequestFollower, ResponseFollower

log = logging.getLogger(__name__)
MAX_PIPELINED = 64


class Wires(Protocol):
    """What a tap asks of its connection pair."""

    peer: str

    def forward(self, data: bytes) -> None:
        """Send to the model."""

    def answer(self, data: bytes) -> None:
        """Send to the client."""

    def opaque(self, protocol: str) -> None:
        """From now on relay without following."""

    def refuse(self, status: int, reason: str) -> None:
        """Answer locally in place of the model, then close with a linger."""

    def hold(self, held: bool) -> None:
        """True: so much waits behind a held head that the client should not be read. False: nothing waits any more."""


class Tap:
    """One per followed connection. Methods are called from socket callbacks with what was read."""

    __slots__ = (
        *(
            "plane",
            "wires",
            "_requests",
            "_responses",
            "_fifo",
            "_sending",
            "_stalled",
            "_parked",
            "_backlog",
        ),
        *("_memo_head", "_memo_labelled", "_refusing", "_unsent", "dead"),
    )

    def __init__(self, plane: Plane, wires: Wires) -> None:
        self.plane = plane
        self.wires = wires
        self._requests = RequestFollower()
        self._responses = ResponseFollower()
        self._fifo: deque[Live] = deque()  # sent or being sent and not answered, oldest first
        self._sending: Live | None = None  # the request whose body is still coming
        self._stalled = 0  # since when the client does not read; 0 if it does
        self._parked: tuple[Live, list[Event], bytes, int] | None = None  # a head that waits for admission
        self._backlog: list[bytes] = []  # what the client sent after it
        self._memo_head: RequestHead | None = None
        self._memo_labelled: Labelled | None = None
        self._unsent = b""  # of the message in hand, what a failure would have to send as it came
        self._refusing = 0  # a status to answer locally once everything before is answered
        self.dead = False

    @property
    def waiting(self) -> bool:
        """A head waits for admission, and what the client sent after it with it."""
        return self._parked is not None

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return bool(self._fifo) or self._sending is not None or self._parked is not None

    # ---------------------------------------------------------------- client to model

    def request_data(self, data: bytes) -> None:
        """Bytes from the client."""
        now = monotonic_ns()
        if self._requests.certain >= len(data):
            self.wires.forward(data)
            try:
                self._account(self._requests.feed(data), data)
            except Exception:
                self._fail("request", b"")
            return
        pos = 0
        while pos < len(data) and not self.dead:
            if self._parked is not None or self._refusing:
                self._wait(data[pos:])
                return
            pos = self._message(data, pos, now)

    def _message(self, data: bytes, pos: int, now: int) -> int:
        """Forward and follow up to the end of one message; returns where the next one begins."""
        held = self._requests.held
        stop = pos
        self._unsent = held
        try:
            events, stop = self._requests.feed_message(data, pos)
            if events and type(events[0]) is Head:
                self._begin(events, data, stop, now)
            elif self._sending is not None:
                self.wires.forward(data[pos:stop])
                self._account(events, data)
            elif not events:
                self._unsent = b""  # the follower holds it
            last = events[-1] if events else None
            if type(last) is Desync:
                self._desync(last.reason, self._unsent + data[stop:])
            return stop
        except Exception:
            self._fail("request", self._unsent + data[stop:])
            return len(data)

    def _begin(self, events: list[Event], data: bytes, stop: int, now: int) -> None:
        """A head is complete: it goes on its way, waits for admission, or is shed."""
        first = events[0]
        assert isinstance(first, Head) and isinstance(first.head, RequestHead)
        head = first.head
        self._unsent = head.raw + data[first.end : stop]
        plane = self.plane
        labelled = self._labelled(head)
        live = Live(plane, head, labelled, now)
        live.peer = self.wires.peer
        if plane.admission.limit and labelled.route.operation not in SIDE_OPERATIONS:
            answer = plane.admission.ask(self)
            if answer is None:
                self._shed(live, now)
                return
            if not answer:
                live.queued = now
                self._parked = (live, events, data, stop)
                self._unsent = b""
                return
            live.admitted = True
        self._go(live, events, data, stop, now)

    def _go(self, live: Live, events: list[Event], data: bytes, stop: int, now: int) -> None:
        """Send the head, edited, with what of its body came along, in one write."""
        plane, head, first = self.plane, live.head, events[0]
        assert isinstance(first, Head)
        if live.labelled.route.operation not in SIDE_OPERATIONS:
            plane.last_request = now
        if plane.settings.tracing:
            outcome, live.trace = plane.sampler.decide(head, now)
            plane.totals.count("trace", outcome)
        added = ""
        if head.request_id:
            live.request_id = head.request_id.decode("latin-1")
        else:
            added = live.request_id = plane.sampler.request_id()
        raw = edit(head, live.trace, added)
        self._fifo.append(live)
        self._sending = live
        self._responses.expect(head.method)
        self._unsent = b""
        if raw is head.raw and first.start == 0 and stop == len(data):
            self.wires.forward(data)
        else:
            self.wires.forward(raw + data[first.end : stop] if stop > first.end else raw)
        live.overhead += monotonic_ns() - now
        self._account(events, data)
        if len(self._fifo) > MAX_PIPELINED:
            self._desync("pipeline_too_deep", b"")

    def _account(self, events: list[Event], data: bytes) -> None:
        """Note what was just forwarded."""
        live = self._sending
        for event in events:
            if live is None:
                return
            if type(event) is Data:
                live.request_size += event.end - event.start
                live.request.take(data, event.start, event.end, self.plane)
            elif type(event) is End:
                self._sending = None
                live.request_done = True
                live.sent = monotonic_ns()
                if live.ended:
                    live.finish(live.ended)

    def _labelled(self, head: RequestHead) -> Labelled:
        # The follower gives the same head object for a head that equals the last one.
        if head is not self._memo_head or self._memo_labelled is None:
            self._memo_head = head
            self._memo_labelled = self.plane.labels.labelled(head.method, head.target)
        return self._memo_labelled

    # ---------------------------------------------------------------- admission

    def admitted(self, now: int) -> None:
        """The slot is there: what was held goes on, then what came after it."""
        parked, self._parked = self._parked, None
        if parked is None:
            return
        live, events, data, stop = parked
        live.admitted = True
        live.queue_wait = now - live.queued
        try:
            self._go(live, events, data, stop, now)
        except Exception:
            self._fail("request", self._unsent)
        backlog, self._backlog = self._backlog, []
        if backlog and not self.dead:
            self.request_data(b"".join(backlog))
        self.wires.hold(False)

    def _wait(self, data: bytes) -> None:
        """Behind a held head: kept, and the client is not read any more once there is a lot of it."""
        if self._refusing:
            return  # it will never be read by anyone
        self._backlog.append(data)
        if sum(map(len, self._backlog)) > 65536:
            self.wires.hold(True)

    def _shed(self, live: Live, now: int) -> None:
        self._unsent = b""
        live.status = 503
        live.finish(now, "shed")
        self._refusing = 503
        if not self._fifo:
            self.wires.refuse(503, "the queue in front of the model is full")

    # ---------------------------------------------------------------- model to client

    def response_data(self, data: bytes) -> None:
        """Bytes from the model: forwarded first."""
        now = monotonic_ns()
        self.wires.answer(data)
        if self._fifo:
            self._fifo[0].overhead += monotonic_ns() - now
        try:
            for event in self._responses.feed(data):
                self._response_event(event, data, now)
        except Exception:
            self._fail("response", b"")
        if self._refusing and not self._fifo and not self.dead:
            self.wires.refuse(self._refusing, "the queue in front of the model is full")

    def _response_event(self, event: Event, data: bytes, now: int) -> None:
        if type(event) is Desync:
            self.plane.totals.count("desync_response", event.reason)
            self._give_up("opaque")
            return
        live = self._fifo[0]
        if type(event) is Data:
            live.response_size += event.end - event.start
            live.response.take(data, event.start, event.end, self.plane)
        elif type(event) is Head:
            self._response_head(live, event.head, now)
        elif type(event) is End:
            self._response_end(live, now)
        elif type(event) is Tunnel:
            self._response_end(live, now)
            self._give_up("upgraded")

    def _response_head(self, live: Live, head: RequestHead | ResponseHead, now: int) -> None:
        assert isinstance(head, ResponseHead)
        live.response_size += len(head.raw)
        if head.status >= 200 or head.status == 101:
            live.status = head.status
            live.first_byte = now
            live.response_head = head.raw

    def _response_end(self, live: Live, now: int) -> None:
        self._fifo.popleft()
        live.ended = now
        if self._stalled:
            live.client_wait += now - max(self._stalled, live.started)
        if live.request_done:
            live.finish(now)

    def model_eof(self, now: int) -> None:
        """The model closed its side: that ends an answer that lasts until then."""
        for event in self._responses.eof():
            if type(event) is End and self._fifo:
                self._response_end(self._fifo[0], now)

    # ---------------------------------------------------------------- flow control, ends and faults

    def stalled(self, now: int) -> None:
        """The client does not read: from now the answer waits for it."""
        self._stalled = now

    def resumed(self, now: int) -> None:
        """The client reads again."""
        if self._stalled and self._fifo:
            self._fifo[0].client_wait += now - max(self._stalled, self._fifo[0].started)
        self._stalled = 0

    def refused(self, data: bytes) -> bool:
        """There is no connection to the model: count the first complete request; whether there was one."""
        for event in self._requests.feed(data):
            if type(event) is Head and isinstance(event.head, RequestHead):
                now = monotonic_ns()
                live = Live(self.plane, event.head, self._labelled(event.head), now)
                live.status = 503
                live.finish(now, "refused")
                self.dead = True
                return True
        return False

    def lost(self, error: str, now: int) -> None:
        """The connection is over, by the fault that `error` names; "" if what was under way is not a failure."""
        self.dead = True
        parked, self._parked = self._parked, None
        if parked is not None:
            self.plane.admission.leave(self)
            parked[0].finish(now, error)
        sending, self._sending = self._sending, None
        for live in self._fifo:
            live.finish(now, "incomplete" if error == "reset" and live.first_byte else error)
        self._fifo.clear()
        if sending is not None:
            # Answered before its body was all sent: the answer counts.
            sending.finish(now, "" if sending.ended else error)

    def _desync(self, reason: str, rest: bytes) -> None:
        self.plane.totals.count("desync_request", reason)
        self._give_up("opaque")
        if rest:
            self.wires.forward(rest)

    def _fail(self, direction: str, rest: bytes) -> None:
        log.exception("the tap failed while following a %s; the connection goes on unobserved", direction)
        self.plane.totals.count(f"desync_{direction}", "follower_failed")
        self._give_up("opaque")
        if rest:
            self.wires.forward(rest)

    def _give_up(self, protocol: str) -> None:
        backlog, self._backlog = self._backlog, []
        if self._parked is not None:
            live, events, data, stop = self._parked
            backlog.insert(0, live.head.raw + data[events[0].end : stop])  # type: ignore[union-attr]
        self.lost("", monotonic_ns())
        self.wires.opaque(protocol)
        for data in backlog:
            self.wires.forward(data)
