"""What of the OpenTelemetry environment turns OTLP on, and what is told about wrong values."""

from pathlib import Path

import pytest

from exporter.publish.settings import Limits, OtlpConfig, read_config

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}


@pytest.mark.parametrize(
    ("environ", "endpoint", "metrics", "traces"),
    [
        ({}, "", False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "  "}, "", False, False),
        (ENDPOINT, "", True, True),
        ({}, "http://collector:4317", True, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:1"}, "", True, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1"}, "", False, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, "", False, False),
        ({"OTEL_SDK_DISABLED": "true"}, "http://collector:4317", False, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, "", True, True),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, "", False, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, "", True, False),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "prometheus"}, "", False, True),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "console, otlp"}, "", True, True),
    ],
)
def test_what_turns_otlp_on(environ: dict[str, str], endpoint: str, metrics: bool, traces: bool) -> None:
    """OTLP is off until an endpoint is named, and each signal can be switched off."""
    config, problems = read_config(environ, endpoint)
    assert (config.metrics, config.traces, problems) == (metrics, traces, [])


@pytest.mark.parametrize(
    ("environ", "logs"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c:1"}, True),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "console,otlp"}, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_what_turns_logs_on(environ: dict[str, str], logs: bool) -> None:
    """Logs obey their own variables."""
    config, problems = read_config(environ)
    assert (config.logs, problems) == (logs, [])


def test_values() -> None:
    """Protocols, interval, aggregation and queue come from their variables; the signal's own one wins."""
    config, problems = read_config(
        ENDPOINT
        | {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_METRIC_EXPORT_INTERVAL": "1500",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5",
            "OTEL_BSP_SCHEDULE_DELAY": "250",
            "OTEL_BLRP_MAX_QUEUE_SIZE": "512",
            "OTEL_LOGS_EXPORTER": "none",
        },
        instance="host:9464",
    )
    assert problems == []
    assert config == OtlpConfig(
        metrics=True,
        traces=True,
        metrics_protocol="http/protobuf",
        logs_protocol="http/protobuf",
        traces_protocol="grpc",
        exponential=True,
        interval_seconds=1.5,
        instance="host:9464",
        span_limits=Limits(10, 5, 0.25),
        log_limits=Limits(512, 512, 1.0),
    )


def test_defaults() -> None:
    """Without variables: gRPC, one export a minute, explicit buckets."""
    assert read_config({}) == (OtlpConfig(), [])


def test_our_own_protocol_wins() -> None:
    """A protocol from our own settings overrides the environment's."""
    config, _ = read_config({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://c", "http/protobuf")
    assert (config.protocol("metrics"), config.protocol("traces")) == ("http/protobuf", "http/protobuf")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Each wrong value is told once, with what was expected."""
    _, problems = read_config(
        ENDPOINT
        | {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_METRIC_EXPORT_INTERVAL": "soon",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "sketch",
            "OTEL_BSP_MAX_QUEUE_SIZE": "0",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4000",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "-1",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "none.pem"),
        }
    )
    wanted = (
        *(
            "protocol for metrics 'http/json': expected grpc or http/protobuf",
            "protocol for traces 'http/json'",
            "protocol for logs 'http/json'",
        ),
        *("OTEL_METRIC_EXPORT_INTERVAL='soon': expected a whole number above 0", "AGGREGATION='sketch'"),
        *("OTEL_BSP_MAX_QUEUE_SIZE='0'", "span batch 4000 with a queue of 2048"),
        *("timeout for metrics '-1': expected seconds above 0", "timeout for traces '-1'"),
        *(
            "timeout for logs '-1'",
            "certificate for metrics",
            "certificate for traces",
            "certificate for logs",
        ),
    )
    assert len(problems) == len(wanted)
    for text in wanted:
        assert sum(text in problem for problem in problems) == 1, text


@pytest.mark.parametrize(
    ("protocol", "compression", "fine"),
    [
        ("grpc", "gzip", True),
        ("grpc", "deflate", False),
        ("http/protobuf", "deflate", True),
        ("grpc", "zip", False),
    ],
)
def test_compression_is_checked_for_the_protocol(protocol: str, compression: str, fine: bool) -> None:
    """A compression that the exporter of that protocol would refuse is told at startup."""
    _, problems = read_config(ENDPOINT | {"OTEL_EXPORTER_OTLP_COMPRESSION": compression}, protocol=protocol)
    assert (problems == []) is fine


def test_nothing_is_checked_that_is_off() -> None:
    """A variable for exporters that are off is none of our business."""
    assert read_config({"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"})[1] == []
