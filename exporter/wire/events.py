"""What a follower says about the bytes it was fed.

`start`, `end` and `at` are offsets into the chunk just fed; a head that began in an earlier chunk starts below 0.
`stream` is 0 in HTTP/1, where one exchange follows another; multiplexed protocols number theirs. Two events are equal
if they say the same. They are plain classes with slots, because many are made: a named tuple costs twice the time.
"""

from exporter.wire.head import RequestHead, ResponseHead


class _Said:
    """Equality and text of an event, both by `_facts`."""

    __slots__ = ()

    def _facts(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Said) and type(self) is type(other) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._facts()}"


class Head(_Said):
    """A complete head. An interim (1xx) response head is followed by another head, not by a body."""

    __slots__ = ("end", "head", "start", "stream")

    def __init__(self, head: RequestHead | ResponseHead, start: int, end: int, stream: int = 0) -> None:
        self.head = head
        self.start = start
        self.end = end
        self.stream = stream

    def _facts(self) -> tuple[object, ...]:
        return self.head.raw, self.start, self.end, self.stream


class Data(_Said):
    """Body bytes, transfer coding taken off: chunk[start:end]."""

    __slots__ = ("end", "start", "stream")

    def __init__(self, start: int, end: int, stream: int = 0) -> None:
        self.start = start
        self.end = end
        self.stream = stream

    def _facts(self) -> tuple[object, ...]:
        return self.start, self.end, self.stream


class End(_Said):
    """The message is complete; the next one, if any, begins at `at`."""

    __slots__ = ("at", "stream")

    def __init__(self, at: int, stream: int = 0) -> None:
        self.at = at
        self.stream = stream

    def _facts(self) -> tuple[object, ...]:
        return self.at, self.stream


class Tunnel(_Said):
    """Both sides leave HTTP at `at` (101, or 2xx to CONNECT): everything after is opaque, and rightly so."""

    __slots__ = ("at", "stream")

    def __init__(self, at: int, stream: int = 0) -> None:
        self.at = at
        self.stream = stream

    def _facts(self) -> tuple[object, ...]:
        return self.at, self.stream


class Desync(_Said):
    """Framing is not certain from `at` on: the follower says nothing more about this connection."""

    __slots__ = ("at", "reason", "stream")

    def __init__(self, reason: str, at: int, stream: int = 0) -> None:
        self.reason = reason
        self.at = at
        self.stream = stream

    def _facts(self) -> tuple[object, ...]:
        return self.reason, self.at, self.stream


Event = Head | Data | End | Tunnel | Desync
