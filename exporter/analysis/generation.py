"""Generative models: what decoded exchanges tell -> cumulative counts and histograms, and the Samples of them.

Counted by the conventions' attributes, and by our model name and version where the family is ours. Bounded: so many
sets of names, what is over is counted under `<other>`; reasons and error types are words of small sets. Times are
those that the data plane saw; what they do not tell (one read brought it all) is not guessed.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from exporter.records.catalogue import metric
from exporter.records.exchange import OTHER, UNKNOWN, Exchange
from exporter.records.observation import Generation
from exporter.records.sample import Exponential, Histogram, Sample
from exporter.records.totals import EXPONENTIAL_OFFSET, EXPONENTIAL_SLOTS, SCALE, exponential_index

MAX_NAMES: Final = 64  # sets of names
MAX_ERRORS: Final = 16  # error types of one set
OPT_IN: Final = "gen_ai_latest_experimental"
# What cannot be read is counted by its path alone.
_OPERATIONS: Final = {
    **{"chat": "chat", "completion": "text_completion", "responses": "chat"},
    **{"generate": "text_completion", "embeddings": "embeddings"},
}
_PROVIDERS: Final = {"openai": "openai", "tgi": "tgi", "triton_generate": "triton"}
_OUTCOMES: Final = ("whole", "aborted", "failed", "broken")
_OUTCOME: Final = {"": "whole", "abort": "aborted", "stream_error": "failed"}
_USAGE: Final = {
    "input": "gen_ai.client.inference.usage.input_tokens",
    "output": "gen_ai.client.inference.usage.output_tokens",
}
_EACH: Final = {
    "input": "gen_ai.client.inference.operation.input_tokens",
    "output": "gen_ai.client.inference.operation.output_tokens",
}
# The conventions' word for what has no place of its own.
_OTHER_ERROR: Final = "_OTHER"
Labels = tuple[str, ...]
Cell = tuple[str, Labels]


def opted_in(environ: Mapping[str, str]) -> bool:
    """Whether the conventions' standard variable asks for their newer form."""
    words = environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    return OPT_IN in [word.strip() for word in words]


class Tally:
    """One histogram as it grows."""

    __slots__ = ("bounds", "counts", "exponential", "total")

    def __init__(self, bounds: tuple[float, ...], exponential: bool) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exponential = [0] * EXPONENTIAL_SLOTS if exponential else []
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more; seconds where there are exponential buckets."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
        if self.exponential:
            self.exponential[exponential_index(round(value * 1e9))] += 1

    def histogram(self) -> Histogram:
        """A copy."""
        base2 = None
        if self.exponential:
            used = [place for place, count in enumerate(self.exponential) if count] or [0]
            counts = tuple(self.exponential[used[0] : used[-1] + 1])
            base2 = Exponential(SCALE, 0, 0.0, EXPONENTIAL_OFFSET + used[0], counts)
        return Histogram(self.bounds, tuple(self.counts), self.total, base2)


@dataclass(frozen=True, slots=True)
class Generated:
    """A copy of everything counted; `samples` may run in any thread."""

    created: float
    counts: dict[Cell, int]
    histograms: dict[Cell, Histogram]

    def samples(self) -> Iterator[Sample]:
        """Families together."""
        for (name, labels), count in sorted(self.counts.items()):
            yield Sample(name, labels, count, self.created)
        for cell in sorted(self.histograms):
            yield Sample(*cell, self.histograms[cell], self.created)


class Generations:
    """`add` what was read and `unread` what was not, `copy` for a scrape. Not for two threads at once."""

    def __init__(self, created: float) -> None:
        self.newer = False  # token counts in the conventions' form to come
        self._created = created
        self._counts: dict[Cell, int] = {}
        self._tallies: dict[Cell, Tally] = {}
        self._names: set[Labels] = set()
        self._errors: dict[Labels, set[str]] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Changes when there is a series more to export."""
        return len(self._counts), len(self._tallies)

    def copy(self) -> Generated:
        """As it is now."""
        found = {cell: tally.histogram() for cell, tally in self._tallies.items()}
        return Generated(self._created, dict(self._counts), found)

    def unread(self, exchange: Exchange) -> None:
        """An exchange of which the body tells nothing: failed, not kept, or not understood."""
        operation, provider = _OPERATIONS.get(exchange.operation), _PROVIDERS.get(exchange.protocol)
        if operation is None or provider is None:
            return
        name = exchange.model_name if exchange.model_name not in (UNKNOWN, OTHER) else ""
        labels = self._known((operation, provider, name, ""))
        self._duration(labels, exchange)

    def add(self, exchange: Exchange, made: Generation, model: tuple[str, str]) -> None:
        """What an exchange tells; `model` is the name and version that it is counted under."""
        name = made.request_model or (
            exchange.model_name if exchange.model_name not in (UNKNOWN, OTHER) else ""
        )
        labels = self._known((made.operation, made.provider, name, made.response_model))
        self._duration(labels, exchange, made.error)
        ours = (*model, made.operation)
        self._usage(labels, made)
        self._tokens(ours, made)
        self._stream(labels, ours, made)
        for reason in made.finish_reasons:
            self._count("model.generation.finished", (*ours, reason))
        if made.operation != "embeddings":
            self._count("model.generation.tool_calls", ours, made.tool_calls)
        if made.prompt_characters is not None:
            self._tally("model.generation.prompt.size", ours, made.prompt_characters)
        if made.whole and made.completion_characters is not None and made.operation != "embeddings":
            self._tally("model.generation.completion.size", ours, made.completion_characters)

    # ---------------------------------------------------------------- parts

    def _known(self, labels: Labels) -> Labels:
        """The names, or `<other>` for all of them over the bound."""
        if labels not in self._names:
            if len(self._names) >= MAX_NAMES:
                return (OTHER,) * len(labels)
            self._names.add(labels)
        return labels

    def _duration(self, labels: Labels, exchange: Exchange, error: str = "") -> None:
        if exchange.status >= 400:
            error = str(exchange.status)
        error = error or exchange.error_type
        if error:
            known = self._errors.setdefault(labels, set())
            if error not in known and len(known) >= MAX_ERRORS:
                error = _OTHER_ERROR
            known.add(error)
        self._tally("gen_ai.server.request.duration", (*labels, error), exchange.duration / 1e9)

    def _usage(self, labels: Labels, made: Generation) -> None:
        """Tokens as the server told them, in one of the conventions' forms."""
        told = (("input", made.input_tokens), ("output", None if made.estimated else made.output_tokens))
        for kind, tokens in told:
            if tokens is None:
                continue
            if self.newer:
                self._count(_USAGE[kind], labels, tokens)
                self._tally(_EACH[kind], labels, tokens)
            else:
                self._tally("gen_ai.client.token.usage", (*labels, kind), tokens)
        if self.newer and made.cached_tokens is not None:
            self._count("gen_ai.client.inference.usage.cache_read.input_tokens", labels, made.cached_tokens)
        if self.newer and made.reasoning_tokens is not None:
            self._count(
                "gen_ai.client.inference.usage.reasoning.output_tokens", labels, made.reasoning_tokens
            )

    def _tokens(self, ours: Labels, made: Generation) -> None:
        told = (
            ("input", made.input_tokens),
            ("output", made.output_tokens),
            ("cached_input", made.cached_tokens),
            ("reasoning_output", made.reasoning_tokens),
        )
        for kind, tokens in told:
            if tokens is not None:
                source = "estimate" if kind == "output" and made.estimated else "server"
                self._count("model.generation.tokens", (*ours, kind, source), tokens)

    def _stream(self, labels: Labels, ours: Labels, made: Generation) -> None:
        if not made.streamed:
            return
        for outcome in _OUTCOMES:
            self._count("model.generation.streams", (*ours, outcome), 0)
        self._count("model.generation.streams", (*ours, _OUTCOME.get(made.error, "broken")))
        self._count("model.generation.estimated", ours, int(made.estimated))
        first, last, tokens = made.first_content, made.last_content, made.output_tokens or 0
        if not made.whole or first is None:
            return
        self._tally("gen_ai.server.time_to_first_token", labels, first / 1e9)
        if last is not None and last > first and tokens > 1:
            seconds = (last - first) / 1e9
            self._tally("gen_ai.server.time_per_output_token", labels, seconds / (tokens - 1))
            self._tally("model.generation.rate", ours, (tokens - 1) / seconds)

    def _count(self, name: str, labels: Labels, value: int = 1) -> None:
        cell = name, labels
        self._counts[cell] = self._counts.get(cell, 0) + value

    def _tally(self, name: str, labels: Labels, value: float) -> None:
        cell = name, labels
        found = self._tallies.get(cell)
        if found is None:
            row = metric(name)
            found = self._tallies[cell] = Tally(row.buckets, row.unit == "s")
        found.add(value)
