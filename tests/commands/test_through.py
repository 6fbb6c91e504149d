"""`modeltap profile --through`: a real model answers the reference rows; faults end, and are bounded."""

import argparse
import asyncio
import csv
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from exporter.commands.profile import add_arguments, run
from exporter.commands.reading import DataError
from exporter.commands.through import ATTEMPTS, Ask, Model
from exporter.demo import model as demo
from exporter.demo.data import FEATURES, Rows
from exporter.demo.server import ModelServer
from exporter.stats.profiles.profile import Profile, load

ROWS = 150
DATA = np.random.default_rng(3).uniform(0, 10, (ROWS, len(FEATURES)))


@pytest.fixture(scope="module")
def fitted() -> demo.Model:
    """A small forest."""
    labels = (DATA[:, 0] > 5).astype(np.int64)
    return demo.train(Rows(DATA, labels, np.array(["2024-01"] * ROWS)))


@pytest.fixture(scope="module")
def url(fitted: demo.Model) -> Iterator[str]:
    """The demo's model server on a socket, in a loop of its own thread."""
    loop = asyncio.new_event_loop()
    ready: list[str] = []
    started = Event()

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(ModelServer(fitted).application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return runner

    def work() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = Thread(target=work)
    thread.start()
    assert started.wait(20)
    yield ready[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


def _csv(folder: Path) -> str:
    path = folder / "train.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, "truth"])
        writer.writerows([*row, int(row[0] > 5)] for row in DATA.tolist())
    return str(path)


def _run(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(flags)))


def _through(folder: Path, url: str, *flags: str) -> Profile:
    out = folder / "p.json"
    common = ["--data", _csv(folder), "--out", str(out), "--target", "truth", "--model", demo.NAME]
    assert _run(*common, "--through", url, *flags) == 0
    return load(out)


@pytest.mark.parametrize("flags", [[], ["--tensor", "rows"], ["--protocol", "v1"], ["--batch", "7"]])
def test_the_models_answers_are_the_reference_of_predictions(
    tmp_path: Path, fitted: demo.Model, url: str, flags: list[str]
) -> None:
    """Every form of asking gives the probabilities that the model gives, under their live names."""
    found = _through(tmp_path, url, *flags)
    probability, label = fitted.predict(DATA)
    assert found.source == "through"
    assert found.column("probability").mean == pytest.approx(probability.mean())
    assert found.column("probability").counts == tuple(
        found.column("probability").bins.count(probability).tolist()
    )
    assert found.column("label").balance == {"0.0": (label == 0).mean(), "1.0": (label == 1).mean()}
    assert {column.role for column in found.columns} == {"feature", "prediction", "target"}
    assert found.performance is None
    assert {one.prediction for one in found.associations} == {"probability", "label"}


@pytest.mark.parametrize("named", [[], ["--ignore", "probability"], ["--prediction", "probability"]])
def test_a_column_of_the_answers_name_is_replaced(
    tmp_path: Path, fitted: demo.Model, url: str, named: list[str]
) -> None:
    """The data's own old predictions make way for what the model says now, whatever was said of them."""
    path = tmp_path / "d.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, "probability"])
        writer.writerows([*row, 9.5] for row in DATA.tolist())
    flags = ["--features", ",".join(FEATURES), "--model", demo.NAME, "--through", url, *named]
    assert _run("--data", str(path), "--out", str(tmp_path / "p.json"), *flags) == 0
    mean = load(tmp_path / "p.json").column("probability").mean
    assert mean == pytest.approx(fitted.predict(DATA)[0].mean())


class _Scripted(BaseHTTPRequestHandler):
    """Answers from a list of (status, body), then always the last."""

    script: list[tuple[int, bytes]]
    seen: list[bytes]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, body = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def scripted() -> Iterator[Any]:
    """Starts a server with a script: returns its URL and what it saw."""
    servers = []

    def start(*script: tuple[int, bytes]) -> tuple[str, list[bytes]]:
        handler = type("Handler", (_Scripted,), {"script": list(script), "seen": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", handler.seen  # type: ignore[attr-defined]

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(20)


FINE = b'{"predictions": [1]}'


def test_what_may_pass_is_tried_again(scripted: Any) -> None:
    """503, 429 and lost connections: up to four attempts, with growing pauses; then the answer counts."""
    url, seen = scripted((503, b""), (0, b""), (429, b"slow down"), (200, FINE))
    pauses: list[float] = []
    model = Model(Ask(url, "m", "v1"), pauses.append)
    assert model.answer(b"{}").body == FINE
    model.close()
    assert pauses == [0.5, 1.0, 2.0]
    assert len(seen) == 4


def test_attempts_are_bounded(scripted: Any) -> None:
    """A model that stays down ends the command, with what it said."""
    url, seen = scripted((500, b"no memory"))
    model = Model(Ask(url, "m", "v1"), lambda _: None)
    with pytest.raises(DataError, match="status 500: no memory; a 2xx answer was expected"):
        model.answer(b"{}")
    model.close()
    assert len(seen) == ATTEMPTS


def test_a_refusal_is_not_repeated(scripted: Any) -> None:
    """400 means the request: once is enough."""
    url, seen = scripted((400, b"wrong shape"))
    model = Model(Ask(url, "m"), lambda _: None)
    with pytest.raises(DataError, match="status 400: wrong shape"):
        model.answer(b"{}")
    model.close()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>", "cannot be decoded"),
        (b'{"predictions": [1, 2]}', "cannot be decoded|2 values"),
        (b'{"predictions": "x"}', "cannot be decoded"),
    ],
)
def test_answers_that_say_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: Any, body: bytes, expected: str
) -> None:
    """Status 2, with the rows that were asked about; nothing is written."""
    import re

    url, _ = scripted((200, body))
    out = tmp_path / "p.json"
    flags = [
        "--data",
        _csv(tmp_path),
        "--out",
        str(out),
        "--model",
        "m",
        "--through",
        url,
        "--protocol",
        "v1",
    ]
    assert _run(*flags, "--batch", "50") == 2
    assert re.search(expected, capsys.readouterr().err)
    assert not out.exists()


def test_nobody_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection, after the attempts."""
    monkeypatch.setattr("exporter.commands.through.FIRST_PAUSE_SECONDS", 0.0)
    flags = ["--data", _csv(tmp_path), "--model", "m", "--through", "http://127.0.0.1:1"]
    assert _run(*flags) == 2
    assert "ConnectionRefusedError" in capsys.readouterr().err


def test_what_is_asked(scripted: Any, tmp_path: Path) -> None:
    """Named columns of their types, nulls as null, wanted outputs; ids, targets and times are not sent."""
    data = tmp_path / "d.jsonl"
    rows = [{"x": 0.5, "w": "a", "f": True, "id": i, "t": "2024-01-01", "y": 1} for i in range(30)]
    rows[1]["x"] = None  # type: ignore[assignment]
    data.write_text("\n".join(map(json.dumps, rows)))
    outputs = [{"name": "p", "shape": [30], "datatype": "FP64", "data": [i / 30 for i in range(30)]}]
    url, seen = scripted((200, json.dumps({"model_name": "m", "outputs": outputs}).encode()))
    flags = ["--id", "id", "--time", "t", "--target", "y", "--model", "m", "--output", "p", "--through", url]
    assert _run("--data", str(data), "--out", str(tmp_path / "p.json"), *flags) == 0
    body = json.loads(seen[0])
    assert [(i["name"], i["datatype"], i["shape"], i["data"][:2]) for i in body["inputs"]] == [
        ("x", "FP64", [30, 1], [0.5, None]),
        ("w", "BYTES", [30, 1], ["a", "a"]),
        ("f", "BOOL", [30, 1], [True, True]),
    ]
    assert body["outputs"] == [{"name": "p"}]
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--through", "ftp://x", "--model", "m"], "expected http://HOST"),
        (["--through", "http://x"], "expected the model's own name as --model"),
        (["--through", "http://x", "--model", "m-*"], "expected the model's own name"),
        (["--through", "http://x", "--model", "m", "--batch", "0"], "--batch: 0"),
    ],
)
def test_wrong_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:
    """Told before anything is sent."""
    assert _run("--data", _csv(tmp_path), *flags) == 2
    assert expected in capsys.readouterr().err
