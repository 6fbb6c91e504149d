"""Seldon v1 messages."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import seldon_v1
from tests.decode.cases import HOSTILE, JSON, ROWS, cases, expected, outcome, total
from tests.decode.exchanges import exchange

PATH = "/api/v1.0/predictions"
NAMES = st.lists(st.sampled_from(["a", "b", "", "n" * 300]), max_size=3) | JSON
TENSOR = st.fixed_dictionaries(
    {
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
        "values": st.lists(st.floats(), max_size=6) | JSON,
    }
)
DATA = st.fixed_dictionaries({}, optional={"names": NAMES, "ndarray": ROWS, "tensor": TENSOR | JSON})
META = st.fixed_dictionaries(
    {},
    optional={
        "puid": JSON,
        "requestPath": st.dictionaries(st.text("ab", max_size=3), st.text("ab:/@", max_size=9)) | JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {}, optional={"data": DATA | JSON, "jsonData": JSON, "strData": JSON, "meta": META | JSON, "status": JSON}
)


@pytest.mark.parametrize("case", cases("seldon_v1"))
def test_vector(case: Path) -> None:
    """A stored exchange gives the stored outcome."""
    np.testing.assert_equal(outcome(case, seldon_v1), expected(case))


@given(request=MESSAGE, response=MESSAGE)
@settings(max_examples=80)
def test_any_message(request: Any, response: Any) -> None:
    """Any JSON near the messages gives an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, json.dumps(request).encode(), json.dumps(response).encode()), seldon_v1)


@given(request=st.binary(max_size=40), response=st.binary(max_size=40))
@settings(max_examples=20)
def test_any_bytes(request: bytes, response: bytes) -> None:
    """Any bytes give an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, request, response), seldon_v1)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values end in bounded work."""
    tensor = b'{"data":{"names":["a"],"tensor":{"shape":[1000000000,1000000000],"values":%s}}}'
    for form in (
        b'{"data":{"ndarray":%s}}',
        b'{"data":{"names":%s,"ndarray":[[1]]}}',
        b'{"jsonData":%s}',
        tensor,
    ):
        total(exchange(PATH, form % value, form % value), seldon_v1)
