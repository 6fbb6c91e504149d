"""Triton generate: POST /v2/models/{name}[/versions/{version}]/generate[_stream], {"text_input"} -> {"text_output"}.

Which paths are this dialect's is the route table's knowledge. A stream's status is that of its first answer; what fails
later is an event {"error"}. Nobody tells tokens: of a stream, events with text are counted in their place.
"""

from typing import Any, Final

import msgspec

from exporter.decode.generation import STREAM_ERROR, Gathered, fields, length
from exporter.decode.heads import media_type
from exporter.decode.openai import observation
from exporter.decode.payload import identifier, parse_object, text
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable

NAME = "triton_generate"
PROVIDER = "triton"


class _Event(msgspec.Struct, gc=False):
    """What of an answer is looked at."""

    text_output: Any = None
    model_name: Any = None
    model_version: Any = None
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)


def claims(exchange: Exchange) -> bool:
    """True for a generation, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "generate"


def decode(exchange: Exchange) -> Observation:
    """The Observation, of one row. Raises Undecodable."""
    streamed = media_type(exchange.response_head) == "text/event-stream"
    told = Gathered(exchange, "text_completion", PROVIDER, streamed)
    told.request_model = exchange.model_name
    version = ""
    if exchange.request_captured:
        request = parse_object(exchange.request_body)
        told.prompt_characters = _size(request.get("text_input"))
        told.id = identifier(request.get("id"))
    if streamed:
        for end, value in told.events(exchange.response_body, _EVENT.decode):
            event = value if type(value) is _Event else _event(fields(value))
            if type(event.error) is str:
                told.error = STREAM_ERROR
            else:
                version = _piece(told, event, end) or version
    else:
        answer = parse_object(exchange.response_body)
        if type(answer.get("error")) is str:
            raise Undecodable("error_answer")
        version = _piece(told, _event(answer), 0)
    return _versioned(observation(NAME, told), told.response_model, version)


def _event(value: dict[str, Any]) -> _Event:
    return _Event(*[value.get(name) for name in _Event.__struct_fields__])


def _piece(told: Gathered, answer: _Event, end: int) -> str:
    """One answer, whole or a piece of one; the version that it tells."""
    size = _size(answer.text_output)
    if size is None:
        raise Undecodable("missing_field" if answer.text_output is None else "wrong_type")
    told.response_model = text(answer.model_name)
    told.choice(0)
    if size:
        told.content(size, end)
    return text(answer.model_version)


def _size(value: Any) -> int | None:
    """Characters of a text or of a list of texts."""
    if type(value) is list:
        return sum([length(one) for one in value])
    return len(value) if type(value) is str else None


def _versioned(found: Observation, name: str, version: str) -> Observation:
    return Observation(
        found.protocol,
        found.rows,
        found.inputs,
        found.outputs,
        name,
        version,
        found.request_id,
        generation=found.generation,
        task=found.task,
    )
