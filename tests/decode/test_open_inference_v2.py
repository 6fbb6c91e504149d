"""Open Inference V2: binary tensors and JSON say the same, nothing is copied, both readings of JSON agree."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import observe
from exporter.decode import open_inference_v2 as dialect
from exporter.decode.payload import MAX_CONTAINERS
from exporter.decode.tensors import DTYPES
from exporter.records.exchange import Exchange
from exporter.records.observation import Column, Observation, Undecodable
from tests.decode.exchanges import V2_PATH, exchange
from tests.decode.laws import vectors

NUMBERS = {
    "BOOL": st.booleans(),
    **{f"UINT{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": st.floats(width=bits) for bits in (16, 32, 64)},
    "BYTES": st.text(max_size=6),
}
BODY = b'{"outputs":[{"name":"y","shape":[%d],"datatype":"FP64","data":%s}]}'


def field(length: int) -> bytes:
    return b"X\r\nINFERENCE-HEADER-Content-Length: %d\r\n\r\n" % length


def raw_of(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in values)
    return np.array(values, DTYPES[datatype]).tobytes()


def tensor(name: str, datatype: str, shape: list[int], **rest: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, **rest}


def binary(tensors: list[dict[str, Any]], raws: list[bytes], key: str = "inputs") -> tuple[bytes, bytes]:
    """(head, body) of a message whose tensors all lie behind the JSON."""
    sized = [
        one | {"parameters": {"binary_data_size": len(raw)}} for one, raw in zip(tensors, raws, strict=True)
    ]
    text = json.dumps({key: sized}).encode()
    return field(len(text)), text + b"".join(raws)


def answer(rows: int) -> bytes:
    return BODY % (rows, json.dumps([0.5] * rows).encode())


def asked(head: bytes, body: bytes, rows: int) -> Exchange:
    return exchange(V2_PATH, body, answer(rows), request_head=head)


def alike(one: tuple[Column, ...], other: tuple[Column, ...]) -> None:
    assert [(c.name, c.kind, c.nulls) for c in one] == [(c.name, c.kind, c.nulls) for c in other]
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.values, right.values)


@given(
    data=st.data(), datatype=st.sampled_from(sorted(NUMBERS)), rows=st.integers(0, 4), width=st.integers(1, 3)
)
@settings(max_examples=200)
def test_binary_says_what_json_says(data: st.DataObject, datatype: str, rows: int, width: int) -> None:
    """The same tensor gives the same columns either way, on the way in and on the way out."""
    size = rows * width
    values = data.draw(st.lists(NUMBERS[datatype], min_size=size, max_size=size))
    one = tensor("t", datatype, [rows, width])
    head, body = binary([one], [raw_of(datatype, values)])
    plain = json.dumps({"inputs": [one | {"data": values}]}).encode()
    alike(observe(asked(head, body, rows)).inputs, observe(asked(b"", plain, rows)).inputs)
    given_ = json.dumps({"inputs": [tensor("x", "FP64", [rows], data=[0.5] * rows)]}).encode()
    head, body = binary([one], [raw_of(datatype, values)], "outputs")
    coded = exchange(V2_PATH, given_, body, response_head=head)
    told = exchange(V2_PATH, given_, plain.replace(b'"inputs"', b'"outputs"', 1))
    alike(observe(coded).outputs, observe(told).outputs)


@pytest.mark.parametrize(("datatype", "code"), [("FP32", "<f4"), ("FP64", "<f8")])
@pytest.mark.parametrize("name", ["x", "xy", "xyz", "xyzz"])
def test_floats_are_views_of_the_body(datatype: str, code: str, name: str) -> None:
    """No float of a binary tensor is copied, whatever place the JSON leaves it at."""
    values = np.arange(3 * 1000, dtype=code)
    head, body = binary([tensor(name, datatype, [1000, 3])], [values.tobytes()])
    found = observe(asked(head, body, 1000))
    whole = np.frombuffer(body, np.uint8)
    for at, column in enumerate(found.inputs):
        assert np.shares_memory(column.values, whole)
        assert column.values.dtype == code
        assert column.values.tolist() == list(range(at, 3000, 3))


def test_bfloat16() -> None:
    """BF16 is the upper half of an FP32; values that it can hold come back exactly."""
    values = np.array([1.5, -2.0, 0.0, 2.0**100, math.inf, math.nan], "<f4")
    head, body = binary([tensor("x", "BF16", [6])], [(values.view("<u4") >> 16).astype("<u2").tobytes()])
    (column,) = observe(asked(head, body, 6)).inputs
    assert column.values.dtype == np.float32
    np.testing.assert_array_equal(column.values, values)


def test_a_tensor_of_blanks() -> None:
    """Bytes that JSON takes for blanks behind it are a tensor all the same."""
    head, body = binary([tensor("x", "UINT8", [4])], [b" \n\t\r"])
    assert observe(asked(head, body, 4)).inputs[0].values.tolist() == [32, 10, 9, 13]


def test_brackets_of_a_large_tensor_are_no_lists() -> None:
    """Only the JSON is asked how many lists and objects it holds."""
    raw = b"[" * (3 * MAX_CONTAINERS)
    head, body = binary([tensor("x", "UINT8", [1, len(raw)])], [raw])
    assert observe(asked(head, body, 1)).rows == 1
    text = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":%s}]}' % raw
    with pytest.raises(Undecodable, match="too_many_values"):
        observe(asked(b"", text, 1))


def test_what_is_read_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Good messages without bare tokens are read once, by the typed reader: the other one is several times slower."""

    def other(body: bytes) -> dict[str, Any]:
        raise AssertionError(f"read again: {body!r}")

    monkeypatch.setattr(dialect, "parse_object", other)
    bare = (b"NaN", b"Infinity")
    good = [vector for vector in vectors() if vector.good and vector.dialect == dialect.NAME]
    for vector in good:
        bodies = vector.exchange.request_body + vector.exchange.response_body
        if not any(token in bodies for token in bare):
            observe(vector.exchange)
    assert len(good) > 20


def test_both_readers_agree() -> None:
    """A bare token where nobody looks sends a message to the other reader, which says the same."""
    for vector in vectors():
        request = vector.exchange.request_body
        plain = request.startswith(b"{") and b"inference-header" not in vector.exchange.request_head.lower()
        if vector.dialect == dialect.NAME and plain:
            again = b'{"unread":NaN,' + request[1:]
            compare(vector.exchange, msgspec.structs.replace(vector.exchange, request_body=again))


def outcome(one: Exchange) -> Observation | str:
    try:
        return observe(one)
    except Undecodable as refusal:
        return refusal.reason


def compare(one: Exchange, other: Exchange) -> None:
    left, right = outcome(one), outcome(other)
    if isinstance(left, str) or isinstance(right, str):
        assert left == right
        return
    alike(left.inputs, right.inputs)
    alike(left.outputs, right.outputs)
    assert (left.rows, left.request_id, left.model_name) == (right.rows, right.request_id, right.model_name)


@pytest.mark.parametrize("told", [b"9" * 30, b"1_0", b" ", b"0x10", b"+5", b"5, 5", b"\xd9\xa3"])
def test_length_that_is_none(told: bytes) -> None:
    """What is no decimal number of bytes within the body is no length."""
    _, body = binary([tensor("x", "FP32", [1])], [b"\0\0\0\0"])
    one = asked(b"X\r\ninference-header-content-length:" + told + b"\r\n\r\n", body, 1)
    assert outcome(one) in ("binary_mismatch", "not_json")
