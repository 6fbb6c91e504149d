"""The demo's data: California housing, 14,064 block groups with 8 features, a label and a timestamp each.

The CSV files ship inside the distribution `nannyml` (Apache-2.0); they are found through its metadata, and
the package is never imported, so none of its dependencies is needed. The rows are real (the 1990 census).
Their timestamps were given to them, in file order, by the makers of that distribution, and the file runs
through the state region by region: a later month is another part of California. So the months differ as real
populations do, but they are no measurement over time, and the demo says so.

Invariant: rows leave this module in the order of their timestamps, complete, or `DataMissing` is raised.
"""

import csv
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FEATURES = (
    *("MedInc", "HouseAge", "AveRooms", "AveBedrms"),
    *("Population", "AveOccup", "Latitude", "Longitude"),
)
LABEL = "clf_target"
DISTRIBUTION = "nannyml"
TESTED_VERSION = "0.13.1"
TRAINING_FILE = "california_housing_reference.csv"
LATER_FILE = "california_housing_analysis.csv"
LATER_LABELS_FILE = "california_housing_analysis_gt.csv"


class DataMissing(Exception):
    """The CSV files are absent or are not what they should be; the message says how to get them."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`features` float64 [n, 8], columns as FEATURES; `labels` int64 [n], 0 or 1; `months` [n], YYYY-MM."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    months: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Rows":
        """The rows of that index, in its order."""
        return Rows(self.features[index], self.labels[index], self.months[index])


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """The first eight months, for training and healthy traffic; the twelve after them, for drift."""

    training: Rows
    later: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Three disjoint random parts of the training period: to fit, for the reference, to replay."""

    fit: Rows
    reference: Rows
    healthy: Rows


def how_to_get() -> str:
    """The command that fetches the data without the distribution's dependencies."""
    # Only the metadata of the distribution stops at Python 3.12; its CSV files have no opinion.
    ignore = " --ignore-requires-python" if sys.version_info >= (3, 13) else ""
    return f"{sys.executable} -m pip install --no-deps{ignore} {DISTRIBUTION}=={TESTED_VERSION}"


def find_directory() -> Path:
    """The folder of the installed distribution that holds the CSV files. Raises DataMissing."""
    advice = f"get it with\n    {how_to_get()}\n(only its data files are read), or name a folder with --data"
    try:
        files = metadata.distribution(DISTRIBUTION).files or []
    except metadata.PackageNotFoundError:
        raise DataMissing(f"the demo's data set is not installed: {advice}") from None
    for file in files:
        if file.name == TRAINING_FILE:
            return Path(str(file.locate())).parent
    raise DataMissing(f"the installed {DISTRIBUTION} does not hold {TRAINING_FILE}: {advice}")


def load(directory: Path | None = None) -> Periods:
    """Both periods, from `directory` or from the installed distribution. Raises DataMissing."""
    folder = find_directory() if directory is None else directory
    training = _read(folder / TRAINING_FILE)
    later = _read(folder / LATER_FILE)
    labels = {
        row["id"]: row[LABEL] for row in _read(folder / LATER_LABELS_FILE) if "id" in row and LABEL in row
    }
    joined = [{**row, LABEL: labels.get(row.get("id", ""), "")} for row in later]
    return Periods(_rows(training, folder / TRAINING_FILE), _rows(joined, folder / LATER_FILE))


def split(training: Rows, seed: int = 0) -> Split:
    """Cut the training period at random into 40 % fit, 30 % reference, 30 % healthy traffic.

    At random, because its own months differ from each other as much as the later ones do; and the reference's
    predictions are made on rows that the model was not fitted on, as those of the traffic are.
    """
    order = np.random.default_rng(seed).permutation(len(training))
    first, second = int(0.4 * len(order)), int(0.7 * len(order))
    return Split(
        training.take(order[:first]), training.take(order[first:second]), training.take(order[second:])
    )


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise DataMissing(f"{path}: {error.strerror}; get the data with\n    {how_to_get()}") from error


def _rows(records: list[dict[str, str]], path: Path) -> Rows:
    if not records:
        raise DataMissing(f"{path}: no rows")
    absent = [name for name in (*FEATURES, LABEL, "timestamp") if name not in records[0]]
    if absent:
        raise DataMissing(f"{path}: no column {', '.join(absent)}; found {', '.join(records[0])}")
    records = sorted(records, key=lambda record: record["timestamp"])
    try:
        features = np.array(
            [[float(record[name]) for name in FEATURES] for record in records], dtype=np.float64
        )
        labels = np.array([int(record[LABEL]) for record in records], dtype=np.int64)
    except (TypeError, ValueError) as error:
        raise DataMissing(f"{path}: a cell is not a number: {error}") from error
    return Rows(features, labels, np.array([record["timestamp"][:7] for record in records], dtype=np.str_))
