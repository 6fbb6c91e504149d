"""Exchange -> CloudEvents 1.0 in the form of KServe's agent, and an event as HTTP headers or as a line of JSON.

Knows no queue, no sink and no clock. What a client writes freely is bounded before it becomes an attribute, and
nothing of the query is in one. Invariant: request and response of an exchange carry the same id; an event whose body
is not there says why in `dataomitted`.
"""

import json
import re
import uuid
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote, unquote

import msgspec

from exporter.publish.redaction import MASK, Redaction, Unredactable
from exporter.records.exchange import UNKNOWN, Exchange, header
from exporter.records.observation import Undecodable

Side = Literal["request", "response"]
TYPES: Final[dict[Side, str]] = {
    "request": "org.kubeflow.serving.inference.request",
    "response": "org.kubeflow.serving.inference.response",
}
# Why an event has no data though the exchange had a body.
OMITTED: Final = ("not_captured", "coding", "redaction")
MAX_ID: Final = 256
MAX_TEXT: Final = 256
# As it is encoded: a server may refuse a field line over 8 KiB, and with it an event that a client wants unseen.
MAX_METADATA: Final = 4096
MAX_VALUES: Final = 8
TOO_LONG: Final = "<too_long>"
# CloudEvents, HTTP protocol binding 1.0.2, section 3.1.3.2: everything else is percent-encoded.
_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PLAIN: Final = re.compile(r"[!#$&-~]*")
_CONTENT_TYPE: Final = re.compile(r"[ -~]{1,256}")
_JSON: Final = re.compile(r"(?i)(?:application|text)/(?:[a-z0-9.-]+\+)?json(?:[ ;]|$)")
_TEXT: Final = re.compile(r"(?i)text/[a-z0-9.+-]+(?:$|[ \t]*;[ \t]*charset=\"?utf-8\"?$)")
_TRACEPARENT: Final = re.compile(r"[0-9a-e][0-9a-f]-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_EXTENSIONS: Final = (b"ce-id", b"x-request-id", b"traceparent")

# Undoes the content codings that a head names; Undecodable where it cannot.
Plain = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent: `attributes` in their order, without datacontenttype, which is `content_type` ("" = none)."""

    attributes: dict[str, str]
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """What the owner says about where events come from; "" leaves an attribute out, `source` excepted."""

    source: str
    service: str = ""
    namespace: str = ""
    component: str = ""
    endpoint: str = ""


class Composer:
    """`plain` None leaves bodies in their content coding; `headers` are request headers to be put into `metadata`."""

    def __init__(
        self, origin: Origin, headers: tuple[str, ...], redaction: Redaction, plain: Plain | None
    ) -> None:
        self._origin = origin
        self._headers = tuple((name, name.lower().encode("ascii")) for name in headers)
        self._redaction = redaction
        self._plain = plain
        self._hidden = {name for name in _EXTENSIONS if name.decode() in redaction.headers}

    def identity(self, exchange: Exchange) -> str:
        """The id of both events: the caller's Ce-Id, else the request id; a new one for what is too long or hidden."""
        given = unquote(self._header(exchange, b"ce-id"))
        if 0 < len(given) <= MAX_ID:
            return given
        return self._request_id(exchange) or str(uuid.uuid4())

    def event(self, exchange: Exchange, side: Side, identity: str) -> tuple[Event, str]:
        """The event, and the reason why it has no data ("" if nothing is missing)."""
        head = exchange.request_head if side == "request" else exchange.response_head
        data, omitted = self._data(exchange, side, head)
        attributes = {
            "specversion": "1.0",
            "id": identity,
            "source": self._origin.source,
            "type": TYPES[side],
            "time": _time(exchange.start + (max(exchange.duration, 0) if side == "response" else 0)),
            **self._extensions(exchange),
        }
        if side == "response":
            attributes |= _outcome(exchange)
        if omitted:
            attributes["dataomitted"] = omitted
        elif self._plain is None and (coding := _text(head, b"content-encoding")):
            attributes["contentencoding"] = coding
        kind = header(head, b"content-type").decode("latin-1")
        return Event(attributes, kind if _CONTENT_TYPE.fullmatch(kind) else "", data), omitted

    def _data(self, exchange: Exchange, side: Side, head: bytes) -> tuple[bytes, str]:
        captured, body = exchange.request_captured, exchange.request_body
        if side == "response":
            captured, body = exchange.response_captured, exchange.response_body
        if not captured:
            return b"", "not_captured"
        try:
            if self._plain is not None and body:
                body = self._plain(head, body)
            return self._redaction.body(side, body), ""
        except Undecodable:
            return b"", "coding"
        except Unredactable:
            return b"", "redaction"

    def _extensions(self, exchange: Exchange) -> dict[str, str]:
        origin = self._origin
        known = {
            "inferenceservicename": origin.service or _known(exchange.model_name),
            "namespace": origin.namespace,
            "component": origin.component,
            "endpoint": origin.endpoint,
            "metadata": self._metadata(exchange),
            "modelid": _known(exchange.model_name),
            "modelversion": _known(exchange.model_version),
            "operation": exchange.operation,
            "protocol": _known(exchange.protocol),
            "requestid": self._request_id(exchange),
            "traceparent": self._traceparent(exchange),
        }
        return {name: value for name, value in known.items() if value}

    def _metadata(self, exchange: Exchange) -> str:
        """The allowed request headers as KServe's agent writes them: a JSON object of lists."""
        found: dict[str, list[str]] = {}
        room = MAX_METADATA
        for name, lowered in self._headers:
            values = [value.decode("utf-8", "replace") for value in _values(exchange.request_head, lowered)]
            if values and name.lower() in self._redaction.headers:
                values = [MASK]
            size = len(_encoded(json.dumps(values)))
            if not values:
                continue
            fits = len(values) <= MAX_VALUES and size <= room
            found[name] = values if fits else [TOO_LONG]
            room -= size if fits else 0
        return json.dumps(found, separators=(",", ":"))

    def _request_id(self, exchange: Exchange) -> str:
        hidden = b"x-request-id" in self._hidden and header(exchange.request_head, b"x-request-id")
        found = exchange.request_id
        return found if found and len(found) <= MAX_ID and not hidden else ""

    def _traceparent(self, exchange: Exchange) -> str:
        """Of the sidecar's own span where there is one, else the caller's."""
        if exchange.trace is not None:
            return f"00-{exchange.trace.trace_id}-{exchange.trace.span_id}-01"
        found = self._header(exchange, b"traceparent")
        return found if _TRACEPARENT.fullmatch(found) else ""

    def _header(self, exchange: Exchange, name: bytes) -> str:
        return "" if name in self._hidden else header(exchange.request_head, name).decode("latin-1")


def binary(event: Event) -> dict[str, str]:
    """The headers of an event in HTTP's binary mode, whose body is the data."""
    headers = {f"ce-{name}": _encoded(value) for name, value in event.attributes.items()}
    if event.content_type:
        headers["content-type"] = event.content_type
    return headers


def _encoded(value: str) -> str:
    # Most values need nothing, and to find that out takes a fraction of what `quote` does.
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_SAFE, errors="replace")


def line(event: Event) -> bytes:
    """The event in CloudEvents' JSON format and a line feed: `data` for JSON and UTF-8 text, else `data_base64`."""
    record: dict[str, object] = {
        name: value if value.isascii() else value.encode("utf-8", "replace").decode()
        for name, value in event.attributes.items()
    }
    if event.content_type:
        record["datacontenttype"] = event.content_type
    if event.data:
        name, value = _member(event)
        record[name] = value
    return msgspec.json.encode(record) + b"\n"


def _member(event: Event) -> tuple[str, object]:
    try:
        # Without a content type the format takes data for JSON, and so it is told if it is some.
        if not event.content_type or _JSON.match(event.content_type):
            event.data.decode("utf-8")  # `format` does not look into strings
            return "data", msgspec.Raw(msgspec.json.format(event.data, indent=-1))
        if _TEXT.fullmatch(event.content_type):
            return "data", event.data.decode("utf-8")
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        pass  # it is not what its head says
    return "data_base64", b64encode(event.data).decode("ascii")


def _outcome(exchange: Exchange) -> dict[str, str]:
    """How it ended: the status code where an answer came, and the error type of what failed."""
    found = {
        "statuscode": str(exchange.status) if exchange.status > 0 else "",
        "errortype": exchange.error_type,
    }
    return {name: value for name, value in found.items() if value}


def _time(nanoseconds: int) -> str:
    """RFC 3339 with microseconds: readers that know no finer fraction are many."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _known(name: str) -> str:
    return "" if name == UNKNOWN else name[:MAX_TEXT]


def _text(head: bytes, name: bytes) -> str:
    return ", ".join(value.decode("latin-1") for value in _values(head, name))[:MAX_TEXT]


def _values(head: bytes, name: bytes) -> list[bytes]:
    """The values of all fields of that lower-case name."""
    if head.lower().find(b"\r\n" + name + b":") < 0:
        return []
    fields = (each.partition(b":") for each in head.split(b"\r\n")[1:])
    return [value.strip(b" \t") for field, colon, value in fields if colon and field.lower() == name]
