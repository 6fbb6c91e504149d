"""Test rows per bin of the score: every row once, what is positive, weights, bounds, and what a file says of it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exporter.stats import NumericBins, Profile
from exporter.stats.profiles.build import Column, ProfileConfig, _as_typed, build_from
from exporter.stats.profiles.performance import MAX_CLASSES, ScoreCells
from exporter.stats.profiles.profile import ProfileError, parse
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.tally import Extras

ROLES = {"y": "target", "called": "prediction", "score": "score", "w": "weight", "x": "feature"}
ROWS = 2000


def _columns(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.random(ROWS)
    truth = (rng.random(ROWS) < score).astype(float)
    return {"y": truth, "called": (score > 0.43).astype(float), "score": score}


def _profile(columns: dict[str, Any], chunks: int = 1, **extras: Any) -> Profile:
    plans = [
        Plan(name, ROLES[name], "numeric" if values.dtype.kind == "f" else "categorical", True)
        for name, values in columns.items()
    ]
    parts = [
        {name: _as_typed(Column(values[part])) for name, values in columns.items()}
        for part in np.array_split(np.arange(ROWS), chunks)
    ]
    return build_from(plans, lambda _: parts, ProfileConfig(), Extras(test=True, **extras))


def _cells(profile: Profile) -> ScoreCells | None:
    assert profile.performance is not None
    return profile.performance.cells


def _told(profile: Profile) -> ScoreCells:
    found = _cells(profile)
    assert found is not None
    return found


def test_every_row_is_counted_once() -> None:
    """By bin of the score's own column, by call and truth; a squared loss beside; however rows are cut."""
    columns = _columns()
    profile = _profile(columns, chunks=3)
    cells, bins = _told(profile), profile.column("score").bins
    assert isinstance(bins, NumericBins)
    whole = _told(_profile(columns))
    assert replace(cells, loss=whole.loss, loss_squares=whole.loss_squares) == whole
    assert cells.loss == pytest.approx(whole.loss)
    assert (cells.output, cells.prediction, cells.positive) == ("score", "called", "1")
    assert sum(cells.rest) + sum(cells.called) == ROWS
    assert np.add(cells.rest, cells.called).tolist() == list(profile.column("score").counts[: bins.ranges])
    codes = np.searchsorted(bins.array, columns["score"])
    called, true = columns["called"] == 1.0, columns["y"] == 1.0
    for side, own in ((cells.called, called), (cells.rest, ~called)):
        assert list(side) == np.bincount(codes[own], minlength=bins.ranges).tolist()
    assert list(cells.called_positives) == np.bincount(codes[called & true], minlength=bins.ranges).tolist()
    loss = (columns["score"] - columns["y"]) ** 2
    assert cells.loss == pytest.approx(np.bincount(codes, loss, bins.ranges))
    assert cells.loss_squares == pytest.approx(np.bincount(codes, loss**2, bins.ranges))


def test_missing_cells_are_in_no_bin() -> None:
    """No score, no truth or no prediction: such a row says nothing."""
    columns = _columns()
    columns["score"][:10] = np.nan
    columns["y"][5:20] = np.nan
    cells = _told(_profile(columns))
    assert sum(cells.rest) + sum(cells.called) == ROWS - 20


def test_only_declared_rows() -> None:
    """Those that the model was fitted on are not counted."""
    columns = _columns() | {"x": np.array(["train", "test"] * (ROWS // 2), object)}
    cells = _told(_profile(columns, split=("x", "test")))
    assert sum(cells.rest) + sum(cells.called) == ROWS // 2


def test_what_is_positive() -> None:
    """As told, or 1 of two classes; of several classes being right, unless the owner names one."""
    columns = _columns()
    other = _told(_profile(columns, positive="0"))
    assert (other.positive, sum(other.called)) == ("0", int((columns["called"] == 0.0).sum()))
    columns["y"][:300] = 2.0
    several = _told(_profile(columns))
    assert (several.positive, sum(several.rest), sum(several.called)) == ("", 0, ROWS)
    assert sum(several.called_positives) == int((columns["y"] == columns["called"]).sum())
    assert _told(_profile(columns, positive="2")).positive == "2"


def test_without_predictions_nothing_is_called() -> None:
    """The area needs none; several classes without a prediction say nothing, nor does text for a score."""
    columns = _columns()
    del columns["called"]
    cells = _told(_profile(columns))
    assert (cells.prediction, sum(cells.rest), sum(cells.called)) == ("", ROWS, 0)
    columns["y"][:300] = 2.0
    assert _cells(_profile(columns)) is None
    columns["score"] = np.array(["a", "b"] * (ROWS // 2), object)
    assert _cells(_profile(columns)) is None


def test_scores_that_are_no_probabilities() -> None:
    """Margins rank as well; but there is no Brier score of them."""
    columns = _columns()
    plain = _told(_profile(columns))
    columns["score"] = 1e90 * (columns["score"] - 0.5)
    margins = _told(_profile(columns))
    assert margins == replace(plain, loss=(), loss_squares=())


def test_too_many_classes_say_nothing() -> None:
    """Memory is bounded by the classes that are told apart."""
    columns = _columns()
    columns["y"] = np.arange(ROWS) % (MAX_CLASSES + 3) + 0.0
    assert _cells(_profile(columns, chunks=5)) is None


def test_weighted_rows_are_effective_ones() -> None:
    """Equal weights are no weights; of others counts are of as many rows as they are worth."""
    columns = _columns()
    plain = _told(_profile(columns))
    same = _told(_profile(columns | {"w": np.full(ROWS, 3.0)}))
    assert replace(same, loss=(), loss_squares=()) == replace(plain, loss=(), loss_squares=())
    assert same.loss == pytest.approx(plain.loss)
    uneven = _told(_profile(columns | {"w": np.where(np.arange(ROWS) % 2, 1.0, 4.0)}))
    assert sum(uneven.rest) + sum(uneven.called) == round(2.5**2 / 8.5 * ROWS)


def test_a_file_keeps_them() -> None:
    """Written and read they are the same; lists of another length, and more positives than rows, are told."""
    profile = _profile(_columns())
    assert parse(profile.to_json().encode()) == profile
    document = json.loads(profile.to_json())
    del document["sha256"]
    own = document["performance"]["cells"]
    own["called"] = own["called"][1:]
    own["rest_positives"][0] = own["rest"][0] + 1
    with pytest.raises(ProfileError) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.problems == (
        "performance.cells.called: 9 values, expected 10, one per bin of 'score'",
        "performance.cells.rest_positives: at most as many as in rest expected",
    )
    own["output"] = "y"
    document["columns"] = [column for column in document["columns"] if column["name"] != "y"]
    with pytest.raises(
        ProfileError, match=r"performance\.cells\.output: 'y', expected the name of a numeric"
    ):
        parse(json.dumps(document).encode())


def test_older_files_have_none() -> None:
    """They are read as they were, and keep their hash."""
    profile = _profile(_columns())
    assert profile.performance is not None
    older = replace(profile, performance=replace(profile.performance, cells=None))
    assert '"cells"' not in older.to_json()
    assert parse(older.to_json().encode()).sha256 == older.sha256
