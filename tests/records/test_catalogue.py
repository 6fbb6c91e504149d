"""The catalogue: one row per metric, consistent with the design's names and words."""

import re

import pytest

from exporter.records.catalogue import CATALOGUE, Metric, metric, prometheus_name

# The design's words, then those that are semantic-convention attributes or say what the sidecar itself did.
VOCABULARY = {
    *(
        "model_name",
        "model_version",
        "previous_version",
        "path",
        "operation",
        "protocol",
        "code",
        "error_type",
        "output",
        "feature",
        "class",
    ),
    *("bin", "window", "statistic", "group", "segment", "reason", "source", "state", "direction", "role"),
    *("reference", "other"),  # other: the second feature of a pair
    *("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model"),
    "gen_ai_token_type",
    *("hw_id", "hw_name", "hw_parent", "hw_type", "hw_vendor", "hw_driver_version", "hw_firmware_version"),
    *("hw_serial_number", "hw_gpu_task", "hw_sensor_location", "hw_limit_type", "hw_state"),
    *("clock", "link", "pid", "xid"),  # of a GPU, beside the conventions
    *("cpu_mode", "disk_io_direction", "network_io_direction"),
    *("process_context_switch_type", "system_paging_fault_type", "system_memory_state"),
    *("component", "collector", "outcome", "signal", "version", "python_version", "match", "probability"),
    *("truth", "maturity"),  # the true class; whether labels are complete
    "comparison",  # of a contest: on the same rows, or on split traffic
    *("champion", "owner"),  # the live version that a challenger is compared with; whom a KPI belongs to
    *("phase", "token_type", "resource", "purpose", "task", "task_source", "kind", "hash"),
    *("job_name", "stream", "level"),  # of a batch job; of a wrapped server's lines
    *(
        "artifact",
        "digest",
        "section",
        "team",
        "run_id",
        "checkpoint",
        "threshold",
        "position",
    ),  # a file of the model; a declared threshold, and where scores lie
    *("cgroup", "view"),  # the version of control groups; how they are seen
}
FIXED = {
    *(
        "model_request_duration_seconds",
        "model_request_time_to_first_byte_seconds",
        "model_client_wait_seconds",
    ),
    *(
        "model_requests_in_flight",
        "model_queue_length",
        "model_queue_wait_seconds",
        "model_request_errors_total",
    ),
    *(
        "model_request_size_bytes",
        "model_response_size_bytes",
        "model_predictions_total",
        "model_prediction_value",
    ),
    *("model_prediction_bin_total", "model_feature_bin_total", "model_drift", "model_up", "model_info"),
    *("modeltap_records_dropped_total", "modeltap_overhead_seconds", "modeltap_build_info"),
}
ROWS = pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)


def test_names_are_unique() -> None:
    """No two rows share a name, nor what Prometheus makes of it and of its parts."""
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)
    exposed: list[str] = []
    for row in CATALOGUE:
        name = prometheus_name(row)
        parts = ("_bucket", "_sum", "_count", "_created") if row.kind == "histogram" else ()
        exposed += [name, *(name + part for part in parts)]
        if row.kind == "counter":
            exposed.append(name.removesuffix("_total") + "_created")
    assert len(set(exposed)) == len(exposed)


def test_the_fixed_names_exist() -> None:
    """The names that the design fixed are there, and stable."""
    names = {prometheus_name(row): row for row in CATALOGUE}
    assert set(names) >= FIXED
    assert all(names[name].stability == "stable" for name in FIXED)


@ROWS
def test_row(row: Metric) -> None:
    """Well-formed names, known words as labels, a help sentence, and buckets only on histograms, sorted."""
    assert re.fullmatch(
        r"(?:model|modeltap|process|container|system|hw|gen_ai)(?:\.[a-z0-9][a-z0-9_]*)+", row.name
    )
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", prometheus_name(row))
    assert set(row.labels) <= VOCABULARY
    assert len(set(row.labels)) == len(row.labels)
    assert row.help.endswith(".")
    assert "\n" not in row.help
    assert row.kind == "histogram" or row.buckets == ()
    assert list(row.buckets) == sorted(set(row.buckets))
    assert all(bound > 0 for bound in row.buckets)
    assert row.unit in ("s", "By", "By/s", "1", "Cel", "W", "J", "Hz") or re.fullmatch(
        r"\{[a-z_]+\}(?:/s)?", row.unit
    )
    assert metric(row.name) is row


def test_histograms_have_buckets_but_for_the_one_that_takes_the_profiles() -> None:
    """Only prediction values have bounds of the reference; all others have fixed ones."""
    assert {row.name for row in CATALOGUE if row.kind == "histogram" and not row.buckets} == {
        "model.prediction.value"
    }


def test_traffic_labels_are_the_same_everywhere() -> None:
    """Families that are divided by one another in queries share their first labels, in order."""
    first = ("model_name", "model_version", "operation", "protocol")
    for name in ("duration", "time_to_first_byte", "errors", "size"):
        assert metric(f"model.request.{name}").labels[:4] == first
    assert metric("model.response.size").labels == first


def test_unknown_names_raise() -> None:
    """A name that is not declared is an error where it is asked for."""
    with pytest.raises(KeyError):
        metric("model.request.latency")


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("http.server.active_requests", "{request}", "gauge", "http_server_active_requests"),
        ("gen_ai.client.token.usage", "{token}", "histogram", "gen_ai_client_token_usage"),
        ("model.generation.rate", "{token}/s", "histogram", "model_generation_rate_per_second"),
        ("hw.gpu.utilization", "1", "gauge", "hw_gpu_utilization"),
        ("hw.gpu.memory.usage", "By", "gauge", "hw_gpu_memory_usage_bytes"),
        ("hw.energy", "J", "counter", "hw_energy_joules_total"),
        ("hw.power", "W", "gauge", "hw_power_watts"),
        ("hw.temperature", "Cel", "gauge", "hw_temperature_celsius"),
        ("hw.gpu.pcie.throughput", "By/s", "gauge", "hw_gpu_pcie_throughput_bytes_per_second"),
        ("process.cpu.time", "s", "counter", "process_cpu_time_seconds_total"),
        ("x.total", "{thing}", "counter", "x_total"),
        ("x.wait.seconds", "s", "gauge", "x_wait_seconds"),
        ("x.wait.seconds", "s", "counter", "x_wait_seconds_total"),
        ("x..y-z", "%", "gauge", "x_y_z_percent"),
        ("x.clock", "Hz", "gauge", "x_clock_hertz"),
        ("x.delay", "ms", "gauge", "x_delay_milliseconds"),
        ("model.info", "1", "info", "model_info"),
        ("modeltap.build", "1", "info", "modeltap_build_info"),
    ],
)
def test_prometheus_name(name: str, unit: str, kind: str, expected: str) -> None:
    """The standard translation, as other exporters of the same conventions were seen to make it."""
    assert prometheus_name(Metric(name, kind, unit, (), "x")) == expected  # type: ignore[arg-type]
