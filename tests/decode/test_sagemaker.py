"""SageMaker containers: CSV, JSON and JSON lines both ways."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import mlflow, sagemaker
from tests.decode.cases import CSV, HOSTILE, ROWS, cases, expected, outcome, total
from tests.decode.exchanges import exchange

PATH = "/invocations"
MEDIA = ("text/csv", "application/json", "application/jsonlines", "text/plain", "application/x-npy")
ENVELOPES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("instances", "features", "inputs", "predictions", "score"), ROWS)
)
BODY = (
    st.binary(max_size=60)
    | CSV.map(str.encode)
    | (ROWS | ENVELOPES).map(json.dumps).map(str.encode)
    | st.lists(ROWS.map(json.dumps), max_size=3).map("\n".join).map(str.encode)
)


def heads(request: str, response: str) -> dict[str, bytes]:
    return {
        "request_head": f"POST {PATH} HTTP/1.1\r\ncontent-type: {request}\r\n\r\n".encode(),
        "response_head": f"HTTP/1.1 200 OK\r\ncontent-type: {response}\r\n\r\n".encode(),
    }


@pytest.mark.parametrize("case", cases("sagemaker"))
def test_vector(case: Path) -> None:
    """A stored exchange is SageMaker's, with MLflow asked first, and gives the stored outcome."""
    np.testing.assert_equal(outcome(case, mlflow, sagemaker), expected(case))


@pytest.mark.parametrize("case", cases("sagemaker"))
def test_alone(case: Path) -> None:
    """The dialect needs no other one in the tuple."""
    np.testing.assert_equal(outcome(case, sagemaker), expected(case))


@given(request=BODY, response=BODY, media=st.tuples(st.sampled_from(MEDIA), st.sampled_from(MEDIA)))
@settings(max_examples=90)
def test_any_body(request: bytes, response: bytes, media: tuple[str, str]) -> None:
    """Any bodies under any media types give an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, request, response, **heads(*media)), sagemaker)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values end in bounded work."""
    for form in (b"%s", b'{"features":%s}', b'{"instances":%s}'):
        total(exchange(PATH, form % value, value), sagemaker)


@pytest.mark.parametrize("body", [b"1\n" * 20_000, b"1," * 4000, b"a,b\n" * 10_000, b'"' + b"x," * 50_000])
def test_hostile_csv(body: bytes) -> None:
    """Long, wide and unclosed CSV ends in bounded work."""
    media: Any = heads("text/csv", "text/csv")
    total(exchange(PATH, body, body, **media), sagemaker)
