"""`python -m bench.publish`: what a scrape and a push cost, by number of series, in process CPU time.

The same series, as a sidecar has them (bins, latency histograms, gauges), are rendered by modeltap in each format and
coding, by prometheus_client's generate_latest, and made into an OTLP message by modeltap and by the OpenTelemetry SDK.
A series is what Prometheus counts as one: each bucket, sum and count of a histogram is. Between two calls every value
changes, as between two scrapes. Each figure is the best of several rounds. A goal is one: nothing fails that misses it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import prometheus_client
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import openmetrics

from bench.decode import best
from exporter.publish.compression import compress
from exporter.publish.metrics_data import Shape, metrics_data
from exporter.publish.negotiation import OPENMETRICS, PROTOBUF
from exporter.publish.prometheus import Caches, render
from exporter.records.catalogue import LATENCY_BUCKETS, metric, prometheus_name
from exporter.records.sample import Exponential, Histogram, Sample

CREATED, NOW = 1_700_000_000.0, 1_700_000_600.0
SIZES = (1000, 5000, 20_000)
ROUND_SECONDS = 0.05
GOAL_SERIES, GOAL_MS = 5000, 20.0
_PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7"
_ACCEPTS = {"text": "", "openmetrics": OPENMETRICS, "protobuf": _PROTOBUF}
_HISTOGRAM = len(LATENCY_BUCKETS) + 3  # buckets with +Inf, sum and count
_TRAFFIC = ("predict", "open_inference_v2", "200")


class Case(NamedTuple):
    """One way to publish; `call` returns the bytes that leave."""

    by: str
    what: str
    call: Callable[[], bytes]


def samples(series: int, step: int = 0) -> list[Sample]:
    """That many series and at most one histogram more: 3 of 10 in histograms, 6 in bins, the rest gauges."""
    found = [_latency(f"model{number}", step) for number in range(max(1, series * 3 // 10 // _HISTOGRAM))]
    left = series - len(found) * _HISTOGRAM
    bins, gauges = left * 6 // 7, left - left * 6 // 7
    for number in range(bins):
        labels = ("churn", "2", f"feature{number // 20}", "1f0c22aa", f"(-inf, {number % 20}.5]", "live")
        found.append(Sample("model.feature.bin", labels, number * 31 + step, CREATED))
    for number in range(gauges):
        labels = ("churn", "2", "", f"feature{number}", "1h", "psi", "1f0c22aa", "live")
        found.append(Sample("model.drift", labels, (number + step) / 7919))
    return found


def _latency(name: str, step: int) -> Sample:
    counts = tuple(place * 5 + step for place in range(len(LATENCY_BUCKETS) + 1))
    exponential = Exponential(3, 0, 0.0, -80, tuple(place + step for place in range(40)))
    value = Histogram(LATENCY_BUCKETS, counts, sum(counts) * 0.01, exponential)
    return Sample("model.request.duration", (name, "2", *_TRAFFIC), value, CREATED)


def count(found: Sequence[Sample]) -> int:
    """How many series Prometheus makes of them."""
    return sum(_HISTOGRAM if isinstance(sample.value, Histogram) else 1 for sample in found)


def cases(series: int) -> Iterator[Case]:
    """Every way, on that many series."""
    steps = [samples(series, step) for step in range(2)]
    for name, accept in _ACCEPTS.items():
        yield Case("modeltap", name, _scrape(steps, accept, ""))
    for coding in ("gzip", "zstd"):
        yield Case("modeltap", f"text, {coding}", _scrape(steps, "", coding))
    registry = _registry(steps[0])
    yield Case("prometheus_client", "text", lambda: prometheus_client.generate_latest(registry))
    latest = openmetrics.exposition.generate_latest
    yield Case("prometheus_client", "openmetrics", lambda: bytes(latest(registry)))
    for exponential in (False, True):
        kind = "exponential" if exponential else "explicit"
        yield Case("modeltap", f"OTLP, {kind}", _push(steps, Shape(exponential, False)))
    yield Case("OpenTelemetry SDK", "OTLP, explicit", _sdk(steps[0]))


def _scrape(steps: Sequence[Sequence[Sample]], accept: str, coding: str) -> Callable[[], bytes]:
    caches, turn = Caches(40_000), cycle(steps)

    def call() -> bytes:
        body, kind = render(next(turn), accept, caches=caches)
        assert accept != _PROTOBUF or kind == PROTOBUF
        return compress(body, coding)[0] if coding else body

    return call


def _push(steps: Sequence[Sequence[Sample]], shape: Shape) -> Callable[[], bytes]:
    turn, resource, scope = cycle(steps), Resource({}), InstrumentationScope("bench")
    return lambda: encode_metrics(metrics_data(next(turn), NOW, resource, scope, shape)).SerializeToString()


def _registry(found: Sequence[Sample]) -> prometheus_client.CollectorRegistry:
    """The same families and label sets, by the client library's own metric classes."""
    registry = prometheus_client.CollectorRegistry()
    made: dict[str, Any] = {}
    for sample in found:
        row = metric(sample.name)
        if row.name not in made:
            make: Any = getattr(prometheus_client, row.kind.capitalize())
            more = {"buckets": row.buckets} if row.kind == "histogram" else {}
            made[row.name] = make(prometheus_name(row), row.help, row.labels, registry=registry, **more)
        child = made[row.name].labels(*sample.labels)
        if isinstance(sample.value, Histogram):
            child.observe(0.02)
        elif row.kind == "counter":
            child.inc(sample.value)
        else:
            child.set(sample.value)
    return registry


def _sdk(found: Sequence[Sample]) -> Callable[[], bytes]:
    """The same instruments and attributes, by the SDK's own meter."""
    reader = InMemoryMetricReader()
    # By default it would throw all but 2,000 series of an instrument together.
    every = View(instrument_name="*", aggregation_cardinality_limit=1 << 20)
    provider = MeterProvider([reader], Resource({}), shutdown_on_exit=False, views=[every])
    meter = provider.get_meter("bench")
    made: dict[str, Any] = {}
    for sample in found:
        row = metric(sample.name)
        attributes = dict(zip(row.labels, sample.labels, strict=True))
        if row.name not in made:
            more = {"explicit_bucket_boundaries_advisory": row.buckets} if row.kind == "histogram" else {}
            made[row.name] = getattr(meter, f"create_{row.kind}")(row.name, row.unit, row.help, **more)
        if isinstance(sample.value, Histogram):
            made[row.name].record(0.02, attributes)
        elif row.kind == "counter":
            made[row.name].add(sample.value, attributes)
        else:
            made[row.name].set(sample.value, attributes)

    def call() -> bytes:
        data = reader.get_metrics_data()
        assert data is not None
        return encode_metrics(data).SerializeToString()

    return call


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds per case, 1 to 1000 (default 10)")
    parser.add_argument("--series", type=int, action="append", help="how many; may be repeated")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures there too")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000 or min(asked.series or SIZES) < 100:
        print("bench.publish: expected --rounds from 1 to 1000, --series from 100", file=sys.stderr)
        return 2
    print(f"{'':20}{'':20}{'series':>10}{'bytes':>12}{'ms of CPU':>12}{'goal':>8}")
    figures = [
        _measured(case, series, asked.rounds) for series in asked.series or SIZES for case in cases(series)
    ]
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


def _measured(case: Case, series: int, rounds: int) -> dict[str, Any]:
    size, exact = len(case.call()), count(samples(series))
    cost = best(case.call, rounds, ROUND_SECONDS) / 1000
    scraped = case.by == "modeltap" and not case.what.startswith("OTLP")
    goal = f"{GOAL_MS:.0f}" if series == GOAL_SERIES and scraped else ""
    print(f"{case.by:20}{case.what:20}{exact:>10,}{size:>12,}{cost:>12.1f}{goal:>8}", flush=True)
    return {"by": case.by, "what": case.what, "series": exact, "bytes": size, "ms": cost}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
