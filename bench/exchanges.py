"""Exchanges to decode in a measurement: a message each way, as the data plane hands them over, and what is owed.

Knows no dialect and measures nothing.
"""

import json
from typing import Any, NamedTuple

import msgspec

from exporter.records.exchange import Exchange, Stream
from exporter.records.stored import Message as Kept
from exporter.records.stored import stored

JSON_FIELDS = (b"content-type: application/json",)
# Fields that heads usually have, for they are looked through.
USUAL = (
    b"host: bench.local",
    b"user-agent: bench",
    b"accept: */*",
    b"x-request-id: 7d2b9f0c4e1a4f6d9a56f1d3c0b8e27a",
)


class Case(NamedTuple):
    """One exchange and the most that decoding it should take, in µs (0: no goal)."""

    dialect: str
    name: str
    exchange: Exchange
    goal: float = 0.0
    tokens: int = 0  # of a stream, so that the cost of each can be told

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.exchange.request_body) + len(self.exchange.response_body)


class Message(NamedTuple):
    """A body and the fields of its head."""

    body: bytes
    fields: tuple[bytes, ...] = JSON_FIELDS


def exchange(path: str, request: Message, response: Message, stream: Stream | None = None) -> Exchange:
    """What the data plane hands over of a POST and its 200 answer."""
    made = stored(
        "POST",
        path,
        Kept(_head(b"POST " + path.encode() + b" HTTP/1.1", request), request.body),
        Kept(_head(b"HTTP/1.1 200 OK", response), response.body),
    )
    return msgspec.structs.replace(made, stream=stream)


def _head(line: bytes, message: Message) -> bytes:
    length = b"content-length: %d" % len(message.body)
    return b"\r\n".join([line, *USUAL, *message.fields, length, b"", b""])


def text(value: Any) -> Message:
    """A value as JSON."""
    return Message(json.dumps(value).encode())
