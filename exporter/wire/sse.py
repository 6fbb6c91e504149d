"""Streams of server-sent events (text/event-stream, WHATWG HTML section 9.2.6): where events end, and what they say.

`EventFollower` is for those who forward: it sees every byte once, in any cuts, keeps eight of them, and tells the
offset behind the last event that is complete. `events` is for those who read: a body, whole or only begun, gives the
events that are complete in it, and `told` what they say, at a third of the price. All agree on every offset, which lies
behind the first byte of the line end that closes the event, so that it does not depend on what may still come. Blocks
without data are no events.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_KEPT: Final = 8  # of an unfinished line: a byte order mark and `data:` tell what it is
_LF: Final = 10
# Nearly every event is one line of data; the others are read line by line.
_PLAIN: Final = re.compile(rb"data: ?+([^\r\n]*+)\n\n")
# Bodies up to here are taken apart at once, which takes some ten bytes of memory for each of a hostile one.
_AT_ONCE: Final = 4 << 20
_DATA: Final = b"data: "
_KIND: Final = b"event: "
_LINE: Final = re.compile(rb"([^\r\n]*+)(\r\n|\r|\n)")


class ServerEvent:
    """One event: its type (b"" for the usual one), its lines of data joined, and the offset behind it."""

    __slots__ = ("data", "end", "kind")

    def __init__(self, kind: bytes, data: bytes, end: int) -> None:
        self.kind = kind
        self.data = data
        self.end = end


class EventFollower:
    """`feed` what is forwarded; `events` counts those that are complete."""

    __slots__ = ("_data", "_first", "_line", "_return", "events")

    def __init__(self) -> None:
        self.events = 0
        self._line = b""  # how the unfinished line begins
        self._data = False  # the block in hand has a field of data
        self._first = True  # within the first line, which may begin with a byte order mark
        self._return = False  # the last byte was a CR: a LF now belongs to it

    def feed(self, chunk: bytes, start: int, end: int) -> int:
        """Follow chunk[start:end]; the offset in it behind the last event that is complete now, -1 if none is."""
        last = -1
        pos = start
        if self._return and pos < end:
            self._return = False
            if chunk[pos] == _LF:
                pos += 1
        # Each is looked for anew only behind the last one found: a stream of nothing but CR costs its length.
        feed = carriage = -1
        while pos < end:
            if feed < pos:
                feed = chunk.find(b"\n", pos, end)
                if feed < 0:
                    feed = end
            if carriage < pos:
                carriage = chunk.find(b"\r", pos, end)
                if carriage < 0:
                    carriage = end
            stop = min(feed, carriage)
            if stop == end:
                if len(self._line) < _KEPT:
                    self._line += chunk[pos : min(end, pos + _KEPT - len(self._line))]
                break
            if self._ends_line(chunk, pos, stop):
                last = stop + 1
            pos = stop + 1
            if stop == carriage:
                if pos == end:
                    self._return = True
                elif feed == pos:
                    pos += 1
        return last

    def _ends_line(self, chunk: bytes, start: int, stop: int) -> bool:
        """A line ends at `stop`, its rest began at `start`; whether it completes an event."""
        if not self._line and stop == start:
            self._first = False
            if self._data:
                self._data = False
                self.events += 1
                return True
        elif not self._data:
            line = self._line + chunk[start : min(stop, start + _KEPT)]
            if self._first and line.startswith(_BOM):
                line = line[3:]
            self._data = line.startswith(b"data:") or line == b"data"
        self._first = False
        self._line = b""
        return False


def events(body: bytes) -> Iterator[ServerEvent]:
    """The events that are complete in a body that begins where a stream does, or behind an event; in order."""
    pos = 3 if body.startswith(_BOM) else 0
    while True:
        found = _PLAIN.match(body, pos)
        if found is not None:
            pos = found.end()
            yield ServerEvent(b"", found[1], pos)
            continue
        event, pos = _next(body, pos)
        if event is None:
            return
        yield event


def told(body: bytes) -> Iterable[tuple[int, bytes]]:
    """(offset behind it, data) of each of `events`."""
    return _at_once(body) or ((event.end, event.data) for event in events(body))


def _at_once(body: bytes) -> Iterable[tuple[int, bytes]] | None:
    """The same for a body whose events are all written alike: a line of data, or a type and a line of data."""
    end = body.rfind(b"\n\n")
    if end < 0 or len(body) > _AT_ONCE or b"\r" in body:
        return None
    blocks = body[:end].split(b"\n\n")
    lines = body.count(b"\n", 0, end) - 2 * (len(blocks) - 1) + len(blocks)
    if lines == len(blocks):
        data = [block[6:] for block in blocks if block.startswith(_DATA)]
    elif lines == 2 * len(blocks):
        data = [block.partition(b"\n" + _DATA)[2] for block in blocks if block.startswith(_KIND)]
        if b"" in data:
            return None  # perhaps there was no line of data
    else:
        return None
    if len(data) < len(blocks):
        return None
    return zip(accumulate([len(block) + 2 for block in blocks]), data, strict=True)


def _next(body: bytes, pos: int) -> tuple[ServerEvent | None, int]:
    """The next event, line by line, and where to go on; None if no more is complete."""
    kind, data = b"", []
    while (line := _LINE.match(body, pos)) is not None:
        pos = line.end()
        name, _, value = line[1].partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value
        elif not line[1]:
            if data:
                return ServerEvent(kind, b"\n".join(data), line.start(2) + 1), pos
            kind = b""
    return None, pos
