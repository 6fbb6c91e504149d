"""Readers: the same rows in every format make the same profile; what is damaged is told with its place."""

import argparse
import base64
import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from exporter.commands.profile import add_arguments, build_profile, run
from exporter.commands.read_traffic import PENDING, TrafficSource
from exporter.commands.reading import DataError, Limited
from exporter.commands.sources import open_source
from exporter.decode.coding import undo
from exporter.publish.cloudevents import Composer, Origin, line
from exporter.publish.redaction import Redaction
from exporter.stats.bins import CategoricalBins
from exporter.stats.profiles.profile import Profile
from tests.publish.exchanges import changed

RNG = np.random.default_rng(6)
ROWS = 400
NUMBERS = RNG.normal(size=ROWS)
WORDS = RNG.choice(["Rome", "Oslo"], ROWS).tolist()
FLAGS = (NUMBERS > 0).tolist()
TIMES = [f"2024-03-{1 + i % 28:02}T{i % 24:02}:30:00+00:00" for i in range(ROWS)]


def profile(path: Path, *flags: str) -> Profile:
    """The profile of a file."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return build_profile(open_source(str(path)), parser.parse_args(["--data", str(path), *flags]))


def _csv(folder: Path) -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "w", "f", "t"])
        writer.writerows(zip(map(repr, NUMBERS.tolist()), WORDS, FLAGS, TIMES, strict=True))
    return path


def _json(folder: Path) -> Path:
    path = folder / "rows.jsonl.gz"
    rows = zip(NUMBERS.tolist(), WORDS, FLAGS, TIMES, strict=True)
    lines = [json.dumps(dict(zip("xwft", row, strict=True))) for row in rows]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    return path


def _parquet(folder: Path) -> Path:
    path = folder / "rows.pq"
    times = pyarrow.array(np.array([t[:19] for t in TIMES], "datetime64[s]"), pyarrow.timestamp("ns", "UTC"))
    words = pyarrow.array(WORDS).dictionary_encode()
    table = pyarrow.table({"x": NUMBERS, "w": words, "f": FLAGS, "t": times})
    pyarrow.parquet.write_table(table, path)
    return path


def _npz(folder: Path) -> Path:
    path = folder / "rows.npz"
    times = np.array([t[:19] for t in TIMES], "datetime64[s]")
    np.savez_compressed(path, x=NUMBERS, w=np.array(WORDS), f=np.array(FLAGS), t=times)
    return path


def _npy(folder: Path) -> Path:
    path = folder / "rows.npy"
    kind = [("x", "f8"), ("w", "U8"), ("f", "?"), ("t", "M8[s]")]
    times = [np.datetime64(t[:19]) for t in TIMES]
    np.save(path, np.array(list(zip(NUMBERS.tolist(), WORDS, FLAGS, times, strict=True)), kind))
    return path


@pytest.mark.parametrize("write", [_json, _parquet, _npz, _npy])
def test_every_format_makes_the_same_profile(tmp_path: Path, write: Any) -> None:
    """The same reference, to the last digit of the hash, as from CSV."""
    assert profile(write(tmp_path)) == profile(_csv(tmp_path))


def test_types_are_those_of_the_cells(tmp_path: Path) -> None:
    """Numbers, categories, booleans and times."""
    found = profile(_csv(tmp_path))
    assert found.types == {"x": "numeric", "w": "categorical", "f": "boolean", "t": "datetime"}
    assert "t:weekday" in found.names


def _lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_nested_json_is_named_as_live_columns_are(tmp_path: Path) -> None:
    """Keys joined with a dot, short lists by place, long ones as vectors; absent keys are null."""
    rows = [
        {"a": {"b": i / 7}, "two": [i / 3, i / 5], "one": [i / 9], "v": [float(i)] * 65, "odd": i / 2}
        for i in range(99)
    ]
    del rows[0]["odd"]
    found = profile(_lines(tmp_path / "d.jsonl", rows))
    assert [column.name for column in found.payload] == ["a.b", "two_0", "two_1", "one", "v", "odd"]
    assert found.types["v"] == "vector"
    assert found.payload[-1].null == 1


def test_nested_parquet_is_flattened_alike(tmp_path: Path) -> None:
    """Structs, short and long lists, nulls, decimals and bytes."""
    import decimal

    table = pyarrow.table(
        {
            "a": [{"b": i / 7} for i in range(99)],
            "two": [[i / 3, i / 5] for i in range(99)],
            "v": [[float(i)] * 65 for i in range(99)],
            "n": [None if i == 0 else i / 2 for i in range(99)],
            "d": [decimal.Decimal(i) / 4 for i in range(99)],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    found = profile(tmp_path / "d.parquet")
    assert {c.name: c.type for c in found.payload} == {
        "n": "numeric",
        "d": "numeric",
        "a.b": "numeric",
        "two_0": "numeric",
        "two_1": "numeric",
        "v": "vector",
    }
    assert next(c.null for c in found.payload if c.name == "n") == 1


def test_unnamed_tables(tmp_path: Path) -> None:
    """Columns by place, as unnamed tensors have them; wide tables are vectors."""
    np.save(tmp_path / "narrow.npy", RNG.normal(size=(200, 3)))
    np.save(tmp_path / "wide.npy", RNG.normal(size=(200, 65)).astype(np.float32))
    np.save(tmp_path / "flat.npy", RNG.normal(size=200))
    assert profile(tmp_path / "narrow.npy").names == ("input_0", "input_1", "input_2")
    assert profile(tmp_path / "wide.npy").types == {"input": "vector"}
    assert profile(tmp_path / "flat.npy").names == ("input",)


def test_types_are_settled_by_all_rows(tmp_path: Path) -> None:
    """A late true, text, time or long sentence changes what a column is, in one pass."""
    rows: list[dict[str, Any]] = [
        {"flag": True, "number": i % 9 / 3, "time": "2024-01-01", "word": "a"} for i in range(9000)
    ]
    rows += [{"flag": 0.5, "number": "x", "time": "soon", "word": "w " * 200} for _ in range(20)]
    assert profile(_lines(tmp_path / "d.jsonl", rows)).types == {
        "flag": "numeric",
        "number": "categorical",
        "time": "categorical",
        "word": "text",
    }


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("d.jsonl", b'{"a": 1}\n{"a": \n', "d.jsonl, line 2: not JSON"),
        ("d.jsonl", b'{"a": 1}\n[1]\n', "line 2: a JSON list, expected an object"),
        ("d.jsonl", b'{"a": 1}\n\xff\n', "line 2: not JSON"),
        ("d.jsonl", b"{}\n", "no rows with columns"),
        ("d.jsonl", b'{"a": ' + b"[" * 200_000, "line 1: not JSON"),
        ("d.jsonl", gzip.compress(b'{"a": 1}\n' * 999, mtime=0)[:-9], "damaged gzip"),
        ("d.parquet", b"PAR1 and no more", "not readable as Parquet"),
        ("d.npy", b"\x93NUMPY\x01\x00", "not readable as a NumPy file"),
        ("d.npz", b"PK\x03\x04", "not readable as a NumPy file"),
    ],
)
def test_damaged_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, raw: bytes, expected: str
) -> None:
    """File, place, what was found, what was expected; status 2."""
    path = tmp_path / name
    path.write_bytes(raw)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args(["--data", str(path)])) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "cells",
    [[[1.0] * 70, [1.0] * 71], [[{"a": 1}] * 70, [{"a": 2}] * 70], [[], {}]],
    ids=["several widths", "objects", "empty"],
)
def test_lists_and_objects_that_are_no_columns(tmp_path: Path, cells: list[Any]) -> None:
    """They are left out with the reason, and what stands beside them is counted."""
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps({"a": n / 7, "v": cells[n % 2]}) + "\n" for n in range(60)))
    found = profile(path)
    assert found.names == ("a",)
    reasons = {one.name: one.reason for one in found.left_out}
    assert reasons["v"] in ("lists or objects that are no vectors of one width", "no value")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Objects in a NumPy file are refused."""
    np.save(tmp_path / "d.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match="not readable as a NumPy file"):
        profile(tmp_path / "d.npy")


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"a": np.zeros(3), "b": np.zeros(4)}, "columns of one length expected, found a 3, b 4"),
        ({"a": np.zeros((2, 2, 2))}, "3 dimensions of float64"),
        ({"a": np.zeros(3, np.complex128)}, "complex128, expected one or two"),
        ({"a": np.zeros((3, 2)), "a_1": np.zeros(3)}, "two columns are named 'a_1'"),
        ({}, "found none"),
    ],
)
def test_arrays_that_are_no_table(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    """Each with what was found."""
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=expected):
        profile(tmp_path / "d.npz")


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to get it."""
    path = _parquet(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'modeltap\[parquet\]'"):
        profile(path)


@pytest.mark.parametrize("most", [1, 100, 8192, 8193, 10_000])
def test_a_limit_cuts_rows_and_says_so(tmp_path: Path, most: int) -> None:
    """No more rows than that in all parts together."""
    path = tmp_path / "d.csv"
    path.write_text("a\n" + "1\n" * 9000)
    source = Limited(open_source(str(path)), most)
    assert sum(len(part.lines) for part in source.parts()) == min(most, 9000)
    assert source.cut == (most < 9000)


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on stderr once a second has passed, and taken away at the end; packed files too."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = iter(range(1_000_000))
    monkeypatch.setattr("exporter.commands.reading.time.monotonic", lambda: float(next(clock)))
    for path in (_csv(tmp_path), _json(tmp_path)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert profile(path).rows == ROWS
        assert f"\r{path.name} [" in terminal.getvalue()
        assert terminal.getvalue().endswith("\x1b[K")


# ---------------------------------------------------------------- captured traffic


def _event(number: int, side: str, data: Any, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"id{number}",
        "type": f"org.kubeflow.serving.inference.{side}",
        "source": "sidecar",
        "datacontenttype": "application/json",
        "path": "/v1/models/m:predict",
        "data": data,
        **more,
    }


def _traffic(exchanges: int) -> list[dict[str, Any]]:
    events = []
    for i in range(exchanges):
        request = {"instances": [{"age": 20.5 + i % 37, "city": ["Rome", "Oslo"][i % 2]}]}
        events.append(_event(i, "request", request))
        events.append(_event(i, "response", {"predictions": [i % 10 / 10]}, statuscode=200))
    return events


def test_captured_traffic_becomes_features_and_predictions(tmp_path: Path) -> None:
    """Requests and answers are paired by id, decoded as live ones are, and need no flags."""
    found = profile(_lines(tmp_path / "log.jsonl", _traffic(300)))
    assert found.rows == 300
    assert {column.name: column.role for column in found.columns} == {
        "age": "feature",
        "city": "feature",
        "prediction": "prediction",
    }
    assert found.column("city").bins == CategoricalBins(("Oslo", "Rome"))


@pytest.mark.parametrize("protocol", ["kserve_v1", None])
def test_events_without_a_path(tmp_path: Path, protocol: str | None) -> None:
    """The payload log says the protocol, KServe's agent says nothing: the body's key does. Coded bodies are undone."""
    events = _traffic(100)
    for event in events:
        del event["path"]
        if protocol:
            event["protocol"] = protocol
    packed = base64.b64encode(gzip.compress(json.dumps(events[0]["data"]).encode(), mtime=0)).decode()
    events[0] |= {"data": None, "data_base64": packed, "contentencoding": "gzip"}
    found = profile(_lines(tmp_path / "log.jsonl", events))
    assert (found.rows, found.names) == (100, ("age", "city", "prediction"))


@pytest.mark.parametrize("undone", [True, False])
def test_the_payload_log_of_a_sidecar_is_read(tmp_path: Path, undone: bool) -> None:
    """Lines as the log writes them, bodies plain or in their content coding: V2, the rows of every exchange."""
    composer = Composer(Origin("sidecar"), (), Redaction(()), undo if undone else None)
    lines = []
    for i in range(60):
        inputs = [{"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [20.5 + i % 7, 30.5 + i % 5]}]
        outputs = [{"name": "p", "shape": [2], "datatype": "FP64", "data": [i % 10 / 10, 0.5]}]
        one = changed(
            request_head=b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Type: application/json\r\n"
            b"Content-Encoding: gzip\r\n\r\n",
            response_head=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
            request_body=gzip.compress(json.dumps({"inputs": inputs}).encode(), mtime=0),
            response_body=json.dumps({"model_name": "m", "outputs": outputs}).encode(),
            request_captured=True,
            response_captured=True,
            protocol="open_inference_v2",
            status=200,
            request_id=f"r{i}",
            trace=None,
        )
        lines += [line(composer.event(one, side, f"r{i}")[0]) for side in ("request", "response")]
    path = tmp_path / "payloads.jsonl"
    path.write_bytes(b"".join(lines))
    found = profile(path)
    assert (found.rows, found.names) == (120, ("age", "p"))
    assert found.column("p").role == "prediction"


def test_what_is_no_exchange_is_counted(tmp_path: Path) -> None:
    """Failures, lone events, other events and bodies that are missing: each by reason, none stops the rest."""
    events: list[Any] = _traffic(50)
    events += [_event(900, "request", {"instances": [[1]]}), _event(900, "response", "oops", statuscode=500)]
    events += [_event(901, "request", {"instances": [[1]]})]
    events += [_event(902, "request", None), _event(902, "response", {"predictions": [1]})]
    events += [{"specversion": "1.0", "id": "x", "type": "other"}, {"specversion": "1.0"}, 7]
    raw = base64.b64encode(b"not json").decode()
    events += [_event(903, "request", None, data_base64=raw), _event(903, "response", {"predictions": [1]})]
    source = TrafficSource(str(_lines(tmp_path / "log.jsonl", events)))
    assert sum(len(part.lines) for part in source.parts()) == 50
    assert source.unread == {
        "not_2xx": 1,
        "no_pair": 1,
        "not_captured": 1,
        "other_event": 1,
        "no_event": 2,
        "not_json": 1,
    }


def test_waiting_requests_are_bounded(tmp_path: Path) -> None:
    """Requests without answers do not pile up; the oldest are given up and counted."""
    events = [_event(i, "request", {"instances": [[1.0]]}) for i in range(PENDING + 5)]
    events += [_event(PENDING + 4, "response", {"predictions": [0.5]})]
    source = TrafficSource(str(_lines(tmp_path / "log.jsonl", events)))
    assert sum(len(part.lines) for part in source.parts()) == 1
    assert source.unread == {"no_pair": PENDING + 4}


def test_traffic_that_says_nothing(tmp_path: Path) -> None:
    """No exchange could be read: the reasons are in the message."""
    path = _lines(tmp_path / "log.jsonl", [_event(1, "request", {"instances": [[1]]})])
    with pytest.raises(DataError, match="no_pair 1"):
        profile(path)
