"""TorchServe: POST /predictions/{name}[/{version}], whatever the handler takes -> whatever it returns.

Read are JSON, bare or alone in one of a few envelopes, and text. A body of bytes (a tensor file) is one row without
columns; of an image, bare or in a form, the format and size are told. Answers that rank classes are read as their first
one: an object of a probability per label gives `class` and `score`; a list of objects that pair a label with a number
gives the best of them, unless there are as many as rows. Anything else has columns by its keys, or by place.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from exporter.decode.columns import Role, categorical_columns, checked, numeric_columns
from exporter.decode.forms import FORM, form_image
from exporter.decode.heads import is_json, media_type
from exporter.decode.images import image_columns
from exporter.decode.payload import parse
from exporter.decode.readings import Reading, agree, alone, as_rows, readings
from exporter.records.exchange import Exchange
from exporter.records.observation import Columns, Observation, Undecodable

NAME = "torchserve"
_ENVELOPES: Final = {"input": ("data", "body", "inputs"), "output": ("predictions",)}
# Media types under which clients and handlers send JSON without saying so; curl writes the last one.
_UNTOLD: Final = frozenset(
    {"", "text/plain", "text/html", "application/octet-stream", "application/x-www-form-urlencoded"}
)
_TEXT: Final = frozenset({"", "text/plain", "text/html"})
# Keys of numbers in [0, 1] that are no labels: what handlers call the parts of one prediction.
_PARTS: Final = frozenset(
    {
        *("score", "scores", "probability", "prob", "confidence", "prediction", "predicted", "value"),
        *("output", "result", "mean", "std", "variance", "lower", "upper", "min", "max", "median"),
    }
)


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the answer belongs to row n of the request. Raises Undecodable."""
    inputs = _request(exchange.request_head, exchange.request_body)
    outputs = _answer(exchange.response_head, exchange.response_body)
    rows, (features, predictions) = agree(inputs, outputs)
    return Observation(NAME, rows, checked(features), checked(predictions))


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    return alone(NAME, _request(exchange.request_head, exchange.request_body))


def _request(head: bytes, body: bytes) -> Sequence[Reading]:
    media = media_type(head)
    if _holds_json(media, body):
        value = parse(body)
        if type(value) is dict and type(value.get("instances")) is list:
            return (as_rows("input", value["instances"], "input"),)
        return readings("input", _opened(value, "input"), "input")
    if media == "text/plain":
        return (as_rows("input", [_text(body)], "input"),)
    image = form_image(head, body) if media == FORM else body
    return (Reading(1, lambda: image_columns("input", [image])),)


def _answer(head: bytes, body: bytes) -> Sequence[Reading]:
    media = media_type(head)
    if _holds_json(media, body):
        return _ranked(_opened(parse(body), "output"))
    if media in _TEXT:
        return (as_rows("prediction", [_scalar(_text(body).strip())], "output"),)
    raise Undecodable("opaque_body")


def _holds_json(media: str, body: bytes) -> bool:
    """Whether the body is JSON by its media type, or by its first and last characters where that does not tell."""
    if media not in _UNTOLD:
        return is_json(media)
    trimmed = body.strip()
    return trimmed[:1] + trimmed[-1:] in (b"[]", b"{}", b'""')


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Undecodable("opaque_body") from error


def _scalar(words: str) -> Any:
    """A number or a truth value if the text of an answer is one, else the text."""
    try:
        value = parse(words.encode())
    except Undecodable:
        return words
    return value if type(value) in (int, float, bool) else words


def _opened(value: Any, role: Role) -> Any:
    if type(value) is dict and len(value) == 1:
        ((key, inside),) = value.items()
        if key in _ENVELOPES[role]:
            return inside
    return value


def _ranked(value: Any) -> Sequence[Reading]:
    if _is_label_map(value):
        return (Reading(1, lambda: _best([value])),)
    if type(value) is list and value:
        if all(map(_is_label_map, value)):
            return (Reading(len(value), lambda: _best(value)),)
        if len(value) > 1 and all(_number_key(pair) for pair in value):
            top = max(value, key=lambda pair: pair[_number_key(pair)])
            return as_rows("prediction", value, "output"), as_rows("prediction", [top], "output")
    return readings("prediction", value, "output")


def _is_label_map(value: Any) -> bool:
    return (
        type(value) is dict
        and len(value) > 1
        and all(type(share) is float and 0 <= share <= 1 for share in value.values())
        and not any(key.lower() in _PARTS for key in value)
    )


def _number_key(pair: Any) -> str:
    """The key of the number in an object of one label and one number; "" for anything else."""
    if type(pair) is dict and len(pair) == 2:
        (first, one), (second, other) = pair.items()
        if type(one) is str and type(other) is float:
            return str(second)
        if type(one) is float and type(other) is str:
            return str(first)
    return ""


def _best(maps: list[dict[str, float]]) -> Columns:
    best = [max(shares.items(), key=itemgetter(1)) for shares in maps]
    return [
        *categorical_columns(("class",), [label for label, _ in best]),
        *numeric_columns(("score",), [score for _, score in best]),
    ]
