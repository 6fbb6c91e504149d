"""HTTP/1 followers: incremental, with byte offsets, strict where framing is concerned.

They hold an incomplete head (or chunk line) and nothing else; bodies are never copied. What they say does not depend
on how the bytes were cut, offsets included. Once a follower has said Desync or Tunnel it says nothing more. The
response follower must be told of every request (`expect`), because the method decides whether an answer has a body.
"""

import re
from collections import deque
from typing import Final

from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import (
    CHUNKED,
    CLOSE,
    LENGTH,
    MAX_FIELDS,
    MAX_HEAD,
    NONE,
    TUNNEL,
    Ambiguous,
    Framing,
    RequestHead,
    ResponseHead,
)

MAX_CHUNK_LINE: Final = 256
MAX_EXTENSIONS: Final = 8192
MAX_EVENTS: Final = 1024  # of one `feed_message`: a chunk of six bytes costs an event of twenty times that
KEPT_HEAD: Final = 4096  # a longer one is not remembered: each of many idle connections may have sent one
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*+(?:;[\t\x20-\x7e\x80-\xff]++)?\r\n")
_PLAIN_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_FRAMING_TRAILER: Final = re.compile(rb"(?i)(?:content-length|transfer-encoding|host):")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
# How a request may begin, complete or not: up to two empty lines (RFC 9112 section 2.2), then a method.
_OPENING: Final = re.compile(rb"(?:\r\n){0,2}[!#$%&'*+\-.^_`|~0-9A-Za-z]|(?:\r\n)?\r?\Z|\r\n\r\n\Z")

# States. A plain int compares faster than an Enum member, and feed runs for every read; _DONE stands before _HEAD and
# the two that count bytes behind it, so that one comparison tells them.
_DONE: Final = -1
_HEAD: Final = 0
_LENGTH: Final = 1
_CHUNK_DATA: Final = 2
_CHUNK_LINE: Final = 3
_CHUNK_END: Final = 4
_TRAILERS: Final = 5
_UNTIL_CLOSE: Final = 6


class _Follower:
    """What both directions share: bodies."""

    __slots__ = ("_budget", "_closed", "_held", "_left", "_lines", "_state")

    def __init__(self) -> None:
        self._state = _HEAD
        self._left = 0
        # Grown in place: joining anew at every read costs quadratic time when a head drips in byte by byte.
        self._held = bytearray()
        self._budget = 0
        self._lines = 0
        self._closed = False

    @property
    def held(self) -> bytes:
        """Bytes of a head that is not complete yet: a copy."""
        return bytes(self._held) if self._held and self._state == _HEAD else b""

    @property
    def held_size(self) -> int:
        """How many bytes `held` has, at most MAX_HEAD; nothing is copied."""
        return len(self._held) if self._state == _HEAD else 0

    @property
    def holding(self) -> bool:
        """Whether the beginning of a head waits for its end."""
        return self._state == _HEAD and len(self._held) > 0

    @property
    def idle(self) -> bool:
        """At a message boundary, with nothing held."""
        return self._state == _HEAD and not self._held

    @property
    def certain(self) -> int:
        """How many coming bytes surely belong to the present body (0 if that takes a look at them)."""
        state = self._state
        if _HEAD < state <= _CHUNK_DATA:
            return self._left
        return 1 << 62 if state == _UNTIL_CLOSE else 0

    def feed(self, data: bytes) -> list[Event]:
        """Follow one chunk as it was read from the socket; all of it, however many events that gives."""
        events: list[Event] = []
        pos, size = 0, len(data)
        while pos < size and self._state != _DONE:
            pos = self._follow(data, pos, events)
        return events

    def feed_message(self, data: bytes, start: int) -> tuple[list[Event], int]:
        """Follow data[start:] up to the end of the present message; returns the events and where it stopped.

        It also stops within a message, after about MAX_EVENTS events; the next call goes on. The last event is Desync
        or Tunnel if the follower has nothing more to say. Desync points at the start of the head or line that was
        refused, which may lie before this chunk.
        """
        events: list[Event] = []
        return events, self._follow(data, start, events)

    def _follow(self, data: bytes, start: int, events: list[Event]) -> int:
        pos, size = start, len(data)
        most = len(events) + MAX_EVENTS
        try:
            while pos < size:
                pos = self._step(data, pos, events)
                if self._state <= _HEAD or len(events) >= most:
                    break
        except Ambiguous as error:
            self._state = _DONE
            events.append(Desync(error.reason, pos - len(self._held)))
            self._held.clear()
        return pos

    def _step(self, data: bytes, pos: int, events: list[Event]) -> int:
        state = self._state
        if state == _HEAD:
            return self._head(data, pos, events)
        if _HEAD < state <= _CHUNK_DATA:
            return self._counted(data, pos, events)
        if state == _CHUNK_LINE and not self._held:
            end = self._chunks(data, pos, events)
            return end if end > pos else self._framing_line(data, pos, events)
        if state == _UNTIL_CLOSE:
            events.append(Data(pos, len(data)))
            return len(data)
        if state == _CHUNK_END:
            return self._chunk_end(data, pos)
        return len(data) if state == _DONE else self._framing_line(data, pos, events)

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

    def _chunks(self, data: bytes, pos: int, events: list[Event]) -> int:
        """Chunks without extensions, the last one perhaps only begun; up to where a line takes a closer look."""
        size = len(data)
        most = len(events) + MAX_EVENTS
        while len(events) < most:
            found = _PLAIN_CHUNK.match(data, pos)
            if found is None:
                break
            start = found.end()
            left = int(found[1], 16)
            end = start + left
            if not left:
                break
            if end + 2 > size:
                self._left = left
                self._state = _CHUNK_DATA
                return start
            if data[end] != 13 or data[end + 1] != 10:
                break
            events.append(Data(start, end))
            pos = end + 2
        return pos

    def _chunk_end(self, data: bytes, pos: int) -> int:
        held = self._held
        if not held and data.startswith(b"\r\n", pos):
            self._state = _CHUNK_LINE
            return pos + 2
        end = pos + 2 - len(held)
        ending = bytes(held) + data[pos:end]
        if ending == b"\r\n":
            self._state = _CHUNK_LINE
            held.clear()
        elif ending == b"\r":
            held += ending
        else:
            raise Ambiguous("chunk_malformed")
        return min(end, len(data))

    def _framing_line(self, data: bytes, pos: int, events: list[Event]) -> int:
        """One line of the chunked coding: a size or a trailer field. What is refused leaves `_held` as it was."""
        held = self._held
        before = len(held)
        limit = MAX_CHUNK_LINE if self._state == _CHUNK_LINE else MAX_HEAD
        if before and held[-1] == 13 and data[pos] == 10:
            end = pos + 1  # the CR came with an earlier chunk
        else:
            end = data.find(b"\r\n", pos) + 2
            if end < 2:
                end = 0
        if end and before + end - pos <= limit:
            self._line(bytes(held) + data[pos:end] if before else data[pos:end], end, events)
            if before:
                held.clear()
            return end
        held += data[pos : pos + limit + 1]
        bare = _BARE_LF.search(held, max(0, before - 1), limit)
        if bare or end or len(held) > limit:
            del held[before:]
            raise Ambiguous("bare_lf" if bare else "line_too_long")
        return len(data)

    def _line(self, line: bytes, end: int, events: list[Event]) -> None:
        if self._state == _CHUNK_LINE:
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise Ambiguous("bare_lf" if b"\n" in line[:-2] else "chunk_malformed")
            # The line end is not charged: a stream may have any number of chunks.
            self._spend(len(line) - found.end(1) - 2, MAX_EXTENSIONS)
            self._left = int(found.group(1), 16)
            self._state = _CHUNK_DATA if self._left else _TRAILERS
        elif line == b"\r\n":
            self._finish(end, events)
        elif _TRAILER.fullmatch(line) is None:
            raise Ambiguous("bare_lf" if b"\n" in line[:-2] else "trailer_malformed")
        else:
            self._spend(len(line), MAX_HEAD)
            self._lines += 1
            if self._lines > MAX_FIELDS:
                raise Ambiguous("too_many_fields")
            if _FRAMING_TRAILER.match(line):
                raise Ambiguous("trailer_framing")

    def _spend(self, size: int, limit: int) -> None:
        """Extensions of all chunk lines, then trailers, are bounded per message."""
        self._budget += size
        if self._budget > limit:
            raise Ambiguous("line_too_long")

    def _take_head(self, data: bytes, pos: int, before: int) -> tuple[bytes, int]:
        """The complete head and the offset behind it, or (b"", -1) while it is not complete.

        `before` bytes were held; they still are when a head is returned or refused.
        """
        if not before:
            end = data.find(b"\r\n\r\n", pos) + 4
            if end >= 4:
                if end - pos > MAX_HEAD:
                    raise Ambiguous(self._flaw(data[pos:end], 0))
                return data[pos:end], end
        held = self._held
        held += data[pos:]
        # Only the new part is searched, or a head that drips in byte by byte costs quadratic time.
        end = held.find(b"\r\n\r\n", max(0, before - 3)) + 4 if before else 0
        flaw = "" if 4 <= end <= MAX_HEAD else self._flaw(held, before)
        if end < 4 and not flaw:
            return b"", -1
        raw = bytes(held[:end])
        del held[before:]
        if flaw:
            raise Ambiguous(flaw)
        return raw, pos + end - before

    def _flaw(self, held: bytes | bytearray, scanned: int) -> str:
        """Why this cannot become a head, "" if it may; the same word however it was cut.

        The first `scanned` bytes were seen to be without flaw.
        """
        # Eight bytes tell how a head opens.
        if scanned < 8 and not self._opens(held):
            return "malformed_head"
        if held.find(b"\n", scanned) >= 0 and _BARE_LF.search(held, max(0, scanned - 1), MAX_HEAD):
            return "bare_lf"
        return "head_too_large" if len(held) > MAX_HEAD else ""

    def _opens(self, held: bytes | bytearray) -> bool:
        raise NotImplementedError

    def _enter(self, framing: Framing, length: int, end: int, events: list[Event]) -> None:
        if framing is NONE:
            self._finish(end, events)
        elif framing is LENGTH:
            self._left = length
            self._state = _LENGTH
        elif framing is CHUNKED:
            self._budget = self._lines = 0
            self._state = _CHUNK_LINE
        elif framing is CLOSE:
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
        head = self._last
        before = len(self._held)
        if head is not None and not before and data.startswith(head.raw, pos):
            end = pos + len(head.raw)
        else:
            raw, end = self._take_head(data, pos, before)
            if end < 0:
                return len(data)
            if raw == b"\r\n\r\n":  # two empty lines: not a head, but what comes before one
                self._held[:] = raw
                return end
            if head is None or head.raw != raw:
                try:
                    head = RequestHead(raw)
                except Ambiguous as error:
                    raise Ambiguous(self._flaw(raw, 0) or error.reason) from None
            if before:
                self._held.clear()
        self._last = head if len(head.raw) <= KEPT_HEAD else None
        self._closed = head.close
        events.append(Head(head, pos - before, end))
        self._enter(head.framing, head.length, end, events)
        return end

    def whole(self, data: bytes) -> RequestHead | None:
        """The head, if `data` is exactly one message and nothing else; None, with nothing followed, if it is not.

        Most requests come in one read; this says what `feed` would say of such a one, without an event for each part.
        """
        if self._state != _HEAD or self._held or self._closed:
            return None
        head = self._last
        if head is not None and data.startswith(head.raw):
            end = len(head.raw)
        else:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > MAX_HEAD:
                return None
            try:
                # Kept also if the message is not whole: `feed` then does not scan it again.
                head = self._last = RequestHead(data[:end])
            except Ambiguous:
                return None
        framing = head.framing
        if framing is CHUNKED or len(data) - end != (head.length if framing is LENGTH else 0):
            return None
        if end > KEPT_HEAD:
            self._last = None
        self._closed = head.close
        return head

    def _opens(self, held: bytes | bytearray) -> bool:
        return _OPENING.match(held) is not None


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
        head = self._last
        before = len(self._held)
        if head is not None and not before and data.startswith(head.raw, pos):
            end = pos + len(head.raw)
        else:
            raw, end = self._take_head(data, pos, before)
            if end < 0:
                return len(data)
            if head is None or head.raw != raw:
                try:
                    head = ResponseHead(raw)
                except Ambiguous as error:
                    raise Ambiguous(self._flaw(raw, 0) or error.reason) from None
            if before:
                self._held.clear()
        self._last = head if len(head.raw) <= KEPT_HEAD else None
        events.append(Head(head, pos - before, end))
        framing = head.framing_for(self._methods[0])
        if head.status >= 200 or framing is TUNNEL:
            self._methods.popleft()
            self._closed = head.close
            self._enter(framing, head.length, end, events)
        return end

    def whole(self, data: bytes) -> ResponseHead | None:
        """The head, if `data` is exactly one final answer; None, with nothing followed, if it is not."""
        if self._state != _HEAD or self._held or self._closed or not self._methods:
            return None
        head = self._last
        if head is not None and data.startswith(head.raw):
            end = len(head.raw)
        else:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > MAX_HEAD:
                return None
            try:
                head = self._last = ResponseHead(data[:end])
            except Ambiguous:
                return None
        framing = head.framing_for(self._methods[0])
        if framing is LENGTH:
            if len(data) - end != head.length:
                return None
        elif framing is not NONE or len(data) != end or head.status < 200:
            return None
        if end > KEPT_HEAD:
            self._last = None
        self._methods.popleft()
        self._closed = head.close
        return head

    def _opens(self, held: bytes | bytearray) -> bool:
        return b"HTTP/1.".startswith(bytes(held[:7]))
