"""The model: the same after a round through a file; its reference holds what the wire will name."""

import csv
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest

from exporter.demo import data, model


def test_a_saved_model_predicts_the_same(fitted: model.Model, folder: Path, tmp_path: Path) -> None:
    """A model read back from its file gives the same probabilities, and labels that follow them."""
    rows = data.load(folder).later.features[:20]
    model.save(fitted, tmp_path / "model")
    probability, label = model.load(tmp_path / "model").predict(rows)
    assert np.array_equal(probability, fitted.predict(rows)[0])
    assert np.array_equal(label, (probability >= 0.5).astype(np.int64))


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that holds something else than the demo's model is refused."""
    joblib.dump([1], tmp_path / "list")
    with pytest.raises(ValueError, match="found list"):
        model.load(tmp_path / "list")


def test_the_reference_names_features_and_outputs(fitted: model.Model, folder: Path, tmp_path: Path) -> None:
    """The reference CSV has one column per feature and per output of the wire, one line per row."""
    rows = data.split(data.load(folder).training).reference
    model.write_reference(fitted, rows, tmp_path / "reference.csv")
    with (tmp_path / "reference.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == [*data.FEATURES, "probability", "label", "truth"]
    assert len(lines) == len(rows)
    assert [float(cell) for cell in lines[0][:8]] == rows.features[0].tolist()
    assert [int(line[-1]) for line in lines] == rows.labels.tolist()
