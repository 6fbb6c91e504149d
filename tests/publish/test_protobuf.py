"""Protobuf exposition: read back by google.protobuf, and by the rules of native histograms."""

import math
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.publish.negotiation import PROTOBUF
from exporter.publish.prometheus import render
from exporter.records.catalogue import metric, prometheus_name
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample

from .client_model import families
from .everything import CREATED, everything


def written(samples: list[Sample]) -> list[Any]:
    body, kind = render(samples, PROTOBUF)
    assert kind == PROTOBUF
    return families(body)


def native_buckets(spans: Any, deltas: Any) -> dict[int, int]:
    """Prometheus' index of each bucket -> its count, as the server reads spans and deltas."""
    counts = list(accumulate(deltas))
    found: dict[int, int] = {}
    at = 0
    for span in spans:
        at += span.offset
        for _ in range(span.length):
            found[at] = counts[len(found)]
            at += 1
    assert len(found) == len(counts)
    return found


def test_everything_reads_back() -> None:
    """Every family, label and number of a complete set of samples is in the messages, and nothing else."""
    samples = everything()
    found = written(samples)
    assert {message.name for message in found} == {prometheus_name(metric(one.name)) for one in samples}
    by_name = {message.name: message for message in found}
    for sample in samples:
        row = metric(sample.name)
        message = by_name[prometheus_name(row)]
        assert message.help == row.help
        assert message.type == {"counter": 0, "gauge": 1, "info": 1, "histogram": 4}[row.kind]
        labels = {key: value for key, value in zip(row.labels, sample.labels, strict=True) if value}
        (one,) = [m for m in message.metric if {pair.name: pair.value for pair in m.label} == labels]
        value = sample.value
        if isinstance(value, Histogram):
            histogram = one.histogram
            counts = [bucket.cumulative_count for bucket in histogram.bucket]
            assert counts[: len(value.bounds)] == list(accumulate(value.counts))[:-1]
            bounds = [bucket.upper_bound for bucket in histogram.bucket]
            assert bounds[: len(value.bounds)] == list(value.bounds)
            assert bounds[len(value.bounds) :] in ([], [math.inf])
            assert histogram.sample_count == value.count
            assert histogram.sample_sum == value.sum or (
                value.sum is None and math.isnan(histogram.sample_sum)
            )
            assert histogram.created_timestamp.seconds + histogram.created_timestamp.nanos / 1e9 == CREATED
        else:
            assert (one.counter if row.kind == "counter" else one.gauge).value == value
            if row.kind == "counter":
                assert one.counter.created_timestamp.nanos == 250_000_000


def sample_of(value: Histogram) -> Sample:
    return Sample("model.queue.wait", ("m", "", "predict", "p"), value, CREATED)


COUNTS = st.lists(st.one_of(st.just(0), st.integers(0, 2**40)), max_size=40)


@given(
    COUNTS, st.integers(-300, 300), COUNTS, st.integers(-300, 300), st.integers(-4, 8), st.integers(0, 2**40)
)
def test_any_exponential_buckets_read_back(
    positive: list[int], first: int, negative: list[int], least: int, scale: int, zeros: int
) -> None:
    """Spans and deltas give every bucket its count, one index above OpenTelemetry's."""
    base2 = Exponential(scale, zeros, 0.0, first, tuple(positive), least, tuple(negative))
    (message,) = written([sample_of(Histogram((1.0,), (1, 2), 3.0, base2))])
    histogram = message.metric[0].histogram
    assert (histogram.schema, histogram.zero_count) == (scale, zeros)
    for spans, deltas, offset, counts in (
        (histogram.positive_span, histogram.positive_delta, first, positive),
        (histogram.negative_span, histogram.negative_delta, least, negative),
    ):
        found = {index: count for index, count in native_buckets(spans, deltas).items() if count}
        assert found == {offset + 1 + place: count for place, count in enumerate(counts) if count}
    assert histogram.positive_span or histogram.negative_span  # or it would count as a classic one


def test_exemplars_stand_in_their_buckets() -> None:
    """An exemplar is shown where something was counted, that of +Inf too; with its time, which native ones need."""
    one = Exemplar("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0.05, 1.5)
    last = Exemplar("1af7651916cd43dd8448eb211c80319c", "", 7.0, 2.25)
    (message,) = written([sample_of(Histogram((0.1, 1.0), (1, 0, 2), 3.0, None, (one, one, last)))])
    buckets = message.metric[0].histogram.bucket
    assert [bucket.HasField("exemplar") for bucket in buckets] == [True, False, True]
    assert {pair.name: pair.value for pair in buckets[0].exemplar.label} == {
        "trace_id": one.trace_id,
        "span_id": one.span_id,
    }
    assert (buckets[2].exemplar.value, buckets[2].upper_bound) == (7.0, math.inf)
    assert (buckets[2].exemplar.timestamp.seconds, buckets[2].exemplar.timestamp.nanos) == (2, 250_000_000)


@given(st.text(), st.floats(allow_nan=False))
def test_any_label_and_number_read_back(text: str, number: float) -> None:
    """A label value of any characters, and any float; a lone surrogate costs one character."""
    (message,) = written([Sample("model.drift", ("m", "v", text, "", "5m", "psi", "ab", "live"), number)])
    found = {pair.name: pair.value for pair in message.metric[0].label}
    assert found.get("output", "") == text.encode("utf-8", "replace").decode()
    assert message.metric[0].gauge.value == number
