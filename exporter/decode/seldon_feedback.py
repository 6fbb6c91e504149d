"""Seldon's own feedback, where it passes through: POST /api/v1.0/feedback with the answer and the truth -> labels.

The answer's puid is the id; row n of the truth belongs to row n of the answer. A reward without a truth says nothing
that could be compared, and is none.
"""

from typing import Any

from exporter.decode.coding import plain
from exporter.decode.feedback import truth
from exporter.decode.payload import MAX_ID, parse_object
from exporter.decode.seldon_v1 import NAME
from exporter.records.exchange import Exchange
from exporter.records.feedback import Feedback
from exporter.records.observation import Undecodable

_SOURCE = "seldon"


def claims(exchange: Exchange) -> bool:
    """True for feedback that the model took."""
    return exchange.protocol == NAME and exchange.operation == "feedback" and 200 <= exchange.status < 300


def decode(exchange: Exchange) -> tuple[Feedback, ...]:
    """The labels. Raises Undecodable with a reason of `decode.feedback`."""
    if not exchange.request_captured:
        raise Undecodable("missing_field")
    message = parse_object(plain(exchange).request_body)
    identity = _puid(message.get("response")) or _puid(message.get("request"))
    if not identity:
        raise Undecodable("bad_id")
    time = (exchange.start + exchange.duration) / 1e9
    return tuple(
        Feedback(id=identity, label=truth(cell), time=time, row=row, source=_SOURCE)
        for row, cell in enumerate(_cells(message.get("truth")))
        if cell is not None
    )


def _puid(message: Any) -> str:
    meta = message.get("meta") if type(message) is dict else None
    found = meta.get("puid") if type(meta) is dict else None
    return found if type(found) is str and 0 < len(found) <= MAX_ID else ""


def _cells(message: Any) -> list[Any]:
    """The truth of each row: a scalar, or a list of one."""
    data = message.get("data") if type(message) is dict else None
    if type(data) is not dict:
        raise Undecodable("missing_field")
    rows = data.get("ndarray")
    tensor = data.get("tensor")
    if rows is None and type(tensor) is dict:
        rows = tensor.get("values")
    if type(rows) is not list:
        raise Undecodable("missing_field")
    return [one[0] if type(one) is list and len(one) == 1 else one for one in rows]
