"""OpenAI: POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings; plain or as a stream of events.

A generation is one row: its sizes, its tokens as the server told them, how it ended. What engines add is read with it
(`reasoning_content`, a `usage` in every chunk, the flat form of errors). A chunk that holds a role, a usage or a reason
alone is no token. A stream that broke off tells what came of it; an error within a stream makes it a failed one.
"""

from typing import Any, Final

from exporter.decode import embeddings, openai_choices, openai_responses
from exporter.decode.generation import Gathered, items, length, numbers
from exporter.decode.heads import media_type
from exporter.decode.payload import parse_object, text
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable

NAME = "openai"
# Operations of the route table, in the words of the conventions; the Responses API is a chat there too.
OPERATIONS: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "responses": "chat",
    "embeddings": "embeddings",
}
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
        (openai_responses.read if responses else openai_choices.read)(told, answer)
    else:
        body = exchange.response_body
        (openai_responses.read_stream if responses else openai_choices.read_stream)(told, body)
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
    if openai_choices.failed(answer.get("error"), answer.get("object"), answer.get("type")):
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
