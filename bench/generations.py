"""Exchanges of generative models, as vLLM, TGI and Triton write them: an answer whole, or an event for each token.

A streamed answer has a time for each of its events, as the data plane stamps them.
"""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from bench.exchanges import Case, Message, exchange, text
from exporter.records.exchange import Stream

SIZES: Final = (64, 512)  # tokens of an answer
TOKEN_GOAL: Final = 2.0  # µs for each token of a stream
_EVENTS: Final = (b"content-type: text/event-stream; charset=utf-8",)
_WORDS: Final = (" the", " model", " of", " is", "ing", ",", " a", " token", ".", " und", " naïve", "\n")
_CREATED: Final = 1_700_000_000
_PROMPT: Final = "Tell me in a few sentences what a sidecar is, and what it is not."


def cases() -> Iterator[Case]:
    """Every case, by dialect."""
    for made in (_chat, _completion, _responses, _embeddings, _tgi, _triton):
        yield from made()


def words(count: int) -> list[str]:
    """So many tokens, the same in every run."""
    return random.Random(7).choices(_WORDS, k=count)


def _streamed(dialect: str, name: str, path: str, asked: dict[str, Any], told: list[bytes]) -> Case:
    body = b"".join(told)
    ends = np.cumsum([len(one) for one in told]).tolist()
    stream = Stream(ends, [20_000_000 * (at + 1) for at in range(len(told))], len(told))
    tokens = int(name.split()[-2])
    made = exchange(path, text(asked), Message(body, _EVENTS), stream)
    return Case(dialect, name, made, TOKEN_GOAL * tokens, tokens)


def _event(value: dict[str, Any], kind: str = "") -> bytes:
    # Nearly every server writes texts as UTF-8 and leaves no blanks.
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return (f"event: {kind}\n".encode() if kind else b"") + b"data: " + data + b"\n\n"


def _messages() -> dict[str, Any]:
    return {"model": "llama-3", "messages": [{"role": "user", "content": _PROMPT}]}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 17, "total_tokens": 17 + tokens, "completion_tokens": tokens}


def _of(kind: str, more: dict[str, Any]) -> dict[str, Any]:
    named = {"id": "chatcmpl-3f5e0c1b7a594b06b1a4e0f0c2d1a9e8", "object": kind, "created": _CREATED}
    return named | {"model": "llama-3"} | more


def _chat() -> Iterator[Case]:
    path = "/v1/chat/completions"
    for tokens in SIZES:
        message = {"role": "assistant", "content": "".join(words(tokens)), "tool_calls": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        answer = _of("chat.completion", {"choices": [choice], "usage": _usage(tokens)})
        yield Case("openai", f"chat, {tokens} tokens", exchange(path, text(_messages()), text(answer)))
    for tokens in SIZES:
        pieces = [{"role": "assistant", "content": ""}, *({"content": word} for word in words(tokens))]
        told = [_event(_chunk("chat.completion.chunk", {"delta": piece})) for piece in pieces]
        told += _end("chat.completion.chunk", {"delta": {}}, tokens)
        asked = _messages() | {"stream": True, "stream_options": {"include_usage": True}}
        yield _streamed("openai", f"chat streamed, {tokens} tokens", path, asked, told)


def _chunk(kind: str, piece: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, **piece, "logprobs": None, "finish_reason": reason}
    return _of(kind, {"choices": [choice]})


def _end(kind: str, piece: dict[str, Any], tokens: int) -> list[bytes]:
    usage = _event(_of(kind, {"choices": [], "usage": _usage(tokens)}))
    return [_event(_chunk(kind, piece, "stop")), usage, b"data: [DONE]\n\n"]


def _completion() -> Iterator[Case]:
    for tokens in SIZES:
        told = [_event(_chunk("text_completion", {"text": word})) for word in words(tokens)]
        told += _end("text_completion", {"text": ""}, tokens)
        asked = {"model": "llama-3", "prompt": _PROMPT, "stream": True}
        yield _streamed("openai", f"completion streamed, {tokens} tokens", "/v1/completions", asked, told)


def _responses() -> Iterator[Case]:
    kind = "response.output_text.delta"
    for tokens in SIZES:
        begun = {"id": "resp_1", "status": "in_progress", "model": "llama-3"}
        told = [_event({"type": "response.created", "response": begun}, "response.created")]
        for number, word in enumerate(words(tokens)):
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": number}
            told.append(_event({"type": kind, **place, "delta": word, "logprobs": []}, kind))
        usage = {"input_tokens": 17, "output_tokens": tokens, "total_tokens": 17 + tokens}
        ended = begun | {"status": "completed", "usage": usage}
        told.append(_event({"type": "response.completed", "response": ended}, "response.completed"))
        asked = {"model": "llama-3", "input": _PROMPT, "stream": True}
        yield _streamed("openai", f"response streamed, {tokens} tokens", "/v1/responses", asked, told)


def _embeddings() -> Iterator[Case]:
    width = 768
    for rows in (1, 16):
        vectors = np.random.default_rng(7).normal(0.0, 0.05, (rows, width)).astype("<f4")
        asked = {"model": "e5", "input": [_PROMPT] * rows}
        for form, written in (
            ("", [row.tolist() for row in vectors]),
            (" in base64", [base64.b64encode(row.tobytes()).decode() for row in vectors]),
        ):
            data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(written)]
            answer = {"object": "list", "data": data, "model": "e5", "usage": {"prompt_tokens": 17 * rows}}
            name = f"{rows} embedding{'s' * (rows > 1)} of {width}{form}"
            yield Case("openai", name, exchange("/v1/embeddings", text(asked), text(answer)))


def _tgi() -> Iterator[Case]:
    asked = {"inputs": _PROMPT, "parameters": {"max_new_tokens": 512, "details": True}}
    for tokens in SIZES:
        written = words(tokens)
        ended = {"finish_reason": "length", "generated_tokens": tokens, "seed": None, "input_length": 17}
        whole = {"generated_text": "".join(written), "details": ended}
        yield Case("tgi", f"generate, {tokens} tokens", exchange("/generate", text(asked), text(whole)))
        told = []
        for number, word in enumerate(written, 1):
            token = {"id": 262 + number, "text": word, "logprob": -0.3173828, "special": False}
            last = whole if number == tokens else {"generated_text": None, "details": None}
            told.append(_event({"index": number, "token": token, **last}))
        yield _streamed("tgi", f"generate streamed, {tokens} tokens", "/generate_stream", asked, told)


def _triton() -> Iterator[Case]:
    asked = {"text_input": _PROMPT, "parameters": {"stream": True, "max_tokens": 512}}
    path = "/v2/models/llama/generate"
    for tokens in SIZES:
        named = {"model_name": "llama", "model_version": "1"}
        whole = named | {"text_output": "".join(words(tokens))}
        yield Case("triton_generate", f"generate, {tokens} tokens", exchange(path, text(asked), text(whole)))
        told = [_event(named | {"text_output": word}) for word in words(tokens)]
        yield _streamed(
            "triton_generate", f"generate streamed, {tokens} tokens", f"{path}_stream", asked, told
        )
