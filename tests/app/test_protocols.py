"""Dialects that the owner tells: a real sidecar before a server that speaks something odd, and what it exports."""

import json
import signal
from pathlib import Path

from tests.app.command import Sidecar
from tests.app.conftest import Start
from tests.app.upstream import Upstream
from tests.e2e.processes import wait_until

REQUEST = json.dumps({"jobs": [{"age": 31, "city": "Oslo"}, {"age": 44, "city": "Bonn"}]}).encode()
ANSWER = b'{"ticket":"t-1","verdict":[{"label":"ham","p":0.25},{"label":"spam","p":0.75}],"build":7}'
CUSTOM = """
custom:
- path: /odd/{model_name}
  inputs: jobs
  class: verdict[].label
  score: verdict[].p
  model_version: to_string(build)
- path: /other
  outputs: verdict[].p
"""


def decoded(sidecar: Sidecar, count: int, **labels: str) -> None:
    """Wait until so many exchanges with these labels were decoded."""
    name = "model_exchanges_decoded_total"
    wait_until(
        lambda: sidecar.metrics().total(name, outcome="decoded", **labels) == count,
        f"{count} are decoded",
        20,
        sidecar,
    )


def test_an_odd_server_is_understood(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """Paths, classes, scores, features and version as the file says; in both processes, from the first request on."""
    upstream.whole = ANSWER
    file = tmp_path / "modeltap.yaml"
    file.write_text(CUSTOM)
    sidecar = start("--config", str(file), "--series-hold", "0")
    for _ in range(3):
        assert sidecar.post("/odd/mail", REQUEST) == (200, ANSWER)
    assert sidecar.post("/other", b"{}") == (200, ANSWER)
    decoded(sidecar, 3, model_name="mail", protocol="custom")
    decoded(sidecar, 1, model_name="unknown", protocol="custom")
    metrics = sidecar.metrics()
    predictions = "model_predictions_total"
    assert (
        metrics.total(predictions, model_name="mail", model_version="7", output="class", **{"class": "spam"})
        == 3
    )
    assert metrics.total("model_prediction_value_count", model_name="mail", output="score") == 6
    assert metrics.total("model_feature_bin_total", model_name="mail", feature="age") == 6
    labels = {"protocol": "custom", "operation": "predict"}
    assert metrics.total("model_request_duration_seconds_count", code="200", **labels) == 4


def test_protocols_are_read_again(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """SIGHUP takes over both settings in the data plane and in the analysis; a mistake in them changes nothing."""
    upstream.whole = b'{"predictions":[1,2]}'
    file = tmp_path / "modeltap.yaml"
    file.write_text("")
    sidecar = start("--config", str(file), "--series-hold", "0", "--workers", "2")
    body = b'{"instances":[[0.5],[1.5]]}'
    assert sidecar.post("/predict", body)[0] == sidecar.post("/invocations", body)[0] == 200
    decoded(sidecar, 1, protocol="mlflow")
    duration = "model_request_duration_seconds_count"
    assert sidecar.metrics().total(duration, protocol="unknown", operation="predict") == 1

    file.write_text("protocol: [mlflow, /predict=kserve_v1]\n")
    sidecar.signal(signal.SIGHUP)
    sidecar.logged("reloaded: protocol")
    for _ in range(2):
        assert sidecar.post("/predict", body)[0] == sidecar.post("/invocations", body)[0] == 200
    decoded(sidecar, 3, protocol="mlflow")
    decoded(sidecar, 2, protocol="kserve_v1")
    metrics = sidecar.metrics()
    assert metrics.total(duration, protocol="mlflow") == metrics.total(duration, protocol="kserve_v1") == 2

    file.write_text("protocol: [mlflow, /predict=nothing]\n" + CUSTOM.replace("jobs", "jobs["))
    sidecar.signal(signal.SIGHUP)
    sidecar.logged(
        r"reload refused, all settings stay: .*protocol: \['mlflow', '/predict=nothing'\]: expected"
    )
    sidecar.logged(r"reload refused, all settings stay: .*custom\[0\]: inputs: 'jobs\[', expected a JMESPath")
    upstream.whole = ANSWER
    file.write_text(CUSTOM)
    sidecar.signal(signal.SIGHUP)
    sidecar.logged("reloaded: custom")
    assert sidecar.post("/odd/mail", REQUEST) == (200, ANSWER)
    decoded(sidecar, 1, model_name="mail", protocol="custom")
