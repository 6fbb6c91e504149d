"""The Triton client through the sidecar: binary tensors both ways, content codings, texts and half floats.

What the client read of the answers equals what is exported, class by class and number by number.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e import sidecar
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.environments.make import environment

ROOT = Path(__file__).resolve().parents[2]
CLIENT = Path(__file__).with_name("triton_client.py")
MODEL = {"model_name": "mix", "model_version": "3"}
# The analysis yields to all that runs here, so on a busy machine its start takes a while.
START_SECONDS = 150.0
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sidecar.Addresses]:
    """A sidecar before a server that answers in binary."""
    folder = tmp_path_factory.mktemp("triton")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.e2e.binary_model", str(port)]
    model = Program("model", command, folder, {"PYTHONPATH": str(ROOT)})
    found = sidecar.addresses()
    flags = ("--series-hold", "0", "--tick-interval", "0.2", "--windows", "3600")
    with (
        running(model, f"http://{LOOPBACK}:{port}/v2/health/ready"),
        running(sidecar.sidecar(folder, found, port, flags), found.ready),
    ):
        yield found


@pytest.fixture(scope="module")
def seen(at: sidecar.Addresses) -> dict[str, Any]:
    """What the client sent and read; all of it is decoded, and a tick has passed."""
    python = environment("tritonclient") / "bin" / "python"
    command = [python, CLIENT, f"{LOOPBACK}:{at.proxy}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    decoded = partial(_total, at, "model_exchanges_decoded_total", outcome="decoded")
    wait_until(lambda: decoded() == found["requests"], "all are decoded", START_SECONDS, progress=decoded)
    rows = partial(_total, at, "model_window_rows", output="score")
    wait_until(lambda: rows() == len(found["outputs"]["score"]), "a tick has passed", progress=rows)
    return found


def _total(at: sidecar.Addresses, name: str, **labels: str) -> float:
    return total(samples(scrape(at.metrics)), name, **labels)


def test_every_exchange_is_understood(at: sidecar.Addresses, seen: dict[str, Any]) -> None:
    """Binary, JSON, gzip and deflate: all exchanges are decoded as one dialect, and none is refused."""
    assert seen["requests"] == 14
    assert _total(at, "model_exchanges_decoded_total", protocol="open_inference_v2") == 14
    counted = partial(_total, at, "model_request_duration_seconds_count", operation="predict", code="200")
    assert counted(model_name="mix", protocol="open_inference_v2") == 14


@pytest.mark.parametrize(("side", "name"), [("outputs", "label"), ("outputs", "count")])
def test_classes_are_those_of_the_client(
    at: sidecar.Addresses, seen: dict[str, Any], side: str, name: str
) -> None:
    """Texts and whole numbers count by class."""
    expected = Counter(map(str, seen[side][name]))
    found = {
        one: _total(at, "model_predictions_total", output=name, **MODEL, **{"class": one}) for one in expected
    }
    assert found == expected


def test_texts_of_a_feature_are_those_of_the_client(at: sidecar.Addresses, seen: dict[str, Any]) -> None:
    """Each text in its bin."""
    expected = Counter(seen["inputs"]["w"])
    found = {one: _total(at, "model_feature_bin_total", feature="w", bin=one) for one in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("side", "label", "name"),
    [
        *(("outputs", "output", name) for name in ("score", "half")),
        *(("inputs", "feature", name) for name in ("x_0", "x_1", "h")),
    ],
)
def test_numbers_are_those_of_the_client(
    at: sidecar.Addresses, seen: dict[str, Any], side: str, label: str, name: str
) -> None:
    """Mean and standard deviation of the window are those of the values that the client has, half floats too."""
    values = np.array(seen[side][name], np.float64)
    found = samples(scrape(at.metrics))
    labels = {label: name, **MODEL}
    assert total(found, "model_window_rows", **labels) == len(values)
    assert total(found, "model_window_mean", **labels) == pytest.approx(values.mean(), abs=1e-6)
    assert total(found, "model_window_standard_deviation", **labels) == pytest.approx(values.std(), abs=1e-6)
