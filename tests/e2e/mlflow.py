"""A real MLflow scoring server with a scikit-learn classifier of the wine data, in a virtualenv of its own.

The model is trained, stored and served by that environment's packages; nothing of the exporter is imported there. It
takes whatever form its rows come in, as MLflow hands them over: a table, an array, or arrays by name.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import LOOPBACK, Program
from tests.environments.make import environment

FEATURES = ("alcohol", "ash", "hue")
TRAINING = f"""
import mlflow.pyfunc
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAMES = list({FEATURES!r})

class Wine(mlflow.pyfunc.PythonModel):
    def __init__(self, fitted):
        self.fitted = fitted

    def predict(self, context, model_input, params=None):
        return self.fitted.predict(pd.DataFrame(model_input, columns=NAMES))

data = load_wine(as_frame=True)
rows = data.data[NAMES]
fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, data.target)
mlflow.pyfunc.save_model("model", python_model=Wine(fitted), pip_requirements=["scikit-learn"])
rows.assign(answer=fitted.predict(rows)).to_csv("rows.csv", index=False)
"""
SERVING = """
import sys
import uvicorn
from mlflow.pyfunc import load_model
from mlflow.pyfunc.scoring_server import init
uvicorn.run(init(load_model("model")), host=sys.argv[1], port=int(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """`rows`: the training rows as CSV, the model's answer to each last."""

    folder: Path
    rows: Path
    python: Path


def train(folder: Path) -> Stored:
    """Make the environment if need be, fit the classifier and store it as MLflow does."""
    python = environment("mlflow") / "bin" / "python"
    subprocess.run([python, "-c", TRAINING], cwd=folder, check=True, capture_output=True)
    return Stored(folder, folder / "rows.csv", python)


def server(stored: Stored, port: int) -> Program:
    """MLflow's scoring server for the stored model."""
    command: list[str | Path] = [stored.python, "-c", SERVING, LOOPBACK, str(port)]
    return Program("mlflow", command, stored.folder, {"MLFLOW_DISABLE_TELEMETRY": "true"})


def ready_url(port: int) -> str:
    """Answers 200 once the model is loaded."""
    return f"http://{LOOPBACK}:{port}/ping"
