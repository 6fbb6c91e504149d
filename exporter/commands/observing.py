"""A request and its answer, wherever they were kept -> an Observation, by the live decoders."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from exporter.commands.decode import Forced
from exporter.decode import DIALECTS, observe
from exporter.records.observation import Observation
from exporter.records.stored import Message, stored


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
    first = f"{asked.method} {asked.target or '/'} HTTP/1.1"
    made = stored(
        asked.method,
        asked.target,
        Message(_head(first, asked.content_type, asked.coding), asked.body),
        Message(_head(f"HTTP/1.1 {answer.status} ", answer.content_type, answer.coding), answer.body),
        answer.status,
    )
    protocol = asked.protocol or made.protocol
    exchange = msgspec.structs.replace(
        made, protocol=protocol, model_name=asked.model_name or made.model_name, request_id=asked.id
    )
    named = tuple(Forced(dialect) for dialect in DIALECTS if protocol == dialect.NAME)
    return observe(exchange, (*DIALECTS, *named) if asked.target else (*named, *DIALECTS))


def _head(first: str, content_type: str, coding: str) -> bytes:
    coded = (f"Content-Encoding: {coding}",) if coding else ()
    lines = (first, f"Content-Type: {content_type or 'application/json'}", *coded, "", "")
    clean = [line.replace("\r", " ").replace("\n", " ") for line in lines]
    return "\r\n".join(clean).encode("latin-1", "replace")
