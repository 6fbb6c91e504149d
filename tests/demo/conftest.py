"""A small data set in the form of the real one, and a model fitted on it: what the demo's tests share."""

import csv
from pathlib import Path

import numpy as np
import pytest

from exporter.demo import data, model

HEADER = ("id", *data.FEATURES, "timestamp", data.LABEL)


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Write one CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def rows_of(first: int, count: int, year: int, shift: float) -> list[tuple[object, ...]]:
    """`count` rows, an hour apart from the year's first day; the label follows the first feature."""
    random = np.random.default_rng(first)
    features = random.normal(shift, 1.0, (count, len(data.FEATURES)))
    stamps = np.datetime64(f"{year}-01-01T00") + np.arange(count)
    return [
        (first + n, *features[n].tolist(), str(stamps[n]).replace("T", " "), int(features[n, 0] > shift))
        for n in range(count)
    ]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three CSV files: 1,000 training rows, 1,500 later ones whose features are shifted."""
    path = tmp_path_factory.mktemp("data")
    later = rows_of(1000, 1500, 2021, shift=1.5)
    write_csv(path / data.TRAINING_FILE, HEADER, rows_of(0, 1000, 2020, shift=0.0))
    write_csv(path / data.LATER_FILE, HEADER[:-1], [row[:-1] for row in later])
    write_csv(path / data.LATER_LABELS_FILE, ("id", data.LABEL), [(row[0], row[-1]) for row in later])
    return path


@pytest.fixture(scope="session")
def fitted(folder: Path) -> model.Model:
    """A model fitted on the training rows."""
    return model.train(data.split(data.load(folder).training).fit)
