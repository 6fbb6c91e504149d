"""Exchange: one request and its answer, as the data plane hands it to the analysis. Frozen; nothing else crosses.

Encoded with msgpack as an array, so its fields may only be appended. Heads travel as raw bytes and are read where
they are needed; bodies are what the capture kept (without transfer coding), whole or not at all, streams excepted.
"""

import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

# Every error type with its owner; the order is the order of the slots in the shared totals.
ERROR_OWNERS: dict[str, str] = {
    **dict.fromkeys(("refused", "reset", "timeout", "5xx", "incomplete", "stream_error"), "server"),
    **dict.fromkeys(("4xx", "abort"), "client"),
    **dict.fromkeys(("shed", "rejected"), "sidecar"),
}
ERROR_TYPES: tuple[str, ...] = tuple(ERROR_OWNERS)
NO_CODE = "none"  # the code label of an exchange for which no final status line reached the client
UNKNOWN = "unknown"
OTHER = "<other>"


class Trace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The server span chosen for this exchange. Ids are lower-case hex; `parent_id` is "" for a root span."""

    trace_id: str
    span_id: str
    parent_id: str


class Stream(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was seen of an answer that is a stream of events, while its bytes passed.

    `times[i]` nanoseconds after the exchange's start, `ends[i]` bytes of the body had come, up to the end of an event:
    one mark per read, and of many only some in the middle. `events` is how many were complete, all counted.
    The body that was kept lacks `gap_size` bytes at `gap_at`, from the end of an event to the end of another.
    """

    ends: list[int]
    times: list[int]
    events: int
    gap_at: int = 0
    gap_size: int = 0


class Exchange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Times are unix nanoseconds (`start`, the complete head) and nanoseconds; sizes are bytes on the wire.

    `time_to_first_byte` runs from `start` here, queue wait included; it is 0 if no answer came.
    `rate` is the share of exchanges that was being handed over when this one was (1.0 = all).
    `aside` was handed over for the access log alone: the analysis has nothing to learn from it.
    `stream` is there if the answer was followed as a stream of events: then `response_body` is what was kept of it,
    and only with `response_captured` the whole.
    """

    request_head: bytes
    response_head: bytes
    request_body: bytes
    response_body: bytes
    method: str
    path: str
    operation: str
    protocol: str
    model_name: str
    model_version: str
    status: int
    error_type: str
    start: int
    duration: int
    time_to_first_byte: int
    queue_wait: int
    client_wait: int
    request_size: int
    response_size: int
    request_captured: bool
    response_captured: bool
    request_id: str
    rate: float
    trace: Trace | None = None
    peer: str = ""
    stream: Stream | None = None
    aside: bool = False


def header(head: bytes, name: bytes) -> bytes:
    """The value of the first field of that lower-case name in a raw head, stripped; b"" if there is none."""
    found = _field(name)(head)
    return found[1].rstrip(b" \t") if found is not None else b""


@lru_cache(128)
def _field(name: bytes) -> Callable[[bytes], re.Match[bytes] | None]:
    """One search is half the cost of a copy in lower case and the slices of it; names are a few of our own."""
    return re.compile(rb"\r\n" + re.escape(name) + rb":[ \t]*([^\r\n]*)", re.IGNORECASE).search
