"""A line of the access log: what it says of an exchange, and what it never says."""

import json
from typing import Any

import msgspec
import pytest

from exporter.publish.access_line import MAX_ID, MAX_NAME, MAX_PATH, line
from exporter.records.exchange import ERROR_OWNERS, ERROR_TYPES, Exchange, Stream
from tests.publish.exchanges import EXCHANGE, TRACE, changed


def read(exchange: Exchange, decoded: str = "", rows: int = 0) -> dict[str, Any]:
    """The line as a reader of JSON has it."""
    data = msgspec.json.encode(line(exchange, decoded, rows))
    assert b"\n" not in data
    found = json.loads(data)
    assert isinstance(found, dict)
    return found


def test_an_exchange() -> None:
    """Times, sizes, labels, ids and how it ended; the query is not part of the path."""
    assert read(EXCHANGE, "decoded", 4) == {
        "time": "2023-11-14T22:13:20Z",
        "method": "POST",
        "path": "/v2/models/iris/versions/3/infer",
        "status": 200,
        "end": "complete",
        "duration_seconds": 0.009,
        "request_bytes": 450,
        "response_bytes": 80,
        "operation": "predict",
        "protocol": "open_inference_v2",
        "model_name": "iris",
        "model_version": "3",
        "request_id": "r-1",
        "time_to_first_byte_seconds": 0.007,
        "queue_wait_seconds": 0.001,
        "client_wait_seconds": 0.0,
        "trace_id": TRACE.trace_id,
        "span_id": TRACE.span_id,
        "decoded": "decoded",
        "rows": 4,
    }


@pytest.mark.parametrize("error", ERROR_TYPES)
def test_how_it_ended(error: str) -> None:
    """Each error type has its owner; an answer that says so was whole, everything else is an end of its own."""
    found = read(changed(error_type=error))
    assert found["end"] == ("complete" if error in ("4xx", "5xx") else error)
    assert (found["error_type"], found["error_owner"]) == (error, ERROR_OWNERS[error])


PARENTS = (
    (b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", TRACE.trace_id),
    (b"TraceParent:cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", TRACE.trace_id),
    (b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", ""),
    (b"traceparent: secret", ""),
    (b"x: y", ""),
)


@pytest.mark.parametrize(("field", "trace"), PARENTS)
def test_the_callers_trace(field: bytes, trace: str) -> None:
    """Where the sidecar has no span the caller's trace is named, if it is one, and no span."""
    head = b"GET / HTTP/1.1\r\n" + field + b"\r\n\r\n"
    found = read(changed(request_head=head, trace=None))
    assert (found.get("trace_id", ""), "span_id" in found) == (trace, False)


def test_no_content() -> None:
    """Neither bodies nor fields of a head nor the query are in it, whatever they are."""
    secret = b"53cr3t"
    head = b"POST /a?key=53cr3t HTTP/1.1\r\nauthorization: 53cr3t\r\ncookie: 53cr3t\r\ntracestate: 53cr3t\r\n\r\n"
    bodies = {"request_body": secret, "response_body": secret, "request_captured": True}
    for trace in (TRACE, None):
        exchange = changed(request_head=head, response_head=head, path="/a?key=53cr3t", trace=trace, **bodies)
        assert "53cr3t" not in json.dumps(read(exchange))


def test_what_a_client_chooses_is_cut() -> None:
    """Path, names and ids have a longest length, so that a line has one."""
    long = "\x00" * 100_000
    names = dict.fromkeys(("model_name", "model_version", "method", "request_id", "peer"), long)
    found = read(changed(path=f"/{long}", **names))
    assert len(found["path"]) == MAX_PATH
    assert len(found["model_name"]) == len(found["model_version"]) == len(found["method"]) == MAX_NAME
    assert len(found["request_id"]) == len(found["client"]) == MAX_ID


def test_the_time_is_in_utc() -> None:
    """RFC 3339 with microseconds, whatever the machine's zone is."""
    assert read(changed(start=1_700_000_000_250_000_000))["time"] == "2023-11-14T22:13:20.250000Z"


def test_a_stream_and_a_thinned_one() -> None:
    """How many events a stream had, and which share was handed over, where it was not all."""
    found = read(changed(stream=Stream([1], [1], 7), rate=0.5, status=0))
    assert (found["stream_events"], found["rate"], found["status"]) == (7, 0.5, 0)
