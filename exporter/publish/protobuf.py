"""Families of samples -> Prometheus' protobuf exposition: length-delimited io.prometheus.client.MetricFamily messages.

The only format in which Prometheus scrapes native histograms. Where a sample keeps base-2 exponential buckets they
stand in the same message as the classic ones, and the server takes what it is configured for. Written by hand: of the
whole schema a dozen fields are needed, and what does not change of a series (labels, bounds) is encoded once.

Field numbers are those of prometheus/client_model, io/prometheus/client/metrics.proto. Refuses to know where samples
come from. Invariant: equal samples give equal bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import floor, nan
from struct import Struct

from exporter.publish.series_cache import SeriesCache
from exporter.records.catalogue import Metric, prometheus_name
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample

_TYPES = {"counter": 0, "gauge": 1, "info": 1, "histogram": 4}
_DOUBLE = Struct("<d").pack
# Spans are cut at longer runs of empty buckets: an empty bucket costs a byte, a span four.
_GAP = 3
_SMALL = tuple(bytes((value,)) for value in range(128))


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, the lowest first."""
    if value < 128:
        return _SMALL[value]
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def zigzag(value: int) -> bytes:
    """A signed integer, as sint32 and sint64 are written."""
    return varint(2 * value if value >= 0 else -2 * value - 1)


def _message(field: int, body: bytes) -> bytes:
    """A length-delimited field: a message, a string or packed numbers."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def _double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + _DOUBLE(value)


def _integer(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _text(field: int, text: str) -> bytes:
    # Lone surrogates can come out of a JSON body; one bad label value must not cost the scrape.
    return _message(field, text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays the same of a series: its labels, and the upper bound of each bucket, +Inf left out."""

    labels: bytes
    bounds: tuple[bytes, ...]


def kept(row: Metric, labels: tuple[str, ...], bounds: tuple[float, ...]) -> Kept:
    """For a SeriesCache."""
    pairs = zip(row.labels, labels, strict=True)
    written = b"".join(_message(1, _text(1, key) + _text(2, value)) for key, value in pairs if value != "")
    return Kept(written, tuple(_double(2, bound) for bound in bounds))


def family(row: Metric, samples: Iterable[Sample], cache: SeriesCache[Kept]) -> bytes:
    """One delimited MetricFamily. ValueError for a wrong number of labels or of counts."""
    body = [_text(1, prometheus_name(row)), _text(2, row.help), _integer(3, _TYPES[row.kind])]
    for sample in samples:
        value = sample.value
        if isinstance(value, Histogram):
            found = cache.get(row, sample.labels, value.bounds)
            filled = _message(7, _histogram(row, value, found, sample.created))
        else:
            found = cache.get(row, sample.labels, ())
            filled = _scalar(row, value, sample.created)
        body.append(_message(4, found.labels + filled))
    whole = b"".join(body)
    return varint(len(whole)) + whole


def _scalar(row: Metric, value: float, created: float) -> bytes:
    number = _double(1, float(value))
    if row.kind != "counter":
        return _message(2, number)
    return _message(3, number + _message(3, _timestamp(created)) if created > 0.0 else number)


def _histogram(row: Metric, value: Histogram, found: Kept, created: float) -> bytes:
    if len(value.counts) != len(value.bounds) + 1:
        wrong = f"{len(value.counts)} counts for {len(value.bounds)} bounds"
        raise ValueError(f"{wrong} in {prometheus_name(row)}")
    cumulative = tuple(accumulate(value.counts))
    # A sum that could fall is not kept; 0 would be read as one, and averages formed from it.
    parts = [_integer(1, cumulative[-1]), _double(2, nan if value.sum is None else float(value.sum))]
    exemplars = {
        place: _message(3, _exemplar(one))
        for place, (one, count) in enumerate(zip(value.exemplars, value.counts, strict=False))
        if one is not None and count > 0 and one.trace_id
    }
    for place, bound in enumerate(found.bounds):
        parts.append(_message(3, _integer(1, cumulative[place]) + bound + exemplars.get(place, b"")))
    last = len(found.bounds)
    if last in exemplars:  # +Inf may be left out, unless it has something to show
        parts.append(_message(3, _integer(1, cumulative[-1]) + _double(2, float("inf")) + exemplars[last]))
    if value.exponential is not None:
        parts.append(_native(value.exponential))
    if created > 0.0:
        parts.append(_message(15, _timestamp(created)))
    return b"".join(parts)


def _native(base2: Exponential) -> bytes:
    """Schema, zero bucket and spans. OpenTelemetry's bucket i is Prometheus' bucket i + 1: it names the upper bound."""
    negative = _spans(9, 10, base2.negative_offset + 1, base2.negative)
    positive = _spans(12, 13, base2.positive_offset + 1, base2.positive)
    # Without any span a histogram is taken for a classic one.
    empty = (
        b""
        if positive or negative or base2.zero_threshold > 0.0
        else _message(12, zigzag_field(1, 0) + _integer(2, 0))
    )
    return b"".join(
        (
            zigzag_field(5, base2.scale),
            _double(6, base2.zero_threshold),
            _integer(7, base2.zero_count),
            negative,
            positive,
            empty,
        )
    )


def zigzag_field(field: int, value: int) -> bytes:
    """A field of type sint32."""
    return varint(field << 3) + zigzag(value)


def _spans(span_field: int, delta_field: int, first: int, counts: Sequence[int]) -> bytes:
    """Runs of buckets, each with its distance from the one before, and the differences of their counts, packed."""
    spans: list[bytes] = []
    deltas: list[bytes] = []
    after = before = 0
    for start, stop in _runs(counts):
        offset = first + start - after if not spans else start - after
        spans.append(_message(span_field, zigzag_field(1, offset) + _integer(2, stop - start)))
        after = stop
        for count in counts[start:stop]:
            deltas.append(zigzag(count - before))
            before = count
    return b"".join(spans) + (_message(delta_field, b"".join(deltas)) if deltas else b"")


def _runs(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Places [start, stop) between which no more than _GAP buckets in a row are empty; both ends are not."""
    runs: list[tuple[int, int]] = []
    for place, count in enumerate(counts):
        if not count:
            continue
        if runs and place - runs[-1][1] <= _GAP:
            runs[-1] = runs[-1][0], place + 1
        else:
            runs.append((place, place + 1))
    return runs


def _exemplar(exemplar: Exemplar) -> bytes:
    ids = (("trace_id", exemplar.trace_id), ("span_id", exemplar.span_id))
    labels = b"".join(_message(1, _text(1, key) + _text(2, value)) for key, value in ids if value)
    return labels + _double(2, exemplar.value) + _message(3, _timestamp(exemplar.timestamp))


def _timestamp(seconds: float) -> bytes:
    """A google.protobuf.Timestamp of a time after 1970."""
    whole = floor(seconds)
    return _integer(1, whole) + _integer(2, round((seconds - whole) * 1e9))
