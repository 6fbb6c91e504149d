"""A real receiver takes pushed metrics: read back over its query API they are what a scrape shows, in every shape."""

import math
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.publish import Pusher, read_config
from exporter.publish.prometheus import render
from exporter.records.catalogue import CATALOGUE, metric, prometheus_name
from exporter.records.gpu_metrics import RATIOS
from exporter.records.sample import Exponential, Histogram, Sample
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.environments.single import single
from tests.publish.everything import everything

# What it makes of the resource and the scope: labels of every series.
_OF_RESOURCE = ("service_", "telemetry_", "scope_")
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """VictoriaMetrics at `url`, of Prometheus' API."""

    url: str

    def series(self, function: str = "", job: str = "") -> Series:
        """Every series of one service, without what the resource adds; through a function over time, if any."""
        selector = f'{{__name__!="",service_name="{job}"}}'
        expression = f"{function}({selector}[1h]) keep_metric_names" if function else selector
        found = {}
        for one in Prometheus(self.url).query(expression):
            labels = dict(one.labels)
            name = labels.pop("__name__")
            found[name, normal({key: labels[key] for key in labels if not key.startswith(_OF_RESOURCE)})] = (
                one.value
            )
        return found

    def read(self, expected: Series, function: str = "", job: str = "") -> Series:
        """What is there once it is as many as expected: an instant is the begin of a second to it."""
        self.flush()
        enough = [{}]

        def seen() -> bool:
            enough[0] = self.series(function, job)
            return len(enough[0]) >= len(expected)

        wait_until(seen, f"{len(expected)} series", DEADLINE, progress=lambda: len(enough[0]))
        return enough[0]

    def flush(self) -> None:
        """What was taken can be found from here on."""
        urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=30).close()


def normal(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    """Without labels that have no value, which are none; a bound is a number, however it is written."""
    return frozenset(
        (key, repr(float(value)) if key == "le" else value) for key, value in labels.items() if value
    )


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One for all tests, that translates names as Prometheus does."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("victoria")
    address = f"{LOOPBACK}:{port}"
    flags = ["-opentelemetry.usePrometheusNaming", "-search.latencyOffset=0s", "-search.disableCache"]
    command = [
        single("victoria"),
        f"-httpListenAddr={address}",
        f"-storageDataPath={folder / 'data'}",
        *flags,
    ]
    with running(Program("victoria", command, folder, {}), f"http://{address}/health"):
        yield Receiver(f"http://{address}")


@pytest.fixture
def environ(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> dict[str, str]:
    """The standard variables of this test's push; each has a service of its own."""
    found = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.url}/opentelemetry",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": urllib.parse.quote(request.node.name),
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def push(environ: dict[str, str], *steps: list[Sample]) -> None:
    """Each step in an export of its own, all of them taken."""
    config, problems = read_config(environ)
    assert problems == []
    ticks = iter(range(1_000_000))
    pusher = Pusher(replace(config, interval_seconds=0.001), time.time(), lambda: float(next(ticks)))
    pusher.start()
    began = time.time()
    for number, samples in enumerate(steps, 1):
        # The receiver keeps one value of a millisecond.
        pusher.offer(samples, began + number * 0.005)
        wait_until(lambda number=number: exports(pusher)["success"] == number, "it is taken", DEADLINE)
    assert pusher.stop(DEADLINE)
    assert exports(pusher)["failure"] == 0


def exports(pusher: Pusher) -> dict[str, float]:
    """By outcome."""
    found = {one.labels[1]: one.value for one in pusher.samples() if one.name == "modeltap.otlp.exports"}
    return {outcome: value for outcome, value in found.items() if isinstance(value, int | float)}


def scraped(samples: list[Sample]) -> Series:
    """What a scrape of them shows."""
    body, _ = render(samples, "")
    return {
        (sample.name, normal(sample.labels)): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


# Names for which a receiver's rules know better than to agree: a convention's own unit, and what a scrape calls info.
OTHERS = {
    **{prometheus_name(metric(name)): f"{prometheus_name(metric(name))}_ratio" for name in RATIOS},
    # The scrape's suffix is Prometheus' own; over OTLP such a row is a gauge under its own name.
    **{prometheus_name(row): row.name.replace(".", "_") for row in CATALOGUE if row.kind == "info"},
}


def test_every_family(receiver: Receiver, environ: dict[str, str]) -> None:
    """Names, labels and values of every row of the catalogue are those of the scrape, explicit buckets included."""
    samples = everything()
    push(environ, samples)
    expected = {(OTHERS.get(name, name), labels): value for (name, labels), value in scraped(samples).items()}
    assert OTHERS.keys() <= {name for name, _ in scraped(samples)}
    assert receiver.read(expected, "", environ["OTEL_SERVICE_NAME"]) == expected


# Whoever counts from another moment on counts anew.
CREATED = float(int(time.time()) - 60)
LABELS = ("churn", "2", "predict", "open_inference_v2", "200")
# Base-2 buckets of scale 3: index i holds (2^(i/8), 2^((i+1)/8)] seconds. Two below the first bound of any classic one.
OFFSET, COUNTS = -60, (1, 0, 40, 3, 2)


def duration(counts: tuple[int, ...], zero: int, total: float) -> Sample:
    """A latency with buckets of both kinds."""
    whole = (sum(counts) + zero, 0)
    value = Histogram((1.0,), whole, total, Exponential(3, zero, 0.0, OFFSET, counts))
    return Sample("model.request.duration", LABELS, value, CREATED)


def ranges(found: Series) -> dict[float, float]:
    """Count by the middle of the receiver's own buckets (some 14 % wide, laid out by itself), 0 for the lowest."""
    counts = {}
    for (_, labels), value in found.items():
        if bounds := dict(labels).get("vmrange"):
            low, high = map(float, bounds.split("..."))
            counts[math.sqrt(low * high)] = value
    return counts


def test_exponential_histograms(receiver: Receiver, environ: dict[str, str]) -> None:
    """Count and sum are exact, and every bucket's count is within its own bounds, where the receiver lays out its."""
    environ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"] = "base2_exponential_bucket_histogram"
    push(environ, [duration(COUNTS, 5, 0.25)])
    job = environ["OTEL_SERVICE_NAME"]
    found = receiver.read(scraped([duration(COUNTS, 5, 0.25)]), "", job)
    labels = normal(dict(zip(metric("model.request.duration").labels, LABELS, strict=True)))
    assert found["model_request_duration_seconds_count", labels] == sum(COUNTS) + 5
    assert found["model_request_duration_seconds_sum", labels] == 0.25
    buckets = ranges(found)
    told = {OFFSET + place: count for place, count in enumerate(COUNTS) if count}
    assert sorted(buckets.values()) == sorted([*told.values(), 5])
    for index, count in told.items():
        assert any(
            2 ** (index / 8) < middle <= 2 ** ((index + 1) / 8)
            for middle in buckets
            if buckets[middle] == count
        )


@pytest.mark.parametrize("exponential", [False, True])
def test_deltas_add_up(receiver: Receiver, environ: dict[str, str], exponential: bool) -> None:
    """Counters and histograms pushed as deltas, summed by the receiver, are the cumulative ones; gauges stay."""
    environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
    if exponential:
        environ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"] = (
            "base2_exponential_bucket_histogram"
        )

    def step(turn: int) -> list[Sample]:
        counter = Sample(
            "model.predictions", ("churn", "2", "label", "yes", "live"), 10 * turn * turn, CREATED
        )
        counts = tuple(count * turn * turn for count in COUNTS)
        return [counter, duration(counts, turn, 0.25 * turn)]

    push(environ, step(1), step(2), step(3))
    expected = scraped(step(3))
    found = receiver.read(expected, "sum_over_time", environ["OTEL_SERVICE_NAME"])
    totals = {key: value for key, value in expected.items() if "le" not in dict(key[1]) or not exponential}
    assert {key: value for key, value in found.items() if key in totals} == totals
    if exponential:
        assert sorted(ranges(found).values()) == sorted([count * 9 for count in COUNTS if count] + [3])
