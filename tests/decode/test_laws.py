"""The laws of decoding over every dialect: any bytes end in an Observation or a known reason, in bounded work."""

import json
import random
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import DIALECTS, observe
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable
from tests.decode.laws import Vector, alone, check, counted, mutant, size, vectors

VECTORS = vectors()
NAMES = [dialect.NAME for dialect in DIALECTS]
BY_DIALECT = {name: [vector for vector in VECTORS if vector.dialect == name] for name in NAMES}
GOOD = {name: next(vector for vector in BY_DIALECT[name] if vector.good) for name in NAMES}
DIALECT = pytest.mark.parametrize("name", NAMES)
MUTANTS = 5
# Dialects whose values lie in formats that say how many they are; of a CSV nobody can tell.
SIZED = ("open_inference_v2", "kserve_v1", "tensorflow_serving")
# Peak of memory by byte of body, and what it takes in any case. JSON in Python takes this much.
MEMORY_BY_BYTE, MEMORY_ALWAYS = 80, 2 << 20

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def with_bodies(vector: Vector, request: bytes, response: bytes) -> Exchange:
    return msgspec.structs.replace(vector.exchange, request_body=request, response_body=response)


@DIALECT
def test_vectors_keep_the_laws(name: str) -> None:
    """What is stored is decoded within the bound on calls, and as its expectation says good or refused."""
    for vector in BY_DIALECT[name]:
        assert isinstance(check(vector.exchange), Observation) is vector.good, vector.name
        counted(vector.exchange)


@DIALECT
def test_mutants_keep_the_laws(name: str) -> None:
    """A few changes to a stored exchange, anywhere in it, raise nothing but a known reason and cost nothing more."""
    for number, vector in enumerate(BY_DIALECT[name]):
        for seed in range(MUTANTS):
            one = mutant(vector, VECTORS, random.Random(1000 * number + seed))
            check(one)
            counted(one)


@given(vector=st.sampled_from(VECTORS), request=st.binary(max_size=200), response=st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes(vector: Vector, request: bytes, response: bytes) -> None:
    """Any bytes behind the heads of any dialect."""
    check(with_bodies(vector, request, response))


@given(vector=st.sampled_from([vector for vector in VECTORS if vector.good]), data=st.data())
@settings(max_examples=200)
def test_any_json_in_any_field(vector: Vector, data: st.DataObject) -> None:
    """Any JSON in the place of any field of a good message."""
    try:
        request = json.loads(vector.exchange.request_body)
    except ValueError:
        request = None
    value = data.draw(JSON)
    if isinstance(request, dict) and request:
        request[data.draw(st.sampled_from(sorted(request)))] = value
    else:
        request = value
    check(with_bodies(vector, json.dumps(request).encode(), vector.exchange.response_body))


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v.good and v.dialect in SIZED], ids=lambda v: v.name
)
def test_nothing_is_read_of_a_part(vector: Vector) -> None:
    """A body that was cut anywhere is refused: it is no shorter array."""
    dice = random.Random(vector.name)
    for side in ("request_body", "response_body"):
        body: bytes = getattr(vector.exchange, side)
        for cut in {0, 1, len(body) // 2, len(body) - 1, *(dice.randrange(len(body)) for _ in range(8))}:
            part = msgspec.structs.replace(vector.exchange, **{side: body[:cut]})
            with pytest.raises(Undecodable):
                observe(part)


def wide(pattern: bytes, count: int, start: bytes = b"[", end: bytes = b"]") -> bytes:
    return start + b",".join([pattern] * count) + end


SHAPES = {
    "deep": b"[" * 60_000,
    "deep and closed": b"[" * 20_000 + b"]" * 20_000,
    "deep in the slow parser": b"[" * 900 + b"NaN" + b"]" * 900,
    "empty lists": wide(b"[]", 20_000),
    "empty objects": wide(b"{}", 20_000),
    "objects": wide(b'{"a":1}', 8000),
    "sparse objects": b"[" + b"{}," * 10_000 + b'{"a":1}]',
    "ragged": b"[[" + b"1," * 63 + b"1]," + b"[]," * 10_000 + b"[]]",
    "ragged below": b"[" + b",".join(b"[[1],[%s]]" % b",".join([b"[]"] * 60) for _ in range(60)) + b"]",
    "columns": b"[{" + b",".join(b'"k%d":1' % index for index in range(6000)) + b"}]",
    "tensors": b"{" + b",".join(b'"k%d":[1]' % index for index in range(6000)) + b"}",
    "objects below": b"[{" + b",".join(b'"k%d":{"a":1}' % index for index in range(2000)) + b"}]",
    "one row": b"[" + wide(b"1", 30_000) + b"]",
    "one column": wide(b"1", 30_000),
    "digits": b"9" * 60_000,
    "many digits": wide(b"9" * 4000, 14) + b" NaN",
    "texts": wide(b'"a\xc3\xa9"', 8000),
    "long text": b'"' + b"x" * 60_000 + b'"',
    "surrogates": wide(b'"\\ud800"', 6000),
}


@DIALECT
@pytest.mark.parametrize("shape", SHAPES)
def test_hostile_shapes_cost_what_they_weigh(name: str, shape: str) -> None:
    """Deep, sparse, wide and huge values in any field take memory in proportion to their bytes."""
    vector = GOOD[name]
    for one in (*replaced(vector, SHAPES[shape]), with_bodies(vector, SHAPES[shape], SHAPES[shape])):
        tracemalloc.start()
        try:
            check(one)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= MEMORY_BY_BYTE * size(one) + MEMORY_ALWAYS


def replaced(vector: Vector, value: bytes) -> list[Exchange]:
    """The vector with its first field replaced in both bodies, where they are JSON objects."""
    bodies: list[bytes] = []
    for body in (vector.exchange.request_body, vector.exchange.response_body):
        try:
            fields: Any = json.loads(body)
        except ValueError:
            return []
        if not isinstance(fields, dict) or not fields:
            return []
        key = next((key for key in fields if isinstance(fields[key], list | dict)), next(iter(fields)))
        bodies.append(json.dumps(fields | {key: "HERE"}).encode().replace(b'"HERE"', value))
    return [with_bodies(vector, *bodies)]


TENSOR = b'{"%s":[{"name":"x","shape":[1],"datatype":"FP32","data":%s}]}'


@pytest.mark.parametrize("shape", SHAPES)
def test_hostile_tensors_cost_what_they_weigh(shape: str) -> None:
    """The same as the data of a tensor, which has readings of its own."""
    value = SHAPES[shape]
    one = with_bodies(GOOD["open_inference_v2"], TENSOR % (b"inputs", value), TENSOR % (b"outputs", value))
    tracemalloc.start()
    try:
        check(one)
        assert tracemalloc.get_traced_memory()[1] <= MEMORY_BY_BYTE * size(one) + MEMORY_ALWAYS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.good], ids=lambda v: f"{v.dialect}-{v.name}")
def test_a_request_says_the_same_without_its_answer(vector: Vector) -> None:
    """Read alone it has the rows and the columns that it has beside its answer, or it is not read."""
    found, read = observe(vector.exchange), alone(vector.exchange)
    if read is None:
        return
    assert read.rows == found.rows
    assert read.protocol in (
        found.protocol,
        vector.exchange.protocol,
    )  # an answer may tell more than the path
    assert [(one.name, one.kind, one.nulls, one.absent) for one in read.inputs] == [
        (one.name, one.kind, one.nulls, one.absent) for one in found.inputs
    ]
    for mine, other in zip(read.inputs, found.inputs, strict=True):
        np.testing.assert_equal(mine.values.tolist(), other.values.tolist())
