"""One exchange while it lives: its times, sizes, kept bodies; finished exactly once.

Times are monotonic nanoseconds. Totals are bumped at the end, an Exchange is offered if there is something in it for
the analysis.
"""

from bisect import bisect_left
from typing import Final

from exporter.proxy.asked import MAX_ASKED, model_of
from exporter.proxy.capture import Capture
from exporter.proxy.labels import Labelled
from exporter.proxy.plane import Plane, nanosecond_bounds
from exporter.proxy.stream import StreamCapture, is_event_stream
from exporter.records.catalogue import OVERHEAD_BUCKETS, SIZE_BUCKETS
from exporter.records.exchange import ERROR_TYPES, Exchange, Trace
from exporter.records.totals import EXPONENTIAL_SLOTS, LATENCY_FAMILIES, SIZE_FAMILIES, exponential_index
from exporter.wire.head import RequestHead

# Final and of ints: what is compiled looks them up once, and compares without floats.
_ERROR_SLOT: Final = {kind: index for index, kind in enumerate(ERROR_TYPES)}
_OVERHEAD_NS: Final = nanosecond_bounds(OVERHEAD_BUCKETS)
_SIZES: Final = tuple(int(bound) for bound in SIZE_BUCKETS)
_SIZE_SUM: Final = len(SIZE_BUCKETS) + 1


class Live:
    """Filled in by the tap; `finish` is idempotent."""

    __slots__ = (
        *("plane", "head", "labelled", "started", "sent", "first_byte", "ended", "error", "status"),
        *("request_size", "response_size", "response_head", "request", "response", "stream", "trace"),
        *(
            "request_id",
            "overhead",
            "queue_wait",
            "client_wait",
            "slot",
            "admitted",
            "done",
            "request_done",
            "peer",
        ),
    )

    def __init__(self, plane: Plane, head: RequestHead, labelled: Labelled, now: int, peer: str) -> None:
        self.plane = plane
        self.head = head
        self.labelled = labelled
        self.started = now
        self.sent = self.first_byte = self.ended = 0
        self.error = ""
        self.status = 0
        self.request_size = len(head.raw)
        self.response_size = 0
        self.response_head = b""
        # The slot first: it renews what is labelled by rules that changed.
        self.slot = plane.labels.in_flight_slot(labelled)
        self.request = Capture(labelled.captured and plane.capture_bytes > 0)
        self.response = Capture(self.request.kept)
        self.stream: StreamCapture | None = None  # the response, where it is a stream of events
        self.trace: Trace | None = None
        self.request_id = ""
        self.overhead = 0
        self.queue_wait = self.client_wait = 0
        self.admitted = False
        self.done = self.request_done = False
        self.peer = peer
        plane.slots[self.slot] += 1

    def receive(self, chunk: bytes, start: int, end: int, now: int) -> None:
        """Bytes of the answer's body that were just forwarded: chunk[start:end]."""
        stream = self.stream
        if stream is None:
            if self.response.size or not self.labelled.streams or not is_event_stream(self.response_head):
                self.response.take(chunk, start, end, self.plane)
                return
            self.response = self.stream = stream = StreamCapture(self.response.kept)
        stream.follow(chunk, start, end, now - self.started, self.plane)

    def finish(self, now: int, error: str = "") -> None:
        """The end, whatever it was. `now` counts only if the last response byte has not been seen."""
        if self.done:
            return
        self.done = True
        plane = self.plane
        plane.slots[self.slot] -= 1
        ended = self.ended or now
        status = self.status
        if not error:
            error = "5xx" if status >= 500 else "4xx" if status >= 400 else ""
            if not error and self.stream is not None and self.stream.failed:
                error = "stream_error"
        self.error = self.error or error
        try:
            if self.labelled.model_in_body and self.request_done and 0 < self.request.size <= MAX_ASKED:
                self.labelled = plane.labels.of_model(self.labelled, model_of(self.request.body()))
            self._count(ended - self.started)
            self._offer(ended - self.started)
        finally:
            self.request.free(plane)
            self.response.free(plane)
            if self.admitted:
                plane.admission.release(now)

    def _count(self, duration: int) -> None:
        plane = self.plane
        slots = plane.slots
        block = plane.labels.block(self.labelled, self.status)
        bounds = plane.latency_bounds
        exponential = len(bounds) + 1
        width = exponential + EXPONENTIAL_SLOTS + 1
        # An answer that began before the request was sent has no time to first byte.
        first = self.first_byte - self.sent if self.sent and self.first_byte else -1
        # Queue wait exists only where a limit is set.
        times = (duration, first, self.client_wait, self.queue_wait if self.admitted else -1)
        at = block
        for value in times:
            if value >= 0:
                slots[at + bisect_left(bounds, value)] += 1
                slots[at + exponential + exponential_index(value)] += 1
                slots[at + width - 1] += value
            at += width
        for size in (self.request_size, self.response_size):
            slots[at + bisect_left(_SIZES, size)] += 1
            slots[at + _SIZE_SUM] += size
            at += _SIZE_SUM + 1
        if self.error:
            slots[at + _ERROR_SLOT[self.error]] += 1
        slots[plane.overhead_at + bisect_left(_OVERHEAD_NS, self.overhead)] += 1
        slots[plane.overhead_sum] += self.overhead
        for capture in (self.request, self.response):
            if capture.reason:
                plane.totals.count("captures", capture.reason)
                plane.totals.count("capture_bytes", capture.reason, capture.lost)

    def _offer(self, duration: int) -> None:
        plane = self.plane
        wanted = bool(self.request.kept or self.request.reason or self.response.reason)
        aside = not wanted and self.trace is None
        # Whoever loads or unloads a model does it rarely, and its life is told by that.
        rare = self.labelled.managing
        if (aside and not plane.every_exchange and not rare) or not plane.sender.admits(
            self.request_id, rare
        ):
            return
        labelled = self.labelled
        route = labelled.route
        name, version = plane.labels.named(labelled)
        # Whole bodies or none, but for streams; where there is no answer, nothing of it is missing.
        request_whole = self.request.kept and self.request_done
        response_whole = self.response.kept and (self.ended > 0 or not self.first_byte)
        stream = self.stream.told() if self.stream is not None and self.stream.kept else None
        if stream is not None and stream.gap_size:
            response_whole = False
        record = Exchange(
            self.head.raw,
            self.response_head,
            self.request.body() if request_whole else b"",
            self.response.body() if response_whole or stream is not None else b"",
            labelled.method,
            labelled.path,
            route.operation,
            route.protocol,
            name,
            version,
            self.status,
            self.error,
            self.started + plane.wall_offset,
            duration,
            self.first_byte - self.started if self.first_byte else 0,
            self.queue_wait,
            self.client_wait,
            self.request_size,
            self.response_size,
            request_whole,
            response_whole,
            self.request_id,
            plane.sender.rate,
            self.trace,
            self.peer,
            stream,
            aside,
        )
        if plane.sender.put(record):
            plane.flush_soon()


assert LATENCY_FAMILIES == ("duration", "time_to_first_byte", "client_wait", "queue_wait")
assert SIZE_FAMILIES == ("request_size", "response_size")
