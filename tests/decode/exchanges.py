"""Exchanges for tests: from bodies, or from a vector's raw HTTP bytes."""

from typing import Any

import msgspec

from exporter.records.exchange import Exchange
from exporter.records.stored import Message, stored

V2_PATH = "/v2/models/iris/infer"
V1_PATH = "/v1/models/m:predict"
_HEAD = b"\r\ncontent-type: application/json\r\n\r\n"


def exchange(path: str, request: bytes, response: bytes, **changes: Any) -> Exchange:
    """A POST to `path` with those bodies and a 200 answer; `changes` replaces fields."""
    whole = stored(
        "POST",
        path,
        Message(b"POST " + path.encode() + b" HTTP/1.1" + _HEAD, request),
        Message(b"HTTP/1.1 200 OK" + _HEAD, response),
    )
    return msgspec.structs.replace(whole, **changes)


def from_raw(request: bytes, response: bytes) -> Exchange:
    """The exchange of two raw HTTP/1.1 messages without transfer coding."""
    request_head, _, request_body = request.partition(b"\r\n\r\n")
    response_head, _, response_body = response.partition(b"\r\n\r\n")
    path = request_head.split(b" ")[1].decode()
    return exchange(
        path,
        request_body,
        response_body,
        request_head=request_head + b"\r\n\r\n",
        response_head=response_head + b"\r\n\r\n",
        status=int(response_head.split(b" ")[1]),
    )
