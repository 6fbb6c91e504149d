"""A request and its answer, wherever they were kept -> an Observation, by the live decoders."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.commands.decode import Forced
from exporter.decode import DIALECTS, observe
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation
from exporter.records.routes import match, path_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `target`: path and query, "" where it was not kept; then `protocol` says how to read it."""

    method: str
    target: str
    content_type: str
    body: bytes
    protocol: str = ""
    model_name: str = ""
    id: str = ""
    coding: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Its answer."""

    status: int
    content_type: str
    body: bytes
    coding: str = ""


def observed(asked: Asked, answer: Answer) -> Observation:
    """What the sidecar would have seen. Raises Undecodable."""
    route = match(asked.method, asked.target)
    protocol = asked.protocol or route.protocol
    exchange = Exchange(
        request_head=_head(
            f"{asked.method} {asked.target or '/'} HTTP/1.1", asked.content_type, asked.coding
        ),
        response_head=_head(f"HTTP/1.1 {answer.status} ", answer.content_type, answer.coding),
        request_body=asked.body,
        response_body=answer.body,
        method=asked.method,
        path=path_of(asked.target),
        operation=route.operation,
        protocol=protocol,
        model_name=asked.model_name or route.model_name,
        model_version=route.model_version,
        status=answer.status,
        error_type="",
        start=0,
        duration=0,
        time_to_first_byte=0,
        queue_wait=0,
        client_wait=0,
        request_size=len(asked.body),
        response_size=len(answer.body),
        request_captured=True,
        response_captured=True,
        request_id=asked.id,
        rate=1.0,
    )
    named = tuple(Forced(dialect) for dialect in DIALECTS if protocol == dialect.NAME)
    return observe(exchange, (*DIALECTS, *named) if asked.target else (*named, *DIALECTS))


def _head(first: str, content_type: str, coding: str) -> bytes:
    coded = (f"Content-Encoding: {coding}",) if coding else ()
    lines = (first, f"Content-Type: {content_type or 'application/json'}", *coded, "", "")
    clean = [line.replace("\r", " ").replace("\n", " ") for line in lines]
    return "\r\n".join(clean).encode("latin-1", "replace")
