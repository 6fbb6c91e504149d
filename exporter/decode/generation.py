"""What the answers of generative models tell, gathered piece by piece into one Observation, whatever the dialect.

Knows no format. Texts come in to be measured and are let go; what stays is counts, times and words of small sets.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from exporter.decode.columns import categorical_columns, frozen, numeric_columns
from exporter.decode.payload import parse, refuse_many
from exporter.records.exchange import OTHER, Exchange, Stream
from exporter.records.observation import Columns, Generation, Undecodable
from exporter.wire.sse import told

# Words of OpenAI, of engines that speak like it (`abort`: SGLang), of its Responses API, and of TGI.
FINISH_REASONS: Final = frozenset(
    {
        *("stop", "length", "tool_calls", "content_filter", "function_call", "abort", "error"),
        *("completed", "incomplete", "failed", "cancelled", "max_output_tokens"),
        *("eos_token", "stop_sequence", "eos", "stop_token", "max_tokens"),
    }
)
MAX_CHOICES: Final = 128  # of one exchange, whose reasons and calls are told apart
STREAM_ERROR: Final = "stream_error"
_MOST: Final = 1 << 53
_DONE: Final = b"[DONE]"


class Gathered:
    """Filled in by a dialect while it reads."""

    def __init__(self, exchange: Exchange, operation: str, provider: str, streamed: bool) -> None:
        self.operation = operation
        self.provider = provider
        self.streamed = streamed
        self.request_model = self.response_model = self.id = ""
        self.error = exchange.error_type
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.prompt_characters: int | None = None
        self.completion_characters = 0
        self.parameters: tuple[tuple[str, int | float], ...] = ()
        self.chunks = 0
        self.choices: dict[int, str] = {}  # how each ended, "" while it has not
        self.calls: set[tuple[int, int]] = set()
        self._stream = exchange.stream
        self._first = self._last = -1  # behind the first and the last event with content, in the body as kept
        self._seen = 0

    # ---------------------------------------------------------------- reading

    def events(self, body: bytes, read: Callable[[bytes], Any] = orjson.loads) -> Iterator[tuple[int, Any]]:
        """Each event as the offset behind it and what `read` makes of its data, `[DONE]` left out.

        `read` is a decoder of msgspec's where only some fields are of interest: what it does not take, because it is
        no JSON or no such message, comes as the JSON value. Raises Undecodable for data that is no JSON, and for a
        stream that is whole and has no event at all.
        """
        refuse_many(body)
        if not _utf8(body):
            read = orjson.loads  # the other one does not look at what it skips
        for end, data in told(body):
            self._seen += 1
            if data == _DONE:
                continue
            try:
                value = read(data)
            except (ValueError, RecursionError):
                value = parse(data)
            yield end, value
        if not self._seen and not self.error:
            raise Undecodable("no_events")

    def content(self, characters: int, end: int = 0) -> None:
        """Text, a tool call or another part of what was asked for; `end` is behind the event that it came in."""
        self.completion_characters += characters
        if end and self._last != end:
            self.chunks += 1
            self._last = end
            if self._first < 0:
                self._first = end

    def choice(self, index: Any, reason: Any = None) -> int:
        """One of the answers to a request, and how it ended if that is told; its number."""
        place = index if type(index) is int and 0 <= index < MAX_CHOICES else 0
        word = reason if type(reason) is str else ""
        if word or place not in self.choices:
            self.choices[place] = word if not word or word in FINISH_REASONS else OTHER
        return place

    def call(self, choice: int, index: Any) -> None:
        """A call of a tool; its pieces have the same number."""
        self.calls.add((choice, index if type(index) is int and 0 <= index < MAX_CHOICES else 0))

    def usage(self, input_tokens: Any, output_tokens: Any, cached: Any = None, reasoning: Any = None) -> None:
        """Tokens as the server counted them; what is no count is not told."""
        self.input_tokens = count(input_tokens, self.input_tokens)
        self.output_tokens = count(output_tokens, self.output_tokens)
        self.cached_tokens = count(cached, self.cached_tokens)
        self.reasoning_tokens = count(reasoning, self.reasoning_tokens)

    # ---------------------------------------------------------------- the outcome

    @property
    def whole(self) -> bool:
        """Neither failed nor broken off."""
        return not self.error

    def generation(self) -> Generation:
        """All of it, frozen."""
        estimated = self.streamed and self.output_tokens is None and self.operation != "embeddings"
        hidden = self._stream.events - self._seen if self._stream is not None and self._stream.gap_size else 0
        chunks = self.chunks + max(hidden, 0)
        first, last = self._times()
        return Generation(
            operation=self.operation,
            provider=self.provider,
            request_model=self.request_model,
            response_model=self.response_model,
            streamed=self.streamed,
            whole=self.whole,
            error=self.error,
            input_tokens=self.input_tokens,
            output_tokens=chunks if estimated else self.output_tokens,
            cached_tokens=self.cached_tokens,
            reasoning_tokens=self.reasoning_tokens,
            estimated=estimated,
            chunks=chunks,
            first_content=first,
            last_content=last,
            choices=len(self.choices),
            tool_calls=len(self.calls),
            finish_reasons=tuple([word for _, word in sorted(self.choices.items()) if word]),
            prompt_characters=self.prompt_characters,
            completion_characters=None if hidden else self.completion_characters,
            parameters=self.parameters,
        )

    def columns(self, made: Generation) -> tuple[Columns, Columns]:
        """Inputs and outputs of the one row that a whole answer is: sizes and how it ended, for windows and drift."""
        numbers = (
            ("prompt_characters", made.prompt_characters),
            ("prompt_tokens", made.input_tokens),
        )
        answers = (
            ("completion_characters", made.completion_characters),
            ("completion_tokens", None if made.estimated else made.output_tokens),
        )
        inputs, outputs = frozen(_numeric(numbers)), _numeric(answers)
        if made.finish_reasons:
            outputs = *outputs, *categorical_columns(("finish_reason",), [made.finish_reasons[0]])
        return inputs, frozen(outputs)

    def _times(self) -> tuple[int | None, int | None]:
        if self._stream is None or self._first < 0:
            return None, None
        return _time(self._stream, self._first), _time(self._stream, self._last)


def _utf8(body: bytes) -> bool:
    try:
        return body.isascii() or bool(body.decode())
    except UnicodeDecodeError:
        return False


def count(value: Any, before: int | None = None) -> int | None:
    """A number of tokens, or what was known before if the value is none."""
    return value if type(value) is int and 0 <= value < _MOST else before


def fields(value: Any) -> dict[str, Any]:
    """The object, {} for anything else."""
    return value if type(value) is dict else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, [] for anything else."""
    return [one for one in value if type(one) is dict] if type(value) is list else []


def length(value: Any) -> int:
    """Characters of a text, 0 for anything else."""
    return len(value) if type(value) is str else 0


def numbers(given: dict[str, Any], names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, int | float], ...]:
    """The parameters among these that are numbers, by the names of the conventions."""
    found = {name: given[key] for key, name in names if type(given.get(key)) in (int, float)}
    return tuple([(name, value) for name, value in found.items() if abs(value) < _MOST])


def _time(stream: Stream, end: int) -> int | None:
    """When the bytes up to `end` of the kept body had come."""
    if stream.gap_size and end > stream.gap_at:
        end += stream.gap_size
    at = bisect_left(stream.ends, end)
    return stream.times[at] if at < len(stream.times) else None


def _numeric(pairs: tuple[tuple[str, int | None], ...]) -> Columns:
    told = [(name, float(value)) for name, value in pairs if value is not None]
    if not told:
        return []
    return numeric_columns(tuple([name for name, _ in told]), [value for _, value in told])
