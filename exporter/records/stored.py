"""An Exchange of two whole messages that were kept somewhere, as the data plane would have handed it over.

When they were exchanged is not known: all times are 0. Whoever knows more replaces fields of it.
"""

from typing import NamedTuple

from exporter.records.exchange import Exchange
from exporter.records.routes import match, path_of


class Message(NamedTuple):
    """Head, up to and with its empty line, and body."""

    head: bytes
    body: bytes


def stored(method: str, target: str, request: Message, answer: Message, status: int = 200) -> Exchange:
    """`target`: path and query, by which operation, protocol and names are told."""
    route = match(method, target)
    return Exchange(
        request_head=request.head,
        response_head=answer.head,
        request_body=request.body,
        response_body=answer.body,
        method=method,
        path=path_of(target),
        operation=route.operation,
        protocol=route.protocol,
        model_name=route.model_name,
        model_version=route.model_version,
        status=status,
        error_type="",
        start=0,
        duration=0,
        time_to_first_byte=0,
        queue_wait=0,
        client_wait=0,
        request_size=len(request.head) + len(request.body),
        response_size=len(answer.head) + len(answer.body),
        request_captured=True,
        response_captured=True,
        request_id="",
        rate=1.0,
    )
