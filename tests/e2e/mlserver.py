"""A real MLServer that serves a scikit-learn classifier of the wine data, in a virtualenv of its own.

The model is trained and served by that environment's own packages; nothing of the exporter is imported there.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import LOOPBACK, Program
from tests.environments.make import environment

MODEL_NAME = "wine"
MODEL_VERSION = "v1"
OUTPUTS = ("predict", "predict_proba")  # the class, and a probability for each of the three
ANSWERS = ("predict", *(f"predict_proba_{number}" for number in range(3)))  # as columns of the training data
TRAINING = """
import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

data = load_wine(as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target)
joblib.dump(model, "model.joblib")
answers = {f"predict_proba_{n}": column for n, column in enumerate(model.predict_proba(data.data).T)}
data.data.assign(predict=model.predict(data.data), **answers).to_csv("training.csv", index=False)
"""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """`folder` is what MLServer serves; `data` is the training data as CSV, the model's answers last."""

    folder: Path
    data: Path
    python: Path


def train(folder: Path) -> TrainedModel:
    """Make the environment if need be, fit the classifier and write MLServer's model settings beside it."""
    python = environment("mlserver") / "bin" / "python"
    model = folder / MODEL_NAME
    model.mkdir()
    subprocess.run([python, "-c", TRAINING], cwd=model, check=True)
    settings = {
        "name": MODEL_NAME,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": MODEL_VERSION},
    }
    (model / "model-settings.json").write_text(json.dumps(settings))
    return TrainedModel(model, model / "training.csv", python)


def server(model: TrainedModel, ports: tuple[int, int, int], tracing: str) -> Program:
    """`mlserver start` on (HTTP, gRPC, metrics) ports; its spans go to `tracing`, an OTLP gRPC address."""
    http, grpc, metrics = ports
    settings = {
        "host": LOOPBACK,
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "debug": False,
        "tracing_server": tracing,
    }
    (model.folder / "settings.json").write_text(json.dumps(settings))
    command: list[str | Path] = [model.python.with_name("mlserver"), "start", "."]
    environment: Mapping[str, str] = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
    return Program("mlserver", command, model.folder, environment)


def ready_url(port: int) -> str:
    """Answers 200 once the model is loaded."""
    return f"http://{LOOPBACK}:{port}/v2/models/{MODEL_NAME}/ready"
