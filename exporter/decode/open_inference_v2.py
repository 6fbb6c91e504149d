"""Open Inference Protocol V2, JSON: POST /v2/models/{name}[/versions/{version}]/infer, named typed tensors.

Which paths are this dialect's is the route table's knowledge. Tensors outside the JSON (binary extension,
shared memory) are refused here by a reason of their own.
"""

from typing import Any

from exporter.decode.columns import MAX_COLUMNS, Role, checked
from exporter.decode.payload import identifier, parse_object, required, text
from exporter.decode.tensors import tensor_columns
from exporter.records.exchange import Exchange
from exporter.records.observation import Column, Observation, Undecodable

NAME = "open_inference_v2"
_BINARY = b"\r\ninference-header-content-length:"


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of each output belongs to row n of each input. Raises Undecodable."""
    if _BINARY in exchange.request_head.lower() or _BINARY in exchange.response_head.lower():
        raise Undecodable("binary_tensors")
    request = parse_object(exchange.request_body)
    response = parse_object(exchange.response_body)
    rows, inputs = _tensors(required(request, "inputs", list), "input")
    answered, outputs = _tensors(required(response, "outputs", list), "output")
    if rows != answered:
        raise Undecodable("rows_differ")
    return Observation(
        protocol=NAME,
        rows=rows,
        inputs=inputs,
        outputs=outputs,
        model_name=text(response.get("model_name")),
        model_version=text(response.get("model_version")),
        # The server has to echo the caller's id; one that does not still leaves the caller's usable as a key.
        request_id=identifier(response.get("id")) or identifier(request.get("id")),
    )


def _tensors(tensors: list[Any], role: Role) -> tuple[int, tuple[Column, ...]]:
    if not tensors:
        raise Undecodable("missing_field")
    if len(tensors) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    columns: list[Column] = []
    rows = set()
    for tensor in tensors:
        count, more = _tensor(tensor, role)
        rows.add(count)
        columns += more
    if len(rows) != 1:
        raise Undecodable("rows_differ")
    return rows.pop(), checked(columns)


def _tensor(tensor: Any, role: Role) -> tuple[int, list[Column]]:
    if type(tensor) is not dict:
        raise Undecodable("wrong_type")
    name = required(tensor, "name", str)
    if not name:
        raise Undecodable("bad_name")
    if tensor.get("data") is None:
        _refuse_elsewhere(tensor.get("parameters"))
    return tensor_columns(
        name,
        required(tensor, "datatype", str),
        required(tensor, "shape", list),
        required(tensor, "data", list),
        role,
    )


def _refuse_elsewhere(parameters: Any) -> None:
    if type(parameters) is dict:
        if "binary_data_size" in parameters:
            raise Undecodable("binary_tensors")
        if "shared_memory_region" in parameters:
            raise Undecodable("shared_memory")
