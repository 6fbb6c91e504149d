"""HTTP/1 followers: incremental, with byte offsets, strict where framing is concerned.

They hold an incomplete head (or chunk line) and nothing else; bodies are never copied. Once a follower has said
Desync or Tunnel it says nothing more. The response follower must be told of every request (`expect`), because the
method decides whether an answer has a body.
"""

import re
from collections import deque

from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import MAX_HEAD, Ambiguous, Framing, RequestHead, ResponseHead

MAX_CHUNK_LINE = 256
MAX_EXTENSIONS = 8192
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*+(?:;[^\x00-\x08\x0a-\x1f\x7f]++)?\r\n")
_FRAMING_TRAILER = re.compile(rb"(?i)(?:content-length|transfer-encoding|host):")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")

# States. A plain int compares faster than an Enum member, and feed runs for every read.
_HEAD, _LENGTH, _CHUNK_LINE, _CHUNK_DATA, _CHUNK_END, _TRAILERS, _UNTIL_CLOSE, _DONE = range(8)


class _Follower:
    """What both directions share: bodies."""

    __slots__ = ("_budget", "_closed", "_held", "_left", "_scanned", "_state")

    def __init__(self) -> None:
        self._state = _HEAD
        self._left = 0
        self._held = b""
        self._scanned = 0
        self._budget = 0
        self._closed = False

    @property
    def held(self) -> bytes:
        """Bytes of a head that is not complete yet."""
        return self._held if self._state == _HEAD else b""

    @property
    def idle(self) -> bool:
        """At a message boundary, with nothing held."""
        return self._state == _HEAD and not self._held

    @property
    def certain(self) -> int:
        """How many coming bytes surely belong to the present body (0 if that takes a look at them)."""
        if self._state in (_LENGTH, _CHUNK_DATA):
            return self._left
        return 1 << 62 if self._state == _UNTIL_CLOSE else 0

    def feed(self, data: bytes) -> list[Event]:
        """Follow one chunk as it was read from the socket."""
        events, stop = self.feed_message(data, 0)
        while stop < len(data) and self._state != _DONE:
            more, stop = self.feed_message(data, stop)
            events += more
        return events

    def feed_message(self, data: bytes, start: int) -> tuple[list[Event], int]:
        """Follow data[start:] up to the end of the present message; returns the events and where it stopped.

        The last event is Desync or Tunnel if the follower has nothing more to say.
        """
        events: list[Event] = []
        pos, size = start, len(data)
        try:
            while pos < size:
                pos = self._step(data, pos, events)
                if self._state == _HEAD or self._state == _DONE:
                    break
        except Ambiguous as error:
            self._state = _DONE
            events.append(Desync(error.reason, pos))
        return events, pos

    def _step(self, data: bytes, pos: int, events: list[Event]) -> int:
        state = self._state
        if state == _HEAD:
            return self._head(data, pos, events)
        if state == _LENGTH or state == _CHUNK_DATA:
            return self._counted(data, pos, events)
        if state == _UNTIL_CLOSE:
            events.append(Data(pos, len(data)))
            return len(data)
        return self._framing_line(data, pos, events)

    def _counted(self, data: bytes, pos: int, events: list[Event]) -> int:
        end = min(pos + self._left, len(data))
        events.append(Data(pos, end))
        self._left -= end - pos
        if not self._left:
            if self._state == _LENGTH:
                self._finish(end, events)
            else:
                self._state = _CHUNK_END
        return end

    def _framing_line(self, data: bytes, pos: int, events: list[Event]) -> int:
        """One line of the chunked coding: a size, the end of a chunk, or a trailer field."""
        limit = MAX_CHUNK_LINE if self._state == _CHUNK_LINE else MAX_HEAD
        # A CR that ended the chunk before this one meets its LF here.
        joined = self._held[-1:] == b"\r" and data[pos : pos + 1] == b"\n"
        found = pos + 1 if joined else data.find(b"\r\n", pos) + 2
        end = found if joined or found >= 2 else len(data)
        if len(self._held) + end - pos > limit:
            raise Ambiguous("line_too_long")
        line = self._held + data[pos:end]
        if not joined and found < 2:
            if self._state == _CHUNK_END and not b"\r\n".startswith(line):
                raise Ambiguous("chunk_malformed")
            if _BARE_LF.search(line):
                raise Ambiguous("bare_lf")
            self._held = line
            return end
        self._held = b""
        self._line(line, end, events)
        return end

    def _line(self, line: bytes, end: int, events: list[Event]) -> None:
        if self._state == _CHUNK_END:
            if line != b"\r\n":
                raise Ambiguous("chunk_malformed")
            self._state = _CHUNK_LINE
        elif self._state == _CHUNK_LINE:
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise Ambiguous("chunk_malformed")
            self._spend(len(line) - found.end(1), MAX_EXTENSIONS)
            self._left = int(found.group(1), 16)
            self._state = _CHUNK_DATA if self._left else _TRAILERS
        elif line == b"\r\n":
            self._finish(end, events)
        else:
            self._spend(len(line), MAX_HEAD)
            if _TRAILER.fullmatch(line) is None:
                raise Ambiguous("trailer_malformed")
            if _FRAMING_TRAILER.match(line):
                raise Ambiguous("trailer_framing")

    def _spend(self, size: int, limit: int) -> None:
        """Extensions of all chunk lines, then trailers, are bounded per message."""
        self._budget += size
        if self._budget > limit:
            raise Ambiguous("line_too_long")

    def _take_head(self, data: bytes, pos: int) -> tuple[bytes, int]:
        """The complete head and the offset behind it, or (b"", -1) while it is not complete."""
        held = self._held
        if not held:
            end = data.find(b"\r\n\r\n", pos)
            if end >= 0:
                if end + 4 - pos > MAX_HEAD:
                    raise Ambiguous("head_too_large")
                return data[pos : end + 4], end + 4
            self._held = data[pos:] if pos else data
        else:
            self._held = held + data[pos:]
            # Only the new part is searched, or a head that drips in byte by byte costs quadratic time.
            end = self._held.find(b"\r\n\r\n", max(0, len(held) - 3))
            if end >= 0:
                whole = self._held[: end + 4]
                self._held = b""
                if len(whole) > MAX_HEAD:
                    raise Ambiguous("head_too_large")
                return whole, pos + end + 4 - len(held)
        if len(self._held) > MAX_HEAD:
            raise Ambiguous("head_too_large")
        if _BARE_LF.search(self._held, max(0, len(held) - 1)):
            raise Ambiguous("bare_lf")
        return b"", -1

    def _enter(self, framing: Framing, length: int, end: int, events: list[Event]) -> None:
        self._budget = 0
        if framing is Framing.NONE:
            self._finish(end, events)
        elif framing is Framing.LENGTH:
            self._left = length
            self._state = _LENGTH
        elif framing is Framing.CHUNKED:
            self._state = _CHUNK_LINE
        elif framing is Framing.CLOSE:
            self._state = _UNTIL_CLOSE
        else:
            self._state = _DONE
            events.append(Tunnel(end))

    def _finish(self, at: int, events: list[Event]) -> None:
        self._state = _HEAD
        events.append(End(at))

    def _head(self, data: bytes, pos: int, events: list[Event]) -> int:
        raise NotImplementedError


class RequestFollower(_Follower):
    """Client to server. A head equal to the last one on this connection is not scanned again."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        super().__init__()
        self._last: RequestHead | None = None

    def _head(self, data: bytes, pos: int, events: list[Event]) -> int:
        if self._closed:
            raise Ambiguous("after_close")
        before = len(self._held)
        raw, end = self._take_head(data, pos)
        if end < 0:
            if self._held[:2] not in (b"", b"\r", b"\r\n") and not self._held[:1].isalnum():
                raise Ambiguous("malformed_head")
            return len(data)
        head = self._last
        if head is None or head.raw != raw:
            head = self._last = RequestHead(raw)
        self._closed = head.close
        events.append(Head(head, pos - before, end))
        self._enter(head.framing, head.length, end, events)
        return end


class ResponseFollower(_Follower):
    """Server to client. Pairs each final answer with the oldest expected method."""

    __slots__ = ("_last", "_methods")

    def __init__(self) -> None:
        super().__init__()
        self._last: ResponseHead | None = None
        self._methods: deque[bytes] = deque()

    def expect(self, method: bytes) -> None:
        """A request of that method went out; its answer comes after those of all earlier ones."""
        self._methods.append(method)

    def eof(self) -> list[Event]:
        """The server closed: ends a body that lasts until then; anything else unfinished stays unfinished."""
        events: list[Event] = []
        if self._state == _UNTIL_CLOSE:
            self._finish(0, events)
            self._state = _DONE
        return events

    def _head(self, data: bytes, pos: int, events: list[Event]) -> int:
        if self._closed:
            raise Ambiguous("after_close")
        if not self._methods:
            raise Ambiguous("unsolicited_response")
        before = len(self._held)
        raw, end = self._take_head(data, pos)
        if end < 0:
            if not b"HTTP/1.".startswith(self._held[:7]):
                raise Ambiguous("malformed_head")
            return len(data)
        head = self._last
        if head is None or head.raw != raw:
            head = self._last = ResponseHead(raw)
        events.append(Head(head, pos - before, end))
        framing = head.framing_for(self._methods[0])
        if head.status >= 200 or framing is Framing.TUNNEL:
            self._methods.popleft()
            self._closed = head.close
            self._enter(framing, head.length, end, events)
        return end
