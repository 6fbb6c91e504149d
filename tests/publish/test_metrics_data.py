"""Samples as OpenTelemetry objects: what the receiver tests do not show."""

import pytest
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter.publish.metrics_data import Shape, metrics_data
from exporter.records.sample import Exponential, Histogram, Sample

SCOPE = InstrumentationScope("modeltap", "1")
LABELS = ("m", "", "predict", "p")


def metrics_of(samples: list[Sample], exponential: bool = False) -> list[otel.Metric]:
    """The metrics of one resource and scope."""
    data = metrics_data(samples, 2.0, Resource({}), SCOPE, Shape(exponential))
    return list(data.resource_metrics[0].scope_metrics[0].metrics)


def test_family_of_both_shapes_becomes_two_metrics() -> None:
    """Series with and without exponential buckets cannot share a metric; both keep the name."""
    base2 = Exponential(3, 0, 0.0, 0, (1, 1))
    samples = [
        Sample("model.queue.wait", LABELS, Histogram((1.0,), (1, 1), 2.0, base2), 1.0),
        Sample("model.queue.wait", ("n", *LABELS[1:]), Histogram((1.0,), (1, 1), 2.0), 1.0),
    ]
    found = metrics_of(samples, exponential=True)
    assert [metric.name for metric in found] == ["model.queue.wait", "model.queue.wait"]
    assert {type(metric.data) for metric in found} == {otel.Histogram, otel.ExponentialHistogram}
    assert [type(metric.data) for metric in metrics_of(samples)] == [otel.Histogram]


def test_families_are_grouped_and_the_last_duplicate_counts() -> None:
    """Samples of one family that come apart are one metric, and a series is there once."""
    found = metrics_of(
        [Sample("model.up", (), 0), Sample("model.queue.length", ("a",), 1), Sample("model.up", (), 1)]
    )
    assert [metric.name for metric in found] == ["model.up", "model.queue.length"]
    points = [point for metric in found for point in metric.data.data_points]
    assert [point.value for point in points if isinstance(point, otel.NumberDataPoint)] == [1, 1]


@pytest.mark.parametrize(
    ("sample", "error"),
    [
        (Sample("model.nothing", (), 1), KeyError),
        (Sample("model.up", ("surplus",), 1), ValueError),
        (Sample("model.up", (), Histogram((), (1,), 1.0)), TypeError),
        (Sample("model.queue.wait", LABELS, 1), TypeError),
    ],
)
def test_wrong_samples_are_refused(sample: Sample, error: type[Exception]) -> None:
    """An unknown name, a wrong number of labels or a value of another kind raises."""
    with pytest.raises(error):
        metrics_of([sample])
