"""Heads of answers: TGI's and TEI's times, load reports in every form, and whatever else a head may hold."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.server_headers import MAX_MODELS, STALE_SECONDS, ServerHeaders
from exporter.records.catalogue import metric
from exporter.records.exchange import OTHER
from exporter.records.sample import Histogram, Sample
from tests.analysis.world import BOUNDS, v2

NOW = 2_000_000_000.0
ONE = v2({"x": [1.0]}, {"y": [1.0]}, name="llama")
TGI = {
    "x-compute-type": "1-nvidia-a10g",
    "x-compute-time": "1.2",
    "x-compute-characters": "17",
    "x-total-time": "1200",
    "x-validation-time": "0",
    "x-queue-time": "25",
    "x-inference-time": "1175",
    "x-time-per-token": "58",
    "x-prompt-tokens": "12",
    "x-generated-tokens": "20",
}


def answer(fields: dict[str, str] | bytes, **changes: Any) -> Any:
    lines = (
        fields if isinstance(fields, bytes) else "".join(f"{k}: {v}\r\n" for k, v in fields.items()).encode()
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + lines + b"\r\n"
    return msgspec.structs.replace(ONE, response_head=head, **changes)


def read(*answers: Any) -> list[Sample]:
    headers = ServerHeaders(BOUNDS, 5.0)
    for one in answers:
        headers.add(one, NOW)
    return list(headers.samples(NOW))


def told(samples: list[Sample]) -> dict[tuple[str, ...], float]:
    """All but histograms and zeros."""
    return {
        (one.name, *one.labels): one.value
        for one in samples
        if not isinstance(one.value, Histogram) and one.value
    }


def test_times_of_tgi() -> None:
    """Every phase goes into its histogram in seconds, tokens are added up, each value is counted as read."""
    samples = read(answer(TGI), answer(TGI))
    times = {one.labels: one.value for one in samples if one.name == "model.server.phase.duration"}
    assert {labels[2]: value.sum for labels, value in times.items()} == {  # type: ignore[union-attr]
        "validation": 0.0,
        "queue": 0.05,
        "inference": 2.35,
        "total": 2.4,
    }
    assert all(value.count == 2 and value.bounds == BOUNDS for value in times.values())  # type: ignore[union-attr]
    assert {labels[:2] for labels in times} == {("llama", "tgi")}
    (per_token,) = [one.value for one in samples if one.name == "model.server.time_per_token"]
    assert per_token.sum == pytest.approx(0.116)  # type: ignore[union-attr]
    assert told(samples) == {
        ("model.server.tokens", "llama", "tgi", "input"): 24,
        ("model.server.tokens", "llama", "tgi", "output"): 40,
        ("modeltap.server.headers", "read"): 14,
    }
    assert {one.created for one in samples if one.name == "model.server.tokens"} == {5.0}


def test_buckets_are_inclusive() -> None:
    """A time that equals a bound is in its bucket."""
    milliseconds = BOUNDS[1] * 1000
    samples = read(answer({"x-inference-time": f"{milliseconds}"}))
    (value,) = [one.value for one in samples if one.name == "model.server.phase.duration"]
    assert value.counts[1] == 1  # type: ignore[union-attr]


def test_times_of_tei() -> None:
    """Text Embeddings Inference has a phase of its own, and is told apart by it."""
    samples = read(answer({"x-compute-type": "cpu", "x-tokenization-time": "2", "x-queue-time": "1"}))
    assert {one.labels[1:] for one in samples if one.name == "model.server.phase.duration"} == {
        ("tei", "tokenization"),
        ("tei", "queue"),
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"x-queue-time": "12"},
        {"x-response-time": "3ms", "x-request-id": "a"},
        {"x-runtime": "0.2"},
        {"endpoint-load-metrics-format": "json"},
    ],
)
def test_what_is_no_such_server_is_left_alone(fields: dict[str, str]) -> None:
    """A time alone is anybody's, in any unit."""
    assert told(read(answer(fields))) == {}


@pytest.mark.parametrize("status", [199, 301, 404, 503, 0])
def test_only_answers_that_succeeded(status: int) -> None:
    """Nothing else confirms a model's name."""
    assert told(read(answer(TGI, status=status))) == {}


REPORTS = (
    "TEXT named_metrics.kv_cache_utilization=0.5, named_metrics.max_token_capacity=4096",
    'JSON {"named_metrics": {"kv_cache_utilization": 0.5, "max_token_capacity": 4096}}',
    'json {"eps":"x","named_metrics":{"kv_cache_utilization":0.5,"max_token_capacity":4096,"own":1.5}}',
    "named_metrics.kv_cache_utilization:0.5,named_metrics.max_token_capacity:4096,other:7",
)


@pytest.mark.parametrize("report", REPORTS)
def test_load_reports_of_triton(report: str) -> None:
    """The same numbers in every form that is in use."""
    assert told(read(answer({"Endpoint-Load-Metrics": report}))) == {
        ("model.server.kv_cache.usage", "llama", "orca"): 0.5,
        ("model.server.token.capacity", "llama", "orca"): 4096,
        ("modeltap.server.headers", "read"): 1,
    }


def test_load_reports_of_others() -> None:
    """vLLM's names, and ORCA's own."""
    text = "TEXT cpu_utilization=0.25,mem_utilization=0.5,application_utilization=1.5,rps_fractional=9"
    vllm = "TEXT named_metrics.kv_cache_usage_perc=0.4, named_metrics.num_requests_waiting=3.0"
    found = told(read(answer({"endpoint-load-metrics": text}), answer({"endpoint-load-metrics": vllm})))
    assert found == {
        ("model.server.utilization", "llama", "orca", "cpu"): 0.25,
        ("model.server.utilization", "llama", "orca", "memory"): 0.5,
        ("model.server.utilization", "llama", "orca", "application"): 1.5,
        ("model.server.kv_cache.usage", "llama", "orca"): 0.4,
        ("model.server.requests.waiting", "llama", "orca"): 3.0,
        ("modeltap.server.headers", "read"): 2,
    }


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        *(
            ({"endpoint-load-metrics": report}, "malformed")
            for report in (
                *(
                    "",
                    "TEXT",
                    "TEXT a",
                    "TEXT a=x",
                    "TEXT a=-1",
                    "TEXT a=nan",
                    "TEXT a=inf",
                    "JSON",
                    "JSON [1]",
                ),
                *(
                    "JSON {",
                    'JSON {"named_metrics": 1}',
                    'JSON {"cpu_utilization": "1"}',
                    "JSON " + "[" * 4000,
                ),
                *(
                    'JSON {"cpu_utilization": NaN}',
                    'JSON {"cpu_utilization": ' + "9" * 4000 + "}",
                    "TEXT " + "a=1," * 2000,
                ),
                *('JSON {"cpu_utilization": true}', 'JSON {"cpu_utilization": null}'),
            )
        ),
        ({"endpoint-load-metrics": "BIN CZqZmZmZmbk/"}, "unsupported"),
        *(
            ({"x-inference-time": number}, "malformed")
            for number in ("x", "-1", "nan", "inf", "1e300", "", "1 2", "86400001")
        ),
        ({"x-compute-type": "c", "x-total-time": "1", "x-generated-tokens": "1e10"}, "malformed"),
    ],
)
def test_bad_values_are_counted(fields: dict[str, str], outcome: str) -> None:
    """Each value that cannot be used is counted, and nothing of it is exported."""
    found = told(read(answer(fields)))
    assert found.pop(("modeltap.server.headers", outcome)) == 1
    found.pop(("modeltap.server.headers", "read"), None)
    assert found == {}


def test_non_ascii_report() -> None:
    """Bytes that are no ASCII are a malformed report."""
    found = told(read(answer(b"endpoint-load-metrics: TEXT \xe4=1\r\n")))
    assert found == {("modeltap.server.headers", "malformed"): 1}


def test_reports_grow_old() -> None:
    """The last report is shown for a minute, times for ever."""
    headers = ServerHeaders(BOUNDS, 5.0)
    headers.add(answer({"endpoint-load-metrics": REPORTS[0], **TGI}), NOW)
    names = {one.name for one in headers.samples(NOW + STALE_SECONDS)}
    later = {one.name for one in headers.samples(NOW + STALE_SECONDS + 1)}
    assert names - later == {"model.server.kv_cache.usage", "model.server.token.capacity"}


def test_models_are_bounded() -> None:
    """Models over the bound count together."""
    samples = read(
        *(answer(TGI, model_name=f"m{n}") for n in range(MAX_MODELS + 5)), answer(TGI, model_name="")
    )
    tokens = {one.labels[0]: one.value for one in samples if one.labels[2:] == ("input",)}
    assert len(tokens) == MAX_MODELS + 1
    assert tokens[OTHER] == 6 * 12


NAMES = st.sampled_from([*TGI, "x-tokenization-time", "endpoint-load-metrics", "x-other"])
VALUES = (
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n"))
    | st.sampled_from(REPORTS)
    | st.floats().map(str)
)


@given(st.dictionaries(NAMES, VALUES), st.binary(max_size=50))
def test_any_head_gives_samples_that_can_be_exported(fields: dict[str, str], tail: bytes) -> None:
    """Total: no exception, labels that fit, numbers that are finite and not negative."""
    lines = b"".join(
        f"{name}: ".encode() + value.encode("latin-1") + b"\r\n" for name, value in fields.items()
    )
    for one in read(answer(lines + tail)):
        assert len(one.labels) == len(metric(one.name).labels)
        value = one.value.sum if isinstance(one.value, Histogram) else one.value
        assert value is not None and 0 <= value < float("inf")
