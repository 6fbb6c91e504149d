"""Expected performance through the engine: gauges of windows, the reference's own series, and the page of drift."""

import json
from typing import Any

import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.report import counters
from exporter.analysis.window_report import gauges
from exporter.parts.drift_page import page
from exporter.stats import Profile
from exporter.stats.performance.expected import NAMES, expected, known_of
from exporter.stats.profiles.build import Column, ProfileConfig, _as_typed, build_from
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.tally import Extras
from tests.analysis.world import BOUNDS, NOW, feed, found, v2

ROLES = {"truth": "target", "called": "prediction", "p": "score"}
WINDOW = ("5m",)


def _rows(seed: int, count: int, power: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    score = rng.random(count) ** power
    called = np.array(["no", "yes"], object)[(score > 0.43).astype(int)]
    truth = np.array(["no", "yes"], object)[(rng.random(count) < score).astype(int)]
    return {"truth": truth, "called": called, "p": score}


def _profile(leave: str = "", **extras: Any) -> Profile:
    columns = {name: own for name, own in _rows(1, 3000).items() if name != leave}
    plans = [Plan(name, ROLES[name], "numeric" if name == "p" else "categorical", True) for name in columns]
    chunk = {name: _as_typed(Column(own)) for name, own in columns.items()}
    return build_from(plans, lambda _: [chunk], ProfileConfig("iris", "1"), Extras(test=True, **extras))


def _fed(profile: Profile, rows: int = 800, power: float = 2.0) -> Engine:
    made = Engine([profile], Known(windows=(300.0,)), BOUNDS, NOW)
    data = _rows(2, rows, power)
    feed(made, [v2({"x": [0.5] * rows}, {"p": data["p"].tolist(), "called": data["called"].tolist()})])
    return made


def _expected_of(profile: Profile, rows: int = 800, power: float = 2.0) -> dict[str, Any]:
    """What the maths says of the same rows."""
    assert profile.performance is not None
    cells, data = profile.performance.cells, _rows(2, rows, power)
    assert cells is not None
    bins = profile.column("p").bins
    test = np.array([cells.rest, cells.called], float)
    positives = np.array([cells.rest_positives, cells.called_positives], float)
    known = known_of(test, positives, losses=np.array([cells.loss, cells.loss_squares]))
    live = bins.count(data["p"])[: len(cells.rest)].astype(float)
    return {one.name: one for one in expected(known, live, float((data["called"] == "yes").sum())).figures}


def test_gauges_of_a_window() -> None:
    """Each figure with its limits and bound; the rows that were called are counted, so classes have no bound."""
    profile = _profile(positive="yes")
    samples = gauges(_fed(profile).windows(NOW))
    told = found(samples, "model.expected.performance")
    wanted = _expected_of(profile)
    assert set(wanted) == set(NAMES)
    for name, figure in wanted.items():
        ends = {"value": figure.value, "low": figure.low, "high": figure.high, "bound": figure.bound}
        for state, value in ends.items():
            cell = ("iris", "1", "p", name, *WINDOW, profile.reference, state, "live")
            assert told.pop(cell) == pytest.approx(value, abs=1e-12)
        assert (figure.bound > 0.0) == (name == "auc_roc")
    assert not told
    place = ("iris", "1", "p", *WINDOW, profile.reference)
    assert found(samples, "model.expected.unknown_ratio") == {(*place, "live"): 0.0}
    states = found(samples, "model.expected.state")
    assert states == {
        (*place, state, "live"): int(state == "ready")
        for state in ("ready", "insufficient", "extrapolated", "biased")
    }


def test_biased_windows_say_so() -> None:
    """Rows that do not stand for the traffic have figures, of a window that is called biased."""
    profile = _profile(positive="yes")
    samples = gauges(_fed(profile).windows(NOW), biased={300.0})
    place = ("iris", "1", "p", *WINDOW, profile.reference)
    assert found(samples, "model.expected.state")[*place, "biased", "live"] == 1
    assert found(samples, "model.expected.performance")


def test_few_rows_have_no_figures() -> None:
    """The state says why; before any traffic too."""
    for rows in (0, 199):
        made = Engine([_profile(positive="yes")], Known(windows=(300.0,)), BOUNDS, NOW)
        if rows:
            made = _fed(_profile(positive="yes"), rows)
        samples = gauges(made.windows(NOW))
        assert found(samples, "model.expected.performance") == {}
        states = found(samples, "model.expected.state")
        assert sum(states.values()) == len({cell[:5] for cell in states})
        assert all(value == (cell[5] == "insufficient") for cell, value in states.items())


def test_what_the_reference_tells() -> None:
    """Test rows and chances by bin and called class, from the first scrape; they add up to the test rows."""
    profile = _profile(positive="yes")
    samples = list(counters(_fed(profile, 1).windows(NOW)))
    rows = found(samples, "model.reference.score.rows")
    chances = found(samples, "model.reference.score.chance")
    assert sum(rows.values()) == 3000.0
    assert rows.keys() == chances.keys()
    assert {cell[4] for cell in rows} == {"negative", "positive"}
    assert {cell[5] for cell in rows} == {profile.reference}
    positives = sum(rows[cell] * chances[cell] for cell in rows)
    assert positives == pytest.approx((_rows(1, 3000)["truth"] == "yes").sum())


@pytest.mark.parametrize(("leave", "klass"), [("called", ""), ("", "right")])
def test_other_kinds_of_places(leave: str, klass: str) -> None:
    """Without predictions there is no called class; of several classes, what was right."""
    profile = _profile(leave, positive="yes" if leave else "nobody calls it so")
    samples = [*counters(_fed(profile).windows(NOW)), *gauges(_fed(profile).windows(NOW))]
    assert {cell[4] for cell in found(samples, "model.reference.score.rows")} == {klass}
    names = {cell[3] for cell in found(samples, "model.expected.performance")}
    assert names == ({"accuracy", "brier"} if klass else {"auc_roc", "positive_rate", "brier"})


def test_without_test_rows_nothing() -> None:
    """A reference that never saw a truth tells nothing, not even a state."""
    columns = {"p": Column(_rows(1, 3000)["p"], "prediction")}
    plans = [Plan("p", "prediction", "numeric", True)]
    chunk = {name: _as_typed(own) for name, own in columns.items()}
    profile = build_from(plans, lambda _: [chunk], ProfileConfig("iris", "1"))
    samples = [*counters(_fed(profile).windows(NOW)), *gauges(_fed(profile).windows(NOW))]
    assert not [one for one in samples if one.name.startswith(("model.expected.", "model.reference.score."))]


def test_the_page() -> None:
    """GET /v1/drift has the same by window; not where columns were asked for."""
    profile = _profile(positive="yes")
    states = _fed(profile).windows(NOW)

    def told(**wanted: Any) -> Any:
        (model,) = json.loads(page(NOW, states, frozenset(), wanted))["models"]
        return model["expected"]

    (one,) = told()
    assert (one["window"], one["output"], one["state"]) == ("5m", "p", "ready")
    assert (one["rows"], one["unknown"]) == (800.0, 0.0)
    wanted = _expected_of(profile)
    assert [figure["name"] for figure in one["figures"]] == list(wanted)
    for figure in one["figures"]:
        assert figure["value"] == pytest.approx(wanted[figure["name"]].value)
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert told(window=["1h"]) == told(source=["feature"]) == told(column=["p"]) == []
    assert told(window=["5m"], source=["prediction"]) == [one]
