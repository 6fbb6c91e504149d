"""`python -m bench.decode`: what decoding an exchange costs, by dialect and size, in process CPU time.

From an Exchange, as the queue hands it over, to the Observation; the windows are not in it. Each figure is the best of
several rounds of many calls each: nothing makes code faster than it is, so the best round was disturbed least. The
garbage collector is set as in the analysis process. The goals are goals: nothing fails that misses one.
"""

import argparse
import gc
import gzip
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.traffic import ANSWER_BODY, FEATURES, infer_bodies
from exporter.decode import DIALECTS, observe
from exporter.records.exchange import Exchange
from exporter.records.routes import match

MEGABYTE = 1 << 20
COLLECTED_OBJECTS = (50_000, 20, 50)  # as exporter/telemetry.py sets it
# Long enough that the clock's step does not show, short enough that some round meets no other process.
ROUND_SECONDS = 0.02
V2, V1 = "/v2/models/bench/infer", "/v1/models/bench:predict"
JSON_FIELDS = (b"content-type: application/json",)
# Fields that heads usually have, for they are looked through.
USUAL = (
    b"host: bench.local",
    b"user-agent: bench",
    b"accept: */*",
    b"x-request-id: 7d2b9f0c4e1a4f6d9a56f1d3c0b8e27a",
)


class Case(NamedTuple):
    """One exchange and the most that decoding it should take, in µs (0: no goal)."""

    dialect: str
    name: str
    exchange: Exchange
    goal: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.exchange.request_body) + len(self.exchange.response_body)


class Message(NamedTuple):
    """A body and the fields of its head."""

    body: bytes
    fields: tuple[bytes, ...] = JSON_FIELDS


def exchange(path: str, request: Message, response: Message) -> Exchange:
    """What the data plane hands over of a POST and its 200 answer."""
    route = match("POST", path)
    return Exchange(
        request_head=_head(b"POST " + path.encode() + b" HTTP/1.1", request),
        response_head=_head(b"HTTP/1.1 200 OK", response),
        request_body=request.body,
        response_body=response.body,
        method="POST",
        path=path,
        operation=route.operation,
        protocol=route.protocol,
        model_name=route.model_name,
        model_version=route.model_version,
        status=200,
        error_type="",
        start=1_700_000_000_000_000_000,
        duration=1_000_000,
        time_to_first_byte=900_000,
        queue_wait=0,
        client_wait=0,
        request_size=len(request.body),
        response_size=len(response.body),
        request_captured=True,
        response_captured=True,
        request_id="",
        rate=1.0,
    )


def _head(line: bytes, message: Message) -> bytes:
    length = b"content-length: %d" % len(message.body)
    return b"\r\n".join([line, *USUAL, *message.fields, length, b"", b""])


def text(value: Any) -> Message:
    """A value as JSON."""
    return Message(json.dumps(value).encode())


def cases() -> Iterator[Case]:
    """Every case of every dialect that is there."""
    known = {dialect.NAME for dialect in DIALECTS}
    for made in (_v2, _v1, _tensorflow, _invocations, _seldon):
        yield from (case for case in made() if case.dialect in known)


def _row() -> list[float]:
    row: list[float] = json.loads(next(infer_bodies(1)))["inputs"][0]["data"]
    return row


def _named() -> dict[str, float]:
    return {f"feature_{at:02d}": value for at, value in enumerate(_row())}


def _rows(size: int = MEGABYTE) -> list[list[float]]:
    """Rows of features that make about so many bytes of JSON: 17 digits a number, as servers write them."""
    draw = random.Random(7)
    return [[draw.gauss(0.0, 10.0) for _ in range(FEATURES)] for _ in range(size // (20 * FEATURES))]


def _tensor(name: str, datatype: str, shape: Sequence[int], **rest: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **rest}


def _v2() -> Iterator[Case]:
    one, answer = Message(next(infer_bodies(1))), Message(ANSWER_BODY)
    yield Case("open_inference_v2", "13 features", exchange(V2, one, answer), 10)
    coded = Message(gzip.compress(one.body), (*JSON_FIELDS, b"content-encoding: gzip"))
    yield Case("open_inference_v2", "13 features, gzip", exchange(V2, coded, answer))
    named = [_tensor(name, "FP64", [1, 1], data=[value]) for name, value in _named().items()]
    yield Case("open_inference_v2", "13 named tensors", exchange(V2, text({"inputs": named}), answer))
    rows = _rows()
    count = len(rows)
    many = text({"outputs": [_tensor("predict", "FP64", [count], data=[0.5] * count)]})
    flat = _tensor("x", "FP64", [count, FEATURES], data=[value for row in rows for value in row])
    yield Case("open_inference_v2", "1 MB", exchange(V2, text({"inputs": [flat]}), many), 15_000)
    nested = _tensor("x", "FP64", [count, FEATURES], data=rows)
    yield Case("open_inference_v2", "1 MB, nested", exchange(V2, text({"inputs": [nested]}), many), 15_000)
    for size, goal in ((1 << 10, 0.0), (16 << 20, 5000.0)):
        for datatype, code in (("FP32", "<f4"), ("INT64", "<i8"), ("BF16", "<u2")):
            yield _binary(datatype, np.dtype(code), size, goal)


def _binary(datatype: str, dtype: "np.dtype[Any]", size: int, goal: float) -> Case:
    rows = size // (16 * dtype.itemsize)
    given = np.random.default_rng(7).integers(0, 100, 16 * rows).astype(dtype).tobytes()
    answered = np.zeros(rows, "<f4").tobytes()
    request = _behind("inputs", _tensor("x", datatype, [rows, 16]), given)
    response = _behind("outputs", _tensor("y", "FP32", [rows]), answered)
    name = f"{size >> 20} MiB" if size >= MEGABYTE else f"{size >> 10} KiB"
    return Case("open_inference_v2", f"{name} binary {datatype}", exchange(V2, request, response), goal)


def _behind(key: str, tensor: dict[str, Any], raw: bytes) -> Message:
    """A message whose tensor lies behind its JSON."""
    head = json.dumps({key: [tensor | {"parameters": {"binary_data_size": len(raw)}}]}).encode()
    return Message(head + raw, (b"Inference-Header-Content-Length: %d" % len(head),))


def _v1() -> Iterator[Case]:
    answer = text({"predictions": [0.5]})
    yield Case("kserve_v1", "13 features", exchange(V1, text({"instances": _rows(400)}), answer), 10)
    yield Case("kserve_v1", "13 named features", exchange(V1, text({"instances": [_named()]}), answer))
    mixed = {name: value if at % 3 else str(value) for at, (name, value) in enumerate(_named().items())}
    yield Case("kserve_v1", "13 named, some texts", exchange(V1, text({"instances": [mixed]}), answer))
    rows = _rows()
    many = text({"predictions": [0.5] * len(rows)})
    yield Case("kserve_v1", "1 MB", exchange(V1, text({"instances": rows}), many), 15_000)
    objects = [dict(zip(_named(), row, strict=True)) for row in rows[: len(rows) * 2 // 3]]
    many = text({"predictions": [0.5] * len(objects)})
    yield Case("kserve_v1", "1 MB of objects", exchange(V1, text({"instances": objects}), many), 15_000)


def _tensorflow() -> Iterator[Case]:
    columns = text({"inputs": {name: [[value]] for name, value in _named().items()}})
    yield Case("tensorflow_serving", "13 columns", exchange(V1, columns, text({"outputs": [[0.5]]})))
    path = V1.replace(":predict", ":classify")
    result = text({"results": [[["no", 0.25], ["yes", 0.75]]]})
    yield Case("tensorflow_serving", "classify", exchange(path, text({"examples": [_named()]}), result))


def _invocations() -> Iterator[Case]:
    split = text({"dataframe_split": {"columns": list(_named()), "data": [_row()]}})
    yield Case("mlflow", "13 features", exchange("/invocations", split, text({"predictions": [0.5]})))
    line = Message(",".join(map(repr, _row())).encode(), (b"content-type: text/csv",))
    answer = Message(b"0.5\n", (b"content-type: text/csv", b"x-amzn-sagemaker-inference-id: 1"))
    yield Case("sagemaker", "13 features, CSV", exchange("/invocations", line, answer))


def _seldon() -> Iterator[Case]:
    request = text({"data": {"names": list(_named()), "ndarray": [_row()]}})
    answer = text({"data": {"names": ["t:0"], "ndarray": [[0.5]]}, "meta": {}})
    yield Case("seldon_v1", "13 features", exchange("/api/v1.0/predictions", request, answer))


def best(call: Callable[[], object], rounds: int, seconds: float) -> float:
    """µs of process CPU per call in the best of the rounds, each of about so many seconds."""
    call()
    calls, lowest = 1, float("inf")
    for number in range(rounds + 1):
        before = time.process_time_ns()
        for _ in range(calls):
            call()
        taken = max(time.process_time_ns() - before, 1)
        if number:  # the first one finds how many calls make a round
            lowest = min(lowest, taken / calls / 1000)
        calls = max(1, round(calls * seconds * 1e9 / taken))
    return lowest


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.decode", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="rounds per case, 1 to 1000 (default 20)")
    parser.add_argument("--only", default="", help="names of dialects, with commas between them")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures there too")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000:
        parser.error(f"--rounds {asked.rounds}: expected 1 to 1000")
    chosen = set(filter(None, asked.only.split(",")))
    unknown = chosen - {dialect.NAME for dialect in DIALECTS}
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: expected some of {_names()}")
    figures = []
    print(f"{'dialect':20}{'exchange':26}{'bytes':>12}{'µs':>12}{'goal':>10}")
    for case in cases():
        if not chosen or case.dialect in chosen:
            figures.append(_measured(case, asked.rounds))
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


def _names() -> str:
    return ", ".join(dialect.NAME for dialect in DIALECTS)


def _measured(case: Case, rounds: int) -> dict[str, Any]:
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*COLLECTED_OBJECTS)
    try:
        cost = best(lambda: observe(case.exchange), rounds, ROUND_SECONDS)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    goal = f"{case.goal:,.0f}" if case.goal else ""
    print(f"{case.dialect:20}{case.name:26}{case.size:>12,}{cost:>12,.1f}{goal:>10}", flush=True)
    return {"dialect": case.dialect, "exchange": case.name, "bytes": case.size, "us": cost, "goal": case.goal}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
