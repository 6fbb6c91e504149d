"""Exchanges, observations, profiles and shared totals for tests of the analysis."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from exporter.analysis.engine import Engine
from exporter.records.exchange import ERROR_TYPES, Exchange, Trace
from exporter.records.observation import Column
from exporter.records.sample import Histogram, Sample
from exporter.records.totals import EXPONENTIAL_SLOTS, Layout, Writer, exponential_index
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.decode.exchanges import exchange

NOW = 1_700_000_000.0
BOUNDS = (0.001, 0.01, 0.1)
TRACE = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "")
LABELS = ("iris", "1", "predict", "open_inference_v2")


def v2(
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    version: str = "1",
    name: str = "iris",
    **changes: Any,
) -> Exchange:
    """An Open Inference exchange; whole numbers are INT64, other numbers FP64, texts BYTES."""
    answer: dict[str, Any] = {"model_name": name, "outputs": _tensors(outputs)}
    if version:
        answer["model_version"] = version
    labels = {"model_name": name, "model_version": version or "unknown"} | changes
    request = json.dumps({"inputs": _tensors(inputs)}).encode()
    return exchange(f"/v2/models/{name}/infer", request, json.dumps(answer).encode(), **labels)


def v1(instances: Any, predictions: Any, **changes: Any) -> Exchange:
    """A KServe V1 exchange of model m."""
    labels = {"model_version": "unknown"} | changes
    return exchange(
        "/v1/models/m:predict",
        json.dumps({"instances": instances}).encode(),
        json.dumps({"predictions": predictions}).encode(),
        **labels,
    )


def _tensors(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [len(data)], "datatype": _datatype(data), "data": list(data)}
        for name, data in columns.items()
    ]


def _datatype(data: Sequence[Any]) -> str:
    if any(isinstance(value, str) for value in data):
        return "BYTES"
    return "INT64" if all(type(value) is int for value in data) else "FP64"


def column(values: Sequence[Any], nulls: int = 0, name: str = "x") -> Column:
    """A column as the decoders make it: floats are numeric, anything else categorical."""
    numeric = all(isinstance(value, float) for value in values)
    array = np.array(values, np.float64 if numeric else object)
    return Column(name, "numeric" if numeric else "categorical", array, nulls)


def profile(
    model_name: str = "*", model_version: str = "*", label: str = "numbers", rows: int = 900
) -> Profile:
    """Features `age` and `city`; prediction `label`, either the numbers 0, 1, 2 or the texts a, b, c."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 3, rows)
    words: Any = codes if label == "numbers" else np.array(list("abc"), object)[codes]
    columns = {
        "age": Data(rng.normal(40.0, 10.0, rows)),
        "city": Data(np.array(["rome", "oslo", ""], object)[rng.integers(0, 3, rows)]),
        "label": Data(words, "prediction"),
    }
    return build(columns, ProfileConfig(model_name, model_version))


def feed(engine: Engine, exchanges: Iterable[Exchange], now: float = NOW) -> None:
    """All exchanges as one batch."""
    for one in exchanges:
        engine.record(one, engine.understand(one), now)
    engine.flush(now)


def found(samples: Iterable[Sample], name: str) -> dict[tuple[str, ...], Any]:
    """Values of one family by labels."""
    return {sample.labels: sample.value for sample in samples if sample.name == name}


def bump(writer: Writer, labels: tuple[str, ...], nanoseconds: int, error: str = "") -> None:
    """Count one exchange of 100 bytes each way as the data plane does; `labels` without the code means 200."""
    layout, slots = writer.layout, writer.slots
    at = writer.block(labels if len(labels) == 5 else (*labels, "200"))
    bounds = [round(bound * 1e9) for bound in layout.latency_bounds]
    for _ in range(4):
        slots[at + bisect_left(bounds, nanoseconds)] += 1
        slots[at + len(bounds) + 1 + exponential_index(nanoseconds)] += 1
        slots[at + len(bounds) + 1 + EXPONENTIAL_SLOTS] += nanoseconds
        at += layout.latency_slots
    for _ in range(2):
        slots[at + 1] += 1
        slots[at + layout.size_slots - 1] += 100
        at += layout.size_slots
    if error:
        slots[at + ERROR_TYPES.index(error)] += 1


def layout() -> Layout:
    """The layout of BOUNDS."""
    return Layout(BOUNDS)


def numbers(sample: Sample) -> tuple[float, ...]:
    """Everything in a counter or histogram that may never go back, cumulative buckets included."""
    if isinstance(sample.value, Histogram):
        return (*np.cumsum(sample.value.counts).tolist(), sample.value.sum or 0.0)
    return (sample.value,)
