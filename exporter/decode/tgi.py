"""TGI: POST /generate, /generate_stream, or / with `stream`: {"inputs": text} -> {"generated_text", "details"}.

A stream has an event per token; the last one has the whole text and the details. Without details the head of a plain
answer tells the tokens (`x-prompt-tokens`, `x-generated-tokens`). Other servers have the path /generate too; what is
not in this form is refused, by what it lacks.
"""

from typing import Any, Final

import msgspec

from exporter.decode.generation import STREAM_ERROR, Gathered, count, fields, length, numbers
from exporter.decode.heads import media_type
from exporter.decode.openai import observation
from exporter.decode.payload import parse, parse_object, required
from exporter.records.exchange import Exchange, header
from exporter.records.observation import Observation, Undecodable

NAME = "tgi"
_DIGITS = 15
_PARAMETERS = (
    ("max_new_tokens", "gen_ai.request.max_tokens"),
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("seed", "gen_ai.request.seed"),
)


class _Token(msgspec.Struct, gc=False):
    """What of a token is looked at."""

    text: str = ""
    special: bool = False


class _Event(msgspec.Struct, gc=False):
    """What of an event of a stream is looked at, in the form that nearly all have."""

    token: _Token
    details: Any = None
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)


def claims(exchange: Exchange) -> bool:
    """True for its own paths, and for generation at the root where that names no dialect."""
    at_root = exchange.path == "/" and not exchange.protocol
    return exchange.operation == "generate" and (exchange.protocol == NAME or at_root)


def decode(exchange: Exchange) -> Observation:
    """The Observation, of one row. Raises Undecodable."""
    streamed = media_type(exchange.response_head) == "text/event-stream"
    told = Gathered(exchange, "text_completion", NAME, streamed)
    if exchange.request_captured:
        request = parse_object(exchange.request_body)
        told.prompt_characters = len(required(request, "inputs", str))
        told.parameters = numbers(fields(request.get("parameters")), _PARAMETERS)
    if streamed:
        for end, value in told.events(exchange.response_body, _EVENT.decode):
            if type(value) is _Event and value.error is None:
                _written(told, value.token.text, value.token.special, value.details, end)
            else:
                _event(told, msgspec.to_builtins(value) if type(value) is _Event else fields(value), end)
    else:
        _answer(told, exchange)
    return observation(NAME, told)


def _event(told: Gathered, value: dict[str, Any], end: int) -> None:
    if type(value.get("error")) is str:
        told.error = STREAM_ERROR
        return
    token = value.get("token")
    if type(token) is not dict:
        raise Undecodable("missing_field")
    _written(told, token.get("text"), token.get("special"), value.get("details"), end)


def _written(told: Gathered, text: Any, special: Any, details: Any, end: int) -> None:
    told.choice(0)
    told.content(0 if special is True else length(text), end)
    if details is not None:
        _details(told, details)


def _answer(told: Gathered, exchange: Exchange) -> None:
    value = parse(exchange.response_body)
    if type(value) is list and len(value) == 1:
        (value,) = value  # as the path / answers
    answer = fields(value)
    if type(answer.get("error")) is str:
        raise Undecodable("error_answer")
    told.choice(0)
    told.content(len(required(answer, "generated_text", str)))
    told.usage(
        _number(exchange.response_head, b"x-prompt-tokens"),
        _number(exchange.response_head, b"x-generated-tokens"),
    )
    _details(told, answer.get("details"))


def _details(told: Gathered, value: Any) -> None:
    details = fields(value)
    if not details:
        return
    prefill = details.get("prefill")
    prompt = count(details.get("input_length"), len(prefill) if type(prefill) is list and prefill else None)
    told.usage(prompt, details.get("generated_tokens"))
    told.choice(0, details.get("finish_reason"))


def _number(head: bytes, name: bytes) -> int | None:
    value = header(head, name)
    return int(value) if value.isdigit() and len(value) <= _DIGITS else None
