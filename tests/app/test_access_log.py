"""The access log of a real sidecar: a line for each exchange, whoever reads it, and nothing of what they carried."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import BODY, INFER, Sidecar, exchange
from tests.app.conftest import Start
from tests.app.load import load
from tests.app.test_root import assert_ledger
from tests.app.upstream import SLOW, Upstream
from tests.e2e.processes import LOOPBACK, wait_until

AT_ONCE = ("--series-hold", "0", "--analysis-cpu", "64")


def lines(path: Path) -> list[dict[str, Any]]:
    """What was written so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def counted(sidecar: Sidecar, name: str, **labels: str) -> float:
    """A figure of the access log."""
    return sidecar.metrics().total(f"modeltap_access_log_{name}", **labels)


@pytest.mark.parametrize("capture", ["1048576", "0"])
def test_every_exchange(start: Start, tmp_path: Path, capture: str) -> None:
    """Of any operation, with or without kept bodies, each has its line; the analysis counts what it did before."""
    path = tmp_path / "access.jsonl"
    sidecar = start(*AT_ONCE, "--access-log", str(path), "--capture-bytes", capture)
    sidecar.metrics()
    paths = (f"{INFER}?key=53cr3t", "/anything?key=53cr3t", "/v2/health/ready")
    for place in paths:
        exchange(sidecar.listen, "POST" if place.startswith(INFER) else "GET", place, BODY)
    found = wait_until(lambda: len(lines(path)) == 3 and lines(path), "all lines are there", 30)
    assert {(one["path"], one["operation"]) for one in found} == {
        (INFER, "predict"),
        ("/anything", "other"),
        ("/v2/health/ready", "health"),
    }
    assert all((one["status"], one["end"]) == (200, "complete") for one in found)
    assert all(one["client"] and one["request_id"] and one["duration_seconds"] > 0 for one in found)
    assert "53cr3t" not in path.read_text()
    metrics = sidecar.metrics()
    assert metrics.total("modeltap_access_log_written_total") == 3
    assert metrics.total("model_exchanges_decoded_total") == (capture != "0")
    assert_ledger(metrics)


def test_nobody_reads_standard_output(start: Start, tmp_path: Path) -> None:
    """A full pipe delays no answer and no scrape; lines are lost, counted, and the sidecar ends in its time."""
    pipe = tmp_path / "pipe"
    prefix = ("sh", "-c", f'mkfifo {pipe}; exec 3<>{pipe}; exec "$@" >{pipe}', "sh")
    sidecar = start(*AT_ONCE, "--access-log", "-", prefix=prefix)
    sidecar.metrics()
    with load(sidecar.listen, threads=4) as traffic:
        wait_until(
            lambda: counted(sidecar, "dropped_total", reason="queue_full") > 0, "the queue is full", 120
        )
    assert set(traffic.answers) == {200}
    metrics = sidecar.metrics()
    assert metrics.total("model_request_duration_seconds_count") == traffic.finished
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended(60) == 0


def test_rotated_and_reloaded(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """A file that was moved is made anew; SIGHUP opens it again and takes another share."""
    path, config = tmp_path / "access.jsonl", tmp_path / "modeltap.yaml"
    config.write_text("access_log_sample: 1\n")
    sidecar = start(*AT_ONCE, "--access-log", str(path), "--config", str(config))
    sidecar.metrics()
    sidecar.post()
    wait_until(lambda: len(lines(path)) == 1, "a line is there", 30)
    path.rename(tmp_path / "old")
    sidecar.post()
    wait_until(lambda: len(lines(path)) == 1, "a line is in the new file", 30)
    config.write_text("access_log_sample: 0\n")
    sidecar.signal(signal.SIGHUP)
    sidecar.logged("reloaded: access_log_sample 1.0 -> 0.0")
    sidecar.post()
    with socket.create_connection((LOOPBACK, sidecar.listen)) as client:
        client.sendall(f"POST {SLOW} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".encode())
        assert upstream.begun.wait(30)
    wait_until(lambda: len(lines(path)) == 2, "what failed is there", 30)
    assert [one["end"] for one in lines(path)] == ["complete", "abort"]
    assert len(lines(tmp_path / "old")) == 1


def test_a_place_that_is_none(start: Start, tmp_path: Path) -> None:
    """A folder that is missing is said once and counted; traffic goes on, and so do lines once it is there."""
    path = tmp_path / "missing" / "access.jsonl"
    sidecar = start(*AT_ONCE, "--access-log", str(path))
    sidecar.metrics()
    for _ in range(3):
        assert sidecar.post()[0] == 200
    wait_until(lambda: counted(sidecar, "dropped_total", reason="disk") == 3, "all are lost", 30)
    path.parent.mkdir()
    sidecar.post()
    wait_until(lambda: len(lines(path)) == 1, "a line is there", 30)
    assert sidecar.text().count("access log: lines are lost (disk)") == 1
    sidecar.logged("access log: lines are written again")
