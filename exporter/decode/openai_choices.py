"""Answers of OpenAI's chat and completions: a list of choices, or chunks that tell each of them piece by piece.

A chunk is read into the few fields that matter, which takes half the time of reading all of it. One of another form is
read as what it is: engines write what they like, and what is no text counts for nothing.
"""

from typing import Any, Final

import msgspec

from exporter.decode.generation import STREAM_ERROR, Gathered, fields, items, length
from exporter.decode.payload import identifier, text
from exporter.records.observation import Undecodable

# Parts of a message or of a piece of it that the model wrote, whatever the engine calls them.
_WRITTEN: Final = ("content", "reasoning_content", "reasoning", "refusal")


class _Delta(msgspec.Struct, gc=False):
    """A piece of a message."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct, gc=False):
    """A piece of a choice."""

    delta: _Delta | None = None
    text: str | None = None
    index: Any = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    """What of a chunk is looked at, in the form that nearly all have."""

    choices: list[_Choice] | None = None
    id: Any = None
    model: Any = None
    usage: Any = None
    error: Any = None
    object: Any = None
    type: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)


def failed(error: Any, kind: Any, type_: Any) -> bool:
    """Whether a message says that the server failed: {"error": …}, or the flat form of older engines."""
    if (error and type(error) in (dict, str)) or kind == "error":
        return True
    return type_ in ("error", "response.failed")


def read(told: Gathered, answer: dict[str, Any]) -> None:
    """A plain answer. Raises Undecodable."""
    if type(answer.get("choices")) is not list:
        raise Undecodable("missing_field")
    _common(told, answer.get("id"), answer.get("model"), answer.get("usage"))
    for number, choice in enumerate(items(answer["choices"])):
        place = told.choice(choice.get("index", number), choice.get("finish_reason"))
        _written(told, place, choice.get("message"), choice.get("text"))


def read_stream(told: Gathered, body: bytes) -> None:
    """A streamed answer. Raises Undecodable."""
    for end, value in told.events(body, _CHUNK.decode):
        if type(value) is _Chunk:
            _chunk(told, value, end)
        else:
            _odd(told, fields(value), end)


def _chunk(told: Gathered, chunk: _Chunk, end: int) -> None:
    if (chunk.error or chunk.type or chunk.object == "error") and failed(
        chunk.error, chunk.object, chunk.type
    ):
        told.error = STREAM_ERROR
        return
    if not told.id or not told.response_model or chunk.usage is not None:
        _common(told, chunk.id, chunk.model, chunk.usage)
    for choice in chunk.choices or ():
        place = told.choice(choice.index, choice.finish_reason)
        size = len(choice.text) if choice.text else 0
        called = False
        if (delta := choice.delta) is not None:
            if delta.content:
                size += len(delta.content)
            if delta.reasoning_content:
                size += len(delta.reasoning_content)
            if delta.reasoning:
                size += len(delta.reasoning)
            if delta.refusal:
                size += len(delta.refusal)
            if delta.tool_calls or delta.function_call is not None:
                called = _calls(told, place, delta.tool_calls, delta.function_call)
        if size or called:
            told.content(size, end)


def _odd(told: Gathered, chunk: dict[str, Any], end: int) -> None:
    """A chunk of which a field is of another type than it should be."""
    if failed(chunk.get("error"), chunk.get("object"), chunk.get("type")):
        told.error = STREAM_ERROR
        return
    _common(told, chunk.get("id"), chunk.get("model"), chunk.get("usage"))
    for choice in items(chunk.get("choices")):
        place = told.choice(choice.get("index"), choice.get("finish_reason"))
        _written(told, place, choice.get("delta"), choice.get("text"), end)


def _common(told: Gathered, identity: Any, model: Any, usage: Any) -> None:
    told.id = told.id or identifier(identity)
    told.response_model = told.response_model or text(model)
    if type(usage) is dict:
        told.usage(
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            fields(usage.get("prompt_tokens_details")).get("cached_tokens"),
            fields(usage.get("completion_tokens_details")).get("reasoning_tokens"),
        )


def _written(told: Gathered, place: int, message: Any, plain: Any, end: int = 0) -> None:
    """What of a choice the model wrote; a role or an empty text is nothing."""
    parts = fields(message)
    size = length(plain) + sum([length(parts.get(part)) for part in _WRITTEN])
    if _calls(told, place, parts.get("tool_calls"), parts.get("function_call")) or size:
        told.content(size, end)


def _calls(told: Gathered, place: int, calls: Any, call: Any) -> bool:
    """Whether there are calls of tools in a piece; the older form has one call and no list."""
    found = items(calls)
    if type(call) is dict:
        found = [*found, {"index": 0}]
    for number, one in enumerate(found):
        told.call(place, one.get("index", number))
    return bool(found)
