"""Sample: one series of one family as it is exported now. The only thing that publishers see.

A Sample is a value; making one changes nothing. Whoever yields samples yields all samples of one family together.
"""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One exchange that fell into a bucket. `value` in the histogram's unit, `timestamp` in unix seconds."""

    trace_id: str
    span_id: str
    value: float
    timestamp: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Base-2 exponential buckets (OpenTelemetry data model): bucket i covers (base^i, base^(i+1)], base = 2^(2^-scale).

    `positive` and `negative` hold counts from index `offset` on; `zero_count` what is not larger than `zero_threshold`.
    """

    scale: int
    zero_count: int
    zero_threshold: float
    positive_offset: int
    positive: tuple[int, ...]
    negative_offset: int = 0
    negative: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts` per bucket, not cumulative, len(bounds) + 1 of them; bounds are inclusive upper bounds.

    `sum` is None where it would not be monotonic (signed values). `exemplars` has one entry or None per bucket.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float | None
    exponential: Exponential | None = None
    exemplars: tuple[Exemplar | None, ...] = ()

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)


class Sample(msgspec.Struct, frozen=True, gc=False):
    """`name` is a catalogue name; `labels` are the values in the order of the row's labels ("" = label absent).

    `created` is the unix time in seconds at which a counter or histogram started from 0; 0.0 for gauges.
    """

    name: str
    labels: tuple[str, ...]
    value: float | int | Histogram
    created: float = 0.0
