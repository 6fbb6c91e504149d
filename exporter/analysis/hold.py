"""A new series shows 0 once, so that `increase()` sees its first counts. Pure: `now` is an argument.

Never held: what counts errors, what may have been exported before (it would go back), what is enumerated from the
start anyway, and everything that is pushed, for OTLP tells the start time instead. Not for two threads at once.
"""

from collections.abc import Iterable, Iterator

from exporter.records.sample import Exponential, Histogram, Sample

Name = tuple[str, tuple[str, ...]]
HELD = frozenset(
    (
        *("model.request.duration", "model.request.time_to_first_byte", "model.client.wait"),
        *("model.queue.wait", "model.request.size", "model.response.size", "model.exchanges.decoded"),
        *("gen_ai.server.request.duration", "gen_ai.server.time_to_first_token"),
        *("gen_ai.server.time_per_output_token", "gen_ai.client.token.usage"),
        *("gen_ai.client.inference.usage.input_tokens", "gen_ai.client.inference.usage.output_tokens"),
        *("gen_ai.client.inference.usage.cache_read.input_tokens",),
        *("gen_ai.client.inference.usage.reasoning.output_tokens",),
        *("gen_ai.client.inference.operation.input_tokens",),
        *("gen_ai.client.inference.operation.output_tokens",),
        *("model.generation.tokens", "model.generation.rate", "model.generation.prompt.size"),
        *("model.generation.completion.size", "model.generation.tool_calls"),
        *("model.predictions", "model.prediction.value", "model.prediction.bin", "model.feature.bin"),
        "model.batch.rows",
    )
)


def held(sample: Sample) -> bool:
    """Whether such a series shows 0 first; durations of a failed code and reasons for not decoding count errors."""
    if sample.name == "model.request.duration":
        return sample.labels[-1][:1] in "123" and sample.labels[-1] != ""
    if sample.name == "model.exchanges.decoded":
        return sample.labels[-1] == "decoded"
    if sample.name == "gen_ai.server.request.duration":
        return sample.labels[-1] == ""
    return sample.name in HELD


class Hold:
    """`seconds`: older than that a series is shown as it is; 0 switches holding off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._shown: set[Name] = set()
        self._waiting: dict[Name, float] = {}

    def release(self, samples: Iterable[Sample]) -> None:
        """These may have been exported before: show them as they are."""
        self._shown.update((sample.name, sample.labels) for sample in samples if held(sample))

    def notice(self, samples: Iterable[Sample], now: float) -> None:
        """These exist now: their time starts, if it has not yet."""
        if self._seconds:
            for sample in samples:
                name = (sample.name, sample.labels)
                if name not in self._shown and held(sample):
                    self._waiting.setdefault(name, now)

    def apply(self, samples: Iterable[Sample], now: float) -> Iterator[Sample]:
        """The samples as a scrape at `now` shall show them; each is held for one scrape at most."""
        if not self._seconds:
            yield from samples
            return
        for sample in samples:
            name = (sample.name, sample.labels)
            if name in self._shown or not held(sample):
                yield sample
                continue
            self._shown.add(name)
            since = self._waiting.pop(name, now)
            yield zeroed(sample) if 0 <= now - since < self._seconds else sample

    def keep(self, samples: Iterable[Sample]) -> None:
        """Forget all but these: what retired and comes back is new."""
        names = {(sample.name, sample.labels) for sample in samples}
        self._shown &= names
        self._waiting = {name: since for name, since in self._waiting.items() if name in names}


def zeroed(sample: Sample) -> Sample:
    """The sample as it was before its first count; without exemplars, for its buckets are empty."""
    value = sample.value
    if not isinstance(value, Histogram):
        return Sample(sample.name, sample.labels, 0, sample.created)
    base2 = value.exponential
    empty = (
        None
        if base2 is None
        else Exponential(base2.scale, 0, base2.zero_threshold, base2.positive_offset, ())
    )
    none = (0,) * len(value.counts)
    zero = Histogram(value.bounds, none, None if value.sum is None else 0.0, empty)
    return Sample(sample.name, sample.labels, zero, sample.created)
