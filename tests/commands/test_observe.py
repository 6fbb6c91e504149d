"""`modeltap observe` against a running sidecar: what it counts is what is in the file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.commands.observe import MAX_BODY, Roles, bodies
from exporter.rowfiles import open_rows
from exporter.writes import MAX_BODY as TAKEN
from exporter.writes import PATH
from tests.app.command import exchange
from tests.app.conftest import Start, start, upstream
from tests.app.test_cli import ENVIRONMENT

__all__ = ["start", "upstream"]
ROWS = 2500
FLAGS = ("--model", "fraud", "--version", "7", "--prediction", "label", "--id", "id", "--ignore", "note")


def observe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The ended command. What it asks runs at the lowest priority, so it may take a while on a busy machine."""
    command = [sys.executable, "-m", "exporter", "observe", *arguments]
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ages 0 to 99 in turn; every fifth row is spam; no age in every hundredth."""
    path = tmp_path / "rows.csv"
    lines = ["id,age,zip,label,note"]
    for n in range(ROWS):
        lines.append(f"r{n},{'' if n % 100 == 99 else n % 100},{n % 3},{'spam' if n % 5 == 0 else 'ham'},x")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_of_a_file_are_counted(start: Start, file: Path) -> None:
    """Every row in the bins of its columns and in its class, in several batches; nothing is on standard error."""
    sidecar = start("--series-hold", "0")
    done = observe(str(file), "--admin", f"127.0.0.1:{sidecar.admin}", *FLAGS, "--categorical", "zip")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: {ROWS} rows, {ROWS} counted, 0 refused\n"
    metrics = sidecar.metrics()
    model = {"model_name": "fraud", "model_version": "7"}
    assert metrics.total("model_predictions_total", **model, **{"class": "spam"}) == ROWS / 5
    assert metrics.total("model_predictions_total", **model) == ROWS
    for feature in ("age", "zip"):
        assert metrics.total("model_feature_bin_total", **model, feature=feature) == ROWS
    assert metrics.total("model_feature_bin_total", **model, feature="age", bin="<null>") == ROWS / 100
    assert metrics.total("model_feature_bin_total", **model, feature="zip", bin="2") == 833
    assert metrics.total("model_feature_bin_total", feature="note") == 0
    assert metrics.total("model_exchanges_decoded_total", protocol="pushed", outcome="decoded") == 3
    assert metrics.total("modeltap_writes_total", outcome="accepted") == 3


def test_a_token_and_rows_that_are_left_out(start: Start, file: Path, tmp_path: Path) -> None:
    """Without the token nothing is counted and it says so; with it the rows from --skip on are."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    sidecar = start("--series-hold", "0", "--write-token-file", str(token))
    command = (str(file), "--admin", f"127.0.0.1:{sidecar.admin}", *FLAGS)
    done = observe(*command)
    assert done.returncode == 1
    assert "refuses with 401: expected Authorization: Bearer and the token" in done.stderr
    assert "rows before 0 were handed over: go on with --skip" in done.stderr
    done = observe(*command, "--token-file", str(token), "--skip", "1500", "--batch", "400")
    assert (done.returncode, done.stderr) == (0, "")
    assert sidecar.metrics().total("model_predictions_total", model_name="fraud") == ROWS - 1500


def test_rows_that_are_refused(start: Start, tmp_path: Path) -> None:
    """They are told with reason and expectation, the others are counted, and the status is 1."""
    sidecar = start("--series-hold", "0")
    file = tmp_path / "rows.jsonl"
    file.write_text('{"x":1,"t":1700000000}\n{"x":2,"t":"yesterday"}\n')
    admin = f"127.0.0.1:{sidecar.admin}"
    done = observe(str(file), "--admin", admin, "--time", "t", "--batch", "1")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"{file}: 2 rows, 1 counted, 1 refused"
    assert "1 rows: bad_time, expected unix seconds" in done.stdout


def test_wrong_command_lines(file: Path, tmp_path: Path) -> None:
    """Every problem at once, and status 2; nobody is asked."""
    wrong = ("--prediction", "labl", "--id", "age", "--ignore", "age", "--batch", "0", "--patience", "-1")
    done = observe(str(file), *wrong)
    assert done.returncode == 2
    for expected in (
        "--batch: 0: expected at least 1",
        "--patience: -1.0: expected at least 0",
        "--prediction: no column labl; expected of id, age, zip, label, note",
        "'age' is given 2 roles, expected one",
    ):
        assert expected in done.stderr
    done = observe(str(tmp_path / "none.csv"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "not a file" in done.stderr
    done = observe(str(file), "--token-file", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_nobody_is_there(file: Path) -> None:
    """Status 1, and where it looked."""
    done = observe(str(file), "--admin", "127.0.0.1:1")
    assert done.returncode == 1
    assert "no sidecar is there: 127.0.0.1:1" in done.stderr


def test_batches_fit_the_sidecars_bound(tmp_path: Path) -> None:
    """A batch over the bound is halved, in order and without a loss, until each body fits."""
    assert MAX_BODY == TAKEN
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"n": n, "x": "y" * 900}) + "\n" for n in range(3000)))
    roles = Roles((), (), (), "", "", {})
    found = list(bodies(open_rows(str(file)), roles, 3000, skip=10))
    assert all(len(body) <= MAX_BODY for body, _ in found)
    assert [n for body, _ in found for n in json.loads(body)["features"]["n"]] == list(range(10, 3000))
    assert sum(rows for _, rows in found) == 2990


def test_a_body_of_ours_by_hand(start: Start) -> None:
    """What a person sends with any client is taken as well; what is no JSON is refused."""
    sidecar = start("--series-hold", "0")
    sidecar.metrics()
    status, said = exchange(sidecar.admin, "POST", PATH, b"{}")
    assert status == 415
    assert b"expected application/json" in said
