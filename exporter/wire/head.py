"""Heads of HTTP/1.0 and 1.1: one strict scan that yields what framing and edits need, and nothing else.

A head that two parsers could read differently is refused with a reason (`Ambiguous`), never guessed: RFC 9112
sections 2.2, 3, 5 and 6. Refusing costs telemetry only; the bytes are relayed all the same. The expressions use
possessive quantifiers: the naive form takes seconds on a hostile head of 64 KiB.
"""

import re
from enum import Enum
from typing import Final

MAX_HEAD: Final = 65536  # bytes; above every Python model server's own limit
MAX_FIELDS: Final = 256  # in a head, and in trailers; Envoy and hyper take 100, HAProxy 101, aiohttp 128
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]"  # told by what it may hold: a negated class takes twice the time
_LINES = rb"((?:" + _TOKEN + rb"++:" + _VALUE + rb"*+\r\n)*+)\r\n"
_REQUEST: Final = re.compile(
    rb"(?:\r\n){0,2}(" + _TOKEN + rb"++) ([\x21-\x7e\x80-\xff]++) HTTP/1\.([01])\r\n" + _LINES
)
_RESPONSE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: " + _VALUE + rb"*+)?\r\n" + _LINES)
# Each alternative has the group of its number, so that one comparison tells which field it is.
_NAMES = (b"content-length", b"transfer-encoding", b"connection", b"traceparent", b"x-request-id", b"upgrade")
_CONTENT_LENGTH: Final = 1
_TRANSFER_ENCODING: Final = 2
_CONNECTION: Final = 3
_TRACEPARENT: Final = 4
_REQUEST_ID: Final = 5


def _fields(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    fields = [name + rb":[ \t]*+([^\r]*+)" for name in names]
    return re.compile(rb"(?i)\n(?:" + b"|".join(fields) + rb")\r")


_REQUEST_FIELDS: Final = _fields(_NAMES)
_RESPONSE_FIELDS: Final = _fields(_NAMES[:3])
_EDITED: Final = re.compile(rb"(?i)\n(connection|upgrade|http2-settings):[^\r]*+\r")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,18}")


class Framing(Enum):
    """How the end of a message's body is found."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    TUNNEL = "tunnel"


# Reading a member off its class costs as much as building an object in Python 3.11.
NONE: Final = Framing.NONE
LENGTH: Final = Framing.LENGTH
CHUNKED: Final = Framing.CHUNKED
CLOSE: Final = Framing.CLOSE
TUNNEL: Final = Framing.TUNNEL


class Ambiguous(Exception):
    """The head could be read in more than one way; `reason` is one word of a small set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestHead:
    """A request head as it came. Offsets are into `raw`; -1 means absent."""

    __slots__ = (
        *("raw", "method", "target", "minor", "framing", "length", "close", "line_end"),
        *("trace_count", "trace_start", "trace_end", "request_id", "upgrades"),
    )

    def __init__(self, raw: bytes) -> None:
        """Scan `raw`, which ends with the empty line; Ambiguous if its framing is not certain."""
        found = _REQUEST.fullmatch(raw)
        if found is None:
            raise Ambiguous("malformed_head")
        self.raw = raw
        self.method: bytes
        self.target: bytes
        self.method, self.target, minor = found.group(1, 2, 3)
        self.minor = 1 if minor == b"1" else 0
        self.line_end = line_end = found.start(4)
        _count_fields(raw, line_end)
        self.trace_count = 0
        self.trace_start = self.trace_end = -1
        self.request_id = self.upgrades = connection = b""
        lengths: list[bytes] = []
        codings: list[bytes] = []
        # One byte earlier than the fields, so that the first one also has a line end before its name.
        for field in _REQUEST_FIELDS.finditer(raw, line_end - 1):
            number = field.lastindex or 0
            value = field[number].rstrip(b" \t")
            if number == _CONTENT_LENGTH:
                lengths.append(value)
            elif number == _CONNECTION:
                connection = connection + b"," + value.lower() if connection else value.lower()
            elif number == _TRACEPARENT:
                self.trace_count += 1
                self.trace_start, self.trace_end = field.span(_TRACEPARENT)
            elif number == _REQUEST_ID:
                self.request_id = self.request_id or value or b"-"
            elif number == _TRANSFER_ENCODING:
                codings.append(value)
            else:
                self.upgrades += b"," + value.lower()
        self.close = _closes(connection, self.minor)
        framing, self.length = _framing(lengths, codings, self.minor)
        self.framing = NONE if framing is CLOSE else framing
        if self.framing is not NONE and self.method == b"CONNECT":
            raise Ambiguous("body_on_connect")

    @property
    def fields(self) -> tuple[tuple[bytes, int, int], ...]:
        """The lines that an upgrade takes part in, in order: name in lower case, start and end of the line."""
        return tuple(
            (field[1].lower(), field.start() + 1, field.end() + 1)
            for field in _EDITED.finditer(self.raw, self.line_end - 1)
        )


class ResponseHead:
    """A response head as it came."""

    __slots__ = ("close", "framing", "length", "minor", "raw", "status")

    def __init__(self, raw: bytes) -> None:
        """Scan `raw`; the framing is that of an answer to GET until `framing_for` says otherwise."""
        found = _RESPONSE.fullmatch(raw)
        if found is None:
            raise Ambiguous("malformed_head")
        self.raw = raw
        minor, status = found.group(1, 2)
        self.minor = 1 if minor == b"1" else 0
        self.status = int(status)
        line_end = found.start(3)
        _count_fields(raw, line_end)
        lengths: list[bytes] = []
        codings: list[bytes] = []
        connection = b""
        for field in _RESPONSE_FIELDS.finditer(raw, line_end - 1):
            number = field.lastindex or 0
            value = field[number].rstrip(b" \t")
            if number == _CONTENT_LENGTH:
                lengths.append(value)
            elif number == _TRANSFER_ENCODING:
                codings.append(value)
            else:
                connection = connection + b"," + value.lower() if connection else value.lower()
        if codings and (self.status < 200 or self.status == 204):
            raise Ambiguous("coding_without_body")
        self.framing, self.length = _framing(lengths, codings, self.minor)
        # A body that lasts until the close says nothing here: the same head may answer HEAD, or be a 204 or 304.
        self.close = _closes(connection, self.minor)

    def framing_for(self, method: bytes) -> Framing:
        """The framing of this head as the answer to a request of that method (RFC 9112 section 6.3)."""
        status = self.status
        if status == 101 or (method == b"CONNECT" and 200 <= status < 300):
            return TUNNEL
        if status < 200 or status == 204 or status == 304 or method == b"HEAD":
            return NONE
        return self.framing


def _count_fields(raw: bytes, start: int) -> None:
    # The shortest line has four bytes, so most heads need not be counted.
    if len(raw) - start > 4 * MAX_FIELDS and raw.count(b"\n", start) > MAX_FIELDS + 1:
        raise Ambiguous("too_many_fields")


def _closes(connection: bytes, minor: int) -> bool:
    if not connection:
        return minor == 0
    if connection == b"keep-alive":
        return False
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
        return CHUNKED, -1
    if not lengths:
        return CLOSE, -1
    if len(lengths) > 1:
        raise Ambiguous("length_repeated")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise Ambiguous("length_invalid")
    length = int(lengths[0])
    return (LENGTH if length else NONE), length
