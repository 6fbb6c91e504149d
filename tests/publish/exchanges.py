"""A sampled exchange, and variations of it."""

import msgspec

from exporter.records.exchange import Exchange, Trace

START = 1_700_000_000_000_000_123
TRACE = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7")
EXCHANGE = Exchange(
    request_head=(
        b"POST /v2/models/iris/versions/3/infer?x=1 HTTP/1.1\r\nHost: model.example:8080\r\nUser-Agent: curl/8\r\n"
        b"tracestate: vendor=1,other=2\r\nContent-Length: 300\r\n\r\n"
    ),
    response_head=b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n",
    request_body=b"",
    response_body=b"x" * 42,
    method="POST",
    path="/v2/models/iris/versions/3/infer?x=1",
    operation="predict",
    protocol="open_inference_v2",
    model_name="iris",
    model_version="3",
    status=200,
    error_type="",
    start=START,
    duration=9_000_000,
    time_to_first_byte=7_000_000,
    queue_wait=1_000_000,
    client_wait=0,
    request_size=450,
    response_size=80,
    request_captured=False,
    response_captured=True,
    request_id="r-1",
    rate=1.0,
    trace=TRACE,
)


def changed(**fields: object) -> Exchange:
    """The exchange with other fields."""
    return msgspec.structs.replace(EXCHANGE, **fields)
