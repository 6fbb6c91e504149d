"""Answers of OpenAI's Responses API: a list of output items, or events with a type that tell them piece by piece."""

from typing import Any, Final

import msgspec

from exporter.decode.generation import STREAM_ERROR, Gathered, fields, items, length
from exporter.decode.openai_choices import failed
from exporter.decode.payload import identifier, text
from exporter.records.observation import Undecodable

_DELTAS: Final = frozenset(
    {
        *("response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta"),
        *("response.reasoning_text.delta", "response.reasoning_summary_text.delta"),
    }
)
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_CALLS: Final = frozenset({"function_call", "custom_tool_call", "mcp_call"})


class _Event(msgspec.Struct, gc=False):
    """What of an event is looked at."""

    type: Any = None
    delta: Any = None
    item: Any = None
    output_index: Any = None
    response: Any = None
    error: Any = None
    object: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)


def read(told: Gathered, answer: dict[str, Any]) -> None:
    """A plain answer. Raises Undecodable."""
    if type(answer.get("output")) is not list:
        raise Undecodable("missing_field")
    _response(told, answer)
    for number, item in enumerate(items(answer["output"])):
        if item.get("type") in _CALLS:
            told.call(0, number)
        parts = [*items(item.get("content")), *items(item.get("summary"))]
        size = sum([length(part.get("text")) + length(part.get("refusal")) for part in parts])
        told.content(size + length(item.get("arguments")))


def read_stream(told: Gathered, body: bytes) -> None:
    """A streamed answer. Raises Undecodable."""
    for end, value in told.events(body, _EVENT.decode):
        event = value if type(value) is _Event else _event(fields(value))
        if failed(event.error, event.object, event.type):
            told.error = STREAM_ERROR
        else:
            _read(told, event, end)


def _event(value: dict[str, Any]) -> _Event:
    return _Event(*[value.get(name) for name in _Event.__struct_fields__])


def _read(told: Gathered, event: _Event, end: int) -> None:
    kind = event.type if type(event.type) is str else ""
    if kind in _DELTAS:
        size = length(event.delta)
        if size:
            told.content(size, end)
    elif kind == "response.output_item.added":
        if fields(event.item).get("type") in _CALLS:
            told.call(0, event.output_index)
    elif kind in _ENDS or kind == "response.created":
        _response(told, fields(event.response))


def _response(told: Gathered, answer: dict[str, Any]) -> None:
    told.id = told.id or identifier(answer.get("id"))
    told.response_model = told.response_model or text(answer.get("model"))
    reason = fields(answer.get("incomplete_details")).get("reason")
    status = answer.get("status")
    # While it is being made it has not ended.
    told.choice(0, reason if reason is not None else None if status == "in_progress" else status)
    usage = fields(answer.get("usage"))
    told.usage(
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        fields(usage.get("input_tokens_details")).get("cached_tokens"),
        fields(usage.get("output_tokens_details")).get("reasoning_tokens"),
    )
