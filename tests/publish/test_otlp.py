"""Metrics over OTLP, judged by what a real receiver got; collectors that refuse, hang or are not there."""

import gc
import logging
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.sdk.metrics.export import MetricsData

from exporter.publish.otlp import Pusher
from exporter.publish.settings import read_config
from exporter.records.catalogue import CATALOGUE, metric
from exporter.records.sample import Histogram, Sample
from tests.receivers.otlp import FILES, OtlpReceiver, attributes, until

from .everything import CREATED, NOW, everything

PROTOCOLS = ("grpc", "http/protobuf")


def endpoint(receiver: OtlpReceiver, protocol: str) -> dict[str, str]:
    """The environment that sends to the receiver."""
    address = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


def dotted(label: str) -> str:
    """As the conventions for generative models write it."""
    return label.replace("_", ".").replace("gen.ai", "gen_ai")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator["Environment"]:
    """Makes pushers from environment variables and stops them."""
    made = Environment(monkeypatch)
    yield made
    for pusher in made.pushers:
        pusher.stop(0.1)


class Environment:
    """Sets variables and makes pushers that read them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.pushers: list[Pusher] = []

    def pusher(self, variables: dict[str, str], start: bool = True) -> Pusher:
        """A pusher that exports at most every 10 ms."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        config, problems = read_config(
            {"OTEL_METRIC_EXPORT_INTERVAL": "10"} | variables, instance="host:9464"
        )
        assert problems == []
        pusher = Pusher(config, CREATED)
        self.pushers.append(pusher)
        if start:
            pusher.start()
        return pusher


def outcomes(pusher: Pusher) -> dict[str, float]:
    """Exports by outcome."""
    found = {}
    for sample in pusher.samples():
        if sample.name == "modeltap.otlp.rejected":
            continue
        assert (sample.name, sample.labels[0], sample.created) == (
            "modeltap.otlp.exports",
            "metrics",
            CREATED,
        )
        assert not isinstance(sample.value, Histogram)
        found[sample.labels[1]] = sample.value
    return found


def failed(pusher: Pusher, count: int) -> Callable[[], bool]:
    """Whether so many exports have failed."""
    return lambda: outcomes(pusher)["failure"] >= count


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_of_it_arrives(receiver: OtlpReceiver, environment: Environment, protocol: str) -> None:
    """Every catalogue row arrives with its name, unit, help, kind, labels, times and values."""
    pusher = environment.pusher(endpoint(receiver, protocol))
    pusher.offer(everything(), NOW)
    assert receiver.wait(lambda: len(receiver.metrics) == len(CATALOGUE))
    for row in CATALOGUE:
        found = receiver.metrics[row.name]
        # A unit of 1 is left out of names that are ours: receivers would put a suffix to them.
        unit = "" if row.unit == "1" and row.name not in ("hw.gpu.utilization", "hw.status") else row.unit
        assert (found.unit, found.description) == (unit, row.help)
        kind = {"counter": "sum", "gauge": "gauge", "info": "gauge", "histogram": "histogram"}[row.kind]
        assert found.WhichOneof("data") == kind
        data = getattr(found, kind)
        if kind != "gauge":
            assert data.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        assert kind != "sum" or data.is_monotonic
        for point, sample in zip(
            data.data_points, [s for s in everything() if s.name == row.name], strict=True
        ):
            keys = [
                dotted(key) if row.name.startswith("gen_ai.") or key[:7] == "gen_ai_" else key
                for key in row.labels
            ]
            labels = dict(zip(keys, sample.labels, strict=True))
            assert attributes(point.attributes) == {key: value for key, value in labels.items() if value}
            assert point.time_unix_nano == int(NOW * 1e9)
            assert point.start_time_unix_nano == (0 if kind == "gauge" else int(CREATED * 1e9))
            if isinstance(sample.value, Histogram):
                assert tuple(point.explicit_bounds) == sample.value.bounds
                assert tuple(point.bucket_counts) == sample.value.counts
                assert point.count == sample.value.count
                assert (point.sum if point.HasField("sum") else None) == sample.value.sum
                assert not point.HasField("min")
                assert not point.HasField("max")
            else:
                assert getattr(point, point.WhichOneof("value")) == sample.value


def test_exemplars_arrive(receiver: OtlpReceiver, environment: Environment) -> None:
    """Exemplars bring their ids, value and time, and none comes from an empty bucket."""
    environment.pusher(endpoint(receiver, "grpc")).offer(everything(), NOW)
    assert receiver.wait(lambda: "model.queue.wait" in receiver.metrics)
    sample = next(sample for sample in everything() if sample.name == "model.queue.wait")
    assert isinstance(sample.value, Histogram)
    wanted = [
        (one.trace_id, one.span_id, one.value, int(one.timestamp * 1e9))
        for count, one in zip(sample.value.counts, sample.value.exemplars, strict=True)
        if count and one
    ]
    found = receiver.metrics["model.queue.wait"].histogram.data_points[0].exemplars
    assert wanted
    assert [(e.trace_id.hex(), e.span_id.hex(), e.as_double, e.time_unix_nano) for e in found] == wanted


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_exponential_by_setting(receiver: OtlpReceiver, environment: Environment, protocol: str) -> None:
    """The standard variable turns histograms that keep base-2 buckets into exponential ones; the others stay."""
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    pusher = environment.pusher(endpoint(receiver, protocol) | {name: "base2_exponential_bucket_histogram"})
    pusher.offer(everything(), NOW)
    assert receiver.wait(lambda: len(receiver.metrics) == len(CATALOGUE))
    point = receiver.metrics["model.request.duration"].exponential_histogram.data_points[0]
    assert (point.scale, point.zero_count, point.count, point.sum) == (3, 1, 4, 12.25)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-8, [1, 0, 2])
    assert list(point.negative.bucket_counts) == []
    assert receiver.metrics["model.prediction.value"].WhichOneof("data") == "histogram"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_resource_headers_and_compression(
    receiver: OtlpReceiver, environment: Environment, protocol: str
) -> None:
    """Service name and instance are ours unless the environment names them; headers and gzip are honoured."""
    variables = {
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,k8s.pod.name=iris-0",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    environment.pusher(endpoint(receiver, protocol) | variables).offer([Sample("model.up", (), 1)], NOW)
    assert receiver.wait(lambda: receiver.requests)
    request = receiver.requests[0]
    assert request.headers["authorization"] == "Bearer secret"
    assert request.encoding == ("gzip" if protocol == "http/protobuf" else "")
    resource = next(receiver.resources)
    assert resource["service.name"] == "modeltap"
    assert resource["service.instance.id"] == "host:9464"
    assert resource["deployment.environment.name"] == "test"
    assert resource["k8s.pod.name"] == "iris-0"


def test_service_name_from_the_environment(receiver: OtlpReceiver, environment: Environment) -> None:
    """OTEL_SERVICE_NAME wins over our default."""
    variables = endpoint(receiver, "grpc") | {"OTEL_SERVICE_NAME": "fraud"}
    environment.pusher(variables).offer([Sample("model.up", (), 1)])
    assert receiver.wait(lambda: receiver.requests)
    assert next(receiver.resources)["service.name"] == "fraud"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_endpoint_from_our_settings(receiver: OtlpReceiver, protocol: str) -> None:
    """An endpoint of our own configuration needs no environment."""
    address = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint + "/"
    config, _ = read_config({}, address, protocol)
    pusher = Pusher(config, CREATED)
    pusher.start()
    pusher.offer([Sample("model.up", (), 1)])
    assert pusher.stop(10)
    assert [request.signal for request in receiver.requests] == ["metrics"]


def test_large_pushes_are_cut(receiver: OtlpReceiver, environment: Environment) -> None:
    """More points than fit into one message arrive in several, each once."""
    pusher = environment.pusher(endpoint(receiver, "grpc"))
    pusher.offer([Sample("modeltap.restarts", ("analysis", f"r{n}"), n, CREATED) for n in range(9000)], NOW)
    assert pusher.stop(30)
    counts = [
        len(request.message.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points)
        for request in receiver.requests
    ]
    assert sorted(counts) == [1000, 4000, 4000]


def test_the_last_offer_wins(receiver: OtlpReceiver, environment: Environment) -> None:
    """What was offered before the export began and then replaced is not sent."""
    pusher = environment.pusher(endpoint(receiver, "http/protobuf"), start=False)
    for value in (1, 2, 3):
        pusher.offer([Sample("model.connections.open", (), value)])
    pusher.start()
    assert pusher.stop(10)
    assert len(receiver.requests) == 1
    assert receiver.metrics["model.connections.open"].gauge.data_points[0].as_int == 3
    assert outcomes(pusher) == {"success": 1, "failure": 0}


def test_due_follows_the_interval() -> None:
    """Samples are wanted at once, then not before the interval has passed since the last export began."""
    now = [100.0]
    config, _ = read_config({"OTEL_METRIC_EXPORT_INTERVAL": "60000"}, "http://127.0.0.1:9")
    pusher = Pusher(config, CREATED, clock=lambda: now[0])
    assert pusher.due()
    pusher.offer([])
    assert not pusher.due()
    assert pusher._take() is not None
    for seconds, due in ((100.0, False), (159.9, False), (160.0, True)):
        now[0] = seconds
        assert pusher.due() is due
    pusher.stop(0)
    assert not pusher.due()


@pytest.mark.parametrize("behaviour", ["error", "unavailable", "hang"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bad_collector_costs_counts_only(
    receiver: OtlpReceiver, environment: Environment, protocol: str, behaviour: str
) -> None:
    """A collector that refuses, is unavailable or hangs is counted; offers pass meanwhile, and it may come back."""
    receiver.behaviour = behaviour  # type: ignore[assignment]
    pusher = environment.pusher(endpoint(receiver, protocol) | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"})
    pusher.offer([Sample("model.up", (), 0)])
    assert receiver.wait(lambda: receiver.requests)
    for _ in range(1000):
        pusher.offer([Sample("model.up", (), 1)])
    assert receiver.wait(lambda: outcomes(pusher)["failure"])
    assert outcomes(pusher)["success"] == 0
    receiver.behaviour = "ok"
    pusher.offer([Sample("model.up", (), 1)])
    assert receiver.wait(lambda: outcomes(pusher)["success"])


def test_a_collector_that_answers_garbage(receiver: OtlpReceiver, environment: Environment) -> None:
    """What is no message is not read: the answer was a success, and the next export goes out."""
    receiver.behaviour = "garbage"
    pusher = environment.pusher(endpoint(receiver, "http/protobuf"))
    for count in (1, 2):
        pusher.offer([Sample("model.up", (), count)])
        assert receiver.wait(lambda count=count: outcomes(pusher)["success"] == count)
    assert outcomes(pusher)["failure"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dead_collector(environment: Environment, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens: failures are counted, and one line tells it, not one per export."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        with caplog.at_level(logging.INFO):
            pusher = environment.pusher(variables | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"})
            for failures in (1, 2, 3):
                pusher.offer([Sample("model.up", (), 1)])
                assert until(failed(pusher, failures))
            assert pusher.stop(10)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("OTLP metrics: exports fail: ")
    assert "no reason given" not in lines[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_collector_whose_certificate_has_expired(
    environment: Environment,
    protocol: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is sent to it; each failure is counted, one line tells it, and one that it is renewed."""
    for bundle in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(bundle, raising=False)  # `requests` lets them win over what the exporter is told
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(b"".join((FILES / name).read_bytes() for name in ("expired.pem", "ca.pem")))
    with OtlpReceiver("expired") as receiver, caplog.at_level(logging.INFO, "exporter"):
        variables = endpoint(receiver, protocol) | {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(trusted)}
        # Time for a second attempt: over HTTP the SDK tells why the one failed only where another follows.
        pusher = environment.pusher(variables | {"OTEL_EXPORTER_OTLP_TIMEOUT": "3"})
        for failures in (1, 2):
            pusher.offer([Sample("model.up", (), 1)])
            assert until(failed(pusher, failures), 30.0)
        assert receiver.requests == []
        (said,) = caplog.messages
        assert said.startswith("OTLP metrics: exports fail: ")
        assert "certificate has expired" in said
        receiver.renew("server")

        def arrived() -> bool:
            pusher.offer([Sample("model.up", (), 1)])
            return outcomes(pusher)["success"] > 0

        assert until(arrived, 30.0)
        assert pusher.stop(10)
    assert caplog.messages[1:] == ["OTLP metrics: exports arrive"]
    assert receiver.requests


def test_handshakes_that_fail_are_no_lines_of_grpc() -> None:
    """Its core would write one to stderr for each, past the log. In a process of its own: it looks at its start."""
    code = (
        "from exporter.publish.otlp import Pusher; from exporter.publish.settings import read_config\n"
        "from exporter.records.sample import Sample; from tests.receivers.otlp import until\n"
        "import os; pusher = Pusher(read_config(dict(os.environ), instance='i')[0], 0.0); pusher.start()\n"
        "def failures(): return [s.value for s in pusher.samples() if s.labels == ('metrics', 'failure')][0]\n"
        "for count in (1, 2, 3):\n"
        "    pusher.offer([Sample('model.up', (), 1)]); assert until(lambda: failures() >= count, 30.0)\n"
        "pusher.stop(10)\n"
    )
    with OtlpReceiver("expired") as receiver:
        added = endpoint(receiver, "grpc") | {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(FILES / "expired.pem"),
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
            "OTEL_METRIC_EXPORT_INTERVAL": "10",
        }
        ended = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | added, capture_output=True, text=True, timeout=120
        )
        assert receiver.requests == []
    assert ended.returncode == 0, ended.stderr
    (said,) = ended.stderr.splitlines()  # the sender's own, by logging's last resort
    assert "certificate has expired" in said


class Offered(list[Sample]):
    """Samples that can be watched."""


@pytest.fixture
def no_collections() -> Iterator[None]:
    """The garbage collector does nothing by itself, as it seldom does in an analysis."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failed_export_holds_nothing(environment: Environment, protocol: str, no_collections: None) -> None:
    """Nobody listens: of what was offered, nothing outlives its export, though the SDK's exceptions hold it."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    pusher = environment.pusher(variables | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"})
    alive = []
    for failures in range(1, 6):
        offered = Offered(everything())
        alive.append(weakref.ref(offered))
        pusher.offer(offered, NOW)
        del offered
        assert until(failed(pusher, failures))
    assert pusher.stop(10)
    assert [found() for found in alive] == [None] * 5
    sent = [one for one in gc.get_objects() if isinstance(one, MetricsData | ExportMetricsServiceRequest)]
    assert sent == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_partial_success_counts_as_success(
    receiver: OtlpReceiver, environment: Environment, protocol: str
) -> None:
    """The standard exporters discard the answer of a success, so what was refused in it is not known here."""
    receiver.behaviour = "partial"
    pusher = environment.pusher(endpoint(receiver, protocol))
    pusher.offer([Sample("model.up", (), 1)])
    assert pusher.stop(10)
    assert outcomes(pusher) == {"success": 1, "failure": 0}


def test_stop_keeps_to_its_timeout(receiver: OtlpReceiver, environment: Environment) -> None:
    """With a collector that hangs, stop gives up after its timeout; what is offered later is ignored."""
    receiver.behaviour = "hang"
    pusher = environment.pusher(endpoint(receiver, "grpc") | {"OTEL_EXPORTER_OTLP_TIMEOUT": "600"})
    pusher.offer([Sample("model.up", (), 1)])
    assert receiver.wait(lambda: receiver.requests)
    assert not pusher.stop(0.05)
    pusher.offer([Sample("model.up", (), 1)])
    pusher.stop(0.05)
    assert len(receiver.requests) == 1


def test_stop_is_safe_twice_and_without_start() -> None:
    """Stop needs no start and may come again; start may come twice."""
    pusher = Pusher(read_config({})[0], CREATED)
    assert pusher.stop(1)
    assert pusher.stop(1)
    running = Pusher(read_config({})[0], CREATED)
    running.start()
    running.start()
    assert running.stop(5)
    assert running.stop(5)


def test_a_sample_that_cannot_be_sent(
    receiver: OtlpReceiver, environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ours is logged once with its traceback and counted; the thread lives on."""
    pusher = environment.pusher(endpoint(receiver, "grpc"))
    for failures in (1, 2):
        pusher.offer([Sample("model.nothing", (), 1)])
        assert receiver.wait(failed(pusher, failures))
    pusher.offer([Sample("modeltap.restarts", ("analysis", "\ud800"), 1, CREATED)])
    assert receiver.wait(lambda: outcomes(pusher)["success"] == 1)
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= logging.ERROR] == [
        True
    ]


@pytest.mark.parametrize("module", ["exporter.publish", "exporter.publish.prometheus"])
def test_the_sdk_is_not_imported_before_it_is_used(module: str) -> None:
    """Importing the room loads neither gRPC nor the OpenTelemetry SDK."""
    code = f"import sys, {module}; print([m for m in sys.modules if m.split('.')[0] in ('grpc', 'opentelemetry')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_grpc_is_not_imported_for_http(receiver: OtlpReceiver) -> None:
    """A push over HTTP does not load gRPC."""
    code = f"""
import sys
from exporter.publish import Pusher, SpanPusher, read_config
from exporter.records.sample import Sample
pusher = Pusher(read_config({{}}, {receiver.http_endpoint!r}, "http/protobuf")[0], 0.0)
pusher.start()
pusher.offer([Sample("model.up", (), 1)])
assert pusher.stop(30)
print("grpc" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
    assert metric("model.up").name in receiver.metrics
