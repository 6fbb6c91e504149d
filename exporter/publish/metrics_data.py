"""Samples -> OpenTelemetry MetricsData, without a Meter: a function of its arguments.

Refuses to know exporters and threads. Invariant: names, units and label keys are those of the catalogue; counters and
histograms start when the sample says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter.records.catalogue import Metric, metric
from exporter.records.gpu_metrics import RATIOS
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample


@dataclass(frozen=True, slots=True)
class Shape:
    """`exponential` prefers base-2 buckets for histograms that keep them; `delta`: the samples are deltas."""

    exponential: bool = False
    delta: bool = False

    @property
    def temporality(self) -> AggregationTemporality:
        """As the data points say it."""
        return AggregationTemporality.DELTA if self.delta else AggregationTemporality.CUMULATIVE


_Data = otel.Sum | otel.Gauge | otel.Histogram | otel.ExponentialHistogram


def metrics_data(
    samples: Iterable[Sample],
    now: float,
    resource: Resource,
    scope: InstrumentationScope,
    shape: Shape = Shape(),
) -> otel.MetricsData:
    """All samples as one resource and scope; `now` is the unix time in seconds at which they were gathered.

    KeyError for a name that the catalogue does not have, ValueError for a wrong number of labels, TypeError for a
    value that is not of its kind.
    """
    families: dict[str, dict[tuple[str, ...], Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, {})[sample.labels] = sample
    metrics = []
    for name, series in families.items():
        row = metric(name)
        for data in _family(row, list(series.values()), _nanoseconds(now), shape):
            metrics.append(otel.Metric(name=row.name, description=row.help, unit=_unit(row), data=data))
    scoped = otel.ScopeMetrics(scope=scope, metrics=metrics, schema_url="")
    return otel.MetricsData([otel.ResourceMetrics(resource=resource, scope_metrics=[scoped], schema_url="")])


def _unit(row: Metric) -> str:
    """What receivers make no suffix of that a scrape does not have.

    The rules had `_ratio` for gauges of unit 1 until version 1.56, and most receivers still do. No unit means the same.
    """
    return "" if row.unit == "1" and row.name not in RATIOS else row.unit


def _family(row: Metric, series: list[Sample], now: int, shape: Shape) -> list[_Data]:
    if row.kind == "histogram":
        return _histograms(row, series, now, shape)
    # An info metric has no counterpart in OTLP; a gauge of 1 is what the Prometheus rules translate it from.
    numbers = [_number(row, sample, now) for sample in series]
    if row.kind == "counter":
        return [otel.Sum(numbers, shape.temporality, is_monotonic=True)]
    return [otel.Gauge(numbers)]


def _number(row: Metric, sample: Sample, now: int) -> otel.NumberDataPoint:
    value = sample.value
    if isinstance(value, Histogram):
        raise TypeError(f"{row.name} is a {row.kind}, but its sample holds a histogram")
    start = _nanoseconds(sample.created) if row.kind == "counter" else 0
    exact = value if isinstance(value, int) else float(value)
    return otel.NumberDataPoint(_attributes(row, sample), start, now, exact)


def _histograms(row: Metric, series: list[Sample], now: int, shape: Shape) -> list[_Data]:
    """At most one metric per shape: a family may hold series with and without exponential buckets."""
    explicit: list[otel.HistogramDataPoint] = []
    base2: list[otel.ExponentialHistogramDataPoint] = []
    for sample in series:
        value = sample.value
        if not isinstance(value, Histogram):
            raise TypeError(f"{row.name} is a histogram, but its sample holds {value!r}")
        if shape.exponential and value.exponential is not None:
            base2.append(_exponential(row, sample, value, value.exponential, now))
        else:
            explicit.append(_explicit(row, sample, value, now))
    found: list[_Data] = []
    if explicit:
        found.append(otel.Histogram(explicit, shape.temporality))
    if base2:
        found.append(otel.ExponentialHistogram(base2, shape.temporality))
    return found


def _explicit(row: Metric, sample: Sample, value: Histogram, now: int) -> otel.HistogramDataPoint:
    return otel.HistogramDataPoint(
        attributes=_attributes(row, sample),
        start_time_unix_nano=_nanoseconds(sample.created),
        time_unix_nano=now,
        count=value.count,
        # Left out on the wire where it is None; the SDK's types do not know that, its encoder does. So with min, max.
        sum=value.sum,  # type: ignore[arg-type]
        bucket_counts=value.counts,
        explicit_bounds=value.bounds,
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
        exemplars=_exemplars(value),
    )


def _exponential(
    row: Metric, sample: Sample, value: Histogram, base2: Exponential, now: int
) -> otel.ExponentialHistogramDataPoint:
    """`zero_threshold` stays behind: the SDK's data point has no field for it."""
    return otel.ExponentialHistogramDataPoint(
        attributes=_attributes(row, sample),
        start_time_unix_nano=_nanoseconds(sample.created),
        time_unix_nano=now,
        count=base2.zero_count + sum(base2.positive) + sum(base2.negative),
        sum=value.sum,  # type: ignore[arg-type]
        scale=base2.scale,
        zero_count=base2.zero_count,
        positive=otel.Buckets(base2.positive_offset, base2.positive),
        negative=otel.Buckets(base2.negative_offset, base2.negative),
        flags=0,
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
        exemplars=_exemplars(value),
    )


def _exemplars(value: Histogram) -> list[SdkExemplar]:
    found = zip(value.counts, value.exemplars, strict=False)
    return [
        _exemplar(one)
        for count, one in found
        if count > 0 and one is not None and one.trace_id and one.span_id
    ]


def _exemplar(exemplar: Exemplar) -> SdkExemplar:
    return SdkExemplar(
        filtered_attributes={},
        value=float(exemplar.value),
        time_unix_nano=_nanoseconds(exemplar.timestamp),
        span_id=int(exemplar.span_id, 16),
        trace_id=int(exemplar.trace_id, 16),
    )


def _attributes(row: Metric, sample: Sample) -> dict[str, str]:
    # Protobuf refuses lone surrogates, which a JSON body can hold; one bad label value must not cost the export.
    return {
        _key(row, key): value if value.isascii() else value.encode("utf-8", "replace").decode()
        for key, value in zip(row.labels, sample.labels, strict=True)
        if value != ""
    }


def _key(row: Metric, label: str) -> str:
    """The attribute of a label: those of the conventions for generative models have dots."""
    if label.startswith("gen_ai_"):
        words = label.removeprefix("gen_ai_").rpartition("_")
        return f"gen_ai.{words[0]}.{words[2]}"
    return "error.type" if label == "error_type" and row.name.startswith("gen_ai.") else label


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
