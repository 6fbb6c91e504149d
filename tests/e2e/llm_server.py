"""A server of the OpenAI API that answers as vLLM does: python -m tests.e2e.llm_server PORT.

The last message says what becomes of the request: words like `tokens=5`, `error_after=2`. GET /ledger tells what was
sent and when, GET /next lets a stream in lockstep send its next token. It holds one model, `llama`.
"""

import asyncio
import base64
import json
import struct
import sys
import time
from typing import Any

from aiohttp import web

MODEL = "llama"
EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Server:
    """What the handlers share."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.steps = asyncio.Semaphore(0)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        received = time.perf_counter()
        asked = await request.json()
        if asked["model"] != MODEL:
            return _not_found(asked["model"])
        plan = _plan(asked["messages"][-1]["content"])
        if not asked.get("stream"):
            return web.json_response(_whole(asked, plan))
        answer = web.StreamResponse(headers=EVENT_STREAM)
        await answer.prepare(request)
        entry: dict[str, Any] = {"plan": plan, "received": received, "content": []}
        self.ledger.append(entry)
        chunks = _chunks(asked, plan)
        for number, chunk in enumerate(chunks):
            if "lockstep" in plan and number:
                await self.steps.acquire()
            elif "pause" in plan and number:
                await asyncio.sleep(int(plan["pause"]) / 1000)
            if _has_content(chunk):
                entry["content"].append(time.perf_counter())
            await answer.write(_event(chunk))
        if "break" in plan:
            assert request.transport is not None
            request.transport.abort()
            return answer
        if "hang" in plan:
            await asyncio.Event().wait()  # until the client is gone
        await answer.write(b"data: [DONE]\n\n")
        await answer.write_eof()
        return answer

    async def next(self, request: web.Request) -> web.Response:
        self.steps.release()
        return web.Response()

    async def told(self, request: web.Request) -> web.Response:
        return web.json_response(self.ledger)


async def completion(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    choice = {"index": 0, "text": " upon a time", "finish_reason": "length", "logprobs": None}
    usage = _usage(4, 5)
    return web.json_response(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
            "usage": usage,
        }
    )


async def embeddings(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    vectors = [[float(len(text)), 0.5, -1.0] for text in texts]
    coded = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if coded else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": sum(map(len, texts)), "total_tokens": sum(map(len, texts))}
    return web.json_response({"object": "list", "data": data, "model": asked["model"], "usage": usage})


async def responses(request: web.Request) -> web.StreamResponse:
    """Streamed as the Responses API streams."""
    asked = await request.json()
    answer = web.StreamResponse(headers=EVENT_STREAM)
    await answer.prepare(request)
    part = {"type": "output_text", "text": "Hi there", "annotations": []}
    message = {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    base = {
        **{"id": "resp_1", "object": "response", "created_at": 1, "model": asked["model"], "tools": []},
        **{"parallel_tool_calls": True, "tool_choice": "auto", "output": [], "status": "in_progress"},
    }
    usage = {
        **{"input_tokens": 7, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0}},
        **{"output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 9},
    }
    done = {**base, "status": "completed", "output": [message], "usage": usage}
    delta = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    told = [
        {"type": "response.created", "response": base},
        {"type": "response.output_text.delta", "delta": "Hi", **delta},
        {"type": "response.output_text.delta", "delta": " there", **delta},
        {"type": "response.completed", "response": done},
    ]
    for number, event in enumerate(told):
        line = f"event: {event['type']}\n".encode()
        await answer.write(line + _event({**event, "sequence_number": number}))
    await answer.write_eof()
    return answer


async def health(request: web.Request) -> web.Response:
    return web.Response()


def _plan(words: str) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words.split())}


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        **{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        **{"prompt_tokens_details": {"cached_tokens": prompt // 2}},
    }


def _whole(asked: dict[str, Any], plan: dict[str, str]) -> dict[str, Any]:
    tokens = int(plan.get("tokens", 3))
    message: dict[str, Any] = {"role": "assistant", "content": "x" * tokens, "tool_calls": []}
    reason = "stop"
    if "tools" in plan:
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [_call(n) for n in range(int(plan["tools"]))],
        }
        reason = "tool_calls"
    choices = [{"index": n, "message": message, "finish_reason": reason} for n in range(asked.get("n") or 1)]
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
    return {**head, "choices": choices, "usage": _usage(10, tokens * len(choices))}


def _call(number: int) -> dict[str, Any]:
    return {
        "id": f"call_{number}",
        "index": number,
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }


def _chunks(asked: dict[str, Any], plan: dict[str, str]) -> list[dict[str, Any]]:
    """Everything of a stream but its end."""
    told = bool((asked.get("stream_options") or {}).get("include_usage"))
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
    if told:
        head["usage"] = None  # type: ignore[assignment]

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]}

    tokens = int(plan.get("tokens", 3))
    found = [chunk({"role": "assistant", "content": ""})]
    if "tools" in plan:
        found += [chunk({"tool_calls": [_call(n)]}) for n in range(int(plan["tools"]))]
        found.append(chunk({}, "tool_calls"))
    else:
        found += [chunk({"content": "x"}) for _ in range(tokens)]
        if "error" in plan:
            return [
                *found,
                {"error": {"message": "out of memory", "type": "InternalServerError", "code": 500}},
            ]
        if "break" in plan or "hang" in plan:
            return found
        found.append(chunk({}, plan.get("reason", "stop")))
    if told:
        found.append({**head, "choices": [], "usage": _usage(10, tokens)})
    return found


def _has_content(chunk: dict[str, Any]) -> bool:
    deltas = [choice["delta"] for choice in chunk.get("choices", ())]
    return any(delta.get("content") or delta.get("tool_calls") for delta in deltas)


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _not_found(model: str) -> web.Response:
    error = {
        "message": f"The model `{model}` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
    return web.json_response({"error": error}, status=404)


def application() -> web.Application:
    """The routes; call it where a loop runs."""
    server = Server()
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/chat/completions", server.chat),
            web.post("/v1/completions", completion),
            web.post("/v1/embeddings", embeddings),
            web.post("/v1/responses", responses),
            web.get("/ledger", server.told),
            web.get("/next", server.next),
            web.get("/health", health),
        ]
    )
    return app


def main(port: int) -> None:
    """Serve until killed."""

    async def made() -> web.Application:
        return application()

    web.run_app(made(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
