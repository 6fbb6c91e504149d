"""An answer that is a stream of events: when its events came, and its head and tail where it is too long to keep.

The bytes were forwarded before they come here. A mark is an offset in the body, behind the last event that a read
completed, with its time; of many marks the first and the last ones stay exact. What is cut out of a long body is
whole events, from its middle; every event is counted all the same.
"""

import re
from bisect import bisect_left
from typing import Final

from exporter.proxy.capture import Capture
from exporter.proxy.plane import Plane
from exporter.records.exchange import Stream
from exporter.wire.sse import EventFollower

MAX_MARKS: Final = 4096
EXACT_MARKS: Final = 64  # at either end
_LAST_BYTES: Final = 4096  # of a body: in them its last events are looked at
_IS_STREAM: Final = re.compile(rb"(?i)\r\ncontent-type:[ \t]*text/event-stream[ \t]*[;\r]")
_CODED: Final = re.compile(rb"(?i)\r\ncontent-encoding:(?![ \t]*identity[ \t]*\r)")
# How servers say that they failed after a 200 was sent; JSON has no line ends within, so these are fields of events.
_FAILED: Final = re.compile(
    rb"(?:\A|[\r\n])"
    rb'(?:data: ?\{\s*"(?:error"\s*:\s*["{]|(?:object|type)"\s*:\s*"error")|event: ?(?:error|response\.failed)[\r\n])'
)


def is_event_stream(head: bytes) -> bool:
    """Whether the head of an answer announces events in plain text."""
    return _IS_STREAM.search(head) is not None and _CODED.search(head) is None


class StreamCapture(Capture):
    """Takes the place of a Capture; `follow` instead of `take`."""

    __slots__ = ("_follower", "_skipping", "ends", "gap_at", "gap_size", "times")

    def __init__(self, wanted: bool) -> None:
        super().__init__(wanted)
        self.ends: list[int] = []
        self.times: list[int] = []
        self.gap_at = self.gap_size = 0
        self._follower = EventFollower()
        self._skipping = False  # within an event that is too large to keep
        self.chunks = [bytearray()]

    def follow(self, chunk: bytes, start: int, end: int, elapsed: int, plane: Plane) -> None:
        """Body bytes, so many nanoseconds after the exchange began."""
        last = self._follower.feed(chunk, start, end)
        if last >= 0:
            self.ends.append(self.size + last - start)
            self.times.append(elapsed)
            if len(self.ends) >= MAX_MARKS:
                del self.ends[EXACT_MARKS:-EXACT_MARKS:2]
                del self.times[EXACT_MARKS:-EXACT_MARKS:2]
        if self.kept and plane.captured + end - start > plane.capture_total:
            self._drop("capture_full", plane)
        self.size += end - start
        if not self.kept:
            return
        if self._skipping:
            if last < 0:
                self.gap_size += end - start
                return
            self._skipping = False
            self.gap_size += last - start
            start = last
        plane.captured += end - start
        tail = self.chunks[-1]
        assert isinstance(tail, bytearray)
        tail += chunk[start:end]
        if len(self.chunks) > 1:
            if len(tail) > plane.capture_bytes // 2:
                self._shorten(plane)
        elif self.size > plane.capture_bytes:
            self._split(plane)

    def _split(self, plane: Plane) -> None:
        """From now on there is a head, which stays, and a tail: half the room for each, ends of events between."""
        whole = self.chunks[0]
        fitting = bisect_left(self.ends, plane.capture_bytes // 2 + 1)
        cut = self.ends[fitting - 1] if fitting else 0
        self.reason = "stream_middle"
        self.gap_at = cut
        self.chunks = [bytes(whole[:cut]), bytearray(whole[cut:])]
        self._shorten(plane)

    def _shorten(self, plane: Plane) -> None:
        """Leave a quarter of the room in the tail, or the event in hand if that is more, or nothing."""
        tail = self.chunks[-1]
        assert isinstance(tail, bytearray)
        begins = self.size - len(tail)
        at = bisect_left(self.ends, self.size - plane.capture_bytes // 4)
        cut = self.ends[at] if at < len(self.ends) else self.ends[-1] if self.ends else 0
        if self.size - cut > plane.capture_bytes // 2 or cut < begins:
            self._skipping = True
            cut = self.size
        del tail[: cut - begins]
        plane.captured -= cut - begins
        self.gap_size += cut - begins

    @property
    def lost(self) -> int:
        """How many bytes were not kept, where there is a reason."""
        return self.gap_size if self.kept else self.size

    @property
    def failed(self) -> bool:
        """Whether one of its last events says that the server failed."""
        tail = self.chunks[-1] if self.chunks else b""
        return _FAILED.search(tail, max(0, len(tail) - _LAST_BYTES)) is not None

    def told(self) -> Stream:
        """What the analysis gets to know beside the bytes."""
        return Stream(self.ends, self.times, self._follower.events, self.gap_at, self.gap_size)
