"""An answer with a chunk of usage that its client did not ask for, on its way to that client without it.

Sans-io. Events go on as soon as they are complete; what is kept back is the event in hand, which nobody could use
before its end. Only the framing of a chunked stream is written anew. An answer that is anything else (another status,
media type, coding or framing) goes on as it comes, and so does everything behind its end.
"""

import re
from time import monotonic_ns
from typing import Final

from exporter.proxy.asked import is_usage
from exporter.proxy.plane import Plane
from exporter.proxy.stream import is_event_stream
from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import CHUNKED, CLOSE, ResponseHead
from exporter.wire.http1 import ResponseFollower
from exporter.wire.sse import EventFollower, events

MAX_EVENT: Final = 65536  # of one that is larger nothing is kept back
OFF: Final = (
    600_000_000_000  # nanoseconds for which nothing is asked of a server that seems not to know the option
)
_TRAILER: Final = re.compile(rb"(?i)\ntrailer:")
_LF: Final = 10
_CR: Final = 13
_COLON: Final = 58


class Hidden:
    """`feed` what the model says; what comes back is the client's. `over`: the rest is the client's as it comes."""

    __slots__ = (
        "_chunked",
        "_cut",
        "_events",
        "_follower",
        "_pending",
        "_plain",
        "_stripping",
        "_swallow",
        "over",
        "plane",
    )

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.over = False
        self._follower = ResponseFollower()
        self._follower.expect(b"POST")
        self._events = EventFollower()
        self._pending = bytearray()  # of the body, not passed on yet
        self._cut = 0  # up to where in it events are complete
        self._stripping = False  # within the body of a stream
        self._plain = False  # an event was too large: the body is passed on as it comes
        self._chunked = False
        self._swallow = False  # what was left out ended with a CR: a LF now belongs to it

    def feed(self, data: bytes) -> bytes:
        """What goes to the client in place of these bytes."""
        out = b""
        pos = done = 0  # `done`: up to where they are dealt with
        while pos < len(data) and not self.over:
            told, pos = self._follower.feed_message(data, pos)
            for event in told:
                if type(event) is Head:
                    out += data[done : event.end]
                    done = event.end
                    assert isinstance(event.head, ResponseHead)
                    self._begin(event.head)
                elif type(event) is Data:
                    if self._stripping:
                        self._take(data, event.start, event.end)
                elif type(event) is End:
                    out += self.end() + (b"0\r\n\r\n" if self._chunked else b"")
                    done = event.at
                elif type(event) is Desync or type(event) is Tunnel:
                    # What is no certain framing goes on behind that which was.
                    out += self.end()
                    done = max(done, event.at)
                if self.over:
                    break
        if self._stripping and not self.over:
            return out + self._framed(self._ready())
        return out + data[done:]

    def end(self) -> bytes:
        """The answer ends here: what of its body was not passed on yet."""
        self.over = True
        rest = self._framed(self._ready())
        last, self._pending = bytes(self._pending), bytearray()
        return rest + self._framed(last)

    def _begin(self, head: ResponseHead) -> None:
        if head.status < 200:
            return
        plane, framing = self.plane, head.framing
        if head.status == 200:
            plane.usage_proven = True
        elif head.status in (400, 422) and not plane.usage_proven:
            # Perhaps the request was wrong by itself; but one that the option breaks must stay the only one.
            plane.usage_off_until = monotonic_ns() + OFF
            plane.totals.count("usage", "rejected")
        if (
            head.status == 200
            and (framing is CHUNKED or framing is CLOSE)
            and is_event_stream(head.raw)
            and _TRAILER.search(head.raw) is None
        ):
            self._stripping = True
            self._chunked = framing is CHUNKED
            return
        self.over = True
        if b"text/event-stream" in head.raw.lower():
            plane.totals.count("usage", "given_up")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._swallow and start < end:
            self._swallow = False
            if data[start] == _LF:
                self._events.feed(data, start, start + 1)
                start += 1
        before = len(self._pending)
        self._pending += data[start:end]
        last = self._events.feed(data, start, end)
        if last >= 0:
            self._cut = before + last - start

    def _ready(self) -> bytes:
        """Events that are complete, and the comments and empty lines behind them; without a chunk of usage."""
        pending = self._pending
        cut = len(pending) if self._plain else _idle(pending, self._cut)
        body = bytes(pending[:cut])
        del pending[:cut]
        self._cut = 0
        if not self._plain and b'"usage"' in body:
            body = self._without_usage(body)
        if len(pending) > MAX_EVENT:
            self._plain = True
            self.plane.totals.count("usage", "given_up")
            body += bytes(pending)
            pending.clear()
        return body

    def _without_usage(self, body: bytes) -> bytes:
        kept = []
        begins = 0
        for event in events(body):
            ends = event.end
            if body[ends - 1] == _CR and body[ends : ends + 1] == b"\n":
                ends += 1
            if is_usage(event.data):
                self.plane.totals.count("usage", "hidden")
                self._swallow = ends == len(body) and body[ends - 1] == _CR
            else:
                kept.append(body[begins:ends])
            begins = ends
        kept.append(body[begins:])
        return b"".join(kept)

    def _framed(self, body: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(body), body) if body and self._chunked else body


def _idle(pending: bytearray, at: int) -> int:
    """Up to where, from an event's end on, there are only comments and empty lines."""
    size = len(pending)
    while at < size:
        first = pending[at]
        if first in (_LF, _CR):
            at += 1
        elif first == _COLON:
            ends = [end for end in (pending.find(b"\n", at), pending.find(b"\r", at)) if end >= 0]
            if not ends:
                break
            at = min(ends) + 1
        else:
            break
    return at
