"""Rolling windows of model versions -> gauges: what is in them, and how far they are from their references.

Pure but for the order of equal columns (see `judge.py`); any thread. Invariant: what is not known is absent, never NaN
and never 0; a window is in exactly one state.
"""

from collections.abc import Container, Iterable, Iterator, Sequence

from exporter.analysis import joint_report, quality_report
from exporter.analysis.performance import expected
from exporter.analysis.report import column_labels
from exporter.analysis.series import Key, State
from exporter.analysis.side import SideState
from exporter.records.sample import Sample
from exporter.stats import Result, Summary
from exporter.stats.compare import Told
from exporter.stats.moments import PROBABILITIES
from exporter.stats.window import summaries_of

_READY_ROWS = 1
_PROBABILITIES = {one: f"{one:g}" for one in PROBABILITIES}
STATES = ("ready", "insufficient", "biased")


def gauges(states: Iterable[State], biased: Container[float] = ()) -> list[Sample]:
    """All gauges; `biased`: lengths of the windows whose rows are not what the traffic was."""
    found: list[Sample] = []
    for state in states:
        for side in state.sides:
            found += _side(state, side, biased)
        for length in state.joint.views if state.joint is not None else ():
            found += joint_report.gauges(state, length, window_name(length))
        found += joint_report.references(state)
    return found


def window_name(seconds: float) -> str:
    """The label of a window: 5m, 1h, 24h, 7d; odd lengths in seconds."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and (seconds > size or unit != "d"):
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def state_of(found: Sequence[object] | None, rows: int, biased: bool) -> str:
    """Of one column's window: whether there are rows enough to say anything, and whether they stand for the traffic.

    `found`: its statistics, None for a column that is compared with nothing.
    """
    enough = rows >= _READY_ROWS if found is None else bool(found)
    return "insufficient" if not enough else "biased" if biased else "ready"


def _side(state: State, side: SideState, biased: Container[float]) -> list[Sample]:
    key = state.key
    found: list[Sample] = []  # generators within generators would cost each sample twice more
    judged = side.judge.judged(side.layout, side.derived, side.windows)
    moving = quality_report.moving(state, side)
    summed = summaries_of(list(side.windows.values()), judged.shown)
    for (length, view), summaries in zip(side.windows.items(), summed, strict=True):
        window, result = window_name(length), judged.results.get(length)
        drifts = result.told(judged.shown) if result is not None else {}
        for name in judged.shown:
            labels, own = (*column_labels(key, side, name), window), drifts.get(name)
            found += _moments(labels, key.role, summaries[name])
            now = state_of(own, summaries[name].rows, length in biased)
            found += [
                Sample("model.window.state", (*labels, one, key.role), int(one == now)) for one in STATES
            ]
            if own:
                found += _drift(labels, (side.reference(name), key.role), own)
            found += joint_report.middles(state, side, name, view, window)
        if side.role == "prediction":
            found += expected.gauges(state, side, window, length, biased)
        found += quality_report.gauges(moving, view, window, key.role)
        if result is not None:
            found += _shares(key, side, window, result)
    return found


def _moments(labels: tuple[str, ...], role: str, summary: Summary) -> list[Sample]:
    cell = (*labels, role)
    found = [Sample("model.window.rows", cell, summary.rows)]
    if summary.mean is None or summary.std is None or summary.min is None or summary.max is None:
        return found
    found += (
        Sample("model.window.numbers", cell, summary.count),
        Sample("model.window.mean", cell, summary.mean),
        Sample("model.window.variance", cell, summary.std**2),
        Sample("model.window.standard_deviation", cell, summary.std),
        Sample("model.window.minimum", cell, summary.min),
        Sample("model.window.maximum", cell, summary.max),
        Sample("model.window.range", cell, summary.max - summary.min),
    )
    if summary.skew is not None:
        found.append(Sample("model.window.skewness", cell, summary.skew))
    for probability, value in summary.quantiles:
        found.append(Sample("model.window.quantile", (*labels, _PROBABILITIES[probability], role), value))
    return found


def _drift(labels: tuple[str, ...], reference: tuple[str, str], drifts: Iterable[Told]) -> list[Sample]:
    """`reference`: and role. Effective rows are those of all bins; of few, for KS and Wasserstein."""
    found: list[Sample] = []
    for statistic, (value, floor, critical, _, _, _, effective, p_value), level in drifts:
        cell = (*labels, statistic, *reference)
        found += (
            Sample("model.drift", cell, value),
            Sample("model.drift.noise_floor", cell, floor),
            Sample("model.drift.critical_value", cell, critical),
            Sample("model.drift.effective_rows", cell, effective),
        )
        if p_value == p_value:  # NaN: it has none
            found.append(Sample("model.drift.p_value", cell, p_value))
        if level is not None:
            found.append(Sample("model.drift.reference_level", cell, level))
    return found


def _shares(key: Key, side: SideState, window: str, result: Result) -> Iterator[Sample]:
    """The share of drifted columns, of those that could be compared, by statistic."""
    reference = side.profile.reference if side.profile is not None else ""
    for statistic, drifted, compared in result.shares(side.judge.effects):
        if compared:
            labels = (key.model_name, key.model_version, side.role, window, statistic, reference)
            yield Sample("model.drift.drifted_columns", (*labels, key.role), drifted / compared)
