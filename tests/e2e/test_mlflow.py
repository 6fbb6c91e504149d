"""MLflow's own scoring server behind the sidecar: every form of its input, and the classes that the client saw."""

import csv
import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.e2e import mlflow, sidecar
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Running, answers, free_ports, running, wait_until


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> mlflow.Stored:
    """A model, trained once."""
    return mlflow.train(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def mlflow_rows(stored: mlflow.Stored) -> Path:
    """What it was trained with, and what it answers."""
    return stored.rows


@pytest.fixture(scope="module")
def mlflow_server(stored: mlflow.Stored) -> Iterator[int]:
    """The port of MLflow's scoring server."""
    (port,) = free_ports(1)
    with running(mlflow.server(stored, port), mlflow.ready_url(port)):
        yield port


Rows = list[list[float]]
JSON, CSV = "application/json", "text/csv"
NAMES = list(mlflow.FEATURES)
BATCH = 6
# The analysis yields to all that runs here, so on a busy machine its start takes a while.
START_SECONDS = 150.0
pytestmark = pytest.mark.timeout(300)
# How a batch of rows is written; whether its columns have their names on the wire.
FORMS: dict[str, tuple[str, Callable[[Rows], object], bool]] = {
    "dataframe_split": (JSON, lambda rows: {"dataframe_split": {"columns": NAMES, "data": rows}}, True),
    "dataframe_records": (
        JSON,
        lambda rows: {"dataframe_records": [dict(zip(NAMES, row, strict=True)) for row in rows]},
        True,
    ),
    "instances": (JSON, lambda rows: {"instances": rows}, False),
    "inputs": (JSON, lambda rows: {"inputs": rows}, False),
    "inputs by name": (
        JSON,
        lambda rows: {"inputs": dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))},
        True,
    ),
    "csv": (CSV, lambda rows: "\n".join([",".join(NAMES), *(",".join(map(str, row)) for row in rows)]), True),
}


def _rows(file: Path) -> list[tuple[list[float], str]]:
    with file.open(newline="") as stream:
        return [([float(row[name]) for name in NAMES], row["answer"]) for row in csv.DictReader(stream)]


def _ask(port: int, kind: str, body: object) -> list[object]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", "/invocations", text.encode(), {"Content-Type": kind})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    assert answer.status == 200, raw
    found: list[object] = json.loads(raw)["predictions"]
    return found


@dataclass(slots=True)
class Tapped:
    """A sidecar before the model, the file of its settings, and what it exported when `now` was asked last."""

    process: Running
    at: sidecar.Addresses
    settings: Path
    before: dict[str, float] = field(default_factory=dict)

    def now(self) -> dict[str, float]:
        """All samples."""
        return samples(scrape(self.at.metrics))

    def more(self, name: str, **labels: str) -> float:
        """How much a sum of series grew since the test began."""
        return total(self.now(), name, **labels) - total(self.before, name, **labels)


@pytest.fixture(scope="module")
def shared(mlflow_server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tapped]:
    """One for all tests: an analysis takes a while to start on a busy machine."""
    folder, at = tmp_path_factory.mktemp("sidecar"), sidecar.addresses()
    settings = folder / "modeltap.yaml"
    settings.write_text("model_name: wine\nseries_hold: 0\n")
    program = sidecar.sidecar(folder, at, mlflow_server, ("--config", str(settings)))
    with running(program, at.ready) as process:
        wait_until(lambda: answers(at.metrics), "the first scrape is answered", START_SECONDS, process)
        yield Tapped(process, at, settings)


@pytest.fixture
def tapped(shared: Tapped) -> Tapped:
    """It, as it is when the test begins."""
    shared.before = shared.now()
    return shared


@pytest.mark.parametrize("told", [False, True], ids=["found", "told"])
def test_classes_and_features_are_those_of_the_client(tapped: Tapped, mlflow_rows: Path, told: bool) -> None:
    """Predicted rows by class, rows by feature, and exchanges equal what the client sent and saw, form by form."""
    if told:
        tapped.settings.write_text(tapped.settings.read_text() + "protocol: mlflow\n")
        os.kill(tapped.process.pid, signal.SIGHUP)
        wait_until(lambda: "reloaded: protocol" in tapped.process.log.read_text(), "it is read again")
    rows, seen, named = _rows(mlflow_rows), Counter[str](), 0
    for number, (kind, form, has_names) in enumerate(FORMS.values()):
        for start in range(number, len(rows), 5 * BATCH):
            batch = rows[start : start + BATCH]
            predicted = [str(one) for one in _ask(tapped.at.proxy, kind, form([cells for cells, _ in batch]))]
            assert predicted == [answer for _, answer in batch]
            seen.update(predicted)
            named += len(batch) * has_names
    count = sum(len(range(number, len(rows), 5 * BATCH)) for number in range(len(FORMS)))
    decoded = partial(tapped.more, "model_exchanges_decoded_total", protocol="mlflow", outcome="decoded")
    wait_until(lambda: decoded() == count, "all are decoded", process=tapped.process, progress=decoded)
    predictions = "model_predictions_total"
    assert {name: tapped.more(predictions, model_name="wine", **{"class": name}) for name in seen} == seen
    assert len(seen) == 3
    assert tapped.more(predictions) == sum(seen.values())
    for feature in NAMES:
        assert tapped.more("model_feature_bin_total", feature=feature) == named
    labels = {"protocol": "mlflow" if told else "unknown", "operation": "predict", "code": "200"}
    assert tapped.more("model_request_duration_seconds_count", **labels) == count


def test_what_mlflow_refuses_is_no_observation(tapped: Tapped) -> None:
    """Its 4xx answers are counted as errors of the client, and as exchanges of which the request alone was read."""
    connection = http.client.HTTPConnection(LOOPBACK, tapped.at.proxy, timeout=60)
    connection.request("POST", "/invocations", b"[[1,2,3]]", {"Content-Type": JSON})
    assert connection.getresponse().status == 400
    connection.close()
    refused = partial(tapped.more, "model_exchanges_decoded_total", outcome="request_only")
    wait_until(lambda: refused() == 1, "it is counted", process=tapped.process, progress=refused)
    assert tapped.more("model_request_errors_total", error_type="4xx") == 1
