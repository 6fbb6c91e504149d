"""Answers of OpenAI's Responses API: a list of output items, or events with a type that tell them piece by piece."""

from typing import Any, Final

from exporter.decode.generation import Gathered, fields, items, length
from exporter.decode.payload import identifier, text
from exporter.records.observation import Undecodable
from exporter.wire.sse import ServerEvent

_DELTAS: Final = frozenset(
    {
        *("response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta"),
        *("response.reasoning_text.delta", "response.reasoning_summary_text.delta"),
    }
)
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_CALLS: Final = frozenset({"function_call", "custom_tool_call", "mcp_call"})


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


def read_event(told: Gathered, value: dict[str, Any], event: ServerEvent) -> None:
    """One event of a streamed answer."""
    kind = value.get("type")
    if kind in _DELTAS:
        size = length(value.get("delta"))
        if size:
            told.content(size, event)
    elif kind == "response.output_item.added":
        if fields(value.get("item")).get("type") in _CALLS:
            told.call(0, value.get("output_index"))
    elif kind in _ENDS or kind == "response.created":
        _response(told, fields(value.get("response")))


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
