"""Exchanges with generative models, as the data plane hands them over."""

import json
from typing import Any

from exporter.records.exchange import Exchange, Stream
from exporter.wire.sse import events
from tests.decode.exchanges import exchange

CHAT = "/v1/chat/completions"
MS = 1_000_000
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ASKED = {"model": "llama", "messages": [{"role": "user", "content": "Hello"}]}


def sse(*values: Any, done: bool = True) -> bytes:
    """A body of events with these values as JSON."""
    body = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    return body + (b"data: [DONE]\n\n" if done else b"")


def chunk(content: str = "", reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a streamed chat."""
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": reason}
    return {"id": "c1", "model": "llama-3", "choices": [choice], **more}


def usage(prompt: int, completion: int, cached: int = 1, reasoning: int = 1) -> dict[str, Any]:
    """Tokens as a server tells them."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def stamped(body: bytes, first: int = 100 * MS, step: int = 10 * MS) -> Stream:
    """A mark for every event, the first one after `first` nanoseconds and the others `step` apart."""
    ends = [event.end for event in events(body)]
    return Stream(ends, [first + step * number for number in range(len(ends))], len(ends))


def streamed(body: bytes, marks: Stream | None = None, **changes: Any) -> Exchange:
    """A streamed chat with that body."""
    changes = {
        "response_head": STREAM_HEAD,
        "duration": 200 * MS,
        "stream": marks or stamped(body),
    } | changes
    return exchange(CHAT, json.dumps(ASKED | {"stream": True}).encode(), body, **changes)


def told(
    prompt: int, completion: int, streamed: bool = False, marks: bool = False, **changes: Any
) -> Exchange:
    """A whole chat whose server tells its tokens; streamed, it has a chunk of content for each token."""
    changes = {"model_name": "llama", "model_version": "unknown", "duration": 200 * MS} | changes
    if not streamed:
        message = {"role": "assistant", "content": "x" * completion}
        answer = {
            "id": "c1",
            "model": "llama-3",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage(prompt, completion),
        }
        return exchange(CHAT, json.dumps(ASKED).encode(), json.dumps(answer).encode(), **changes)
    last = {"id": "c1", "choices": [], "usage": usage(prompt, completion)}
    body = sse(chunk(), *[chunk("x")] * completion, chunk("", "stop"), last)
    stream = stamped(body) if marks else None
    asked = json.dumps(ASKED | {"stream": True}).encode()
    return exchange(CHAT, asked, body, response_head=STREAM_HEAD, stream=stream, **changes)
