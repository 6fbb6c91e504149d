"""What performance to expect of the rows in the rolling windows, before any label -> gauges, and rows of GET /v1/drift.

From counts per bin of the score alone, which are in the windows already. Pure; any thread. Invariants: there is nothing
where the reference has no test rows by bin; no figure in the states `insufficient` and `extrapolated`; states are
exactly one.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final

import numpy as np

from exporter.analysis.series import State
from exporter.analysis.side import SideState
from exporter.records.sample import Sample
from exporter.stats import CategoricalBins, NumericBins, Profile, View
from exporter.stats.performance.expected import STATES, Expected, Known, expected, known_of
from exporter.stats.profiles.performance import ScoreCells

_STATES: Final = (*STATES, "biased")


@lru_cache(maxsize=64)
def known(cells: ScoreCells) -> Known:
    """What the test rows tell; of a profile it is the same for as long as it is in use."""
    rows = np.array([cells.rest, cells.called], np.float64)
    positives = np.array([cells.rest_positives, cells.called_positives], np.float64)
    losses = np.array([cells.loss, cells.loss_squares]) if cells.loss and cells.loss_squares else None
    return known_of(rows, positives, several=not cells.positive, losses=losses)


def expected_in(side: SideState, view: View) -> tuple[str, Expected] | None:
    """The output and what is expected of it in one window; None where the reference does not tell."""
    cells = _cells(side)
    if cells is None:
        return None
    bins = side.layout.column(cells.output).bins
    assert isinstance(bins, NumericBins)
    live = view.counts(cells.output)[: bins.ranges].astype(np.float64)
    return cells.output, expected(known(cells), live, _called(side, view, cells))


def gauges(
    state: State, side: SideState, window: str, length: float, biased: Container[float]
) -> Iterator[Sample]:
    """Of one window of a model version."""
    found = expected_in(side, side.windows[length])
    if found is None:
        return
    output, told = found
    whose = state.key.model_name, state.key.model_version, output
    place = window, side.reference(output)
    word = state_of(told, length in biased)
    for one in _STATES:
        yield Sample("model.expected.state", (*whose, *place, one, state.key.role), int(one == word))
    if told.rows > 0.0:
        yield Sample("model.expected.unknown_ratio", (*whose, *place, state.key.role), told.unknown)
    if word in ("insufficient", "extrapolated"):
        return
    for figure in told.figures:
        cell = (*whose, figure.name, *place)
        ends = {"value": figure.value, "low": figure.low, "high": figure.high, "bound": figure.bound}
        for name, value in ends.items():
            yield Sample("model.expected.performance", (*cell, name, state.key.role), value)


def state_of(told: Expected, biased: bool) -> str:
    """Which of the states a window is in."""
    return "biased" if biased and told.state == "ready" else told.state


def references(state: State, side: SideState) -> Iterator[Sample]:
    """Test rows by bin and called class, and the chance that one is positive; they do not change."""
    cells = _cells(side)
    if cells is None:
        return
    bins, own = side.layout.column(cells.output).bins, known(cells)
    whose = state.key.model_name, state.key.model_version, cells.output
    for row, klass in enumerate(_classes(own)):
        if klass is None:
            continue
        for label, rows, chance in zip(bins.labels, own.rows[row], own.chances[row], strict=False):
            cell = (*whose, label, klass, side.reference(cells.output), state.key.role)
            yield Sample("model.reference.score.rows", cell, float(rows))
            yield Sample("model.reference.score.chance", cell, float(chance))


def page(side: SideState, view: View, biased: bool) -> dict[str, Any] | None:
    """One window for GET /v1/drift."""
    found = expected_in(side, view)
    if found is None:
        return None
    output, told = found
    figures = [_shown(asdict(figure)) for figure in told.figures]
    head = {"output": output, "state": state_of(told, biased), "rows": told.rows, "unknown": told.unknown}
    return head | {"figures": figures}


def _shown(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {key: figure[key] for key in ("name", "value", "low", "high", "error", "bound")}


def _cells(side: SideState) -> ScoreCells | None:
    profile: Profile | None = side.profile
    cells = profile.performance.cells if profile is not None and profile.performance is not None else None
    there = cells is not None and cells.output in side.layout.places and cells.output not in side.hidden
    return cells if there else None


def _classes(own: Known) -> tuple[str | None, str | None]:
    """The label values of what was not called, and of what was."""
    if own.several:
        return None, "right"
    return ("negative", "positive") if own.decided else ("", None)


def _called(side: SideState, view: View, cells: ScoreCells) -> float | None:
    """How many rows of the window were called positive, where the output that calls is counted."""
    if cells.prediction not in side.layout.places or not cells.positive:
        return None
    bins, counts = side.layout.column(cells.prediction).bins, view.counts(cells.prediction)
    if view.rows(cells.prediction) != view.rows(cells.output):
        return None
    if isinstance(bins, CategoricalBins):
        place = bins.codes.get(cells.positive)
        return None if place is None else float(counts[place])
    return _of_number(bins, counts.tolist(), cells.positive) if bins.discrete else None


def _of_number(bins: NumericBins, counts: list[int], positive: str) -> float | None:
    try:
        number = float(positive)
    except ValueError:
        return None
    return float(counts[bins.edges.index(number)]) if number in bins.edges else None
