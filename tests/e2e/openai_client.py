"""The real openai client at work, run by the Python of its own environment: openai_client.py PROXY_URL SERVER_URL.

Prints what it saw as JSON: for each case its tokens, texts, reasons, calls, and times on the clock that all processes
of a machine share. Knows nothing of modeltap.
"""

import json
import sys
import time
import urllib.request
from typing import Any

import openai

TOOL: Any = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


class Seen:
    """One conversation as the client saw it."""

    def __init__(self, client: openai.OpenAI, server: str) -> None:
        self.client = client
        self.server = server
        self.cases: dict[str, dict[str, Any]] = {}

    def stream(self, name: str, words: str, usage: bool = False, leave_after: int = 0, **more: Any) -> None:
        """One streamed chat; `leave_after` so many chunks with content the client closes it."""
        case: dict[str, Any] = {"texts": 0, "chunks": 0, "reason": "", "error": "", "usage": None, "calls": 0}
        self.cases[name] = case
        if usage:
            more["stream_options"] = {"include_usage": True}
        case["sent"] = time.perf_counter()
        try:
            answer = self.client.chat.completions.create(
                model="llama", messages=[{"role": "user", "content": words}], stream=True, **more
            )
            for chunk in answer:
                self._take(case, chunk, time.perf_counter())
                if "lockstep" in words:
                    urllib.request.urlopen(f"{self.server}/next", timeout=10).close()
                if leave_after and case["texts"] == leave_after:
                    answer.close()
                    break
        except openai.APIError as error:
            case["error"] = type(error).__name__

    def _take(self, case: dict[str, Any], chunk: Any, now: float) -> None:
        case["chunks"] += 1
        if chunk.usage:
            case["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
            case["cached"] = chunk.usage.prompt_tokens_details.cached_tokens
        for choice in chunk.choices:
            if choice.delta.content or choice.delta.tool_calls:
                case["texts"] += bool(choice.delta.content)
                case["calls"] += len(choice.delta.tool_calls or ())
                case.setdefault("first", now)
                case["last"] = now
            case["reason"] = choice.finish_reason or case["reason"]

    def plain(self, name: str, words: str, **more: Any) -> None:
        """One chat that is no stream."""
        try:
            answer = self.client.chat.completions.create(
                **{"model": "llama", "messages": [{"role": "user", "content": words}], **more}
            )
        except openai.APIStatusError as error:
            self.cases[name] = {"error": error.status_code}
            return
        self.cases[name] = {
            "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
            "cached": answer.usage.prompt_tokens_details.cached_tokens,
            "reasons": [choice.finish_reason for choice in answer.choices],
            "calls": sum(len(choice.message.tool_calls or ()) for choice in answer.choices),
        }

    def others(self) -> None:
        """Completions, embeddings and responses."""
        text = self.client.completions.create(model="llama", prompt="Once")
        self.cases["completion"] = {
            "usage": [text.usage.prompt_tokens, text.usage.completion_tokens],
            "cached": text.usage.prompt_tokens_details.cached_tokens,
            "reasons": [text.choices[0].finish_reason],
        }
        # Not asked for another form, the client asks for base64 by itself and undoes it.
        forms: dict[str, Any] = {"base64": {}, "float": {"encoding_format": "float"}}
        for name, form in forms.items():
            made = self.client.embeddings.create(model="llama", input=["ab", "cde"], **form)
            vectors = [item.embedding for item in made.data]
            self.cases[f"embeddings_{name}"] = {"tokens": made.usage.prompt_tokens, "vectors": vectors}
        deltas, done = 0, None
        for event in self.client.responses.create(model="other", input="Hello", stream=True):
            deltas += event.type == "response.output_text.delta"
            done = event.response if event.type == "response.completed" else done
        self.cases["responses"] = {
            "deltas": deltas,
            "usage": [done.usage.input_tokens, done.usage.output_tokens],
            "cached": done.usage.input_tokens_details.cached_tokens,
            "reasoning": done.usage.output_tokens_details.reasoning_tokens,
        }


def main(proxy: str, server: str) -> None:
    """Every case, one after the other."""
    client = openai.OpenAI(base_url=f"{proxy}/v1", api_key="none", max_retries=0, timeout=30)
    seen = Seen(client, server)
    seen.plain("plain", "tokens=4")
    seen.plain("plain_choices", "tokens=2", n=3)
    seen.plain("plain_tools", "tools=2", tools=[TOOL])
    seen.plain("unknown_model", "tokens=1", model="ghost")
    seen.stream("usage", "tokens=8 pause=4", usage=True)
    seen.stream("no_usage", "tokens=6 pause=4")
    seen.stream("length", "tokens=2 reason=length pause=4", usage=True)
    seen.stream("tools", "tools=2 pause=4", usage=True, tools=[TOOL])
    seen.stream("lockstep", "tokens=40 lockstep=1")
    seen.stream("failed", "tokens=3 error=1")
    seen.stream("broken", "tokens=3 break=1")
    seen.stream("aborted", "tokens=5 hang=1", leave_after=5)
    seen.others()
    print(json.dumps(seen.cases))


if __name__ == "__main__":
    main(*sys.argv[1:])
