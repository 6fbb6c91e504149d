"""KServe V1: POST /v1/models/{name}:predict, {"instances"|"inputs": rows} -> {"predictions": rows}.

TensorFlow Serving's row and column forms are the same messages ({"outputs": ...} answers {"inputs": ...}).
Rows may be scalars, lists, nested lists or objects; objects name the columns. The body names nothing else, so
a dense input is `input` or input_0, input_1, …, whichever key it came under (the two are equivalent), and a
dense output is `prediction` or prediction_0, … The model's name is in the path only.
"""

from typing import Any

from exporter.decode.columns import Role, checked, row_columns
from exporter.decode.payload import parse_object
from exporter.records.exchange import Exchange
from exporter.records.observation import Column, Observation, Undecodable

NAME = "kserve_v1"


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the predictions belongs to instance n. Raises Undecodable."""
    request = parse_object(exchange.request_body)
    response = parse_object(exchange.response_body)
    rows, inputs = _table(_either(request, "instances", "inputs"), "input")
    answered, outputs = _table(_either(response, "predictions", "outputs"), "output")
    if rows != answered:
        raise Undecodable("rows_differ")
    return Observation(protocol=NAME, rows=rows, inputs=inputs, outputs=outputs)


def _either(fields: dict[str, Any], first: str, second: str) -> Any:
    present = [fields[name] for name in (first, second) if fields.get(name) is not None]
    if len(present) != 1:
        raise Undecodable("missing_field" if not present else "ambiguous_field")
    return present[0]


def _table(value: Any, role: Role) -> tuple[int, tuple[Column, ...]]:
    base = "input" if role == "input" else "prediction"
    if type(value) is dict and all(type(cells) is list for cells in value.values()):
        return _column_form(value, role)
    rows = value if type(value) is list else [value]
    return len(rows), checked(row_columns(base, rows, role)) if rows else ()


def _column_form(tensors: dict[str, list[Any]], role: Role) -> tuple[int, tuple[Column, ...]]:
    lengths = {len(cells) for cells in tensors.values()}
    if not lengths:
        raise Undecodable("missing_field")
    if len(lengths) > 1:
        raise Undecodable("rows_differ")
    if "" in tensors:
        raise Undecodable("bad_name")
    # Depth 1: an object among the cells belongs to the name of its tensor.
    columns = [column for name, cells in tensors.items() for column in row_columns(name, cells, role, 1)]
    return lengths.pop(), checked(columns)
