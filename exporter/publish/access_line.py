"""An exchange -> its line of the access log. Pure; no body, no value of a query, no field of a head but the ids.

What a client chooses (path, names, ids) is cut to a length, so that a line has one too.
"""

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from exporter.records.exchange import ERROR_OWNERS, Exchange, header

MAX_PATH: Final = 1024
MAX_ID: Final = 128
MAX_NAME: Final = 256
# Exchanges that ended as HTTP has it, whatever the answer was.
_WHOLE: Final = frozenset(("", "4xx", "5xx"))
_PARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_SECOND: Final = 1_000_000_000


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Keys in the order in which they are written, times in RFC 3339; those with a default are left out where it holds.

    `end` is how the exchange ended, `error_type` and `error_owner` are those of the metrics. `status` is 0 where the
    client got no final status line. `rate` is the share of exchanges that were handed over just then, if not all were.
    """

    time: datetime
    method: str
    path: str
    status: int
    end: str
    duration_seconds: float
    time_to_first_byte_seconds: float
    queue_wait_seconds: float
    client_wait_seconds: float
    request_bytes: int
    response_bytes: int
    operation: str
    protocol: str
    model_name: str
    model_version: str
    request_id: str
    error_type: str = ""
    error_owner: str = ""
    client: str = ""
    trace_id: str = ""
    span_id: str = ""
    decoded: str = ""
    rows: int = 0
    stream_events: int = 0
    rate: float | None = None


def line(exchange: Exchange, decoded: str, rows: int) -> Line:
    """`decoded` is what became of the bodies: decoded, or the reason why not; "" where nobody looked."""
    error = exchange.error_type
    trace = exchange.trace
    return Line(
        datetime.fromtimestamp(exchange.start / _SECOND, UTC),
        exchange.method[:MAX_NAME],
        exchange.path.partition("?")[0][:MAX_PATH],
        exchange.status,
        "complete" if error in _WHOLE else error,
        exchange.duration / _SECOND,
        exchange.time_to_first_byte / _SECOND,
        exchange.queue_wait / _SECOND,
        exchange.client_wait / _SECOND,
        exchange.request_size,
        exchange.response_size,
        exchange.operation,
        exchange.protocol,
        exchange.model_name[:MAX_NAME],
        exchange.model_version[:MAX_NAME],
        exchange.request_id[:MAX_ID],
        error,
        ERROR_OWNERS.get(error, ""),
        exchange.peer[:MAX_ID],
        trace.trace_id if trace is not None else _callers_trace(exchange.request_head),
        trace.span_id if trace is not None else "",
        decoded,
        rows,
        exchange.stream.events if exchange.stream is not None else 0,
        exchange.rate if exchange.rate < 1.0 else None,
    )


def _callers_trace(head: bytes) -> str:
    """The trace to which the caller's own span belongs, sampled by us or not."""
    found = _PARENT.fullmatch(header(head, b"traceparent"))
    return found[1].decode() if found is not None else ""
