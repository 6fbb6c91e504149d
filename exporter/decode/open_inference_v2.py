"""Open Inference Protocol V2: POST /v2/models/{name}[/versions/{version}]/infer, named typed tensors.

Which paths are this dialect's is the route table's knowledge. The values of a tensor are in the JSON, or (binary
extension) behind it: the field Inference-Header-Content-Length of a head says how many bytes the JSON has, and the
tensors with `binary_data_size` follow in their order. Request and answer use it independently. Tensors in shared
memory never cross the wire; they are refused by a reason of their own, as is a binary request without any JSON.
"""

from typing import Any, Literal

import msgspec

from exporter.decode.columns import MAX_COLUMNS, Role, checked, frozen
from exporter.decode.payload import MAX_CONTAINERS, identifier, parse_object, refuse_many, required, text
from exporter.decode.tensors import binary_columns, tensor_columns
from exporter.records.exchange import Exchange, header
from exporter.records.observation import Columns, Observation, Undecodable

NAME = "open_inference_v2"
_JSON_LENGTH = b"inference-header-content-length"
_DIGITS = 18  # of that length: more are no length, and need not be read as a number
_NOTHING = memoryview(b"")
# What may be all JSON is first read as such up to this size; larger ones are more often binary.
_SHORT = MAX_CONTAINERS


class _Parameters(msgspec.Struct, gc=False):
    """Where a tensor's values are, if not in the JSON: so many bytes behind it, or in a region of shared memory."""

    binary_data_size: int | None = None
    shared_memory_region: Any = None


class _Tensor(msgspec.Struct, gc=False):
    """One tensor; `data` is None where its values are elsewhere."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: _Parameters | None = None


class _Message(msgspec.Struct, gc=False, kw_only=True):
    """What is read of a request or an answer. Typed, because what is not read is then not built either."""

    tensors: list[_Tensor]
    id: Any = None
    model_name: Any = None
    model_version: Any = None


class _Request(_Message, gc=False, kw_only=True):
    tensors: list[_Tensor] = msgspec.field(name="inputs")


class _Answer(_Message, gc=False, kw_only=True):
    tensors: list[_Tensor] = msgspec.field(name="outputs")


_requests = msgspec.json.Decoder(_Request)
_answers = msgspec.json.Decoder(_Answer)
_MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of each output belongs to row n of each input. Raises Undecodable."""
    request, behind = _read(exchange.request_head, exchange.request_body, "inputs")
    rows, inputs = _columns(request.tensors, behind, "input")
    answer, behind = _read(exchange.response_head, exchange.response_body, "outputs")
    answered, outputs = _columns(answer.tensors, behind, "output")
    if rows != answered:
        raise Undecodable("rows_differ")
    return Observation(
        NAME,
        rows,
        inputs,
        outputs,
        text(answer.model_name),
        text(answer.model_version),
        # The server has to echo the caller's id; one that does not still leaves the caller's usable as a key.
        identifier(answer.id) or identifier(request.id),
    )


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    asked, behind = _read(exchange.request_head, exchange.request_body, "inputs")
    rows, inputs = _columns(asked.tensors, behind, "input")
    return Observation(NAME, rows, inputs, (), answered=False)


def _read(head: bytes, body: bytes, key: Literal["inputs", "outputs"]) -> tuple[_Message, memoryview | None]:
    """The message, and the bytes behind its JSON; None if all its values are in the JSON."""
    decoder: msgspec.json.Decoder[_Request] | msgspec.json.Decoder[_Answer]
    decoder = _requests if key == "inputs" else _answers
    if len(body) < _SHORT:
        try:
            message = decoder.decode(body)
            if _is_whole(message.tensors):
                return message, None
        except _MALFORMED:
            pass  # not all JSON, or no JSON
    body, behind = _parts(head, body)
    try:
        return decoder.decode(body), behind
    except _MALFORMED:
        # Read again: for the reason, and because servers write what is no JSON (see `parse`).
        fields = parse_object(body)
    known = {name: fields.get(name) for name in ("id", "model_name", "model_version")}
    return _Message(tensors=_tensors(fields, key), **known), behind


def _is_whole(tensors: list[_Tensor]) -> bool:
    """Whether all values are in the JSON; then no head need be asked how long that is."""
    return not [one for one in tensors if one.data is None or _binary_size(one) is not None]


def _binary_size(tensor: _Tensor) -> int | None:
    """How many bytes behind the JSON are the tensor's; None for a tensor that has its values elsewhere."""
    return None if tensor.parameters is None else tensor.parameters.binary_data_size


def _parts(head: bytes, body: bytes) -> tuple[bytes, memoryview]:
    """The JSON of a body, within its bound, and the bytes behind it."""
    told = header(head, _JSON_LENGTH)
    behind = _NOTHING
    if told:
        if not told.isdigit() or len(told) > _DIGITS or int(told) > len(body):
            raise Undecodable("binary_mismatch")
        length = int(told)
        if not length:
            raise Undecodable("raw_tensor")
        body, behind = body[:length], memoryview(body)[length:]
    refuse_many(body)
    return body, behind


def _tensors(fields: dict[str, Any], key: str) -> list[_Tensor]:
    return [_tensor(value) for value in required(fields, key, list)]


def _tensor(fields: Any) -> _Tensor:
    if type(fields) is not dict:
        raise Undecodable("wrong_type")
    return _Tensor(
        required(fields, "name", str),
        required(fields, "datatype", str),
        required(fields, "shape", list),
        _optional(fields, "data", list),
        _parameters(fields.get("parameters")),
    )


def _parameters(fields: Any) -> _Parameters | None:
    if type(fields) is not dict:
        return None
    return _Parameters(_optional(fields, "binary_data_size", int), fields.get("shared_memory_region"))


def _optional(fields: dict[str, Any], name: str, kind: type) -> Any:
    return None if fields.get(name) is None else required(fields, name, kind)


def _columns(tensors: list[_Tensor], behind: memoryview | None, role: Role) -> tuple[int, Columns]:
    if not tensors:
        raise Undecodable("missing_field")
    if len(tensors) == 1 and behind is None:
        count, columns = _one(tensors[0], None, role)
        return count, frozen(columns)  # of distinct names, and few
    if len(tensors) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    rest = _NOTHING if behind is None else behind
    columns = []
    rows = set()
    for tensor in tensors:
        size = _binary_size(tensor)
        raw = None
        if size is not None:
            if not 0 <= size <= len(rest):
                raise Undecodable("binary_mismatch")
            raw, rest = rest[:size], rest[size:]
        count, more = _one(tensor, raw, role)
        rows.add(count)
        columns += more
    if rest:
        raise Undecodable("binary_mismatch")
    if len(rows) != 1:
        raise Undecodable("rows_differ")
    return rows.pop(), checked(columns)


def _one(tensor: _Tensor, raw: memoryview | None, role: Role) -> tuple[int, Columns]:
    """Rows and columns of one tensor; `raw` is None if its values are not behind the JSON."""
    if not tensor.name:
        raise Undecodable("bad_name")
    if raw is not None:
        if tensor.data is not None:
            raise Undecodable("ambiguous_field")
        return binary_columns(tensor.name, tensor.datatype, tensor.shape, raw, role)
    if tensor.data is None:
        shared = tensor.parameters is not None and tensor.parameters.shared_memory_region is not None
        raise Undecodable("shared_memory" if shared else "missing_field")
    return tensor_columns(tensor.name, tensor.datatype, tensor.shape, tensor.data, role)
