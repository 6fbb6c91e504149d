"""SageMaker containers: POST /invocations or /models/{name}/invoke, rows as CSV, JSON or JSON lines, the same back.

CSV has no header, unless its first record holds no number and its second does. A record of an answer that stands
alone may be one row, or one value for each row of the request. JSON may be bare, or stand in `instances`, `features`
or `inputs` (requests) and `predictions` (answers). A body that is an image is one row. The request id is the inference
id, or else the custom attributes; the model is named by the target-model field or by the path.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from exporter.decode.columns import Role, checked
from exporter.decode.heads import CSV, JSON_LINES, is_image, is_json, media_type
from exporter.decode.images import image_columns
from exporter.decode.invocations import shared
from exporter.decode.payload import identifier, parse, text
from exporter.decode.readings import Reading, agree, alone, as_rows, readings
from exporter.decode.tables import Records, csv_records, json_lines
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable

NAME = "sagemaker"
_ENVELOPES: Final = {"input": ("instances", "features", "inputs"), "output": ("predictions",)}
_BASE: Final = {"input": "input", "output": "prediction"}
# A framework that is told no media type writes one of these around JSON.
_UNTOLD: Final = frozenset({"", "text/plain", "text/html", "application/octet-stream"})
_FIELD: Final = re.compile(
    rb"(?i)\r\nx-amzn-sagemaker-(target-model|inference-id|custom-attributes):[ \t]*([^\r]*)"
)


def claims(exchange: Exchange) -> bool:
    """True for an inference request labelled so, and on /invocations: what MLflow, asked first, left."""
    return shared(exchange) or (exchange.protocol == NAME and exchange.operation == "predict")


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the answer belongs to row n of the request. Raises Undecodable."""
    inputs = _body(exchange.request_head, exchange.request_body, "input")
    outputs = _body(exchange.response_head, exchange.response_body, "output")
    rows, (features, predictions) = agree(inputs, outputs)
    fields = _fields(exchange)
    return Observation(
        protocol=NAME,
        rows=rows,
        inputs=checked(features),
        outputs=checked(predictions),
        model_name=text(fields.get(b"target-model")),
        request_id=identifier(fields.get(b"inference-id")) or identifier(fields.get(b"custom-attributes")),
    )


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    inputs = _body(exchange.request_head, exchange.request_body, "input")
    return alone(NAME, inputs, text(_fields(exchange).get(b"target-model")))


def _fields(exchange: Exchange) -> dict[bytes, str]:
    """The platform's fields by the rest of their names in lower case, the first of each; no text, no field."""
    found: dict[bytes, str] = {}
    for head in (exchange.request_head, exchange.response_head):
        for field in _FIELD.finditer(head):
            try:
                value = field[2].rstrip(b" \t").decode("utf-8")
            except UnicodeDecodeError:
                continue
            if value.isprintable():
                found.setdefault(field[1].lower(), value)
    return found


def _body(head: bytes, body: bytes, role: Role) -> Sequence[Reading]:
    media = media_type(head)
    if media in CSV:
        return _csv(csv_records(body), role)
    if media in JSON_LINES:
        return (as_rows(_BASE[role], json_lines(body), role),)
    if is_json(media) or (media in _UNTOLD and body.lstrip()[:1] in (b"[", b"{")):
        return _json(parse(body), role)
    if role == "input" and is_image(media):
        return (Reading(1, lambda: image_columns(_BASE[role], [body])),)
    raise Undecodable("content_type")


def _csv(records: Records, role: Role) -> Sequence[Reading]:
    name = _BASE[role]
    if records.has_header:
        return (Reading(records.count - 1, lambda: records.named(name, role)),)
    whole = Reading(records.count, lambda: records.unnamed(name, role))
    if role == "input" or records.count != 1 or len(records.first) == 1:
        return (whole,)
    turned = records.turned()
    return whole, Reading(turned.count, lambda: turned.unnamed(name, role))


def _json(value: Any, role: Role) -> Sequence[Reading]:
    name = _BASE[role]
    if type(value) is dict:
        envelopes = [key for key in _ENVELOPES[role] if value.get(key) is not None]
        if len(envelopes) > 1:
            raise Undecodable("ambiguous_field")
        if envelopes:
            value = value[envelopes[0]]
            if type(value) is list and envelopes[0] != "features":
                return (as_rows(name, value, role),)
    return readings(name, value, role)
