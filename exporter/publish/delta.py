"""Cumulative samples -> what was added since the last delivery, for backends that take delta temporality only.

Refuses to know exporters. Invariant: whatever fails in between, the deltas that were delivered add up to the
cumulative values; a count is told once. A value that went back, or another start time, is a new series: all of it is
new. What did not change is left out. State: one number, or one histogram, per series of the last delivery.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, repeat
from operator import sub

from exporter.records.catalogue import metric
from exporter.records.sample import Exponential, Histogram, Sample

_Name = tuple[str, tuple[str, ...]]


class Deltas:
    """`since` before each export, `delivered` behind one that arrived. Not for two threads at once."""

    def __init__(self) -> None:
        self._told: dict[_Name, Sample] = {}
        self._at = 0.0

    def since(self, samples: Iterable[Sample]) -> list[Sample]:
        """Gauges as they are; counters and histograms less what was delivered, `created` at that time."""
        found = (self._delta(sample) for sample in samples)
        return [sample for sample in found if sample is not None]

    def delivered(self, samples: Iterable[Sample], now: float) -> None:
        """The collector has these, gathered at `now` (unix seconds)."""
        self._told = {(one.name, one.labels): one for one in samples if _adds_up(one)}
        self._at = now

    def _delta(self, sample: Sample) -> Sample | None:
        if not _adds_up(sample):
            return sample
        before = self._told.get((sample.name, sample.labels))
        value = sample.value
        if before is None or before.created != sample.created:
            return sample if _count(value) else None
        rest = _less(value, before.value)
        if rest is None:  # it went back
            return sample if _count(value) else None
        return Sample(sample.name, sample.labels, rest, self._at) if _count(rest) else None


def _adds_up(sample: Sample) -> bool:
    return metric(sample.name).kind in ("counter", "histogram")


def _count(value: float | int | Histogram) -> float:
    return value.count if isinstance(value, Histogram) else value


def _less(value: float | int | Histogram, before: float | int | Histogram) -> float | int | Histogram | None:
    """`value - before`; None if anything in it would be negative."""
    if isinstance(value, Histogram):
        return _histogram_less(value, before) if isinstance(before, Histogram) else None
    if isinstance(before, Histogram) or value < before:
        return None
    return value - before


def _histogram_less(value: Histogram, before: Histogram) -> Histogram | None:
    if value.bounds != before.bounds:
        return None
    counts = tuple(map(sub, value.counts, before.counts))
    base2 = _exponential_less(value.exponential, before.exponential)
    if min(counts, default=0) < 0 or (base2 is None) is not (value.exponential is None):
        return None
    total = None if value.sum is None or before.sum is None else value.sum - before.sum
    # Exemplars of buckets that got nothing were told before.
    return Histogram(value.bounds, counts, total, base2, value.exemplars)


def _exponential_less(value: Exponential | None, before: Exponential | None) -> Exponential | None:
    if value is None or before is None or value.scale != before.scale:
        return None
    positive = _aligned_less(value.positive_offset, value.positive, before.positive_offset, before.positive)
    negative = _aligned_less(value.negative_offset, value.negative, before.negative_offset, before.negative)
    zeros = value.zero_count - before.zero_count
    if positive is None or negative is None or zeros < 0:
        return None
    return replace(
        value,
        zero_count=zeros,
        positive_offset=positive[0],
        positive=positive[1],
        negative_offset=negative[0],
        negative=negative[1],
    )


def _aligned_less(
    first: int, counts: Sequence[int], first_before: int, before: Sequence[int]
) -> tuple[int, tuple[int, ...]] | None:
    """Offset and counts of the difference; buckets only ever grow on both ends, so `before` lies within."""
    if not before:
        return first, tuple(counts)
    shift = first_before - first
    if shift < 0 or shift + len(before) > len(counts):
        return None
    behind = len(counts) - shift - len(before)
    found = tuple(map(sub, counts, chain(repeat(0, shift), before, repeat(0, behind))))
    return (first, found) if min(found) >= 0 else None
