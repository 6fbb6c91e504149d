"""Feeds a follower in any cuts and names what became of every byte.

The result is a list of parts whose texts, joined, are the input: ["head", framing, text], ["framing", text],
["body", text], ["end"], ["tunnel", text], ["desync", reason, text], ["held", text]. A part says the same however the
bytes were cut, so two runs are compared by comparing their parts.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import MAX_HEAD, RequestHead, ResponseHead
from exporter.wire.http1 import MAX_EVENTS, RequestFollower, ResponseFollower

Part = list[str]
NEXT = b"GET /next HTTP/1.1\r\n\r\n"
NEXT_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def cuts(raw: bytes, seed: int = 1, times: int = 4) -> Iterator[tuple[str, list[bytes]]]:
    """The ways in which every vector is fed, each with its name."""
    yield "whole", [raw]
    yield "byte by byte", [raw[at : at + 1] for at in range(len(raw))]
    dice = random.Random(seed)
    for number in range(times):
        places = sorted(dice.sample(range(len(raw) + 1), min(len(raw), dice.randint(1, 9))))
        ends = [*places, len(raw)]
        yield f"cut at {places} ({number})", [raw[a:b] for a, b in zip([0, *places], ends, strict=True)]


def moved(event: Event, base: int) -> Event:
    """The same event with its offsets counted from `base` bytes earlier."""
    if isinstance(event, Head):
        return Head(event.head, event.start + base, event.end + base)
    if isinstance(event, Data):
        return Data(event.start + base, event.end + base)
    if isinstance(event, Desync):
        return Desync(event.reason, event.at + base)
    return type(event)(event.at + base)


def last_offset(event: Event) -> int:
    """Up to where in the chunk this event reaches."""
    return event.end if isinstance(event, Head | Data) else event.at


class Run:
    """One follower and what it said so far, in offsets from the first byte."""

    def __init__(self, methods: Sequence[str] | None = None) -> None:
        self.request = methods is None
        self.follower: Any = RequestFollower() if methods is None else ResponseFollower()
        self.raw = b""
        self.events: list[Event] = []
        self.closed = False
        for method in methods or ():
            self.follower.expect(method.encode())
        self._methods = deque(method.encode() for method in methods or ())

    def feed(self, piece: bytes, by_message: bool = False) -> None:
        """Feed one chunk; `by_message` takes the tap's way, one message at a time."""
        certain = self.follower.certain
        if by_message:
            events, at = [], 0
            while at < len(piece) and not (events and isinstance(events[-1], Desync | Tunnel)):
                more, at = self.follower.feed_message(piece, at)
                assert len(more) < 2 * MAX_EVENTS
                events += more
        else:
            events = self.follower.feed(piece)
        if 0 < len(piece) <= certain:
            assert events[0] == Data(0, len(piece)), "what was certain was not body"
            assert [type(event) for event in events[1:]] in ([], [End])
        self.told(piece, events)

    def told(self, piece: bytes, events: Sequence[Event]) -> None:
        """Note what the follower said of this chunk."""
        assert all(last_offset(event) <= len(piece) for event in events), "an event beyond the data"
        self._take(events, len(self.raw))
        self.raw += piece
        assert self.follower.held_size == len(self.follower.held) <= MAX_HEAD
        assert self.follower.holding == bool(self.follower.held)

    def expect(self, method: bytes) -> None:
        """One more request went out."""
        self.follower.expect(method)
        self._methods.append(method)

    def state(self) -> tuple[list[Event], bytes, bool, int]:
        """All that can be seen of it: the same after the same bytes, however they were cut."""
        return self.events, self.follower.held, self.follower.idle, self.follower.certain

    def eof(self) -> None:
        """The peer closed."""
        events = self.follower.eof()
        self._take(events, len(self.raw))
        self.closed = self.closed or bool(events)

    def _take(self, events: Iterable[Event], base: int) -> None:
        for event in events:
            assert not self.events or not isinstance(self.events[-1], Desync | Tunnel), (
                "spoke after the last word"
            )
            last = self.events[-1] if self.events else None
            event = moved(event, base)
            if isinstance(event, Data) and isinstance(last, Data) and last.end == event.start:
                self.events[-1] = Data(last.start, event.end)
            else:
                self.events.append(event)

    def framing(self, head: RequestHead | ResponseHead) -> str:
        """How this message ends, by the request that it answers."""
        if isinstance(head, RequestHead):
            return head.framing.value
        framing = head.framing_for(self._methods[0])
        if head.status >= 200:
            self._methods.popleft()
        return framing.value

    def parts(self) -> list[Part]:
        """Every byte in exactly one part; an AssertionError if one is in none or in two."""
        parts: list[Part] = []
        at, framing, done = 0, "", False
        methods, raw = deque(self._methods), self.raw

        def gap(until: int) -> int:
            assert until >= at, "a byte was told twice"
            if until > at:
                assert framing == "chunked", f"bytes {at} to {until} belong to nothing"
                parts.append(["framing", raw[at:until].decode("latin-1")])
            return until

        for event in self.events:
            if isinstance(event, Head):
                assert event.start == at, "a head must begin where the last message ended"
                assert event.head.raw == raw[event.start : event.end]
                framing = self.framing(event.head)
                parts.append(["head", framing, event.head.raw.decode("latin-1")])
                at = event.end
            elif isinstance(event, Data):
                gap(event.start)
                parts.append(["body", raw[event.start : event.end].decode("latin-1")])
                at = event.end
            elif isinstance(event, End):
                at = gap(event.at)
                parts.append(["end"])
                framing = ""
            else:
                at = gap(event.at)
                word = ["desync", event.reason] if isinstance(event, Desync) else ["tunnel"]
                parts.append([*word, raw[at:].decode("latin-1")])
                at, done = len(raw), True
        self._methods = methods
        if done:
            assert self.follower.held == b""
            assert self.follower.certain == 0
        return parts if done else parts + self._rest(at, framing)

    def _rest(self, at: int, framing: str) -> list[Part]:
        rest, held = self.raw[at:], self.follower.held
        assert self.follower.idle == (not rest and framing in ("", "none") and not self.closed)
        if framing == "chunked":
            assert not held
            return [["framing", rest.decode("latin-1")]] if rest else []
        assert held == rest, "what is in no message yet must be what is held"
        return [["held", rest.decode("latin-1")]] if rest else []


def follow(pieces: Iterable[bytes], methods: Sequence[str] | None = None, by_message: bool = False) -> Run:
    """A run over these chunks; `methods` are those of the requests that are answered, None follows requests."""
    run = Run(methods)
    for piece in pieces:
        run.feed(piece, by_message)
    return run


def follower(methods: Sequence[str] | None) -> Any:
    """A fresh one; `methods` for answers."""
    if methods is None:
        return RequestFollower()
    made = ResponseFollower()
    for method in methods:
        made.expect(method.encode())
    return made


def is_one_message(events: Sequence[Event], size: int) -> bool:
    """A head and its end in this chunk, with nothing before and nothing behind."""
    if [type(event) for event in events] not in ([Head, End], [Head, Data, End]):
        return False
    first, last = events[0], events[-1]
    return isinstance(first, Head) and first.start == 0 and isinstance(last, End) and last.at == size


def whole_agrees(data: bytes, methods: Sequence[str] | None) -> bool:
    """Whether `data` was whole; `whole` and `feed` say the same of it, and go on alike."""
    short, long = follower(methods), follower(methods)
    head, events = short.whole(data), long.feed(data)
    if head is None:
        assert short.feed(data) == events, "a look that found nothing changed something"
        return False
    assert is_one_message(events, len(data)), events
    assert head.raw == events[0].head.raw == data[: events[0].end]
    after = NEXT if methods is None else NEXT_ANSWER
    assert short.feed(after) == long.feed(after), "the next message is followed otherwise"
    return True
