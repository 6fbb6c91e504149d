"""What model servers call the signals that we export under one name: one row per name, and from rows to Samples.

Knows names, units and labels; neither sockets nor formats. Of several rows of one source and family the first that the
server has is taken: they are the same signal, renamed over the years. A colon in a name also stands for `_`, as Ray and
scrapers that want no colon write it. docs/upstream-metrics.md is checked against the table.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from exporter.records.catalogue import metric
from exporter.records.exchange import OTHER
from exporter.records.reading import Reading
from exporter.records.sample import Sample

MAX_MODELS = 32
MAX_NAME = 128
_RUNNING, _WAITING = "model.server.requests.running", "model.server.requests.waiting"
_REQUESTS = "model.server.requests"
_QUEUE_TIME, _COMPUTE_TIME = "model.server.queue.time", "model.server.compute.time"
_CACHE = "model.server.kv_cache.usage"
_BATCH, _BATCHES, _INFERENCES = "model.server.batch.size", "model.server.batches", "model.server.inferences"
_QUERIES, _HITS = "model.server.prefix_cache.queries", "model.server.prefix_cache.hits"
_HIT_RATIO = "model.server.prefix_cache.hit_ratio"
_PREEMPTIONS = "model.server.preemptions"
# Of what is full or not the fullest is told; everything else of one model is added up.
_LARGEST = frozenset((_CACHE, _HIT_RATIO))
_MICROSECONDS, _MILLISECONDS = 1e-6, 1e-3


class Candidate(NamedTuple):
    """One name. `model` is the label that holds the model's name, `where` a label and the value that it must have.

    `mean` reads a histogram of queue lengths: the mean of those that it counted between two scrapes.
    """

    source: str
    name: str
    family: str
    model: str = ""
    where: tuple[str, str] | None = None
    scale: float = 1.0
    mean: bool = False


CANDIDATES: tuple[Candidate, ...] = (
    # vLLM: V1 first, then the names of V0 and of its last releases.
    Candidate("vllm", "vllm:num_requests_running", _RUNNING, "model_name"),
    Candidate("vllm", "vllm:num_requests_waiting", _WAITING, "model_name"),
    Candidate("vllm", "vllm:kv_cache_usage_perc", _CACHE, "model_name"),
    Candidate("vllm", "vllm:gpu_cache_usage_perc", _CACHE, "model_name"),
    Candidate("vllm", "vllm:prefix_cache_queries_total", _QUERIES, "model_name"),
    Candidate("vllm", "vllm:gpu_prefix_cache_queries_total", _QUERIES, "model_name"),
    Candidate("vllm", "vllm:prefix_cache_hits_total", _HITS, "model_name"),
    Candidate("vllm", "vllm:gpu_prefix_cache_hits_total", _HITS, "model_name"),
    Candidate("vllm", "vllm:num_preemptions_total", _PREEMPTIONS, "model_name"),
    Candidate("vllm", "vllm:request_success_total", _REQUESTS, "model_name"),
    Candidate("vllm", "vllm:request_queue_time_seconds_sum", _QUEUE_TIME, "model_name"),
    Candidate("vllm", "vllm:request_inference_time_seconds_sum", _COMPUTE_TIME, "model_name"),
    # SGLang; what others call a preemption it calls a retraction.
    Candidate("sglang", "sglang:num_running_reqs", _RUNNING, "model_name"),
    Candidate("sglang", "sglang:num_queue_reqs", _WAITING, "model_name"),
    Candidate("sglang", "sglang:token_usage", _CACHE, "model_name"),
    Candidate("sglang", "sglang:cache_hit_rate", _HIT_RATIO, "model_name"),
    Candidate("sglang", "sglang:num_retracted_requests_total", _PREEMPTIONS, "model_name"),
    Candidate("sglang", "sglang:num_retracted_reqs_total", _PREEMPTIONS, "model_name"),
    Candidate("sglang", "sglang:num_requests_total", _REQUESTS, "model_name"),
    Candidate("sglang", "sglang:queue_time_seconds_sum", _QUEUE_TIME, "model_name"),
    # TGI: one model per server, and no label for it.
    Candidate("tgi", "tgi_queue_size", _WAITING),
    Candidate("tgi", "tgi_batch_current_size", _BATCH),
    Candidate("tgi", "tgi_request_success", _REQUESTS),
    Candidate("tgi", "tgi_request_queue_duration_sum", _QUEUE_TIME),
    Candidate("tgi", "tgi_request_inference_duration_sum", _COMPUTE_TIME),
    # Triton; durations are counters in microseconds.
    Candidate("triton", "nv_trt_llm_request_metrics", _RUNNING, "model", ("request_type", "scheduled")),
    Candidate("triton", "nv_trt_llm_request_metrics", _WAITING, "model", ("request_type", "waiting")),
    Candidate("triton", "nv_inference_pending_request_count", _WAITING, "model"),
    Candidate(
        "triton", "nv_trt_llm_kv_cache_block_metrics", _CACHE, "model", ("kv_cache_block_type", "fraction")
    ),
    Candidate("triton", "nv_inference_request_success", _REQUESTS, "model"),
    Candidate("triton", "nv_inference_count", _INFERENCES, "model"),
    Candidate("triton", "nv_inference_exec_count", _BATCHES, "model"),
    Candidate("triton", "nv_inference_queue_duration_us", _QUEUE_TIME, "model", None, _MICROSECONDS),
    Candidate(
        "triton", "nv_inference_compute_infer_duration_us", _COMPUTE_TIME, "model", None, _MICROSECONDS
    ),
    # trtllm-serve
    Candidate("trtllm", "trtllm_num_requests_running", _RUNNING, "model_name"),
    Candidate("trtllm", "trtllm_num_requests_waiting", _WAITING, "model_name"),
    Candidate("trtllm", "trtllm_kv_cache_utilization", _CACHE, "model_name"),
    Candidate("trtllm", "trtllm_kv_cache_hit_rate", _HIT_RATIO, "model_name"),
    Candidate("trtllm", "trtllm_request_success_total", _REQUESTS, "model_name"),
    Candidate("trtllm", "trtllm_request_queue_time_seconds_sum", _QUEUE_TIME, "model_name"),
    # TorchServe
    Candidate("torchserve", "ts_inference_requests_total", _REQUESTS, "model_name"),
    Candidate("torchserve", "ts_queue_latency_microseconds", _QUEUE_TIME, "model_name", None, _MICROSECONDS),
    Candidate(
        "torchserve", "ts_inference_latency_microseconds", _COMPUTE_TIME, "model_name", None, _MICROSECONDS
    ),
    # MLServer: its queues are histograms of the length that each request found.
    Candidate("mlserver", "rest_server_requests_in_progress", _RUNNING),
    Candidate("mlserver", "batch_request_queue", _WAITING, "model_name", mean=True),
    Candidate("mlserver", "parallel_request_queue", _WAITING, mean=True),
    Candidate("mlserver", "model_infer_request_success_total", _REQUESTS, "model"),
    Candidate("mlserver", "model_infer_request_duration_sum", _COMPUTE_TIME, "model"),
    # TensorFlow Serving; histograms in microseconds, those of batching for all models together.
    Candidate(
        "tensorflow_serving", ":tensorflow:serving:request_count", _REQUESTS, "model_name", ("status", "OK")
    ),
    Candidate(
        *("tensorflow_serving", ":tensorflow:serving:runtime_latency_sum", _COMPUTE_TIME, "model_name"),
        scale=_MICROSECONDS,
    ),
    Candidate(
        *("tensorflow_serving", ":tensorflow:serving:batching_session:queuing_latency_sum", _QUEUE_TIME),
        scale=_MICROSECONDS,
    ),
    Candidate(
        "tensorflow_serving", ":tensorflow:serving:batching_session:processed_batch_size_sum", _INFERENCES
    ),
    Candidate(
        "tensorflow_serving", ":tensorflow:serving:batching_session:processed_batch_size_count", _BATCHES
    ),
    # Ray Serve; times are milliseconds, a deployment is what others call a model.
    Candidate("ray_serve", "ray_serve_replica_processing_queries", _RUNNING, "deployment"),
    Candidate("ray_serve", "ray_serve_num_ongoing_requests_at_replicas", _RUNNING, "deployment"),
    Candidate("ray_serve", "ray_serve_deployment_queued_queries", _WAITING, "deployment"),
    Candidate("ray_serve", "ray_serve_deployment_request_counter_total", _REQUESTS, "deployment"),
    Candidate("ray_serve", "ray_serve_deployment_request_counter", _REQUESTS, "deployment"),
    Candidate(
        *("ray_serve", "ray_serve_deployment_processing_latency_ms_sum", _COMPUTE_TIME, "deployment"),
        scale=_MILLISECONDS,
    ),
    Candidate(
        "ray_serve", "ray_serve_batch_wait_time_ms_sum", _QUEUE_TIME, "deployment", scale=_MILLISECONDS
    ),
    Candidate("ray_serve", "ray_serve_actual_batch_size_sum", _INFERENCES, "deployment"),
    Candidate("ray_serve", "ray_serve_actual_batch_size_count", _BATCHES, "deployment"),
    # BentoML
    Candidate("bentoml", "bentoml_service_request_in_progress", _RUNNING, "service_name"),
    Candidate("bentoml", "bentoml_service_request_total", _REQUESTS, "service_name"),
    Candidate("bentoml", "bentoml_service_adaptive_batch_size_sum", _INFERENCES, "service_name"),
    Candidate("bentoml", "bentoml_service_adaptive_batch_size_count", _BATCHES, "service_name"),
)


def spellings(name: str) -> tuple[str, ...]:
    """A name as servers and scrapers spell it."""
    if ":" not in name:
        return (name,)
    plain = name.replace(":", "_")
    return name, plain, f"ray_{plain}"


def _created(name: str) -> str:
    """The name under which a counter tells when it began."""
    for suffix in ("_total", "_sum", "_count"):
        name = name.removesuffix(suffix)
    return f"{name}_created"


def _asked(candidate: Candidate, name: str) -> tuple[str, ...]:
    """All sample names that a row of this spelling reads."""
    return (f"{name}_sum", f"{name}_count") if candidate.mean else (name, _created(name))


NAMES: frozenset[str] = frozenset(
    asked for row in CANDIDATES for name in spellings(row.name) for asked in _asked(row, name)
)
_Key = tuple[str, str, str]  # family, model name, source


class Signals:
    """The signals of one server over time. Bounded: so many models, what is over adds up under `<other>`."""

    def __init__(self) -> None:
        self._before: dict[_Key, tuple[float, float]] = {}

    def read(self, readings: Iterable[Reading]) -> list[Sample]:
        """Samples of one exposition, families together; empty if it is no server's of the table."""
        found: dict[str, list[Reading]] = {}
        for reading in readings:
            # What is not a number, or below nothing, is no reading of any of these.
            if math.isfinite(reading.value) and reading.value >= 0:
                found.setdefault(reading.name, []).append(reading)
        values: dict[_Key, float] = {}
        created: dict[_Key, float] = {}
        means: dict[_Key, tuple[float, float]] = {}
        models = _Models()
        done: set[tuple[str, str]] = set()
        for row in CANDIDATES:
            name = next((one for one in spellings(row.name) if _has(row, one, found)), "")
            if name and (row.source, row.family) not in done:
                done.add((row.source, row.family))
                if row.mean:
                    means |= _totals(row, name, found, models)
                else:
                    _add(values, row, found[name], models)
                    _begin(created, row, found.get(_created(name), []), models)
        values |= self._means(means)
        return list(_samples(values, created))

    def _means(self, now: dict[_Key, tuple[float, float]]) -> dict[_Key, float]:
        """Of what was counted since the last time; a count that fell began anew. Nothing counted: nothing known."""
        found = {}
        for key, (total, count) in now.items():
            before = self._before.get(key)
            if before is not None:
                since = (total, count) if count < before[1] else (total - before[0], count - before[1])
                if since[1] > 0:
                    found[key] = max(0.0, since[0] / since[1])
        self._before = now
        return found


class _Models:
    """Model names in the order in which they come, so many at most."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def name(self, row: Candidate, reading: Reading) -> str:
        name = reading.labels.get(row.model, "")[:MAX_NAME]
        if name and name not in self._seen:
            if len(self._seen) >= MAX_MODELS:
                return OTHER
            self._seen.add(name)
        return name


def _has(row: Candidate, name: str, found: dict[str, list[Reading]]) -> bool:
    if row.mean:
        return f"{name}_sum" in found and f"{name}_count" in found
    return any(_fits(row, reading) for reading in found.get(name, ()))


def _fits(row: Candidate, reading: Reading) -> bool:
    return row.where is None or reading.labels.get(row.where[0]) == row.where[1]


def _add(values: dict[_Key, float], row: Candidate, readings: list[Reading], models: _Models) -> None:
    for reading in readings:
        if _fits(row, reading):
            key = row.family, models.name(row, reading), row.source
            value = reading.value * row.scale
            before = values.get(key, 0.0)
            values[key] = max(before, value) if row.family in _LARGEST else before + value


def _begin(created: dict[_Key, float], row: Candidate, readings: list[Reading], models: _Models) -> None:
    """A sum is as old as its youngest part is not: it began with the first."""
    for reading in readings:
        key = row.family, models.name(row, reading), row.source
        created[key] = min(created.get(key, math.inf), reading.value)


def _totals(
    row: Candidate, name: str, found: dict[str, list[Reading]], models: _Models
) -> dict[_Key, tuple[float, float]]:
    sums: dict[_Key, float] = {}
    counts: dict[_Key, float] = {}
    _add(sums, row, found[f"{name}_sum"], models)
    _add(counts, row, found[f"{name}_count"], models)
    return {key: (total, counts[key]) for key, total in sums.items() if key in counts}


def _samples(values: dict[_Key, float], created: dict[_Key, float]) -> Iterator[Sample]:
    waiting = [value for (family, _, _), value in values.items() if family == _WAITING]
    if waiting:
        yield Sample("model.queue.length", ("upstream",), sum(waiting))
    for key in sorted(values):
        family, model, source = key
        began = created.get(key, 0.0) if metric(family).kind == "counter" else 0.0
        yield Sample(family, (model, source), values[key], began)
