"""Delta temporality: what was delivered adds up, whatever failed in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from exporter.publish.delta import Deltas
from exporter.publish.otlp import Pusher
from exporter.publish.settings import read_config
from exporter.records.sample import Exponential, Histogram, Sample
from tests.receivers.otlp import OtlpReceiver, until

LABELS = ("m", "", "predict", "p")
STEP = st.tuples(
    st.integers(0, 5),  # added to the counter
    st.lists(st.integers(-20, 20), max_size=4),  # exponential indices observed
    st.booleans(),  # whether the export arrives
)


def counter(value: int, created: float = 1.0) -> Sample:
    return Sample("modeltap.records.offered", (), value, created)


def histogram(seen: list[int], created: float = 1.0) -> Sample:
    """Observations by exponential index; the classic histogram has one bound, at index 0."""
    first, last = min(seen, default=0), max(seen, default=-1)
    counts = tuple(seen.count(index) for index in range(first, last + 1))
    classic = (sum(index < 0 for index in seen), sum(index >= 0 for index in seen))
    value = Histogram((1.0,), classic, float(len(seen)), Exponential(3, 0, 0.0, first, counts))
    return Sample("model.queue.wait", LABELS, value, created)


def indices(value: Histogram) -> dict[int, int]:
    base2 = value.exponential
    assert base2 is not None
    return {base2.positive_offset + place: count for place, count in enumerate(base2.positive) if count}


@given(st.lists(STEP, max_size=12))
def test_what_arrived_adds_up(steps: list[tuple[int, list[int], bool]]) -> None:
    """The sum of delivered deltas is the cumulative value at the last delivery; times join without a gap."""
    deltas = Deltas()
    total, seen, told, told_indices, end = 0, list[int](), 0, dict[int, int](), 1.0
    for now, (added, observed, arrives) in enumerate(steps, start=2):
        total += added
        seen = seen + observed
        samples = [counter(total), histogram(seen)]
        found = {one.name: one for one in deltas.since(samples)}
        assert all(one.created == end or one.created == 1.0 for one in found.values())
        if not arrives:
            continue
        deltas.delivered(samples, float(now))
        end = float(now)
        if (one := found.get("modeltap.records.offered")) is not None:
            assert isinstance(one.value, int) and one.value > 0
            told += one.value
        if (one := found.get("model.queue.wait")) is not None:
            assert isinstance(one.value, Histogram)
            assert one.value.sum == one.value.count == sum(indices(one.value).values())
            for index, count in indices(one.value).items():
                told_indices[index] = told_indices.get(index, 0) + count
        assert told == total
        assert told_indices == {index: seen.count(index) for index in set(seen)}


def test_gauges_are_told_as_they_are_and_still_counters_not_at_all() -> None:
    """A gauge has no delta; a counter that did not move is left out."""
    deltas = Deltas()
    samples = [Sample("model.up", (), 1), counter(3)]
    assert deltas.since(samples) == samples
    deltas.delivered(samples, 5.0)
    assert deltas.since(samples) == samples[:1]
    assert deltas.since([counter(4)]) == [counter(1, created=5.0)]


@pytest.mark.parametrize(
    "after",
    [
        counter(2),  # went back
        counter(7, created=4.0),  # another start
        histogram([1, 1], created=1.0),
    ],
)
def test_a_series_that_began_anew_is_all_new(after: Sample) -> None:
    """Nothing negative is ever told."""
    deltas = Deltas()
    deltas.delivered([counter(5), histogram([0, 1, 2])], 5.0)
    assert deltas.since([after]) == [after]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_receiver_gets_deltas(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """By the standard variable: temporality, values and times on the wire, with a failed export between."""
    address = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "Delta",
        "OTEL_METRIC_EXPORT_INTERVAL": "10",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config, problems = read_config(variables)
    assert problems == []
    pusher = Pusher(config, 1.0)
    pusher.start()

    def told(outcome: str) -> float:
        return sum(
            one.value
            for one in pusher.samples()
            if one.labels[1:] == (outcome,) and not isinstance(one.value, Histogram)
        )

    try:
        pusher.offer([counter(3)], 2.0)
        assert until(lambda: told("success") == 1)
        receiver.behaviour = "error"
        pusher.offer([counter(5)], 3.0)
        assert until(lambda: told("failure") == 1)
        receiver.behaviour = "ok"
        pusher.offer([counter(9)], 4.0)
        assert until(lambda: told("success") == 2)
    finally:
        pusher.stop(5)
    points = [
        (point.as_int, point.start_time_unix_nano / 1e9, point.time_unix_nano / 1e9)
        for request in receiver.requests
        for resource in request.message.resource_metrics
        for scope in resource.scope_metrics
        for one in scope.metrics
        for point in one.sum.data_points
        if one.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    ]
    assert points == [(3, 1.0, 2.0), (2, 2.0, 3.0), (6, 2.0, 4.0)]


def test_unknown_temporality_is_told() -> None:
    """With the value and what was expected."""
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    config, problems = read_config({name: "sometimes"})
    assert problems == [f"{name}='sometimes': expected cumulative, delta, lowmemory"]
    assert config.delta is False
