"""`modeltap check`: every problem of settings and of what they name, and families as a sidecar really exports them."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.records.catalogue import CATALOGUE, prometheus_name
from exporter.stats import save
from tests.analysis.world import profile
from tests.app.conftest import Start, start, upstream
from tests.app.test_cli import ENVIRONMENT
from tests.app.upstream import Upstream
from tests.e2e.processes import free_ports, wait_until

__all__ = ["start", "upstream"]
NO_OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}


def check(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The ended command."""
    command = [sys.executable, "-m", "exporter", "check", *arguments]
    environment = {**os.environ, **ENVIRONMENT, **NO_OTLP, **environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


def families(told: str) -> dict[str, str]:
    """What is told of each family."""
    known = {prometheus_name(row) for row in CATALOGUE}
    rows = [line.split(maxsplit=1) for line in told.splitlines() if line]
    return {row[0]: row[1] for row in rows if row[0] in known}


def test_all_is_well(upstream: Upstream, tmp_path: Path) -> None:
    """Status 0, nothing on standard error; what was found, and when each family of the catalogue is there."""
    file, token = tmp_path / "reference.json", tmp_path / "token"
    save(profile("iris"), file)
    token.write_text("abc")
    custom = '{"path": "/score", "outputs": "y"}'
    address = f"http://127.0.0.1:{upstream.port}"
    flags = (
        "--reference",
        str(file),
        "--custom",
        custom,
        "--write-token-file",
        str(token),
        "--max-concurrency",
        "2",
    )
    done = check("--upstream", address, *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"listener [::]:9000, upstream {address}" in done.stdout
    assert re.search(r"reference [0-9a-f]{8}: 3 columns of 900 rows, for model iris, version \*", done.stdout)
    assert "custom dialect on /score" in done.stdout
    told = families(done.stdout)
    assert told.keys() == {prometheus_name(row) for row in CATALOGUE}
    assert told["model_drift"] == told["model_queue_wait_seconds"] == "with traffic"
    assert told["modeltap_spans_exported_total"] == "not exported: needs an OTLP endpoint for traces"
    done = check("--upstream", address, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert families(done.stdout)["modeltap_spans_exported_total"] == "from the start"


def test_problems_of_the_settings() -> None:
    """They are those of `modeltap run`, all at once."""
    done = check("--workers", "0", "--custom", '{"path": "score"}')
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert all(line.startswith("modeltap check: ") for line in lines)
    for expected in (
        "--upstream (MODELTAP_UPSTREAM",
        "--workers: '0'",
        "--custom: path: 'score'",
        "--custom: no table",
    ):
        assert any(expected in line for line in lines)


def test_problems_of_what_is_named(upstream: Upstream, tmp_path: Path) -> None:
    """Profiles, folders, tokens, certificates, upstreams: each with what was expected, beside what is exported."""
    (nobody,) = free_ports(1)
    save(profile("iris"), tmp_path / "iris.json")
    (tmp_path / "broken.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "token").write_text("two words")
    flags = [
        *("--upstream", f"http://127.0.0.1:{nobody}", "--forward", f"127.0.0.1:0=unix:{tmp_path}/none"),
        *("--reference", str(tmp_path / "none.json"), "--reference", str(tmp_path / "broken.json")),
        *("--reference", str(tmp_path / "empty"), "--reference", str(tmp_path / "iris.json")),
        *("--model-name", "other", "--write-token-file", str(tmp_path / "token")),
        *("--tls-cert", str(tmp_path / "none.pem"), "--tls-key", str(tmp_path / "none.key")),
        *("--label-store", "memory", "--label-receipts", str(tmp_path / "broken.json")),
    ]
    done = check(*flags)
    assert done.returncode == 2
    for expected in (
        f"--reference {tmp_path}/none.json: No such file or directory; expected a file of `modeltap profile`",
        f"--reference {tmp_path}/broken.json: ",
        f"--reference {tmp_path}/empty: no profile in this folder",
        "is of model 'iris'; expected one of --model-name other",
        f"--write-token-file {tmp_path}/token: expected one line",
        f"--tls-cert {tmp_path}/none.pem: cannot be read",
        f"--label-receipts: {tmp_path}/broken.json, line 1: expected an id from 0 to 255",
        f"upstream http://127.0.0.1:{nobody}: cannot be reached: Connection refused",
        f"upstream unix:{tmp_path}/none: cannot be reached: No such file or directory",
    ):
        assert sum(expected in line for line in done.stderr.splitlines()) == 1, expected
    assert "model_up" in families(done.stdout)
    offline = check(*flags, "--offline")
    assert offline.returncode == 2
    assert "cannot be reached" not in offline.stderr


def test_a_certificate_that_has_expired(upstream: Upstream) -> None:
    """A sidecar would run with it, and whoever checks it would not come in."""
    expired = Path(__file__).parents[1] / "vectors" / "tls" / "expired"
    ended = check(
        *("--upstream", f"http://127.0.0.1:{upstream.port}", "--listen", "127.0.0.1:0"),
        *("--tls-cert", f"{expired}.pem", "--tls-key", f"{expired}.key"),
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        f"modeltap check: --tls-cert {expired}.pem: expired at 2020-02-01 00:00:00 UTC; "
        "expected a certificate that is valid now\n"
    )


@pytest.mark.parametrize(("answer", "problem"), [(b"204 No Content", ""), (b"503 Loading", "answers 503")])
def test_the_path_of_the_probe(answer: bytes, problem: str) -> None:
    """It is asked once, and has to answer 2xx."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "exporter", "check", "--upstream", address, "--probe-path", "/ready"]
        environment = {**os.environ, **ENVIRONMENT}
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        ) as done:
            server.settimeout(60)
            client, _ = server.accept()
            with client:
                assert client.recv(4096).startswith(b"GET /ready HTTP/1.1\r\n")
                client.sendall(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")
            said = done.communicate(timeout=60)[1].decode()
    assert problem in said
    assert done.returncode == (2 if problem else 0)


def test_what_is_told_is_what_is_exported(start: Start, upstream: Upstream) -> None:
    """What is there from the start is in the first scrape, what needs more never is, and traffic brings the rest."""
    told = families(check("--upstream", f"http://127.0.0.1:{upstream.port}").stdout)
    sidecar = start("--series-hold", "0", "--tick-interval", "0.2")

    def seen() -> set[str]:
        return set(re.findall(r"^# TYPE (\S+)", sidecar.metrics().text, re.MULTILINE))

    def of(when: str) -> set[str]:
        return {name for name, text in told.items() if text.startswith(when)}

    wait_until(
        lambda: of("from the start") <= seen(), "the first families", 60, progress=lambda: of("from") - seen()
    )
    assert not of("with traffic") & seen()
    assert sidecar.post()[0] == 200
    # Those that need another kind of traffic are nobody's promise here.
    wait_until(lambda: "model_window_rows" in seen(), "traffic is seen", 60)
    assert not of("not exported") & seen()
    assert {"model_request_duration_seconds", "model_predictions_total", "model_info"} <= of(
        "with traffic"
    ) & seen()
