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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import generations
from bench.exchanges import JSON_FIELDS, Case, Message, exchange, text
from bench.traffic import ANSWER_BODY, FEATURES, infer_bodies
from exporter.decode import DIALECTS, observe

MEGABYTE = 1 << 20
COLLECTED_OBJECTS = (50_000, 20, 50)  # as exporter/telemetry.py sets it
# Long enough that the clock's step does not show, short enough that some round meets no other process.
ROUND_SECONDS = 0.02
V2, V1 = "/v2/models/bench/infer", "/v1/models/bench:predict"
# Datatypes of binary tensors, and how their numbers lie there.
_CODES = (("FP32", "<f4"), ("INT64", "<i8"), ("FP16", "<f2"), ("BF16", "<u2"))
COLUMNS = ("dialect", "exchange", "bytes", "µs", "a token", "goal")
_WIDTHS = (12, 12, 10, 10)
HEADER = f"{COLUMNS[0]:20}{COLUMNS[1]:34}{COLUMNS[2]:>12}{COLUMNS[3]:>12}{COLUMNS[4]:>10}{COLUMNS[5]:>10}"


def cases() -> Iterator[Case]:
    """Every case of every dialect that is there."""
    known = {dialect.NAME for dialect in DIALECTS}
    for made in (_v2, _v1, _tensorflow, _invocations, _seldon, generations.cases):
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
        for datatype, code in _CODES:
            yield _binary(datatype, np.dtype(code), size, goal)
    for datatype, code in _CODES:
        yield _binary(datatype, np.dtype(code), 16 << 20, 5000.0, 1024)


def _binary(datatype: str, dtype: "np.dtype[Any]", size: int, goal: float, width: int = 16) -> Case:
    rows = size // (width * dtype.itemsize)
    given = _numbers(datatype, dtype, width * rows).tobytes()
    answered = np.zeros(rows, "<f4").tobytes()
    request = _behind("inputs", _tensor("x", datatype, [rows, width]), given)
    response = _behind("outputs", _tensor("y", "FP32", [rows]), answered)
    name = f"{size >> 20} MiB" if size >= MEGABYTE else f"{size >> 10} KiB"
    shape = "" if width == 16 else f" of {width}"
    return Case(
        "open_inference_v2", f"{name} binary {datatype}{shape}", exchange(V2, request, response), goal
    )


def _numbers(datatype: str, dtype: "np.dtype[Any]", count: int) -> NDArray[Any]:
    """What such a tensor holds in life: numbers around zero, or small integers."""
    draw = np.random.default_rng(7)
    if dtype.kind == "i":
        return draw.integers(0, 100, count).astype(dtype)
    drawn = draw.normal(0.0, 1.0, count).astype("<f4")
    return (drawn.view("<u4") >> 16).astype("<u2") if datatype == "BF16" else drawn.astype(dtype)


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
    print(HEADER)
    for case in cases():
        if not chosen or case.dialect in chosen:
            figures.append(measured(case, asked.rounds))
            print(line(figures[-1]), flush=True)
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


def _names() -> str:
    return ", ".join(dialect.NAME for dialect in DIALECTS)


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """What decoding that exchange costs."""
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*COLLECTED_OBJECTS)
    try:
        cost = best(lambda: observe(case.exchange), rounds, ROUND_SECONDS)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return {
        "dialect": case.dialect,
        "exchange": case.name,
        "bytes": case.size,
        "us": cost,
        "us_per_token": cost / case.tokens if case.tokens else None,
        "goal": case.goal,
    }


def line(figure: Mapping[str, Any]) -> str:
    """A figure as a line of the table."""
    dialect, name, *rest = _cells(figure)
    return f"{dialect:20}{name:34}" + "".join(
        cell.rjust(width) for cell, width in zip(rest, _WIDTHS, strict=True)
    )


def markdown(figures: Sequence[Mapping[str, Any]]) -> str:
    """The figures as a table for a page."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    each, goal = figure["us_per_token"], figure["goal"]
    return (
        *(figure["dialect"], figure["exchange"], f"{figure['bytes']:,}", f"{figure['us']:,.1f}"),
        *("" if each is None else f"{each:.2f}", f"{goal:,.0f}" if goal else ""),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
