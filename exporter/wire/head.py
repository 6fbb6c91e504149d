"""Heads of HTTP/1.0 and 1.1: one strict scan that yields what framing and edits need, and nothing else.

A head that two parsers could read differently is refused with a reason (`Ambiguous`), never guessed: RFC 9112
sections 2.2, 3, 5 and 6. Refusing costs telemetry only; the bytes are relayed all the same. The expressions use
possessive quantifiers: the naive form takes seconds on a hostile head of 64 KiB.
"""

import re
from enum import Enum

MAX_HEAD = 65536  # bytes; above every Python model server's own limit
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_LINES = rb"((?:" + _TOKEN + rb"++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+)\r\n"
_REQUEST = re.compile(
    rb"(?:\r\n){0,2}(" + _TOKEN + rb"++) ([\x21-\x7e\x80-\xff]++) HTTP/1\.([01])\r\n" + _LINES
)
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\x00-\x08\x0a-\x1f\x7f]*+)?\r\n" + _LINES)
_REQUEST_FIELDS = re.compile(
    rb"(?i)\n(content-length|transfer-encoding|connection|upgrade|traceparent|x-request-id|http2-settings):"
    rb"[ \t]*+([^\r]*+)\r"
)
_RESPONSE_FIELDS = re.compile(rb"(?i)\n(content-length|transfer-encoding|connection):[ \t]*+([^\r]*+)\r")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")


class Framing(Enum):
    """How the end of a message's body is found."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    TUNNEL = "tunnel"


class Ambiguous(Exception):
    """The head could be read in more than one way; `reason` is one word of a small set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestHead:
    """A request head as it came. Offsets are into `raw`; -1 means absent."""

    __slots__ = (
        *("raw", "method", "target", "minor", "framing", "length", "close", "line_end"),
        *("trace_count", "trace_start", "trace_end", "request_id", "upgrades", "fields"),
    )

    def __init__(self, raw: bytes) -> None:
        """Scan `raw`, which ends with the empty line; Ambiguous if its framing is not certain."""
        found = _REQUEST.fullmatch(raw)
        if found is None:
            raise Ambiguous("malformed_head")
        self.raw = raw
        self.method, self.target, minor = found.group(1, 2, 3)
        self.minor = 1 if minor == b"1" else 0
        self.line_end = found.start(4)
        self.trace_count = 0
        self.trace_start = self.trace_end = -1
        self.request_id = b""
        self.upgrades = b""
        lengths: list[bytes] = []
        codings: list[bytes] = []
        fields: list[tuple[bytes, int, int]] = []
        connection = b""
        # One byte earlier than the fields, so that the first one also has a line end before its name.
        for field in _REQUEST_FIELDS.finditer(raw, self.line_end - 1):
            name = field.group(1).lower()
            value = field.group(2).rstrip(b" \t")
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
            elif name == b"connection":
                connection += b"," + value.lower()
                fields.append((name, field.start() + 1, field.end() + 1))
            elif name == b"traceparent":
                self.trace_count += 1
                self.trace_start, self.trace_end = field.span(2)
            elif name == b"x-request-id":
                self.request_id = self.request_id or value or b"-"
            else:
                if name == b"upgrade":
                    self.upgrades += b"," + value.lower()
                fields.append((name, field.start() + 1, field.end() + 1))
        self.fields: tuple[tuple[bytes, int, int], ...] = tuple(fields)
        self.close = _closes(connection, self.minor)
        self.framing, self.length = _framing(lengths, codings, self.minor)
        if self.framing is Framing.CLOSE:
            self.framing = Framing.NONE
        elif self.method == b"CONNECT" and self.framing is not Framing.NONE:
            raise Ambiguous("body_on_connect")


class ResponseHead:
    """A response head as it came."""

    __slots__ = ("close", "framing", "length", "minor", "raw", "status")

    def __init__(self, raw: bytes) -> None:
        """Scan `raw`; the framing is that of an answer to GET until `answers` says otherwise."""
        found = _RESPONSE.fullmatch(raw)
        if found is None:
            raise Ambiguous("malformed_head")
        self.raw = raw
        self.minor = 1 if found.group(1) == b"1" else 0
        self.status = int(found.group(2))
        lengths: list[bytes] = []
        codings: list[bytes] = []
        connection = b""
        for field in _RESPONSE_FIELDS.finditer(raw, found.start(3) - 1):
            name = field.group(1).lower()
            value = field.group(2).rstrip(b" \t")
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
            else:
                connection += b"," + value.lower()
        if codings and (self.status < 200 or self.status == 204):
            raise Ambiguous("coding_without_body")
        self.framing, self.length = _framing(lengths, codings, self.minor)
        # A body that lasts until the close says nothing here: the same head may answer HEAD, or be a 204 or 304.
        self.close = _closes(connection, self.minor)

    def framing_for(self, method: bytes) -> Framing:
        """The framing of this head as the answer to a request of that method (RFC 9112 section 6.3)."""
        if self.status == 101 or (method == b"CONNECT" and 200 <= self.status < 300):
            return Framing.TUNNEL
        if method == b"HEAD" or self.status < 200 or self.status in (204, 304):
            return Framing.NONE
        return self.framing


def _closes(connection: bytes, minor: int) -> bool:
    if not connection:
        return minor == 0
    options = {option.strip(b" \t") for option in connection.split(b",")}
    return b"close" in options or (minor == 0 and b"keep-alive" not in options)


def _framing(lengths: list[bytes], codings: list[bytes], minor: int) -> tuple[Framing, int]:
    if codings:
        if lengths:
            raise Ambiguous("length_and_coding")
        if minor == 0:
            raise Ambiguous("coding_in_http10")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Ambiguous("coding_unknown")
        return Framing.CHUNKED, -1
    if not lengths:
        return Framing.CLOSE, -1
    if len(lengths) > 1:
        raise Ambiguous("length_repeated")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise Ambiguous("length_invalid")
    length = int(lengths[0])
    return (Framing.LENGTH if length else Framing.NONE), length
