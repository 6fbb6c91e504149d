"""OpenAI: POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings; plain or as a stream of events.

A generation is one row: its sizes, its tokens as the server told them, how it ended. What engines add is read with it
(`reasoning_content`, a `usage` in every chunk, the flat form of errors). A chunk that holds a role, a usage or a reason
alone is no token. A stream that broke off tells what came of it; an error within a stream makes it a failed one.
"""

from typing import Any, Final

from exporter.decode import embeddings, openai_responses
from exporter.decode.generation import STREAM_ERROR, Gathered, fields, items, length, numbers
from exporter.decode.heads import media_type
from exporter.decode.payload import identifier, parse_object, text
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable
from exporter.wire.sse import ServerEvent

NAME = "openai"
# Operations of the route table, in the words of the conventions; the Responses API is a chat there too.
OPERATIONS: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "responses": "chat",
    "embeddings": "embeddings",
}
# Parts of a message or of a piece of it that the model wrote, whatever the engine calls them.
_WRITTEN: Final = ("content", "reasoning_content", "reasoning", "refusal")
_PARAMETERS: Final = (
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("max_completion_tokens", "gen_ai.request.max_tokens"),
    ("max_output_tokens", "gen_ai.request.max_tokens"),
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("n", "gen_ai.request.choice.count"),
    ("seed", "gen_ai.request.seed"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
)


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation in OPERATIONS


def decode(exchange: Exchange) -> Observation:
    """The Observation: one row, or one per embedded input. Raises Undecodable."""
    streamed = media_type(exchange.response_head) == "text/event-stream"
    told = Gathered(exchange, OPERATIONS[exchange.operation], NAME, streamed)
    request = parse_object(exchange.request_body) if exchange.request_captured else {}
    _asked(told, request)
    if exchange.operation == "embeddings":
        return embeddings.read(NAME, told, request.get("input"), _answer(exchange.response_body))
    responses = exchange.operation == "responses"
    if not streamed:
        answer = _answer(exchange.response_body)
        (openai_responses.read if responses else _message)(told, answer)
    else:
        piece = openai_responses.read_event if responses else _piece
        for event, value in told.events(exchange.response_body):
            if failed(value):
                told.error = STREAM_ERROR
            else:
                piece(told, fields(value), event)
    return observation(NAME, told)


def observation(protocol: str, told: Gathered) -> Observation:
    """One row for a whole answer, none for any other; the counts are there in any case."""
    made = told.generation()
    inputs, outputs = told.columns(made) if made.whole else ((), ())
    return Observation(
        *(protocol, int(made.whole), inputs, outputs, told.request_model, "", told.id),
        generation=made,
        task="text",
    )


def failed(value: Any) -> bool:
    """Whether a message says that the server failed: {"error": …}, or the flat form of older engines."""
    told = fields(value)
    error = told.get("error")
    if (error and type(error) in (dict, str)) or told.get("object") == "error":
        return True
    return told.get("type") in ("error", "response.failed")


def characters(value: Any) -> int | None:
    """Characters of a prompt: a text, a list of texts, messages or parts; None if it is given as tokens."""
    if type(value) is str:
        return len(value)
    if type(value) is not list:
        return None
    if any(type(one) in (int, list) for one in value):
        return None
    return sum(length(one) for one in value) + sum(_message_characters(one) for one in items(value))


def _message_characters(message: dict[str, Any]) -> int:
    content = message.get("content", message.get("text"))
    return length(content) + sum(length(part.get("text")) for part in items(content))


def _answer(body: bytes) -> dict[str, Any]:
    answer = parse_object(body)
    if failed(answer):
        raise Undecodable("error_answer")
    return answer


def _asked(told: Gathered, request: dict[str, Any]) -> None:
    told.request_model = text(request.get("model"))
    for key in ("messages", "prompt", "input"):
        if key in request:
            told.prompt_characters = characters(request[key])
    if told.prompt_characters is not None:
        told.prompt_characters += length(request.get("instructions"))
    told.parameters = numbers(request, _PARAMETERS)


def _message(told: Gathered, answer: dict[str, Any]) -> None:
    """A plain answer of chat or completions."""
    if type(answer.get("choices")) is not list:
        raise Undecodable("missing_field")
    _common(told, answer)
    for number, choice in enumerate(items(answer["choices"])):
        place = told.choice(choice.get("index", number), choice.get("finish_reason"))
        _written(told, place, choice.get("message"), choice.get("text"), None)


def _piece(told: Gathered, chunk: dict[str, Any], event: ServerEvent) -> None:
    """One chunk of a stream of chat or completions."""
    _common(told, chunk)
    for choice in items(chunk.get("choices")):
        place = told.choice(choice.get("index"), choice.get("finish_reason"))
        _written(told, place, choice.get("delta"), choice.get("text"), event)


def _common(told: Gathered, answer: dict[str, Any]) -> None:
    told.id = told.id or identifier(answer.get("id"))
    told.response_model = told.response_model or text(answer.get("model"))
    usage = answer.get("usage")
    if type(usage) is dict:
        told.usage(
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            fields(usage.get("prompt_tokens_details")).get("cached_tokens"),
            fields(usage.get("completion_tokens_details")).get("reasoning_tokens"),
        )


def _written(told: Gathered, place: int, message: Any, plain: Any, event: ServerEvent | None) -> None:
    """What of a choice the model wrote; a role or an empty text is nothing."""
    size = length(plain)
    calls: list[dict[str, Any]] = []
    if type(message) is dict:
        size += sum([length(message.get(part)) for part in _WRITTEN])
        calls = items(message.get("tool_calls"))
        if type(message.get("function_call")) is dict:
            calls = [*calls, {"index": 0}]
    for number, call in enumerate(calls):
        told.call(place, call.get("index", number))
    if size or calls:
        told.content(size, event)
