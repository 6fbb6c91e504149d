"""`modeltap observe` against a running sidecar: what it counts is what is in the file."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.admin.writes import MAX_BODY as TAKEN
from exporter.admin.writes import PATH
from exporter.commands.handover import MAX_BODY, bodies
from exporter.commands.observe import Roles
from exporter.commands.rowfiles import open_rows
from tests.app.command import Sidecar, exchange
from tests.app.conftest import Start, start, upstream
from tests.app.test_cli import ENVIRONMENT
from tests.app.upstream import Upstream
from tests.e2e.processes import answers, wait_until
from tests.proxy.secure import FILES

__all__ = ["start", "upstream"]
ROWS = 2500
FLAGS = ("--model", "fraud", "--version", "7", "--prediction", "label", "--id", "id", "--ignore", "note")


def observe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The ended command. What it asks runs at the lowest priority, so it may take a while on a busy machine."""
    command = [sys.executable, "-m", "exporter", "observe", *arguments]
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for the tests that need nothing of their own, with an analysis that answers."""
    flags = ("--series-hold", "0")
    with Upstream() as model:
        sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"), model.port, flags).started()
        try:
            ready(sidecar)
            yield sidecar
        finally:
            sidecar.kill()
            sidecar.stop()


def ready(sidecar: Sidecar) -> None:
    """Wait for the analysis: it yields to all that runs here, so on a busy machine its start takes a while."""
    url = f"http://127.0.0.1:{sidecar.admin}/metrics"
    wait_until(lambda: answers(url), "the first scrape is answered", 110, sidecar)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ages 0 to 99 in turn; every fifth row is spam; no age in every hundredth."""
    path = tmp_path / "rows.csv"
    lines = ["id,age,zip,label,note"]
    for n in range(ROWS):
        lines.append(f"r{n},{'' if n % 100 == 99 else n % 100},{n % 3},{'spam' if n % 5 == 0 else 'ham'},x")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_of_a_file_are_counted(shared: Sidecar, file: Path) -> None:
    """Every row in the bins of its columns and in its class, in several batches; nothing is on standard error."""
    sidecar, before = shared, shared.metrics()
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
    for name, labels in (
        ("model_exchanges_decoded_total", {"protocol": "pushed", "outcome": "decoded"}),
        ("modeltap_writes_total", {"outcome": "accepted"}),
    ):
        assert metrics.total(name, **labels) - before.total(name, **labels) == 3


def test_a_token_and_rows_that_are_left_out(start: Start, file: Path, tmp_path: Path) -> None:
    """Without the token nothing is counted and it says so; with it the rows from --skip on are."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    sidecar = start("--series-hold", "0", "--write-token-file", str(token))
    ready(sidecar)
    command = (str(file), "--admin", f"127.0.0.1:{sidecar.admin}", *FLAGS)
    done = observe(*command)
    assert done.returncode == 1
    assert "refuses with 401: expected Authorization: Bearer, or X-Modeltap-Token" in done.stderr
    assert "rows before 0 were handed over: go on with --skip" in done.stderr
    done = observe(*command, "--token-file", str(token), "--skip", "1500", "--batch", "400")
    assert (done.returncode, done.stderr) == (0, "")
    assert sidecar.metrics().total("model_predictions_total", model_name="fraud") == ROWS - 1500


def test_rows_that_are_refused(shared: Sidecar, tmp_path: Path) -> None:
    """They are told with reason and expectation, the others are counted, and the status is 1."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"x":1,"t":1700000000}\n{"x":2,"t":"yesterday"}\n')
    admin = f"127.0.0.1:{shared.admin}"
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
    found = list(bodies(open_rows(str(file)), roles.record, 3000, skip=10))
    assert all(len(body) <= MAX_BODY for body, _ in found)
    assert [n for body, _ in found for n in json.loads(body)["features"]["n"]] == list(range(10, 3000))
    assert sum(rows for _, rows in found) == 2990


def test_a_body_by_hand(shared: Sidecar) -> None:
    """Any client may send; what does not say that it is JSON is refused."""
    status, said = exchange(shared.admin, "POST", PATH, b"{}")
    assert status == 415
    assert b"expected application/json" in said


def test_an_admin_side_with_tls(start: Start, file: Path, tmp_path: Path) -> None:
    """A certificate that the admin side asks for is shown; without the authorities nothing is sent."""
    web = tmp_path / "web.yml"
    tls = {
        "cert_file": str(FILES / "server.pem"),
        "key_file": str(FILES / "server.key"),
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": str(FILES / "ca.pem"),
    }
    web.write_text(json.dumps({"tls_server_config": tls}))
    both = tmp_path / "client.pem"
    both.write_bytes((FILES / "client.pem").read_bytes() + (FILES / "client.key").read_bytes())
    sidecar = start("--series-hold", "0", "--web-config", str(web))
    command = (str(file), "--admin", f"localhost:{sidecar.admin}", *FLAGS, "--batch", "5000")
    done = observe(*command)
    assert (done.returncode, "did not answer" in done.stderr) == (1, True)
    done = observe(*command, "--cert", str(both))
    assert (done.returncode, "expected --ca too" in done.stderr) == (2, True)
    done = observe(*command, "--ca", str(FILES / "ca.pem"), "--cert", str(both))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: {ROWS} rows, {ROWS} counted, 0 refused\n"
