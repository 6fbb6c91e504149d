"""Both protocols' bodies: every form gives the same rows, and a bad body says where it is wrong."""

import json
from typing import Any

import numpy as np
import pytest

from exporter.demo import traffic
from exporter.demo.data import FEATURES
from exporter.demo.protocols import BadRequest, answer_v1, answer_v2, read_v1, read_v2

ROWS = np.random.default_rng(3).normal(size=(3, 8)).tolist()


@pytest.mark.parametrize("form", [traffic.v2_named, traffic.v2_nested, traffic.v2_dense])
def test_v2_forms_give_the_same_rows(form: Any) -> None:
    """Named, nested and dense tensors all give the rows that were sent, and the id."""
    request = read_v2(json.dumps(form(ROWS, "42")).encode(), FEATURES)
    assert (request.rows.tolist(), request.id) == (ROWS, "42")


def test_v2_columns_come_in_any_order() -> None:
    """Named columns are put in the model's order, whatever order they came in."""
    document = traffic.v2_named(ROWS, "")
    document["inputs"].reverse()
    assert read_v2(json.dumps(document).encode(), FEATURES).rows.tolist() == ROWS


@pytest.mark.parametrize("form", [traffic.v1_objects, traffic.v1_lists])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_v1_forms_give_the_same_rows(form: Any, key: str) -> None:
    """Rows as objects or lists, under either key, give the rows that were sent."""
    body = {key: form(ROWS, "")["instances"]}
    assert read_v1(json.dumps(body).encode(), FEATURES).tolist() == ROWS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "body: not JSON"),
        (b"[]", "body: expected a JSON object"),
        (b"{}", "inputs: expected"),
        (b'{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}]}', "datatype"),
        (b'{"inputs":[{"name":"x","shape":[2,8],"datatype":"FP64","data":[1]}]}', "found 1"),
        (b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,2,3]}]}', r"\[n, 8\]"),
        (b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP64","data":[NaN]}]}', "finite"),
        (b'{"inputs":[{"name":"MedInc","shape":[1],"datatype":"FP64","data":[1]}]}', "missing columns"),
    ],
)
def test_a_bad_v2_body_says_where(body: bytes, message: str) -> None:
    """A V2 body that cannot be served is refused with the place and what was expected."""
    with pytest.raises(BadRequest, match=message):
        read_v2(body, FEATURES)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "exactly one"),
        (b'{"instances":[[1]],"inputs":[[1]]}', "exactly one"),
        (b'{"instances":[]}', "non-empty"),
        (b'{"instances":[[1,2]]}', r"instances\[0\]"),
        (b'{"instances":[{"MedInc":1}]}', "missing columns"),
        (b'{"instances":[[1,2,3,4,5,6,7,"a"]]}', "numbers"),
    ],
)
def test_a_bad_v1_body_says_where(body: bytes, message: str) -> None:
    """A V1 body that cannot be served is refused with the place and what was expected."""
    with pytest.raises(BadRequest, match=message):
        read_v1(body, FEATURES)


def test_both_answers_name_the_same_outputs() -> None:
    """The client reads the same probabilities from both protocols' answers; the V2 id is echoed."""
    outputs = np.array([0.25, 0.75]), np.array([0, 1])
    request = read_v2(json.dumps(traffic.v2_named(ROWS, "7")).encode(), FEATURES)
    second = answer_v2(request, "housing", "1", outputs)
    assert second["id"] == "7"
    assert traffic.read_v2(second) == traffic.read_v1(answer_v1(outputs)) == [0.25, 0.75]
