"""Expected performance: known answers, NannyML's on the housing set, the law of sums, and how often intervals hold."""

import csv
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from exporter.demo import data as demo
from exporter.stats import NumericBins, Profile
from exporter.stats.performance import expected as module
from exporter.stats.performance.expected import (
    LEAST_TEST_ROWS,
    MOST_MIXED,
    NAMES,
    Cells,
    Expected,
    Known,
    accuracy,
    balanced_accuracy,
    cells_of,
    expected,
    f1,
    isotonic,
    known_of,
    positive_rate,
    precision,
    recall,
)
from exporter.stats.performance.figures import Figure
from exporter.stats.profiles.build import Column, ProfileConfig, _as_typed, build_from
from exporter.stats.profiles.performance import ScoreCells
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.tally import Extras

# D10: scores that are taken to be calibrated, called positive from .5 on; the answers are those of nannyml.CBPE.
SCORES = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.55, 0.5, 0.35, 0.3, 0.25, 0.1])[::-1]
ANSWERS = {
    "accuracy": 0.7375,
    "precision": 0.73125,
    "recall": 0.8540145985,
    "f1": 0.7878787879,
    "auc_roc": 0.8111048,
}
# What NannyML 0.13.1 expects of the months of the housing set (CBPE fitted on its reference file, chunks of a month):
# area under the ROC curve, accuracy, precision, recall, F1. Recorded: it does not load beside the tests' packages.
NANNYML = {
    "2021-06": (0.8593, 0.7099, 0.9577, 0.1107, 0.1985),
    "2021-07": (0.751, 0.5405, 0.9495, 0.0083, 0.0164),
    "2021-08": (0.7093, 0.6538, 0.0, 0.0, 0.0),
    "2021-09": (0.6643, 0.6828, 0.0, 0.0, 0.0),
    "2021-10": (0.8243, 0.5546, 0.9537, 0.1984, 0.3285),
    "2021-11": (0.8703, 0.6712, 0.9541, 0.0783, 0.1448),
    "2021-12": (0.8983, 0.6622, 0.974, 0.4945, 0.6559),
    "2022-01": (0.8516, 0.5941, 0.9687, 0.5166, 0.6738),
    "2022-02": (0.9111, 0.6591, 0.9693, 0.3915, 0.5577),
    "2022-03": (0.8291, 0.6529, 0.9561, 0.0724, 0.1346),
    "2022-04": (0.9107, 0.7176, 0.9725, 0.1404, 0.2454),
    "2022-05": (0.9399, 0.7797, 0.9763, 0.5277, 0.6851),
}
# Bins of a tenth and of a twentieth of the reference's rows, and how far these may be from every single score.
TOLERANCES = {10: {"auc_roc": 0.022, "accuracy": 0.011}, 20: {"auc_roc": 0.015, "accuracy": 0.007}}


def _values(found: Expected) -> dict[str, float]:
    return {figure.name: figure.value for figure in found.figures}


def test_the_known_answer() -> None:
    """D10, a bin for each row: what NannyML makes of the same twelve scores."""
    called = SCORES >= 0.5
    known = Known(np.array([1e6 * ~called, 1e6 * called]), np.array([SCORES, SCORES]))
    split = np.array([~called, called], float)
    cells = cells_of(known, split)
    assert cells == pytest.approx((5.85, 2.15, 1.0, 3.0))
    found = _values(expected(known, np.ones(12)))
    assert {name: found[name] for name in ANSWERS} == pytest.approx(ANSWERS, abs=1e-7)
    assert found["positive_rate"] == pytest.approx(SCORES.mean())


@cache
def _housing(bins: int) -> Profile:
    """The reference file as test rows."""
    names = {"clf_target": "target", "y_pred": "prediction", "y_pred_proba": "score"}
    plans = [Plan(name, role, "numeric", True) for name, role in names.items()]
    rows = _read(demo.TRAINING_FILE)
    chunk = {name: _as_typed(Column(np.array([float(row[name]) for row in rows]))) for name in names}
    return build_from(plans, lambda _: [chunk], ProfileConfig(bins=bins), Extras(test=True))


def _read(name: str) -> list[dict[str, str]]:
    with open(demo.find_directory() / name, newline="") as file:
        return list(csv.DictReader(file))


def _known(profile: Profile) -> tuple[ScoreCells, Known]:
    assert profile.performance is not None
    cells = profile.performance.cells
    assert cells is not None
    rows = np.array([cells.rest, cells.called], float)
    positives = np.array([cells.rest_positives, cells.called_positives], float)
    return cells, known_of(rows, positives, losses=np.array([cells.loss, cells.loss_squares]))


@pytest.mark.parametrize("bins", TOLERANCES)
def test_the_housing_set_as_nannyml_has_it(bins: int) -> None:
    """Every month, from counts per bin alone: as near as bins allow to what single scores give with a fitted curve."""
    profile = _housing(bins)
    cells, known = _known(profile)
    column = profile.column(cells.output)
    assert isinstance(column.bins, NumericBins)
    later = _read(demo.LATER_FILE)
    for month, answers in NANNYML.items():
        rows = [row for row in later if row["timestamp"].startswith(month)]
        scores = np.array([float(row["y_pred_proba"]) for row in rows])
        called = sum(float(row["y_pred"]) for row in rows)
        live = column.bins.count(scores)[: column.bins.ranges].astype(float)
        found = _values(expected(known, live, called))
        wanted = dict(zip(("auc_roc", "accuracy", "precision", "recall", "f1"), answers, strict=True))
        for name, tolerance in TOLERANCES[bins].items():
            assert found[name] == pytest.approx(wanted[name], abs=tolerance), (month, name)
        for name in ("recall", "f1"):
            assert found[name] == pytest.approx(wanted[name], abs=0.01), (month, name)
        # Nothing is called in two of them: NannyML says 0, here it is not defined.
        assert found.get("precision", 0.0) == pytest.approx(wanted["precision"], abs=0.015), month


def test_what_it_cannot_see() -> None:
    """docs/performance.md: the area falls as expected, by the scores alone; accuracy by far more, as scores mislead."""
    page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
    rows = re.findall(r"^\| (20\d\d-\d\d) \| (\w+) \| (.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for month, figure, told, nannyml, realised in rows:
        place = ("area", "accuracy").index(figure)
        found, truth = _month(month)
        one = found[("auc_roc", "accuracy")[place]]
        assert told == f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})".replace("0.", ".")
        assert nannyml == f"{NANNYML[month][place]:.3f}"[1:]
        assert realised == f"{truth[place]:.3f}"[1:]
    found, (area, right) = _month("2021-08")
    assert found["auc_roc"].low < area < found["auc_roc"].high
    assert right < found["accuracy"].low


def _month(month: str) -> tuple[dict[str, Figure], tuple[float, float]]:
    """What ten bins lead to expect of a month; its area and accuracy by its labels."""
    cells, known = _known(_housing(10))
    bins = _housing(10).column(cells.output).bins
    assert isinstance(bins, NumericBins)
    labels = {row["id"]: float(row["clf_target"]) for row in _read(demo.LATER_LABELS_FILE)}
    rows = [row for row in _read(demo.LATER_FILE) if row["timestamp"].startswith(month)]
    scores, called = (np.array([float(row[name]) for row in rows]) for name in ("y_pred_proba", "y_pred"))
    truth = np.array([labels[row["id"]] for row in rows])
    live = bins.count(scores)[: bins.ranges].astype(float)
    found = {one.name: one for one in expected(known, live, float(called.sum())).figures}
    return found, (metrics.roc_auc_score(truth, scores), metrics.accuracy_score(truth, called))


PLACES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


@given(PLACES)
def test_isotonic_is_isotonic_regression(pairs: list[tuple[int, int]]) -> None:
    """As scikit-learn has it, where there are rows; positives stay as many; places without rows rise too."""
    rows = np.array([whole for whole, _ in pairs], float)
    positives = np.array([min(part, whole) for whole, part in pairs], float)
    found = isotonic(positives, rows)
    assert (np.diff(found) >= -1e-12).all()
    assert float(found @ rows) == pytest.approx(positives.sum())
    there = np.flatnonzero(rows)
    if len(there):
        fitted = IsotonicRegression().fit(there, positives[there] / rows[there], rows[there]).predict(there)
        assert found[there] == pytest.approx(fitted)


def _random(seed: int, bins: int = 6) -> tuple[Known, np.ndarray, np.ndarray]:
    """Test rows of a threshold within the fourth bin, and two parts of live rows."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(20, 200, (2, bins)).astype(float)
    rows[1, :3], rows[0, 4:] = 0.0, 0.0
    positives = np.floor(rows * np.linspace(0.1, 0.9, bins))
    losses = np.array([rows.sum(axis=0) * 0.2, rows.sum(axis=0) * 0.1])
    live = rng.integers(10, 300, (2, bins)).astype(float)
    return known_of(rows, positives, losses=losses), live[0], live[1]


def test_what_is_expected_adds_up() -> None:
    """Cells of two replicas are those of their sum: figures may be formed of summed counts."""
    known, one, other = _random(3)
    split = [module._split(known, live, None)[0] for live in (one, other, one + other)]
    cells = [cells_of(known, part) for part in split]
    assert np.add(cells[0], cells[1]) == pytest.approx(cells[2])


def test_the_area_is_that_of_pairs() -> None:
    """Of every positive and negative, weighted by their chances."""
    known, live, _ = _random(5)
    split, _ = module._split(known, live, None)
    positives = (split * known.chances).sum(axis=0)
    negatives = live - positives
    ranks = np.arange(len(live))
    value = metrics.roc_auc_score(
        np.repeat([1, 0], len(live)), np.tile(ranks, 2), sample_weight=np.concatenate((positives, negatives))
    )
    (area,) = (one for one in expected(known, live).figures if one.name == "auc_roc")
    assert area.value == pytest.approx(value)
    every = float(positives.sum() * negatives.sum())
    assert area.bound == pytest.approx(float(positives @ negatives) / 2 / every)


@pytest.mark.parametrize("formula", [accuracy, positive_rate, precision, recall, f1, balanced_accuracy])
def test_gradients_are_those_of_the_figures(formula: Any) -> None:
    """By differences: a row of those called, or of the rest, that is positive instead of negative."""
    cells, step = Cells(50.0, 20.0, 15.0, 80.0), 1e-6
    called = Cells(50.0 + step, 20.0 - step, 15.0, 80.0)
    rest = Cells(50.0, 20.0, 15.0 + step, 80.0 - step)
    found = formula(cells)
    assert (formula(called).value - found.value) / step == pytest.approx(found.called, abs=1e-8)
    assert (formula(rest).value - found.value) / step == pytest.approx(found.rest, abs=1e-8)


def test_the_decision_within_a_bin() -> None:
    """Known where the called rows are counted; else as in the reference, with a bound that holds for any threshold."""
    known, live, _ = _random(7)
    open_ = {one.name: one for one in expected(known, live).figures}
    for share in (0.0, 0.3, 1.0):
        called = live[4:].sum() + share * live[3]
        told = {one.name: one for one in expected(known, live, float(called)).figures}
        for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy"):
            assert told[name].bound == 0.0 < open_[name].bound
            assert abs(told[name].value - open_[name].value) <= open_[name].bound + 1e-12
        assert told["auc_roc"].bound > 0.0
    # A threshold at an edge leaves nothing open.
    edged = expected(known, np.where(np.arange(6) == 3, 0.0, live))
    assert all(one.bound == 0.0 for one in edged.figures if one.name != "auc_roc")


def test_no_threshold_no_figures_of_classes() -> None:
    """Decisions in more than four bins, or none known: the area and the positive rate are all there is."""
    rows, live = np.full((2, MOST_MIXED + 1), 100.0), np.full(MOST_MIXED + 1, 100.0)
    alone = np.array([rows[0], np.zeros(MOST_MIXED + 1)])
    for test_rows in (rows, alone):
        known = known_of(test_rows, test_rows / 4.0)
        assert _values(expected(known, live)).keys() == {"auc_roc", "positive_rate"}
    assert "accuracy" in _values(expected(known_of(rows[:, 1:], rows[:, 1:] / 4.0), live[1:]))


def test_several_classes_have_accuracy() -> None:
    """Mean calibrated confidence: what was right in each bin, weighted by live rows."""
    rows = np.array([np.zeros(3), [100.0, 200.0, 300.0]])
    right = np.array([np.zeros(3), [50.0, 140.0, 270.0]])
    found = expected(known_of(rows, right, several=True), np.array([10.0, 100.0, 300.0]))
    assert _values(found) == pytest.approx({"accuracy": (5 + 70 + 270) / 410})
    falling = expected(known_of(rows, right[:, ::-1] / 3.0, several=True), np.array([0.0, 0.0, 300.0]))
    assert _values(falling) == pytest.approx({"accuracy": 50.0 / 3.0 / 300.0})
    assert (found.figures[0].bound, found.figures[0].state, found.state) == (0.0, "ready", "ready")


def test_states() -> None:
    """Few rows are insufficient; rows where the reference has none are no estimate at all."""
    rows = np.array([[200.0, 100.0, 0.0, 0.0], [0.0, 0.0, 100.0, LEAST_TEST_ROWS - 1.0]])
    known = known_of(rows, rows / 2.0)
    assert expected(known, np.array([100.0, 99.0, 0.0, 0.0])).state == "insufficient"
    assert expected(known, np.array([100.0, 100.0, 0.0, 0.0])).state == "ready"
    few = expected(known, np.array([95.0, 50.0, 50.0, 5.0]))
    assert (few.state, few.unknown) == ("ready", 5.0 / 200.0)
    odd = expected(known, np.array([50.0, 50.0, 50.0, 50.0]))
    assert (odd.state, odd.unknown, odd.figures) == ("extrapolated", 0.25, ())
    nothing = expected(known, np.zeros(4))
    assert (nothing.state, nothing.figures, nothing.unknown) == ("insufficient", (), 0.0)


@given(st.integers(0, 1000), st.integers(0, 5))
def test_every_figure_is_a_figure(seed: int, empty: int) -> None:
    """low <= value <= high within [0, 1], finite, of width above 0; and no other name."""
    known, live, _ = _random(seed)
    live[empty:] = 0.0
    for one in expected(known, live).figures:
        assert one.name in NAMES
        assert 0.0 <= one.low <= one.value <= one.high <= 1.0
        assert one.low < one.high
        assert np.isfinite([one.error, one.bound]).all()


def test_intervals_hold_as_often_as_they_say() -> None:
    """Without concept drift, while the score's distribution moves: labels of the very rows, 95 % of the time."""
    found = coverage(2000, 1000, 200, 11)
    assert found.keys() == set(NAMES)
    assert all(share >= 0.92 for share in found.values()), found


def coverage(test_rows: int, live_rows: int, draws: int, seed: int) -> dict[str, float]:
    """How often the realised figure lies within the limits; docs/performance.md has 1,000 draws of seed 12."""
    rng, edges = np.random.default_rng(seed), np.linspace(0.1, 0.9, 9)
    held = dict.fromkeys(NAMES, 0)
    for _ in range(draws):
        test, live = rng.beta(1.2, 1.2, test_rows), rng.beta(1.0, 1.6, live_rows)
        told, truth = rng.random(test_rows) < _chance(test), rng.random(live_rows) < _chance(live)
        sides = [_places(edges, test, own) for own in (np.ones(test_rows, bool), told)]
        bins = np.searchsorted(edges, test)
        losses = [np.bincount(bins, (test - told) ** power, 10) for power in (2, 4)]
        known = known_of(*sides, losses=np.array(losses))
        counts = np.bincount(np.searchsorted(edges, live), minlength=10).astype(float)
        realised = _realised(edges, live, truth)
        for one in expected(known, counts, float((live > 0.5).sum())).figures:
            held[one.name] += int(one.low <= realised[one.name] <= one.high)
    return {name: count / draws for name, count in held.items()}


def _chance(scores: np.ndarray) -> np.ndarray:
    """Calibrated no more than a step per bin, so that within a bin it does not matter which rows there are."""
    return np.ceil(scores * 10.0) / 11.0


def _places(edges: np.ndarray, scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    bins = np.searchsorted(edges, scores)
    return np.array(
        [np.bincount(bins[own & side], minlength=10) for side in (scores <= 0.5, scores > 0.5)], float
    )


def _realised(edges: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    called = scores > 0.5
    return {
        "auc_roc": metrics.roc_auc_score(truth, np.searchsorted(edges, scores)),
        "positive_rate": truth.mean(),
        "accuracy": metrics.accuracy_score(truth, called),
        "precision": metrics.precision_score(truth, called),
        "recall": metrics.recall_score(truth, called),
        "f1": metrics.f1_score(truth, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
        "brier": metrics.brier_score_loss(truth, scores),
    }
