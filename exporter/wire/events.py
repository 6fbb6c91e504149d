"""What a follower says about the bytes it was fed.

`start`, `end` and `at` are offsets into the chunk just fed; a head that began in an earlier chunk starts below 0.
`stream` is 0 in HTTP/1, where one exchange follows another; multiplexed protocols number theirs.
"""

from typing import NamedTuple

from exporter.wire.head import RequestHead, ResponseHead


class Head(NamedTuple):
    """A complete head. An interim (1xx) response head is followed by another head, not by a body."""

    head: RequestHead | ResponseHead
    start: int
    end: int
    stream: int = 0


class Data(NamedTuple):
    """Body bytes, transfer coding taken off: chunk[start:end]."""

    start: int
    end: int
    stream: int = 0


class End(NamedTuple):
    """The message is complete; the next one, if any, begins at `at`."""

    at: int
    stream: int = 0


class Tunnel(NamedTuple):
    """Both sides leave HTTP at `at` (101, or 2xx to CONNECT): everything after is opaque, and rightly so."""

    at: int
    stream: int = 0


class Desync(NamedTuple):
    """Framing is not certain from `at` on: the follower says nothing more about this connection."""

    reason: str
    at: int
    stream: int = 0


Event = Head | Data | End | Tunnel | Desync
