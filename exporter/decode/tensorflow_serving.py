"""TensorFlow Serving's REST API: POST /v1/models/{name}[/versions/{v}|/labels/{l}]:predict, :classify, :regress.

predict   rows: {"instances": rows} -> {"predictions": rows}; columns: {"inputs": tensors} -> {"outputs": tensors},
          where tensors are one tensor without a name or an object of named ones. The first dimensions of named
          tensors may differ: the rows are the one length that both sides have, and a tensor of another length, or
          without dimensions, belongs to no row and gives no column.
classify  {"examples": [{feature: value}], "context"?: {feature: value}} -> {"results": [[[label, score], …], …]};
          the outputs are `class`, the label with the highest score, and up to MAX_VECTOR labels a `scores.<label>`
          each; or scores_0, scores_1, … where labels are empty.
regress   the same request -> {"results": [value, …]}: the output `prediction`, numeric always.

A value {"b64": …} is binary: of an image the format and size are told, of anything else nothing. The path is KServe
V1's too, and a server of its kind may answer the same; the route table cannot tell. So that dialect decodes what it is
labelled with, and hands over what `speaks` says.
"""

from itertools import chain
from math import inf, isnan
from typing import Any

import numpy as np

from exporter.decode.columns import (
    MAX_COLUMNS,
    MAX_VECTOR,
    Role,
    categorical_columns,
    checked,
    frozen,
    numeric_columns,
    row_columns,
)
from exporter.decode.payload import parse_object, required
from exporter.decode.rows import BASES, Table, either, named_columns, paired, row_table
from exporter.records.exchange import Exchange
from exporter.records.observation import Column, Columns, Observation, Undecodable

NAME = "tensorflow_serving"
_NUMBERS = frozenset({int, float})


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it: classify and regress are nobody else's."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the answer belongs to row n of the request. Raises Undecodable."""
    return read(parse_object(exchange.request_body), parse_object(exchange.response_body))


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    return read_request(parse_object(exchange.request_body))


def speaks(path: str, request: dict[str, Any], response: dict[str, Any]) -> bool:
    """Whether a request to a path that KServe V1 shares, or its answer, has what only TensorFlow Serving has."""
    return "outputs" in response or "signature_name" in request or "/versions/" in path or "/labels/" in path


def read(request: dict[str, Any], response: dict[str, Any]) -> Observation:
    """The Observation of two messages. Raises Undecodable."""
    if "examples" in request:
        outputs = _results(response)
        return paired(NAME, _examples(request), outputs, _task(outputs))
    given = either(request, "instances", "inputs")
    answered = either(response, "predictions", "outputs")
    if response.get("outputs") is not None:
        return _columnar(given, answered)
    return paired(NAME, row_table(given, "input"), row_table(answered, "output"))


def read_request(request: dict[str, Any]) -> Observation:
    """The Observation of a request alone; tensors of several lengths have as many rows as only an answer tells."""
    if "examples" in request:
        return Observation(NAME, *_examples(request), (), answered=False)
    given = either(request, "instances", "inputs")
    if request.get("inputs") is None:
        return Observation(NAME, *row_table(given, "input"), (), answered=False)
    inputs = _named(given)
    lengths = set(map(len, inputs.values()))
    if len(lengths) != 1:
        raise Undecodable("ambiguous_rows" if lengths else "missing_field")
    rows = lengths.pop()
    return Observation(NAME, rows, _of_length(inputs, rows, "input"), (), answered=False)


# ---------------------------------------------------------------- predict, by columns


def _columnar(given: Any, answered: Any) -> Observation:
    inputs, outputs = _named(given), _named(answered)
    shared = set(map(len, inputs.values())) & set(map(len, outputs.values()))
    if len(shared) != 1:
        raise Undecodable("rows_differ")
    rows = shared.pop()
    return Observation(NAME, rows, _of_length(inputs, rows, "input"), _of_length(outputs, rows, "output"))


def _named(value: Any) -> dict[str, list[Any]]:
    """Tensors by name, "" for one that has none; those without dimensions only if all are so: then of one row."""
    if type(value) is list:
        return {"": value}
    if type(value) is not dict or value.keys() == {"b64"}:
        return {"": [value]}
    if "" in value:
        raise Undecodable("bad_name")
    if len(value) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    tensors = {name: cells for name, cells in value.items() if type(cells) is list}
    return tensors or {name: [cell] for name, cell in value.items()}


def _of_length(tensors: dict[str, list[Any]], rows: int, role: Role) -> Columns:
    if "" in tensors:
        return checked(row_columns(BASES[role], tensors[""], role)) if rows else ()
    return named_columns({name: cells for name, cells in tensors.items() if len(cells) == rows}, role)


# ---------------------------------------------------------------- classify and regress


def _examples(request: dict[str, Any]) -> Table:
    examples = required(request, "examples", list)
    if not examples:
        return 0, ()
    columns = row_columns(BASES["input"], examples, "input")
    context = request.get("context")
    if type(context) is dict:
        # A feature that examples have themselves is theirs.
        own = set(chain.from_iterable(example for example in examples if type(example) is dict))
        common = {name: value for name, value in context.items() if name not in own}
        columns = *columns, *_repeated(row_columns(BASES["input"], [common], "input"), len(examples))
    return len(examples), checked(columns)


def _repeated(columns: Columns, rows: int) -> Columns:
    """The one value of each for so many rows, at no cost per row."""
    return [
        Column(
            *(column.name, column.kind, np.broadcast_to(column.values, (rows, *column.values.shape[1:]))),
            *(column.nulls * rows, column.absent * rows),
        )
        for column in columns
    ]


def _results(response: dict[str, Any]) -> Table:
    results = either(response, "results", "result")
    if type(results) is not list:
        raise Undecodable("wrong_type")
    if not results:
        return 0, ()
    kinds = set(map(type, results))
    if kinds <= _NUMBERS:
        return len(results), frozen(numeric_columns((BASES["output"],), results))
    if kinds != {list}:
        raise Undecodable("mixed_rows")
    return len(results), checked(_classified([[_scored(pair) for pair in row] for row in results]))


def _task(outputs: Table) -> str:
    """Values alone are a regression; each label's score is of one class, and two of them are all of a binary one."""
    names = [column.name for column in outputs[1]]
    if names == [BASES["output"]]:
        return "regression"
    return (
        "binary" if sum(name.startswith("scores") for name in names) == 2 else "multiclass" if names else ""
    )


def _scored(pair: Any) -> tuple[str, float]:
    if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) not in _NUMBERS:
        raise Undecodable("wrong_type")
    try:
        return pair[0], float(pair[1])
    except OverflowError as error:
        raise Undecodable("number_range") from error


def _score(pair: tuple[str, float]) -> float:
    return -inf if isnan(pair[1]) else pair[1]


def _classified(rows: list[list[tuple[str, float]]]) -> Columns:
    labels = {label for row in rows for label, _ in row}
    if labels <= {""}:  # the signature has scores only
        return row_columns("scores", [[score for _, score in row] for row in rows], "output")
    classes = categorical_columns(("class",), [max(row, key=_score)[0] if row else None for row in rows])
    if len(labels) > MAX_VECTOR:
        return classes
    objects = [dict(row) for row in rows]
    if any(len(named) != len(row) for named, row in zip(objects, rows, strict=True)):
        raise Undecodable("duplicate_column")
    return *classes, *row_columns("scores", objects, "output", 1)
