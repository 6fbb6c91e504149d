"""The frame: what it refuses before a dialect sees anything, and that nothing but Undecodable comes out."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import DIALECTS, REASONS, observe
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable
from tests.decode.exchanges import V1_PATH, V2_PATH, exchange

GOOD = exchange(V1_PATH, b'{"instances":[1]}', b'{"predictions":[2]}')


def reason(one: Exchange, dialects: Any = DIALECTS) -> str:
    with pytest.raises(Undecodable) as refusal:
        observe(one, dialects)
    assert refusal.value.reason in REASONS
    return refusal.value.reason


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_captured": False}, "not_captured"),
        ({"response_captured": False}, "not_captured"),
        ({"request_head": b"POST / HTTP/1.1\r\nContent-Encoding: br\r\n\r\n"}, "content_coding"),
        ({"response_head": b"HTTP/1.1 200 OK\r\ncontent-encoding:zstd\r\n\r\n"}, "content_coding"),
        ({"response_head": b"HTTP/1.1 200 OK\r\ncontent-encoding: iden"}, "content_coding"),
        ({"status": 301}, "not_2xx"),
        ({"status": 199}, "not_2xx"),
        ({"status": 0}, "not_2xx"),
        ({"protocol": "openai"}, "no_dialect"),
        ({"operation": "metadata"}, "no_dialect"),
    ],
)
def test_refused_before_decode(changes: dict[str, Any], expected: str) -> None:
    """What no dialect should see is refused by the frame, by its own reason."""
    arguments = {name: getattr(GOOD, name) for name in GOOD.__struct_fields__} | changes
    assert reason(Exchange(**arguments)) == expected


def test_identity_coding_is_no_coding() -> None:
    """A body that says `identity` is decoded."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n"
    assert observe(exchange(V1_PATH, GOOD.request_body, GOOD.response_body, response_head=head)).rows == 1


def test_first_claim_decides() -> None:
    """The first dialect in the tuple that claims an exchange decodes it; the others are not asked."""
    mine = Observation("mine", 3, (), ())
    dialect = SimpleNamespace(NAME="mine", claims=lambda _: True, decode=lambda _: mine)
    assert observe(GOOD, (dialect, *DIALECTS)) is mine
    assert observe(GOOD, (*DIALECTS, dialect)).protocol == "kserve_v1"


def test_no_dialects() -> None:
    """Without dialects every exchange is refused."""
    assert reason(GOOD, ()) == "no_dialect"


def total(path: str, request: bytes, response: bytes) -> None:
    try:
        found = observe(exchange(path, request, response))
    except Undecodable as refusal:
        assert refusal.reason in REASONS
        return
    for column in (*found.inputs, *found.outputs):
        assert column.values.shape == (found.rows,)
        assert 0 < len(column.name) <= 128
        assert 0 <= column.nulls <= found.rows
        if column.kind == "numeric":
            assert column.values.dtype == float
        else:
            assert all(value is None or type(value) is str for value in column.values)
            assert sum(value is None for value in column.values) == column.nulls


PATHS = st.sampled_from((V1_PATH, V2_PATH))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("a", "b", "", "n" * 300)) | JSON,
        "shape": st.lists(st.integers(-1, 4), max_size=4) | JSON,
        "datatype": st.sampled_from(("FP32", "INT64", "BOOL", "BYTES", "BF16", "X")) | JSON,
        "data": st.lists(SCALARS, max_size=8) | JSON,
        "parameters": JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "instances": JSON,
        "inputs": st.lists(TENSOR, max_size=3) | JSON,
        "outputs": st.lists(TENSOR, max_size=3) | JSON,
        "predictions": JSON,
        "id": JSON,
        "model_name": JSON,
        "model_version": JSON,
    },
)


@given(path=PATHS, request=st.binary(max_size=200), response=st.binary(max_size=200))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_any_bytes(path: str, request: bytes, response: bytes) -> None:
    """Any bytes give an Observation that keeps its contract, or a known reason."""
    total(path, request, response)


@given(path=PATHS, request=MESSAGE, response=MESSAGE, lines=st.sampled_from((None, 1)))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_json(path: str, request: Any, response: Any, lines: int | None) -> None:
    """Any JSON near the dialects' messages gives an Observation that keeps it, or a known reason."""
    total(path, json.dumps(request, indent=lines).encode(), json.dumps(response).encode())


@given(rows=st.lists(JSON, min_size=1, max_size=6))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_rows(rows: list[Any]) -> None:
    """Any rows, the same as instances and as predictions, keep the contract."""
    total(V1_PATH, json.dumps({"instances": rows}).encode(), json.dumps({"predictions": rows}).encode())


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b"[" * 900 + b"NaN" + b"]" * 900,
        b"[" * 100_000 + b"NaN",
        b'{"a":' * 900 + b"NaN" + b"}" * 900,
        b"9" * 5000 + b",NaN",
        b"[" + b"{}," * 50_000 + b'{"a":1}]',
        b"[[" + b"1," * 63 + b"1]," + b"[]," * 50_000 + b"[]]",
        b"[{" + b",".join(b'"k%d":1' % index for index in range(20_000)) + b"}]",
        b"[" + b",".join(b"[[1],[%s]]" % b",".join([b"[]"] * 60) for _ in range(300)) + b"]",
        b"[" + b'"\\u0000",' * 10_000 + b'"' + b"x" * 100_000 + b'"]',
    ],
    ids=lambda value: f"{value[:8]!r}…{len(value)}",
)
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse, wide and huge values end in bounded work, with nothing but Undecodable raised."""
    total(V1_PATH, b'{"instances":' + value + b"}", b'{"predictions":[1]}')
    tensor = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":' + value + b"}]}"
    total(V2_PATH, tensor, tensor.replace(b"inputs", b"outputs"))
