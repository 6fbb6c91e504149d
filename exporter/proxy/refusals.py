"""What is answered in the model's place, with which words, and what it is counted as."""

import re
from typing import NamedTuple

from exporter.wire.head import RequestHead

_HOST = re.compile(rb"(?i)\nhost:")
_LINES = {
    400: b"400 Bad Request\r\n",
    405: b"405 Method Not Allowed\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
    408: b"408 Request Timeout\r\n",
    429: b"429 Too Many Requests\r\nRetry-After: 1\r\n",
    503: b"503 Service Unavailable\r\nRetry-After: 1\r\n",
}


class Refusal(NamedTuple):
    """A status of `_LINES`, ASCII words without quotes, an error type."""

    status: int
    text: str
    error: str

    def answer(self, bodiless: bool) -> bytes:
        """The whole answer; `bodiless` for one to HEAD."""
        body = b'{"error":"modeltap: ' + self.text.encode() + b'"}'
        head = (
            b"HTTP/1.1 " + _LINES[self.status] + b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        return head if bodiless else head + body


FULL = "the queue in front of the model is full"
LATE = "the request waited too long in the queue in front of the model"
DOWN = Refusal(503, "the model server cannot be reached", "refused")
UNCERTAIN = Refusal(400, "the request can be read in more than one way", "rejected")
SLOW_HEAD = Refusal(408, "the request head did not come in time", "rejected")
_CONNECT = Refusal(405, "CONNECT is not served: what follows it cannot be counted", "rejected")
_HOSTS = Refusal(400, "expected one Host field", "rejected")


def refusal_of(head: RequestHead, strict: bool) -> Refusal | None:
    """What is not let through where limits are promised, though it can be followed."""
    if head.method == b"CONNECT":
        return _CONNECT
    # RFC 9112 section 3.2
    return _HOSTS if strict and head.minor and len(_HOST.findall(head.raw)) != 1 else None
