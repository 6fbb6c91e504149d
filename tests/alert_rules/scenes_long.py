"""Scenes of days: what deserves a ticket, and what does not. A step is an hour, which is a pane.

Rules are evaluated every twelve hours, which is as good as every two minutes where what counts lasts for days.
"""

from collections.abc import Sequence
from typing import Any

from tests.alert_rules.scenes import (
    EDGES,
    STEADY,
    Column,
    Json,
    Phases,
    alert,
    block,
    document,
    fires,
    psi,
    recorded,
    selector,
    truth,
)

DAY = 24
# promtool reads 10,000 samples at most, and a week has 168 panes; without special bins a column has no order, though.
PLAIN = EDGES[:5]
PANE = "1h"
TEN = tuple(20 * rows for rows in STEADY)
MOVED = (40, 56, 56, 28, 20, 0, 0)  # PSI .160
JUMPED = (20, 20, 20, 20, 320, 0, 0)


def _column(model: str, phases: Phases, kind: str = "output", **more: Any) -> Column:
    return Column(model, phases, kind, bins=PLAIN, **more)


def _times(rows: Sequence[float], factor: float) -> tuple[float, ...]:
    return tuple(factor * each for each in rows)


def _told(kind: str, column: Column, value: float) -> Json:
    what = {"output": "prediction", "feature": "feature"}[kind]
    return alert(
        f"{what.capitalize()}Drift",
        column,
        f"The distribution of a {what} has moved away from the reference.",
        f"PSI of {what} x of model {column.model} 1 against reference 0a1b2c3d is {value:.3f} over 24h or 7d; 0.1 is "
        "worth a look, and it is above what chance alone gives once in a thousand times, twice over or by far.",
    )


def days(kind: str, every: bool) -> Json:
    """Two days as the reference, three moved, two as before; the jump is one day long."""
    name = {"output": "PredictionDrift", "feature": "FeatureDrift"}[kind]
    steady, phases = [(7 * DAY, TEN)], [(2 * DAY, TEN), (3 * DAY, MOVED), (2 * DAY, TEN)]
    moved = _column("moved", phases, kind)
    jumped = _column("jumped", [(2 * DAY, TEN), (DAY, JUMPED), (4 * DAY, TEN)], kind)
    level = _column("level", phases, kind)
    own = {**level.labels, "statistic": "psi", "instance": "a"}
    quiet = [
        _column("steady", steady, kind),
        # Seasonal: the reference's own days are as far from each other.
        level,
        # 96 and 120 independent rows a day: fewer than are judged, and above the effect by chance.
        _column("few", [(7 * DAY, _times(MOVED, 0.02))], kind),
        _column("chance", [(7 * DAY, _times(MOVED, 0.025))], kind),
        _column("batched", phases, kind, batch=50),
        _column("idle", [(7 * DAY, (0.0,) * 7)], kind),
        _column("unreferenced", phases, kind, reference=()),
        _column("mirrored", phases, kind, more={"role": "shadow"}),
    ]
    levels = [
        {
            "series": selector("model_drift_reference_level", {**own, "window": length}),
            "values": f"0.3x{7 * DAY}",
        }
        for length in ("24h", "7d")
    ]
    value = psi(_times(MOVED, DAY)).value
    found = 'column:model_drift_found:24h{model_name="%s"}'
    return block(
        f"{name} fires after two days, or at once after a jump; not for few, chance, alike rows, season, mirror",
        "1h",
        [*recorded(PANE, [moved, jumped, *(quiet if every else quiet[:2])]), *levels],
        fires(name, "1d12h"),
        fires(name, "4d12h", _told(kind, moved, value)),
        fires(name, "6d12h"),
        # One window of a day does not do, a second that shares no row does; the jump needs no second.
        truth(f'ALERTS{{alertname="Modeltap{name}", model_name="moved"}}', "3d", 0),
        truth(found % "moved", "3d", 1),
        truth(f'ALERTS{{alertname="Modeltap{name}", alertstate="firing", model_name="jumped"}}', "3d", 1),
        *(_silent(found) if every else ()),
    )


def _silent(found: str) -> tuple[Json, ...]:
    at = "4d12h"
    return (
        *(truth(found % name, at, 0) for name in ("chance", "batched", "level")),
        truth('column:model_drift:24h{model_name="chance", statistic="psi"} > 0.1', at, 1),
        truth('column:model_drift:24h{model_name="few"}', at, 6),
    )


def weeks() -> Json:
    """50 rows a day are too few for a day, not for a week: a ticket once two weeks that share no row have 100."""
    rare = _column("rare", [(12 * DAY, _times(MOVED, 0.011)), (6 * DAY, _times(TEN, 0.011))])
    return block(
        "PredictionDrift fires for a column with few rows whose second week shares no row with the first",
        "1h",
        recorded(PANE, [rare]),
        fires("PredictionDrift", "8d12h"),
        truth('ALERTS{alertname="ModeltapPredictionDrift", alertstate="firing"}', "11d12h", 1),
        truth("column:model_drift_found:24h", "11d12h", 0),
        fires("PredictionDrift", "17d12h"),
    )


def text() -> str:
    return document("12h", "drift_long", days("output", True), days("feature", False), weeks())
