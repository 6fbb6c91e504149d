"""A real MLServer under `modeltap wrap`: started, served, hung, killed, started again with another version, stopped."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.app.command import Metrics, Sidecar, gone, lives
from tests.e2e.processes import LOOPBACK, free_ports, wait_until
from tests.environments.make import environment

BODY = json.dumps({"inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]}).encode()
INFER = "/v2/models/twice/infer"
MODEL = Path(__file__).with_name("wrapped_runtime.py")


def settings(folder: Path, version: str, ports: tuple[int, int, int]) -> None:
    """What MLServer reads."""
    model = {"name": "twice", "implementation": "wrapped_runtime.Twice", "parameters": {"version": version}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    http, grpc, metrics = ports
    server = {"host": LOOPBACK, "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    server |= {"parallel_workers": 0, "debug": False, "metrics_endpoint": None}
    (folder / "settings.json").write_text(json.dumps(server))


def test_the_life_of_a_model(tmp_path: Path) -> None:
    """Each of its ends is followed by a start, and all of it is seen in /metrics; told to stop, it ends with us."""
    http, grpc, metrics = free_ports(3)
    shutil.copy(MODEL, tmp_path)
    settings(tmp_path, "v1", (http, grpc, metrics))
    mlserver = str(environment("mlserver") / "bin" / "mlserver")
    flags = ("--probe-path", "/v2/models/twice/ready", "--grace", "20")
    sidecar = Sidecar(tmp_path, http, flags, model=(mlserver, "start", str(tmp_path)))
    try:
        sidecar.started()
        first = ready(sidecar, 1)
        assert sidecar.post(INFER, BODY)[0] == 200
        seen = until(sidecar, lambda found: found.total("model_predictions_total", model_version="v1") == 2)
        listening, to_ready = (
            seen.total("model_process_start_duration_seconds", phase=phase)
            for phase in ("listening", "ready")
        )
        assert 0 < listening <= to_ready
        assert seen.total("process_memory_usage_bytes", component="model") > 10_000_000
        until(sidecar, lambda found: found.total("model_process_log_lines_total", level="info") > 0)

        settings(tmp_path, "v2", (http, grpc, metrics))
        os.kill(first, signal.SIGSTOP)
        wait_until(lambda: sidecar.metrics().total("model_up") == 0, "a hung model is down", 60, sidecar)
        os.kill(first, signal.SIGKILL)
        gone(first)
        second = ready(sidecar, 2)
        assert sidecar.post(INFER, BODY)[0] == 200
        seen = until(sidecar, lambda found: found.total("model_predictions_total", model_version="v2") == 2)
        assert seen.total("model_process_exits_total", reason="signal", code="SIGKILL") == 1
        assert seen.total("model_process_restarts_total") == 1

        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended(30) == 0
        assert not lives(second)
        assert "it is killed" not in sidecar.text(), "it ended by itself"
    finally:
        sidecar.kill()
        sidecar.stop()


def ready(sidecar: Sidecar, times: int) -> int:
    """Wait until it was ready so often; its pid."""
    text = r"(?s)" + r".*".join([r"the model is ready \(pid (\d+)\)"] * times)
    return int(
        wait_until(lambda: re.search(text, sidecar.text()), f"ready {times} times", 60, sidecar)[times]
    )


def until(sidecar: Sidecar, check: Callable[[Metrics], bool]) -> Metrics:
    """Scrape until it is so."""
    return wait_until(lambda: found if check(found := sidecar.metrics()) else None, "it is seen", 60, sidecar)
