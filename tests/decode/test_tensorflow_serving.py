"""TensorFlow Serving: whose an exchange on the shared path is, and what belongs to which row."""

import json
from typing import Any

import numpy as np
import pytest

from exporter.decode import observe
from exporter.decode.columns import MAX_COLUMNS
from exporter.records.observation import Observation, Undecodable
from tests.decode.exchanges import V1_PATH, exchange


def seen(path: str, request: Any, response: Any) -> Observation:
    return observe(exchange(path, json.dumps(request).encode(), json.dumps(response).encode()))


@pytest.mark.parametrize(
    ("path", "request_", "response", "protocol"),
    [
        (V1_PATH, {"instances": [1]}, {"predictions": [1]}, "kserve_v1"),
        (V1_PATH, {"inputs": [1]}, {"predictions": [1]}, "kserve_v1"),
        (V1_PATH, {"inputs": [1]}, {"outputs": [1]}, "tensorflow_serving"),
        (V1_PATH, {"instances": [1], "signature_name": "s"}, {"predictions": [1]}, "tensorflow_serving"),
        ("/v1/models/m/versions/1:predict", {"instances": [1]}, {"predictions": [1]}, "tensorflow_serving"),
        ("/v1/models/m/labels/a:predict", {"instances": [1]}, {"predictions": [1]}, "tensorflow_serving"),
        ("/v1/models/m:regress", {"examples": [{"a": 1}]}, {"results": [1]}, "tensorflow_serving"),
        ("/v1/models/m:classify", {"examples": [{"a": 1}]}, {"results": [[["a", 1]]]}, "tensorflow_serving"),
    ],
)
def test_whose_it_is(path: str, request_: Any, response: Any, protocol: str) -> None:
    """What only TensorFlow Serving says is its own; what both would say is KServe's, which the route table says."""
    found = seen(path, request_, response)
    assert (found.protocol, found.rows) == (protocol, 1)


def test_context_costs_nothing_by_row() -> None:
    """The features of a context stand in every row without being written there."""
    found = seen(
        "/v1/models/m:regress",
        {"context": {"a": 1.5, "b": None}, "examples": [{"x": 1}] * 5000},
        {"results": [0.5] * 5000},
    )
    _, a, b = found.inputs
    assert (a.values.strides, a.values.shape, a.nulls) == ((0,), (5000,), 0)
    assert set(a.values.tolist()) == {1.5}
    assert (b.nulls, bool(np.isnan(b.values).all())) == (5000, True)


def test_context_is_bounded() -> None:
    """Many features in common times many rows is no more than many features."""
    context = {f"k{index}": 1 for index in range(MAX_COLUMNS + 1)}
    with pytest.raises(Undecodable, match="too_many_columns"):
        seen("/v1/models/m:regress", {"context": context, "examples": [{}] * 1000}, {"results": [0.5] * 1000})


def test_tensors_are_bounded() -> None:
    """So are named tensors, and before any is looked at."""
    tensors = {f"k{index}": [1] for index in range(MAX_COLUMNS + 1)}
    for request, response in (
        ({"inputs": tensors}, {"outputs": [1]}),
        ({"inputs": [1]}, {"outputs": tensors}),
    ):
        with pytest.raises(Undecodable, match="too_many_columns"):
            seen(V1_PATH, request, response)


def test_regression_is_numeric_always() -> None:
    """Whole numbers that a regression answers are no classes."""
    (column,) = seen("/v1/models/m:regress", {"examples": [{"a": 1}] * 2}, {"results": [1, 2]}).outputs
    assert (column.kind, column.values.tolist()) == ("numeric", [1.0, 2.0])


@pytest.mark.parametrize(
    ("operation", "results", "task"),
    [
        ("regress", [0.5], "regression"),
        ("classify", [[["a", 0.9], ["b", 0.1]]], "binary"),
        ("classify", [[["a", 0.8], ["b", 0.1], ["c", 0.1]]], "multiclass"),
        ("classify", [[["", 0.9], ["", 0.1]]], "binary"),
        ("classify", [[]], ""),
    ],
)
def test_task_of_the_signature(operation: str, results: list[Any], task: str) -> None:
    """What was asked for says what the outputs are; a prediction says nothing about it."""
    path = f"/v1/models/m:{operation}"
    assert seen(path, {"examples": [{"a": 1}]}, {"results": results}).task == task
    assert seen(V1_PATH, {"inputs": [1]}, {"outputs": [1]}).task == ""


def test_results_beyond_float64() -> None:
    """A score or a value beyond float64 is refused, whichever parser read it."""
    huge = b"9" * 400
    for path, answer in (("regress", b"[%s,NaN]"), ("classify", b'[[["a",%s]],[["b",NaN]]]')):
        body = b'{"results":' + answer % huge + b"}"
        with pytest.raises(Undecodable, match="number_range"):
            observe(exchange(f"/v1/models/m:{path}", b'{"examples":[{"a":1},{"a":1}]}', body))
