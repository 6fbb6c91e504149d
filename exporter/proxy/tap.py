"""The tap: follows both directions of one connection and turns what it sees into exchanges.

Request heads are held until complete, edited and sent; every other byte is forwarded first and followed after. The
tap may fail: then the connection goes on as an opaque relay, what was under way is not guessed at, and it is counted.
Where a limit was promised it fails closed instead: a request that cannot be followed cannot be limited.
"""

import logging
from collections import deque
from time import monotonic_ns
from typing import Final, cast

from exporter.proxy.edits import edit
from exporter.proxy.labels import Labelled
from exporter.proxy.live import Live
from exporter.proxy.plane import Plane
from exporter.proxy.refusals import DOWN, FULL, LATE, UNCERTAIN, Refusal, refusal_of
from exporter.proxy.wires import Wires
from exporter.records.routes import SIDE_OPERATIONS
from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import Framing, RequestHead, ResponseHead
from exporter.wire.http1 import KEPT_HEAD, RequestFollower, ResponseFollower

log = logging.getLogger(__name__)
MAX_PIPELINED: Final = 64
MAX_BACKLOG: Final = 65536  # bytes behind a held head; beyond, the client is not read


class Tap:
    """One per followed connection. Methods are called from socket callbacks with what was read."""

    __slots__ = (
        *("plane", "wires", "_requests", "_responses", "_fifo", "_sending", "_stalled", "_answering"),
        *("_parked", "_backlog", "_backlog_size", "_refused", "_blocked", "_went", "dead"),
        *("_memo", "_held", "held_since", "queued"),
    )

    def __init__(self, plane: Plane, wires: Wires) -> None:
        # per connection
        self.plane = plane
        self.wires = wires
        self._requests = RequestFollower()
        self._responses = ResponseFollower()
        self._fifo: deque[Live] = deque()  # sent or being sent and not answered, oldest first
        self._stalled = 0  # since when the client does not read; 0 if it does
        self._memo: tuple[RequestHead, Labelled] | None = None
        self.dead = False
        self._held: list[bytes] = []  # what the follower holds: it keeps nothing of a head that it refuses
        self.held_since = 0  # when the beginning of a head came that is not whole yet
        self.queued = 0  # since when a head waits for admission
        # per message
        self._sending: Live | None = None  # the request whose body is still coming
        self._answering = False  # within the body of an answer
        self._went = False  # what was read of the message in hand is on its way, or rightly kept back
        self._parked: tuple[Live, list[Event], bytes, int] | None = None  # a head that waits for admission
        self._backlog: list[bytes] = []  # what the client sent after it
        self._backlog_size = 0
        self._refused: tuple[Refusal, bool] | None = None  # to be said, with a body or without, in its turn
        self._blocked = False  # parked or refused: nothing of what the client sends goes on

    @property
    def waiting(self) -> bool:
        """A head waits for admission, and what the client sent after it with it."""
        return self._parked is not None

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return bool(self._fifo) or self._sending is not None or self._blocked

    @property
    def asked(self) -> bool:
        """Whether the model still owes an answer."""
        return bool(self._fifo)

    @property
    def holding(self) -> bool:
        """Whether the beginning of a head waits for its end."""
        return self._requests.holding

    @property
    def answered(self) -> bool:
        """Everything is answered, though a body is still being sent."""
        return self._sending is not None and self._sending.ended > 0 and not self._fifo

    # ---------------------------------------------------------------- client to model

    def request_data(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._blocked:
            self._wait(data)
            return
        size = len(data)
        if self._requests.certain >= size:
            self.wires.forward(data)
            try:
                self._account(self._requests.feed(data), data, 0, size)
            except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
                self._fail("request", b"")
            return
        now = monotonic_ns()
        # Most requests come in one read each; only those that may have to wait need to be taken apart.
        if not self.plane.closed and self._whole_request(data, now):
            return
        pos = 0
        while pos < size:
            if self._blocked:
                self._wait(data[pos:])
                return
            pos = self._message(data, pos, now)

    def _whole_request(self, data: bytes, now: int) -> bool:
        """A request that came in one read: what `_message` does with it, in one go; False if it is none."""
        self._went = False
        try:
            head = self._requests.whole(data)
            if head is None:
                return False
            live = Live(self.plane, head, self._labelled(head), now, self.wires.peer)
            raw = self._prepare(live, now)
            self._went = True
            end = len(head.raw)
            self.wires.forward(data if raw is head.raw else raw + data[end:] if len(data) > end else raw)
            live.sent = after = monotonic_ns()
            live.overhead = after - now
            live.request_done = True
            live.request_size = len(data)
            if len(data) > end:
                live.request.take(data, end, len(data), self.plane)
            if len(self._fifo) > MAX_PIPELINED:
                self._desync("request", "pipeline_too_deep", b"")
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("request", b"" if self._went else self._requests.held + data)
        return True

    def _message(self, data: bytes, pos: int, now: int) -> int:
        """Forward and follow up to the end of one message; returns where the next one begins."""
        self._went = False
        stop = pos
        try:
            events, stop = self._requests.feed_message(data, pos)
            if not events and self._sending is None:
                if not self._held:
                    self.held_since = now
                    self.wires.head_begins(now)
                self._held.append(data[pos:stop])
                return stop  # the follower holds it
            if events and type(events[0]) is Head:
                self._held = []
                self._begin(events, data, stop, now)
            elif self._sending is not None:
                self._went = True
                self.wires.forward(data[pos:stop])
                self._account(events, data, pos, stop)
            last = events[-1] if events else None
            if type(last) is Desync:
                self._desync(
                    "request", last.reason, data[stop:] if self._went else b"".join(self._held) + data[pos:]
                )
            elif len(self._fifo) > MAX_PIPELINED:
                self._desync("request", "pipeline_too_deep", data[stop:])
            else:
                return stop
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("request", data[stop:] if self._went else b"".join(self._held) + data[pos:])
        return len(data)

    def _begin(self, events: list[Event], data: bytes, stop: int, now: int) -> None:
        """A head is complete: it goes on its way, waits for admission, or is shed."""
        head, plane = cast(RequestHead, cast(Head, events[0]).head), self.plane
        labelled = self._labelled(head)
        live = Live(plane, head, labelled, now, self.wires.peer)
        if plane.closed and (refusal := refusal_of(head, plane.strict)):
            self._blocked = self._went = True
            self._turn_away(live, now, refusal)
            return
        if plane.admission.limit and labelled.route.operation not in SIDE_OPERATIONS:
            answer = plane.admission.ask(self)
            if not answer:
                self._blocked = self._went = True
                if answer is None:
                    self._shed(live, now, "queue_full", FULL)
                else:
                    self.queued = now
                    self._parked = (live, events, data, stop)
                return
            live.admitted = True
        self._go(live, events, data, stop, now)

    def _go(self, live: Live, events: list[Event], data: bytes, stop: int, now: int) -> None:
        """Send the head, edited, with what of its body came along, in one write."""
        first = events[0]
        assert isinstance(first, Head)
        self._sending = live
        raw = self._prepare(live, now)
        self._went = True
        if raw is live.head.raw and first.start == 0 and stop == len(data):
            self.wires.forward(data)
        else:
            self.wires.forward(raw + data[first.end : stop] if stop > first.end else raw)
        live.overhead += monotonic_ns() - now
        self._account(events, data, first.end, stop)

    def _prepare(self, live: Live, now: int) -> bytes:
        """Expect the answer, choose trace and id; returns the head as it is to be sent."""
        plane, head = self.plane, live.head
        # First of all, so that whatever fails from here on is finished with the others.
        self._fifo.append(live)
        if live.labelled.route.operation not in SIDE_OPERATIONS:
            plane.last_request = now
        if plane.tracing:
            outcome, live.trace = plane.sampler.decide(head, now)
            plane.totals.count("trace", outcome)
        added = ""
        if head.request_id:
            live.request_id = head.request_id.decode("latin-1")
        else:
            added = live.request_id = plane.sampler.request_id()
        self._responses.expect(head.method)
        if not plane.edits:
            return head.raw
        return edit(head, live.trace, added, live.peer if plane.forwarded_for else "")

    def _account(self, events: list[Event], data: bytes, pos: int, stop: int) -> None:
        """Note what was just forwarded of the request in hand: data[pos:stop]."""
        live = self._sending
        if live is None:
            return
        live.request_size += stop - pos
        for event in events:
            if type(event) is Data:
                live.request.take(data, event.start, event.end, self.plane)
            elif type(event) is End:
                self._sending = None
                live.request_done = True
                live.sent = monotonic_ns()
                if live.ended:
                    live.finish(live.ended)

    def _labelled(self, head: RequestHead) -> Labelled:
        memo = self._memo  # the follower gives the same head object for a head that equals the last one
        if memo is not None and memo[0] is head:
            return memo[1]
        labelled = self.plane.labels.labelled(head.method, head.target)
        self._memo = (head, labelled) if len(head.raw) <= KEPT_HEAD else None
        return labelled

    def client_eof(self) -> None:
        """The client sends no more: the beginning of a head that will never be whole goes out as it came."""
        held = self._requests.held
        if not held or self._blocked:
            return
        if not self.plane.closed:
            self._requests = RequestFollower()  # of the next client's bytes there are none
            self.wires.forward(held)
        elif not self._fifo:
            self._desync("request", "malformed_head", held)

    # ---------------------------------------------------------------- admission

    def admitted(self, now: int) -> None:
        """The slot is there: what was held goes on, then what came after it."""
        if self._parked is None:
            return
        live, events, data, stop = self._parked
        live.admitted = True
        live.queue_wait = now - self.queued
        if self._gone(now):
            return
        self._parked = None
        self._blocked = False
        try:
            self._go(live, events, data, stop, now)
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("request", b"")
            return
        backlog, self._backlog, self._backlog_size = self._backlog, [], 0
        if backlog:
            self.request_data(b"".join(backlog))
        if not self._blocked and not self.dead:
            self.wires.hold(False)

    def left(self) -> bool:
        """Asked now and then of a ticket in the queue: whether its client is gone though it is not being read."""
        return self._parked is not None and self._gone(monotonic_ns())

    def _gone(self, now: int) -> bool:
        if not self.wires.gone():
            return False
        self.lost("abort", now)
        self.wires.abort()
        return True

    def _wait(self, data: bytes) -> None:
        """Behind a held head: kept, and the client is not read any more once there is a lot of it."""
        if self._refused is None:  # otherwise it will never be read by anyone
            self._backlog.append(data)
            self._backlog_size += len(data)
            if self._backlog_size > MAX_BACKLOG:
                self.wires.hold(True)

    def expired(self, now: int) -> None:
        """It waited for admission as long as it may: answered in its turn."""
        if self._parked is None:
            return
        (live, *_), self._parked = self._parked, None
        self._backlog, self._backlog_size = [], 0
        live.queue_wait = now - self.queued
        self._shed(live, now, "queue_timeout", LATE)
        if not self.dead:
            self.wires.hold(False)

    def _shed(self, live: Live, now: int, reason: str, text: str) -> None:
        self.plane.totals.count("shed", reason)
        self._turn_away(live, now, Refusal(self.plane.settings.shed_status, text, "shed"))

    def _turn_away(self, live: Live, now: int, refusal: Refusal) -> None:
        """Answer it in the model's place once everything before is answered; nothing of it is forwarded."""
        live.status = refusal.status
        live.finish(now, refusal.error)
        self._refused = (refusal, live.head.method == b"HEAD")
        self._refuse_in_turn()

    def _refuse_in_turn(self) -> None:
        if self._refused is not None and not self._fifo and not self.dead:
            self.dead = True
            self.wires.refuse(self._refused[0], self._refused[1])

    def refuse_waiting(self) -> bool:
        """The model's side is gone; if all that was sent is answered, the head that waits gets a 503. Whether so."""
        if self._parked is None or self._fifo:
            return False
        live = self._parked[0]
        self._parked = None
        self.plane.admission.leave(self)
        self._turn_away(live, monotonic_ns(), DOWN)
        return True

    # ---------------------------------------------------------------- model to client

    def response_data(self, data: bytes) -> None:
        """Bytes from the model: forwarded first."""
        now = monotonic_ns()
        self.wires.answer(data)
        if self._fifo:
            self._fifo[0].overhead += monotonic_ns() - now
        pos = mark = 0  # `mark`: up to where the bytes of this read are counted
        try:
            head = self._responses.whole(data)
            if head is not None:
                live, end = self._fifo[0], len(head.raw)
                live.status, live.first_byte, live.response_head = head.status, now, head.raw
                live.response_size += len(data)
                if len(data) > end:
                    live.receive(data, end, len(data), now)
                self._response_end(live, now)
                self._refuse_in_turn()
                return
            # One loop in one call: a streamed answer comes here for every token.
            while pos < len(data):
                events, pos = self._responses.feed_message(data, pos)
                for event in events:
                    if type(event) is Data:
                        self._fifo[0].receive(data, event.start, event.end, now)
                    elif type(event) is Head:
                        mark = event.end
                        self._response_head(self._fifo[0], event.head, now)
                    elif type(event) is End:
                        self._fifo[0].response_size += event.at - mark
                        mark = event.at
                        self._response_end(self._fifo[0], now)
                    else:
                        self._response_over(event, now)
                        return
            if self._answering:
                self._fifo[0].response_size += len(data) - mark
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("response", self._requests.held)
        self._refuse_in_turn()

    def _response_over(self, event: Event, now: int) -> None:
        """The answers are followed no further: for good reason, or because sync is lost."""
        if type(event) is Tunnel:
            if self._fifo[0].admitted:
                self._fifo[0].admitted = False
                self.wires.keep_slot()
            self._response_end(self._fifo[0], now)
            self._give_up("upgraded", self._requests.held)
        elif type(event) is Desync:
            self._desync("response", event.reason, self._requests.held)

    def _response_head(self, live: Live, head: RequestHead | ResponseHead, now: int) -> None:
        assert isinstance(head, ResponseHead)
        live.response_size += len(head.raw)
        if head.status >= 200 or head.status == 101:
            live.status = head.status
            live.first_byte = now
            live.response_head = head.raw
            self._answering = True

    def _response_end(self, live: Live, now: int) -> None:
        self._answering = False
        self._fifo.popleft()
        live.ended = now
        if self._stalled:
            live.client_wait += now - max(self._stalled, live.started)
        if live.request_done:
            live.finish(now)

    def model_eof(self, error: str, now: int) -> None:
        """The model sends no more: that ends an answer that lasts until then, and all others for good."""
        try:
            for event in self._responses.eof():
                if type(event) is End and self._fifo:
                    self._response_end(self._fifo[0], now)
            self._fail_answers(error, now)
            if self._sending is not None and self._sending.ended:
                self._sending.finish(now)  # whatever more of its body comes, nobody works on it
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("response", self._requests.held)

    # ---------------------------------------------------------------- flow control, ends and faults

    def stalled(self, now: int, full: bool) -> None:
        """Whether from now on the answer waits for a client that does not read."""
        if self._stalled and self._fifo:
            self._fifo[0].client_wait += now - max(self._stalled, self._fifo[0].started)
        self._stalled = now if full else 0

    def refused(self, data: bytes) -> None:
        """There is no connection to the model: the first complete request is counted and answered locally."""
        try:
            for event in self._requests.feed_message(data, 0)[0]:
                if type(event) is Head and isinstance(event.head, RequestHead):
                    now = monotonic_ns()
                    live = Live(self.plane, event.head, self._labelled(event.head), now, self.wires.peer)
                    live.request_done = event.head.framing is Framing.NONE
                    self._turn_away(live, now, DOWN)
                    return
                if type(event) is Desync:
                    self._desync("request", event.reason, b"")
                    self.wires.abort()
        except Exception:  # noqa: BLE001 - `_fail` logs it: nothing that happens here may touch the bytes
            self._fail("request", b"")
            self.wires.abort()

    def lost(self, error: str, now: int) -> None:
        """The connection is over, by the fault that `error` names; "" if what was under way is not a failure."""
        self.dead = True
        try:
            if self._parked is not None:
                (live, *_), self._parked = self._parked, None
                self.plane.admission.leave(self)
                live.finish(now, error)
            self._fail_answers(error, now)
            sending, self._sending = self._sending, None
            if sending is not None:
                # Answered before its body was all sent: the answer counts.
                sending.finish(now)
        except Exception:
            log.exception("the tap failed while ending a connection")
            self.plane.totals.count("desync_response", "follower_failed")

    def _fail_answers(self, error: str, now: int) -> None:
        if self._stalled:
            self.stalled(now, False)
        fifo, self._fifo = self._fifo, deque()
        self._answering = False
        for live in fifo:
            live.finish(now, "incomplete" if error == "reset" and live.first_byte else error)

    def _desync(self, direction: str, reason: str, rest: bytes) -> None:
        if self._refused is not None and direction == "request":
            return  # of a request that nobody will read
        self.plane.totals.count(f"desync_{direction}", reason)
        if self.plane.closed and direction == "request" and self._fifo and self._sending is None:
            # Those before it were followed and will be answered; nothing of this one has been forwarded.
            self._blocked, self._refused = True, (UNCERTAIN, False)
            return
        self._give_up("opaque", rest, direction)

    def _fail(self, direction: str, rest: bytes) -> None:
        log.exception("the tap failed while following a %s; the connection goes on unobserved", direction)
        self.plane.totals.count(f"desync_{direction}", "follower_failed")
        self._give_up("opaque", rest, direction)

    def _give_up(self, protocol: str, rest: bytes, direction: str = "") -> None:
        """Relay from now on, `rest` first: what the client sent that did not go out yet."""
        closed = protocol == "opaque" and self.plane.closed
        untouched = direction == "request" and not self._fifo and self._sending is None
        self.lost("rejected" if closed else "", monotonic_ns())
        if not closed:
            self.wires.opaque(protocol)
            if rest:
                self.wires.forward(rest)
        elif untouched:
            self.wires.refuse(UNCERTAIN)
        else:
            self.wires.abort()
