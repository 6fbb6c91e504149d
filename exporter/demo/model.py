"""The demo's model: a random forest that tells whether a block group's median house value is high.

It knows nothing of HTTP or of the sidecar. Invariant: what is saved carries the names and order of its
columns.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from exporter.demo.data import FEATURES, Rows

NAME = "housing"
VERSION = "1"
PROBABILITY = "probability"
PREDICTED_LABEL = "label"
OUTPUTS = (PROBABILITY, PREDICTED_LABEL)
TRUTH = "truth"
# What the columns of the reference are, for `modeltap profile`.
ROLES = ("--score", PROBABILITY, "--prediction", PREDICTED_LABEL, "--target", TRUTH)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted classifier with the names of its columns, in their order."""

    classifier: Any
    features: tuple[str, ...]
    name: str = NAME
    version: str = VERSION

    def predict(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """float64 [n, 8] -> probability of the label 1, float64 [n] in 0..1, and the label, int64 [n]."""
        probability = np.asarray(self.classifier.predict_proba(features)[:, 1], dtype=np.float64)
        return probability, (probability >= 0.5).astype(np.int64)


def train(rows: Rows, seed: int = 0) -> Model:
    """Fit on `rows`; less than a second for 2,300 of them. The same seed gives the same forest."""
    forest = RandomForestClassifier(n_estimators=60, min_samples_leaf=3, random_state=seed)
    forest.fit(rows.features, rows.labels)
    return Model(forest, FEATURES)


def save(model: Model, path: Path) -> None:
    """Write the model with joblib; only files that this demo wrote itself may be loaded again."""
    joblib.dump(model, path)


def load(path: Path) -> Model:
    """Read what `save` wrote. Raises OSError, and ValueError if the file holds something else."""
    model = joblib.load(path)
    if not isinstance(model, Model):
        raise ValueError(f"{path}: expected a model saved by the demo, found {type(model).__name__}")
    return model


def write_reference(model: Model, rows: Rows, path: Path) -> None:
    """Write the CSV for the reference profile: features and both outputs, named as on the wire, and the truth."""
    probability, label = model.predict(rows.features)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*model.features, *OUTPUTS, TRUTH))
        answers = zip(probability.tolist(), label.tolist(), rows.labels.tolist(), strict=True)
        for features, answer in zip(rows.features.tolist(), answers, strict=True):
            writer.writerow((*features, *answer))
