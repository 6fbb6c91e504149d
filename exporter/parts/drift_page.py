"""GET /v1/drift: every column in every window, with every statistic and its yardsticks, as JSON. Reads only.

Gauges show outputs and the features that drifted most; here is the rest. Aggregates alone: no cell, and no category's
name. It is made in a thread.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from exporter.admin.json_page import JsonPage, Wanted
from exporter.analysis import joint_report
from exporter.analysis.performance import expected, truth_report
from exporter.analysis.performance.table import Reading
from exporter.analysis.series import State
from exporter.analysis.side import SideState
from exporter.analysis.window_report import state_of, window_name
from exporter.stats import KOLMOGOROV_SMIRNOV, Drift, Result, View
from exporter.stats.kolmogorov_smirnov import robust_excess

PATH: Final = "/v1/drift"
_FILTERS: Final = ("model_name", "model_version", "role", "window", "column", "source")
# windows(now) -> copies of all model versions, and the lengths of the windows that are biased.
Windows = Callable[[float], tuple[tuple[State, ...], frozenset[float]]]
# cohorts(now) -> what a store has of labels.
Cohorts = Callable[[float], Awaitable[Reading]]


def drift_page(windows: Windows, cohorts: Cohorts | None = None) -> JsonPage:
    """The page; `windows` is asked on the event loop, and `cohorts` where labels are joined."""

    async def make(wanted: Wanted) -> bytes:
        now = time.time()
        reading = await cohorts(now) if cohorts is not None else None
        return await asyncio.to_thread(page, now, *windows(now), wanted, reading)

    return JsonPage(PATH, _FILTERS, make)


def page(
    now: float,
    states: Iterable[State],
    biased: frozenset[float],
    wanted: Wanted,
    reading: Reading | None = None,
) -> bytes:
    """The JSON text; any thread. `wanted`: values by filter, any of which holds."""
    models = [_model(state, biased, wanted) for state in states if _chosen(wanted, _names(state))]
    return msgspec.json.encode({"time": now, "models": models, "targets": _targets(reading, wanted)})


def _targets(reading: Reading | None, wanted: Wanted) -> Sequence[dict[str, Any]]:
    """The truth of numbers, of hours whose labels are complete."""
    if reading is None:
        return ()
    span = reading.maturity, reading.now
    found = truth_report.windows(reading.cohorts, reading.whats, reading.truths, span)
    return [one for one in found if all(one[name] in values for name, values in wanted.items())]


def _names(state: State) -> dict[str, str]:
    key = state.key
    return {"model_name": key.model_name, "model_version": key.model_version, "role": key.role}


def _chosen(wanted: Wanted, told: Mapping[str, str]) -> bool:
    return all(value in wanted[name] for name, value in told.items() if name in wanted)


def _model(state: State, biased: frozenset[float], wanted: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {"reference": state.reference or None, "match": state.key.match}
    told["left_out"] = state.left_out
    told["reference_source"] = next((one.profile.source for one in state.sides if one.profile), None)
    columns: list[dict[str, Any]] = []
    drifted: list[dict[str, Any]] = []
    for side in state.sides:
        if not _chosen(wanted, {"source": side.role}):
            continue
        results = side.judge.judged(side.layout, side.derived, side.windows).results
        for length, view in side.windows.items():
            where = {"source": side.role, "window": window_name(length)}
            if _chosen(wanted, where):
                result = results.get(length)
                names = [name for name in side.layout.names if _chosen(wanted, {"column": name})]
                found = dict(result.each()) if result is not None else {}
                for name in names:
                    state_word = state_of(found.get(name), view.rows(name), length in biased)
                    columns.append(
                        where | {"column": name, "state": state_word} | _column(side, view, name, found)
                    )
                drifted += [where | one for one in _shares(side, result)]
    told |= {"drifted": drifted, "columns": columns, "windows": _whole(state, wanted)}
    return _names(state) | told | {"expected": list(_expected(state, biased, wanted))}


def _whole(state: State, wanted: Wanted) -> list[dict[str, Any]]:
    """What columns have in common, by window; left out where columns or sides were asked for."""
    if state.joint is None or wanted.keys() & {"column", "source"}:
        return []
    lengths = [one for one in state.joint.views if _chosen(wanted, {"window": window_name(one)})]
    return [{"window": window_name(length)} | joint_report.page(state, length) for length in lengths]


def _expected(state: State, biased: frozenset[float], wanted: Wanted) -> Iterator[dict[str, Any]]:
    """What performance to expect, by window: it is of outputs."""
    for side in state.sides:
        if side.role == "prediction" and _chosen(wanted, {"source": side.role}) and "column" not in wanted:
            for length, view in side.windows.items():
                where = {"window": window_name(length)}
                found = expected.page(side, view, length in biased) if _chosen(wanted, where) else None
                if found is not None:
                    yield where | found


def _shares(side: SideState, result: Result | None) -> Iterator[dict[str, Any]]:
    if result is None:
        return
    for statistic in result.statistics:
        names, compared = result.drifted(statistic.name, side.judge.effects[statistic.name])
        yield {"statistic": statistic.name, "columns": names, "compared": compared}


def _column(side: SideState, view: View, name: str, found: Mapping[str, tuple[Drift, ...]]) -> dict[str, Any]:
    statistics = [_statistic(side, drift) for drift in found.get(name, ())]
    return (
        {"counters": name not in side.hidden}
        | _moments(view, name)
        | {"statistics": statistics}
        | joint_report.middles_page(side, name, view)
    )


def _moments(view: View, name: str) -> dict[str, Any]:
    found = view.summary(name)
    told = {"rows": found.rows, "effective_rows": view.effective_rows(name), "missing": found.missing}
    if found.mean is None or found.std is None or found.min is None or found.max is None:
        return told
    spread = {"variance": found.std**2, "standard_deviation": found.std, "range": found.max - found.min}
    ends = {"minimum": found.min, "maximum": found.max, "skewness": found.skew}
    quantiles = {f"{share:g}": value for share, value in found.quantiles}
    return told | {"numbers": found.count, "mean": found.mean} | spread | ends | {"quantiles": quantiles}


def _statistic(side: SideState, drift: Drift) -> dict[str, Any]:
    more = {"robust_excess": robust_excess(drift)} if drift.statistic == KOLMOGOROV_SMIRNOV.name else {}
    return more | drift.told(side.judge.effects[drift.statistic])
