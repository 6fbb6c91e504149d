"""TorchServe: bodies of any kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import torchserve
from tests.decode.cases import HOSTILE, JSON, ROWS, cases, expected, outcome, total
from tests.decode.exchanges import exchange

PATH = "/predictions/resnet"
FORM = "multipart/form-data; boundary=b"
MEDIA = ("", "application/json", "text/plain", "image/png", "application/octet-stream", FORM)
SHARE = st.floats(0, 1) | st.floats() | st.integers(0, 1)
MAP = st.dictionaries(st.sampled_from(["cat", "dog", "score", "", "n" * 300]), SHARE, max_size=3)
PAIR = st.fixed_dictionaries({"label": st.text("ab", max_size=3), "score": SHARE})
ENVELOPES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("instances", "data", "body", "predictions"), ROWS)
)
PIECES = (
    b"--b",
    b"--",
    b"\r\n",
    b"\r\n\r\n",
    b'content-disposition: form-data; name="data"',
    b"GIF89a\1\0\1\0",
    b"x",
)
BODY = (
    st.binary(max_size=60)
    | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)
    | st.text('ab1.,é{}[]"', max_size=12).map(str.encode)
    | (JSON | ROWS | ENVELOPES | MAP | st.lists(MAP, max_size=3) | st.lists(PAIR, max_size=3))
    .map(json.dumps)
    .map(str.encode)
)


def heads(request: str, response: str) -> dict[str, bytes]:
    return {
        "request_head": f"POST {PATH} HTTP/1.1\r\ncontent-type: {request}\r\n\r\n".encode(),
        "response_head": f"HTTP/1.1 200 OK\r\ncontent-type: {response}\r\n\r\n".encode(),
    }


@pytest.mark.parametrize("case", cases("torchserve"))
def test_vector(case: Path) -> None:
    """A stored exchange gives the stored outcome."""
    np.testing.assert_equal(outcome(case, torchserve), expected(case))


@given(request=BODY, response=BODY, media=st.tuples(st.sampled_from(MEDIA), st.sampled_from(MEDIA)))
@settings(max_examples=100)
def test_any_body(request: bytes, response: bytes, media: tuple[str, str]) -> None:
    """Any bodies under any media types give an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, request, response, **heads(*media)), torchserve)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values end in bounded work."""
    for form in (b"%s", b'{"data":%s}', b'{"instances":%s}'):
        total(exchange(PATH, form % value, form % value), torchserve)
