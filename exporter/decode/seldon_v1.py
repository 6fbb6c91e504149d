"""Seldon v1: POST /api/v1.0/predictions, {"data": {"names", "ndarray" | "tensor"}} or strData or jsonData, both ways.

Names belong to the columns; a single name stands for a table of any width; a flat list with a name per value is one
row. Tensors are doubles by declaration, whatever they hold. The request id is `meta.puid`. Where the answer passed
one node only, `meta.requestPath` names the model and, by the tag of its image, the version.
"""

from collections.abc import Sequence
from typing import Any, Final

from exporter.decode.columns import (
    MAX_VECTOR,
    Role,
    checked,
    numeric_columns,
    positional,
    row_columns,
    wide_column,
)
from exporter.decode.payload import identifier, parse_object, required, text
from exporter.decode.readings import Reading, agree, alone, as_rows, readings
from exporter.decode.tables import column_names, named_rows
from exporter.decode.tensors import check_shape
from exporter.records.exchange import Exchange
from exporter.records.observation import Columns, Observation, Undecodable

NAME = "seldon_v1"
_FIELDS: Final = ("data", "strData", "jsonData", "binData", "customData")
_MAX_IMAGE: Final = 1024  # characters of the reference of an image
_TABLES: Final = ("ndarray", "tensor", "tftensor")


def claims(exchange: Exchange) -> bool:
    """True for a prediction or a feedback, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation in ("predict", "feedback")


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the answer belongs to row n of the request. Raises Undecodable.

    Feedback predicts nothing: it is refused as "feedback".
    """
    if exchange.operation == "feedback":
        raise Undecodable("feedback")
    request = parse_object(exchange.request_body)
    response = parse_object(exchange.response_body)
    if _object(response, "status").get("status") in ("FAILURE", 1):
        raise Undecodable("error_answer")
    rows, (features, predictions) = agree(_message(request, "input"), _message(response, "output"))
    meta = _object(response, "meta")
    model_name, model_version = _path(meta.get("requestPath"))
    return Observation(
        protocol=NAME,
        rows=rows,
        inputs=checked(features),
        outputs=checked(predictions),
        model_name=model_name,
        model_version=model_version,
        request_id=identifier(meta.get("puid")) or identifier(_object(request, "meta").get("puid")),
    )


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    if exchange.operation == "feedback":
        raise Undecodable("feedback")
    return alone(NAME, _message(parse_object(exchange.request_body), "input"))


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if type(value) is dict else {}


def _path(nodes: Any) -> tuple[str, str]:
    """Model name and version: of a graph of several nodes neither can be told."""
    if type(nodes) is not dict or len(nodes) != 1:
        return "", ""
    ((node, image),) = nodes.items()
    # Behind the last slash: a registry has a port. What follows is a tag, or the digits of a digest.
    return text(node), text(text(image, _MAX_IMAGE).rpartition("/")[2].partition(":")[2])


def _one_of(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    present = [name for name in names if fields.get(name) is not None]
    if len(present) != 1:
        raise Undecodable("missing_field" if not present else "ambiguous_field")
    return present[0]


def _message(message: dict[str, Any], role: Role) -> Sequence[Reading]:
    base = "input" if role == "input" else "prediction"
    field = _one_of(message, _FIELDS)
    if field == "data":
        return (_table(required(message, field, dict), base, role),)
    if field == "strData":
        return (as_rows(base, [required(message, field, str)], role),)
    if field == "jsonData":
        return readings(base, message[field], role)
    raise Undecodable("opaque_body")


def _table(data: dict[str, Any], base: str, role: Role) -> Reading:
    listed = data.get("names")
    names = () if listed is None else column_names(required(data, "names", list))
    form = _one_of(data, _TABLES)
    if form == "tensor":
        return _tensor(required(data, form, dict), names, base)
    if form == "tftensor":
        raise Undecodable("opaque_body")
    rows = required(data, form, list)
    if len(names) == len(rows) > 1 and list not in map(type, rows):
        rows = [rows]
    return Reading(len(rows), lambda: _rows(rows, names, base, role))


def _rows(rows: list[Any], names: tuple[str, ...], base: str, role: Role) -> Columns:
    if not rows:
        return []
    if len(names) > 1:
        return named_rows(names, rows, role)
    return row_columns(names[0] if names else base, rows, role)


def _tensor(tensor: dict[str, Any], names: tuple[str, ...], base: str) -> Reading:
    values = required(tensor, "values", list)
    rows, width = check_shape(required(tensor, "shape", list))
    if len(values) != rows * width:
        raise Undecodable("shape_mismatch")
    if width == 1 and len(names) == rows > 1:
        rows, width = 1, rows
    if len(names) > 1 and len(names) != width:
        raise Undecodable("names_differ")
    if len(names) <= 1:
        name = names[0] if names else base
        if width > MAX_VECTOR:
            return Reading(rows, lambda: wide_column(name, values, rows))
        names = positional(name, width)
    return Reading(rows, lambda: numeric_columns(names, values))
