"""What columns have in common, and the middles of predictions -> Samples, and rows of GET /v1/drift. Any thread.

Distances are series of the families of drift, by a `statistic` of their own; a pair of features has families of its
own, because it has two of them. Invariant: what is not known is absent, never NaN and never 0.
"""

from collections.abc import Iterator
from typing import Any, Final

from exporter.analysis.joint import (
    ASSOCIATION,
    EFFECT,
    MAHALANOBIS,
    JointFound,
    judged,
    locations,
)
from exporter.analysis.series import State
from exporter.analysis.side import SideState
from exporter.records.sample import Sample
from exporter.stats import NumericBins, View
from exporter.stats.location import densities, peaks
from exporter.stats.mahalanobis import Multivariate

_FAMILIES: Final = ("model.drift", "model.drift.noise_floor", "model.drift.critical_value")


def found_in(state: State, length: float) -> JointFound | None:
    """What one window says, where the reference tells of columns together."""
    if state.joint is None or length not in state.joint.views:
        return None
    counted = tuple([side.windows[length] for side in state.sides])
    return judged(state.joint.parts, state.joint.views[length], counted)


def references(state: State) -> Iterator[Sample]:
    """What windows are held against; it does not change."""
    if state.joint is None:
        return
    whose, told = (state.key.model_name, state.key.model_version), (state.reference, state.key.role)
    for one in state.joint.parts.pairs:
        if one.correlation is not None:
            yield Sample("model.reference.correlation", (*whose, one.a, one.b, *told), one.correlation)
    for found in state.joint.parts.associations:
        cell = (*whose, found.prediction, found.feature, *told)
        yield Sample("model.reference.association", cell, found.strength)


def gauges(state: State, length: float, window: str) -> Iterator[Sample]:
    """Of one window of a model version."""
    found = found_in(state, length)
    if found is None:
        return
    whose, told = (state.key.model_name, state.key.model_version), (state.reference, state.key.role)
    for (a, b), pair in found.correlations.items():
        cell = (*whose, a, b, window, *told)
        yield Sample("model.window.correlation", cell, pair.correlation)
        yield Sample("model.drift.correlation", cell, pair.change)
        yield Sample("model.drift.correlation_critical_value", cell, pair.critical)
        yield Sample("model.drift.correlation_p_value", cell, pair.p_value)
    for (feature, output), one in found.associations.items():
        yield Sample("model.window.association", (*whose, output, feature, window, *told), one.value)
        place = (*whose, output, feature, window, ASSOCIATION, *told)
        yield from _distance(place, (one.change, one.floor, one.critical), one.effective_rows)
    for output, score in found.agreement.items():
        yield Sample("model.drift.association_ndcg", (*whose, output, window, *told), score)
    if found.distance is not None:
        place = (*whose, "", "", window, MAHALANOBIS, *told)
        yield from _distance(place, _sizes(found.distance, found.features), found.effective_rows)


def middles(state: State, side: SideState, name: str, view: View, window: str) -> Iterator[Sample]:
    """Where the middle of a prediction went, by mean, median and mode."""
    column = side.profiled(name) if side.role == "prediction" else None
    if column is None:
        return
    key = state.key
    found, effective = locations(column, view)
    for statistic, moved in found.items():
        cell = (
            key.model_name,
            key.model_version,
            name,
            "",
            window,
            statistic,
            side.reference(name),
            key.role,
        )
        yield from _distance(cell, (abs(moved.value), moved.floor, moved.critical), effective)


def _distance(cell: tuple[str, ...], sizes: tuple[float, float, float], rows: float) -> Iterator[Sample]:
    """`sizes`: the distance, its noise floor, its critical value; `rows`: how many are independent."""
    for family, value in zip(_FAMILIES, sizes, strict=True):
        yield Sample(family, cell, value)
    yield Sample("model.drift.effective_rows", cell, rows)


def _sizes(found: Multivariate, columns: int) -> tuple[float, float, float]:
    """Of whole rows and not per column: what is expected is their number."""
    return columns * found.value, columns * found.expected, columns * found.critical


# ---------------------------------------------------------------- GET /v1/drift


def page(state: State, length: float) -> dict[str, Any]:
    """`correlations`, `multivariate`, `associations` and `association_ndcg` of one window."""
    found = found_in(state, length)
    if found is None:
        return {}
    pairs = [
        {
            "columns": pair,
            "correlation": one.correlation,
            "reference": one.reference,
            **_told(one.change, None, one.critical, EFFECT),
            "p_value": one.p_value,
            "rows": one.rows,
        }
        for pair, one in found.correlations.items()
    ]
    associations = [
        {
            "feature": feature,
            "prediction": output,
            "association": one.value,
            "reference": one.reference,
            **_told(one.change, one.floor, one.critical, EFFECT),
            "rows": one.rows,
            "effective_rows": one.effective_rows,
        }
        for (feature, output), one in found.associations.items()
    ]
    whole = {"multivariate": _multivariate(found), "association_ndcg": found.agreement}
    return {"correlations": pairs, "associations": associations} | whole


def _multivariate(found: JointFound) -> dict[str, Any] | None:
    one, columns = found.distance, found.features
    if one is None:
        return None
    value, expected, critical = _sizes(one, columns)
    told = _told(value, expected, critical, (1.0 + EFFECT) * expected)
    return told | {"columns": columns, "rows": one.rows, "effective_rows": found.effective_rows}


def middles_page(side: SideState, name: str, view: View) -> dict[str, Any]:
    """`location` of a prediction by statistic, signed; and how many peaks live rows and reference have."""
    column = side.profiled(name) if side.role == "prediction" else None
    if column is None or not isinstance(column.bins, NumericBins):
        return {}
    found = {
        statistic: {"shift": one.value} | _told(abs(one.value), one.floor, one.critical, EFFECT)
        for statistic, one in locations(column, view)[0].items()
    }
    if not found or column.min is None or column.max is None:
        return {"location": found}
    ends = column.min, column.max
    modes = {
        "peaks": peaks(densities(column.bins, view.counts(name), ends)),
        "reference_peaks": peaks(densities(column.bins, column.array, ends)),
    }
    return {"location": found} | modes


def _told(value: float, floor: float | None, critical: float, effect: float) -> dict[str, Any]:
    drifted = value > max(critical, effect, floor or 0.0)
    return {
        "value": value,
        "noise_floor": floor,
        "critical_value": critical,
        "effect": effect,
        "drifted": drifted,
    }
