"""Exchanges for hypothesis and by hand."""

from typing import Any

from hypothesis import strategies as st

from exporter.records.exchange import ERROR_TYPES, Exchange, Trace

PLAIN = Exchange(
    b"POST /v2/models/iris/infer HTTP/1.1\r\nx-request-id: one\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    *(b"{}", b"[]", "POST", "/v2/models/iris/infer", "predict", "open_inference_v2", "iris", "1", 200, ""),
    *(1_700_000_000_000_000_000, 5_000_000, 4_000_000, 0, 0, 60, 21, True, True, "one", 1.0),
)


def exchange(**changes: Any) -> Exchange:
    """The plain one with changes."""
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}
    return Exchange(**(fields | changes))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_NUMBER = st.integers(0, (1 << 63) - 1)
_HEX = st.text("0123456789abcdef", min_size=16, max_size=16)
EXCHANGES = st.builds(
    Exchange,
    request_head=st.binary(max_size=50),
    response_head=st.binary(max_size=50),
    request_body=st.binary(max_size=50),
    response_body=st.binary(max_size=50),
    **dict.fromkeys(("method", "path", "operation", "protocol", "model_name", "model_version"), _TEXT),
    status=st.integers(0, 999),
    error_type=st.sampled_from(["", *ERROR_TYPES]),
    **dict.fromkeys(("start", "duration", "time_to_first_byte", "queue_wait", "client_wait"), _NUMBER),
    **dict.fromkeys(("request_size", "response_size"), _NUMBER),
    request_captured=st.booleans(),
    response_captured=st.booleans(),
    request_id=_TEXT,
    rate=st.floats(0, 1),
    trace=st.none() | st.builds(Trace, _HEX.map(lambda text: text * 2), _HEX, st.just("") | _HEX),
    peer=st.ip_addresses().map(str),
)
