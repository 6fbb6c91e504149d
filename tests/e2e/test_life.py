"""The life of a real model server as its sidecar tells it: late, hung, killed, another version, rolled back."""

import http.client
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.analysis.history import unpacked
from tests.e2e import living_model
from tests.e2e.client import inference_request
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Program, Running, free_ports, running, wait_until
from tests.e2e.sidecar import ROOT, Addresses, addresses, analysis, sidecar

SECONDS = 60.0
FLAGS = ["--probe-interval", "0.2", "--stable-after", "3600", "--ready-within", "1"]


class Scene:
    """A sidecar in front of a port behind which models come and go."""

    def __init__(self, at: Addresses, process: Running) -> None:
        self._at = at
        self._process = process

    def count(self, name: str, **labels: str) -> float:
        """What a scrape says."""
        return total(wait_until(self._scraped, "a scrape is answered", seconds=SECONDS), name, **labels)

    def _scraped(self) -> dict[str, float]:
        try:
            return samples(scrape(self._at.metrics))
        except (OSError, http.client.HTTPException):
            return {}

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Poll, with the log if it never comes true."""
        wait_until(condition, what, seconds=SECONDS, process=self._process, progress=self._process.tail)

    def until_count(self, value: float, name: str, **labels: str) -> None:
        """Poll until the series have that sum or more."""
        self.until(f"{name}{labels} is {value}", lambda: self.count(name, **labels) >= value)

    def until_told(self, value: float, name: str, **labels: str) -> None:
        """The same of what answers tell: under load they are thinned, so there is another one each time."""
        told = f"answers tell {name}{labels} {value}"
        self.until(told, lambda: self.infer() and self.count(name, **labels) >= value)

    def post(self, path: str, body: bytes) -> int:
        """One request through the sidecar; 0 if it is not answered."""
        connection = http.client.HTTPConnection(LOOPBACK, self._at.proxy, timeout=20)
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def infer(self) -> bool:
        """Whether the model answered."""
        return self.post(living_model.INFER, inference_request([{"x": 1.0}])) == 200


def model(folder: Path, port: int, version: str, loading: float) -> tuple[Program, str]:
    """The server, and where it answers once it listens."""
    command = [sys.executable, "-m", "tests.e2e.living_model", str(port), version, str(loading)]
    program = Program(f"model-{version}", command, folder, {"PYTHONPATH": str(ROOT)})
    return program, f"http://{LOOPBACK}:{port}/v2/health/live"


@pytest.mark.timeout(300)
def test_a_model_lives(tmp_path: Path) -> None:
    """Each thing that happens to a model server is seen in /metrics, and in the log as an event."""
    (port,) = free_ports(1)
    at = addresses()
    state = tmp_path / "state"
    state.mkdir()
    kept = ["--state-dir", str(state), "--series-hold", "1"]
    with running(sidecar(tmp_path, at, port, [*FLAGS, *kept]), at.ready) as process:
        scene = Scene(at, process)
        scene.until_count(1, "model_deployments_total", outcome="never_ready")
        with running(*model(tmp_path, port, "1", 0.5)) as first:
            _begins(scene)
            _hangs(scene, first)
        # The way out of `running` killed it.
        scene.until_count(1, "model_probe_failures_total", reason="refused")
        scene.until("it is down", lambda: scene.count("model_up") == 0)
        with running(*model(tmp_path, port, "2", 0.5)):
            _is_another(scene)
            _is_rolled_back(scene)
            _is_remembered(scene, process, state / "history")
        log = process.log.read_text()
    for event in ("does not answer its probes", "answers its probes again", "was started again"):
        assert f"{event}" in log
    assert "answers with a version that it had before" in log


def _begins(scene: Scene) -> None:
    """Late, but there: how long it took, what is asked once the dialect is known, which version it is."""
    scene.until("it answers", scene.infer)
    scene.until_told(1, "model_probe_info", path=living_model.READY, source="dialect")
    scene.until_count(1, "model_up")
    scene.until_told(1, "model_version_start_time_seconds", model_version="1")
    scene.until_count(1, "model_cold_start_duration_seconds_count", source="process")
    assert scene.count("model_restarts_total") == 0
    assert scene.count("model_probe_connect_duration_seconds_count") > 0
    assert scene.count("model_probe_round_trip_seconds") > 0


def _hangs(scene: Scene, process: Running) -> None:
    """It takes connections and answers nothing; then it goes on."""
    os.kill(process.pid, signal.SIGSTOP)
    scene.until_count(1, "model_probe_failures_total", reason="timeout")
    scene.until("it is down", lambda: scene.count("model_up") == 0)
    os.kill(process.pid, signal.SIGCONT)
    scene.until_count(1, "model_up")
    assert scene.count("model_restarts_total") == 0


def _is_another(scene: Scene) -> None:
    """Another process with another version; it says itself that it is not ready for a while."""
    scene.until_count(1, "model_restarts_total", source="process")
    scene.until("it answers", scene.infer)
    scene.until_told(1, "model_version_changes_total", model_name="echo", kind="new")
    scene.until_told(1, "model_load_duration_seconds_count", model_version="2", source="readiness")
    scene.until_count(2, "model_cold_start_duration_seconds_count", source="process")
    assert scene.count("model_deployments_total", model_version="1", outcome="superseded") == 1
    transition = {"previous_version": "1", "model_version": "2"}
    assert scene.count("model_version_transitions_total", **transition) == 1


def _is_rolled_back(scene: Scene) -> None:
    """A load that passes through the sidecar brings the first version back."""
    assert scene.post(living_model.LOAD, json.dumps({"parameters": {"version": "1"}}).encode()) == 200
    scene.until("it answers", scene.infer)
    scene.until_told(1, "model_version_changes_total", model_name="echo", kind="rollback")
    scene.until_count(1, "model_deployments_total", model_version="2", outcome="rolled_back")
    request = {"model_name": "echo", "kind": "load", "outcome": "success"}
    scene.until_count(1, "model_repository_requests_total", **request)
    loaded = {"model_name": "echo", "model_version": "1", "source": "repository"}
    scene.until_told(1, "model_load_duration_seconds_count", **loaded)
    assert scene.count("model_load_duration_seconds_sum", **loaded) >= living_model.LOAD_SECONDS
    scene.until_count(1, "model_up")
    assert scene.count("model_health_time_seconds_total", state="down") > 0
    assert 0 < scene.count("model_availability", window="5m") < 1
    assert scene.count("model_uptime_seconds") > 0


def _is_remembered(scene: Scene, process: Running, history: Path) -> None:
    """The analysis is killed: it knows the version in use, and one that returns, by what it kept."""
    scene.until("it is kept", lambda: unpacked(history.read_bytes()).models[0].version == "1")
    killed = wait_until(lambda: analysis(process), "an analysis runs")
    killed.kill()
    scene.until_count(1, "modeltap_history_files_total", outcome="restored")
    scene.until_told(1, "model_version_start_time_seconds", model_version="1")
    assert scene.count("model_version_changes_total", model_name="echo") == 0
    assert scene.post(living_model.LOAD, json.dumps({"parameters": {"version": "2"}}).encode()) == 200
    scene.until_told(1, "model_version_changes_total", model_name="echo", kind="rollback")
    assert scene.count("model_version_changes_total", kind="new") == 0
    # What became of these versions was told before.
    assert scene.count("model_deployments_total") == 0
